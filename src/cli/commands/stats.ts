import { InvalidArgumentError, Option } from 'commander';
import type { Session } from '../../connection/session.ts';
import type { ReportNote, ReportView, StatsReport } from '../../report/columns.ts';
import type { ReportRenderOptions } from '../../report/render-report.ts';
import type { Trends } from '../../stats/trends.ts';
import type { UpdateStatisticsRow } from '../../stats/update.ts';
import { renderCount } from '../../text/units.ts';
import { loadRenderOptions } from '../context.ts';
import type { CommandGroup, CommandInput, CommandResult, CommandSpec } from '../define.ts';
import { EXIT, withStop } from '../exit-codes.ts';
import { connectionOptions, parseCount, parseSeconds, reportOptions } from '../options.ts';
import { loadDirectConnection } from '../settings.ts';
import { ADVISE } from './advise.ts';
import { HISTORY_COMMANDS } from './history.ts';

/** What the flags of a topic can ask for; a topic takes what it knows. */
interface TopicOptions {
  schema?: string | undefined;
  limit?: number | undefined;
  includeIdle?: boolean | undefined;
  minimumAgeMs?: number | undefined;
  /** What the history of snapshots shows; only for topics that ask for it. */
  trends?: Trends | null | undefined;
}

/** The flags for them, beside those of all topics. */
type TopicFlag = 'schema' | 'limit' | 'all' | 'minAge';

/** One look at a topic: the same as data and as text. */
interface TopicLook {
  report: StatsReport<unknown>;
  render(options: ReportRenderOptions): string;
}

/** One command of `evdb stats`. */
interface StatsTopic {
  name: string;
  summary: string;
  flags: TopicFlag[];
  /** Whether it looks at the history of snapshots. */
  hasPast: boolean;
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
  hasPast = false,
): StatsTopic {
  const look: StatsTopic['look'] = async (session, options) => {
    const [{ read, view }, { renderReport }] = await Promise.all([
      load(),
      import('../../report/render-report.ts'),
    ]);
    const report = await read(session, options);
    return { report, render: (how) => renderReport(report, view, how) };
  };
  return { name, summary, flags, hasPast, look };
}

/** In the order in which `evdb stats --help` lists them. */
export const STATS_TOPICS: StatsTopic[] = [
  topic(
    'indexes',
    'every index with its use and size',
    async () => {
      const { readIndexes: read, INDEXES_VIEW: view } = await import('../../stats/indexes.ts');
      return { read, view };
    },
    ['schema'],
  ),
  topic(
    'unused',
    'indexes that are never read and not needed',
    async () => {
      const { readUnusedIndexes: read, UNUSED_VIEW: view } = await import('../../stats/unused.ts');
      return { read, view };
    },
    ['schema', 'minAge'],
    true,
  ),
  topic(
    'duplicates',
    'indexes that another index makes redundant',
    async () => {
      const { readDuplicateIndexes: read, DUPLICATES_VIEW: view } = await import(
        '../../stats/duplicates.ts'
      );
      return { read, view };
    },
    ['schema'],
  ),
  topic(
    'invalid',
    'indexes and constraints that are not valid',
    async () => {
      const { readInvalidObjects: read, INVALID_VIEW: view } = await import(
        '../../stats/invalid.ts'
      );
      return { read, view };
    },
    ['schema'],
  ),
  topic(
    'missing-fk',
    'foreign keys without an index',
    async () => {
      const { readMissingForeignKeyIndexes: read, MISSING_FK_VIEW: view } = await import(
        '../../stats/missing-fk.ts'
      );
      return { read, view };
    },
    ['schema'],
  ),
  topic(
    'tables',
    'rows, size, bloat and upkeep of each table',
    async () => {
      const { readTables: read, TABLES_VIEW: view } = await import('../../stats/tables.ts');
      return { read, view };
    },
    ['schema'],
  ),
  topic(
    'queries',
    'which statements take the most time (pg_stat_statements)',
    async () => {
      const { readQueries: read, QUERIES_VIEW: view } = await import('../../stats/queries.ts');
      return { read, view };
    },
    ['limit'],
  ),
  topic(
    'locks',
    'who blocks whom, since when, with which statement',
    async () => {
      const { readLocks: read, LOCKS_VIEW: view } = await import('../../stats/locks.ts');
      return { read, view };
    },
    [],
  ),
  topic(
    'activity',
    'what the sessions do at this moment',
    async () => {
      const { readActivity: read, ACTIVITY_VIEW: view } = await import('../../stats/activity.ts');
      return { read, view };
    },
    ['all'],
  ),
  topic(
    'connections',
    'who is connected, and how many more can connect',
    async () => {
      const { readConnections: read, CONNECTIONS_VIEW: view } = await import(
        '../../stats/connections.ts'
      );
      return { read, view };
    },
    [],
  ),
  topic(
    'sequences',
    'how far each sequence is from its end',
    async () => {
      const { readSequences: read, SEQUENCES_VIEW: view } = await import(
        '../../stats/sequences.ts'
      );
      return { read, view };
    },
    ['schema'],
    true,
  ),
  topic(
    'vacuum',
    'how far databases and tables are from wraparound',
    async () => {
      const { readVacuum: read, VACUUM_VIEW: view } = await import('../../stats/vacuum.ts');
      return { read, view };
    },
    ['limit'],
  ),
  topic(
    'cache',
    'how much is read from memory instead of disk',
    async () => {
      const { readCache: read, CACHE_VIEW: view } = await import('../../stats/cache.ts');
      return { read, view };
    },
    ['limit'],
  ),
  topic(
    'replication',
    'standbys and slots, and how far they are behind',
    async () => {
      const { readReplication: read, REPLICATION_VIEW: view } = await import(
        '../../stats/replication.ts'
      );
      return { read, view };
    },
    [],
  ),
  topic(
    'partitions',
    'how long the partitions that exist will last',
    async () => {
      const { readPartitions: read, PARTITIONS_VIEW: view } = await import(
        '../../stats/partitions.ts'
      );
      return { read, view };
    },
    ['schema'],
  ),
];

function commandOf(topic: StatsTopic): CommandSpec {
  const { name, summary, flags } = topic;
  return {
    name,
    summary,
    options: () => [
      ...flags.map((flag) => FLAGS[flag]()),
      ...reportOptions(),
      watchOption(),
      ...connectionOptions(),
    ],
    fleet: { writes: false, shows: 'text' },
    examples: [`stats ${name}`, `stats ${name} --watch 5s`, `stats ${name} --markdown`],
    run: (input) => handleTopic(topic, input),
  };
}

const FLAGS: Record<TopicFlag, () => Option> = {
  schema: () => new Option('--schema <name>', 'only this schema (default: all)'),
  limit: () => new Option('--limit <n>', 'show at most this many rows').argParser(parseCount),
  all: () => new Option('--all', 'also sessions that do nothing'),
  minAge: () =>
    new Option(
      '--min-age <duration>',
      'trust counters that are at least this old (default: 7d)',
    ).argParser(parseSeconds),
};

const UPDATE: CommandSpec = {
  name: 'update',
  summary: 'analyze every table, and report on each',
  description:
    'Analyzes one table after another and waits for no lock: locked tables are skipped and listed. Exits 4 where only locks prevented it, and 1 where a table failed or the role may not analyze it.',
  options: () => [FLAGS.schema(), ...reportOptions(), ...connectionOptions()],
  examples: ['stats update', 'stats update --schema public'],
  run: handleUpdate,
};

const SHORTEST_MS = 200;

function watchOption(): Option {
  return new Option(
    '--watch [interval]',
    'show it again at an interval (default: every 2s)',
  ).argParser(parseInterval);
}

function parseInterval(text: string): number {
  const intervalMs = parseSeconds(text);
  if (intervalMs >= SHORTEST_MS) return intervalMs;
  throw new InvalidArgumentError('It must be 0.2s or longer.');
}

export const STATS_COMMANDS: CommandGroup = {
  name: 'stats',
  summary: 'show what the database does, and what is wrong with it',
  examples: ['stats unused', 'stats locks --watch', 'stats tables --json'],
  commands: [...STATS_TOPICS.map(commandOf), ADVISE, UPDATE, ...HISTORY_COMMANDS],
};

/** As watch(1) does. */
const DEFAULT_INTERVAL_MS = 2000;

/** Looks at a topic once, or again and again. */
async function handleTopic(topic: StatsTopic, input: CommandInput): Promise<CommandResult> {
  const { withInspection } = await import('../../connection/inspection.ts');
  const watch = input.flags.watch as number | true | undefined;
  const options = readTopicOptions(input);
  const { config, connection } = await loadDirectConnection(input);
  const look = async (session: Session) => {
    if (!topic.hasPast) return topic.look(session, options);
    const { readTrends } = await import('../../stats/trends.ts');
    const trends = await readTrends(session, { ledgerSchema: config.ledgerSchema });
    return topic.look(session, { ...options, trends });
  };
  const howOf = await loadRenderOptions(input);
  if (watch !== undefined) {
    const { watchReports } = await import('../watch.ts');
    return watchReports(input, {
      command: `stats ${topic.name}`,
      intervalMs: watch === true ? DEFAULT_INTERVAL_MS : watch,
      connection,
      look: async (session) => {
        const { report, render } = await look(session);
        return { data: report, text: render(howOf()) };
      },
    });
  }
  const { report, render } = await withInspection(connection, look);
  return { data: report, text: render(howOf()) };
}

function readTopicOptions({ flags }: CommandInput): TopicOptions {
  const { schema, limit, all, minAge } = flags as Record<string, never>;
  return { schema, limit, includeIdle: all, minimumAgeMs: minAge };
}

async function handleUpdate(input: CommandInput): Promise<CommandResult> {
  const { UPDATE_VIEW, updateStatistics } = await import('../../stats/update.ts');
  const { renderReport } = await import('../../report/render-report.ts');
  const { context, flags } = input;
  const { connection } = await loadDirectConnection(input);
  const rows: UpdateStatisticsRow[] = [];
  let total = 0;
  const isInterrupted = await withStop(
    context,
    { said: 'finishing the current table' },
    async (signal) => {
      try {
        await updateStatistics(connection, {
          schema: flags.schema as string | undefined,
          signal,
          onProgress: (row, done, of) => {
            rows.push(row);
            total = of;
            context.errLine(`${done} of ${of}: ${row.schema}.${row.table}`);
          },
        });
        return false;
      } catch (error) {
        if (!signal.aborted) throw error;
        return true;
      } finally {
        context.errLine('');
      }
    },
  );
  const notes = isInterrupted ? [interruptedNote(rows.length, total)] : [];
  const report: StatsReport<UpdateStatisticsRow> = { rows, countedSince: null, notes };
  const howOf = await loadRenderOptions(input);
  const text = renderReport(report, UPDATE_VIEW, howOf());
  return {
    data: { ...report, isInterrupted },
    text: rows.length > 0 ? `${text}\n\n${summarize(rows)}` : text,
    exitCode: isInterrupted ? EXIT.interrupted : exitCodeOf(rows),
  };
}

function interruptedNote(done: number, total: number): ReportNote {
  const rest = total > done ? `, ${renderCount(total - done, 'table')} left` : '';
  return {
    level: 'warning',
    text: `interrupted${rest}: what is listed keeps its new statistics`,
    hint: 'Run it again for the rest.',
  };
}

function summarize(rows: UpdateStatisticsRow[]): string {
  const count = (prefix: string) => rows.filter(({ outcome }) => outcome.startsWith(prefix)).length;
  const others = [
    [count('skipped'), 'skipped'],
    [count('failed'), 'failed'],
  ] as const;
  const said = others.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
  const analyzed = `analyzed ${count('analyzed')} of ${renderCount(rows.length, 'table')}`;
  return [analyzed, ...said].join(', ');
}

/** Locks pass; what fails or is forbidden does so the next time too. */
function exitCodeOf(rows: UpdateStatisticsRow[]): number {
  const outcomes = new Set(rows.map(({ outcome }) => outcome));
  if (outcomes.has('failed') || outcomes.has('skippedNoPrivilege')) return EXIT.failed;
  return outcomes.has('skippedLocked') ? EXIT.temporary : EXIT.done;
}
