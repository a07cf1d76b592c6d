import type { Session } from '../../connection/session.ts';
import type { ReportView, StatsReport } from '../../report/columns.ts';
import type { ReportRenderOptions } from '../../report/render-report.ts';

/** What the flags of a topic can ask for; a topic takes what it knows. */
export interface TopicOptions {
  schema?: string | undefined;
  limit?: number | undefined;
  includeIdle?: boolean | undefined;
  minimumAgeMs?: number | undefined;
}

/** The flags for them, beside those of all topics. */
export type TopicFlag = 'schema' | 'limit' | 'all' | 'minAge';

/** One look at a topic: the same as data and as text. */
export interface TopicLook {
  report: StatsReport<unknown>;
  render(options: ReportRenderOptions): string;
}

/** One command of `evdb stats`. */
export interface StatsTopic {
  name: string;
  summary: string;
  flags: TopicFlag[];
  look(session: Session, options: TopicOptions): Promise<TopicLook>;
}

interface TopicParts<T> {
  read(session: Session, options: TopicOptions): Promise<StatsReport<T>>;
  view: ReportView<T>;
}

function topic<T>(
  name: string,
  summary: string,
  load: () => Promise<TopicParts<T>>,
  flags: TopicFlag[] = [],
): StatsTopic {
  const look: StatsTopic['look'] = async (session, options) => {
    const [{ read, view }, { renderReport }] = await Promise.all([
      load(),
      import('../../report/render-report.ts'),
    ]);
    const report = await read(session, options);
    return { report, render: (how) => renderReport(report, view, how) };
  };
  return { name, summary, flags, look };
}

/** In the order in which `evdb stats --help` lists them. */
export const STATS_TOPICS: StatsTopic[] = [
  topic(
    'indexes',
    'every index with its use and size',
    async () => ({
      read: (await import('../../stats/indexes.ts')).readIndexes,
      view: (await import('../../stats/indexes.ts')).INDEXES_VIEW,
    }),
    ['schema'],
  ),
  topic(
    'unused',
    'indexes that nobody reads and nothing needs',
    async () => ({
      read: (await import('../../stats/unused.ts')).readUnused,
      view: (await import('../../stats/unused.ts')).UNUSED_VIEW,
    }),
    ['schema', 'minAge'],
  ),
  topic(
    'duplicates',
    'indexes that another one makes superfluous',
    async () => ({
      read: (await import('../../stats/duplicates.ts')).readDuplicates,
      view: (await import('../../stats/duplicates.ts')).DUPLICATES_VIEW,
    }),
    ['schema'],
  ),
  topic(
    'invalid',
    'indexes and constraints that are not valid',
    async () => ({
      read: (await import('../../stats/invalid.ts')).readInvalid,
      view: (await import('../../stats/invalid.ts')).INVALID_VIEW,
    }),
    ['schema'],
  ),
  topic(
    'missing-fk',
    'foreign keys without an index',
    async () => ({
      read: (await import('../../stats/missing-fk.ts')).readMissingFk,
      view: (await import('../../stats/missing-fk.ts')).MISSING_FK_VIEW,
    }),
    ['schema'],
  ),
  topic(
    'tables',
    'rows, size, bloat and upkeep of each table',
    async () => ({
      read: (await import('../../stats/tables.ts')).readTables,
      view: (await import('../../stats/tables.ts')).TABLES_VIEW,
    }),
    ['schema'],
  ),
  topic(
    'queries',
    'which statements take the most time (pg_stat_statements)',
    async () => ({
      read: (await import('../../stats/queries.ts')).readQueries,
      view: (await import('../../stats/queries.ts')).QUERIES_VIEW,
    }),
    ['limit'],
  ),
  topic(
    'locks',
    'who blocks whom, since when, with which statement',
    async () => ({
      read: (await import('../../stats/locks.ts')).readLocks,
      view: (await import('../../stats/locks.ts')).LOCKS_VIEW,
    }),
    [],
  ),
  topic(
    'activity',
    'what the sessions do at this moment',
    async () => ({
      read: (await import('../../stats/activity.ts')).readActivity,
      view: (await import('../../stats/activity.ts')).ACTIVITY_VIEW,
    }),
    ['all'],
  ),
  topic(
    'connections',
    'who is connected, and how many more may be',
    async () => ({
      read: (await import('../../stats/connections.ts')).readConnections,
      view: (await import('../../stats/connections.ts')).CONNECTIONS_VIEW,
    }),
    [],
  ),
  topic(
    'sequences',
    'how far each sequence is from its end',
    async () => ({
      read: (await import('../../stats/sequences.ts')).readSequences,
      view: (await import('../../stats/sequences.ts')).SEQUENCES_VIEW,
    }),
    ['schema'],
  ),
  topic(
    'vacuum',
    'how far databases and tables are from wraparound',
    async () => ({
      read: (await import('../../stats/vacuum.ts')).readVacuum,
      view: (await import('../../stats/vacuum.ts')).VACUUM_VIEW,
    }),
    ['limit'],
  ),
  topic(
    'cache',
    'how much is read from memory instead of disk',
    async () => ({
      read: (await import('../../stats/cache.ts')).readCache,
      view: (await import('../../stats/cache.ts')).CACHE_VIEW,
    }),
    ['limit'],
  ),
  topic(
    'replication',
    'standbys and slots, and how far they are behind',
    async () => ({
      read: (await import('../../stats/replication.ts')).readReplication,
      view: (await import('../../stats/replication.ts')).REPLICATION_VIEW,
    }),
    [],
  ),
  topic(
    'partitions',
    'how long the partitions that exist will last',
    async () => ({
      read: (await import('../../stats/partitions.ts')).readPartitions,
      view: (await import('../../stats/partitions.ts')).PARTITIONS_VIEW,
    }),
    ['schema'],
  ),
];
