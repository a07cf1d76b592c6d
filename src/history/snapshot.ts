import { withInspection } from '../connection/inspection.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { Session } from '../connection/session.ts';
import { type DoctorOptions, runDoctor } from '../doctor/doctor.ts';
import type { ReportNote } from '../report/columns.ts';
import { maskSecrets } from '../sql/mask.ts';
import { quoteLiteral } from '../sql/quote.ts';
import {
  HELD,
  renderScope,
  renderSize,
  renderTableParts,
  runWithoutWaiting,
  type StatsPrecision,
} from '../stats/catalog-queries.ts';
import { readCounterAge } from '../stats/counted-since.ts';
import { readSystem } from '../stats/history.ts';
import { type QueryStatsRow, readQueries } from '../stats/queries.ts';
import { readSequences } from '../stats/sequences.ts';
import type {
  SnapshotIndex,
  SnapshotReason,
  SnapshotServer,
  SnapshotStatement,
  SnapshotTable,
  StatsSnapshot,
} from '../stats/snapshot-format.ts';

/** What a snapshot is to hold. */
export interface ReadStatsSnapshotOptions {
  /** Default `requested`. */
  reason?: SnapshotReason | undefined;
  /** How the doctor is to look; `false` leaves its findings out. Default: all checks. */
  doctor?: DoctorOptions | false | undefined;
  /** evdb's own schema, which is left out; default `evdb`. */
  ledgerSchema?: string | undefined;
}

/** So many statements, those that took the most time. */
const STATEMENTS = 1000;
/** Of a check of the doctor: who takes a snapshot every hour does not want to read every row. */
const CHECK_TIMEOUT_MS = 500;

/**
 * Reads the counters of a database as they are now: sizes, scans, rows and dead rows of tables and
 * indexes, statements of pg_stat_statements, sequences, settings that differ from their default and
 * the findings of `doctor`. It uses two connections, waits for no lock and writes nothing.
 *
 * @throws {EvdbError} as `pingDatabase`, and QueryError if the server refuses a statement
 * @example
 * const snapshot = await readStatsSnapshot(connection);
 * await withWriting(connection, (session) => keepSnapshots(session, [snapshot]));
 */
export async function readStatsSnapshot(
  connection: ConnectionOptions,
  { reason = 'requested', doctor = {}, ledgerSchema = 'evdb' }: ReadStatsSnapshotOptions = {},
): Promise<StatsSnapshot> {
  const [counters, report] = await Promise.all([
    withInspection(connection, (session) => readCounters(session, ledgerSchema)),
    doctor === false
      ? undefined
      : withInspection(connection, (session) =>
          runDoctor(session, { checkTimeoutMs: CHECK_TIMEOUT_MS, ...doctor }),
        ),
  ]);
  const findings = report?.findings.map(({ code, severity, objects, message }) => ({
    code,
    severity,
    objects,
    message,
  }));
  return { reason, ...counters, findings: findings ?? null };
}

async function readCounters(
  session: Session,
  ledgerSchema: string,
): Promise<Omit<StatsSnapshot, 'reason' | 'findings'>> {
  const { tables, indexes } = await readRelationCounters(session, ledgerSchema);
  const sequences = await readSequences(session);
  const queries = await readQueries(session, { limit: STATEMENTS });
  const { settings, notes } = await readSettings(session);
  const { takenAt, ...server } = await readServer(session);
  const isUnknown = queries.rows.length === 0 && queries.notes.some(isUnknownNote);
  return {
    takenAt,
    server: { ...server, statementsCountedSince: queries.countedSince?.toISOString() ?? null },
    tables,
    indexes,
    statements: isUnknown ? null : queries.rows.filter(isOfApplication).map(statementOf),
    sequences: sequences.rows.map(({ schema, sequence, lastValue }) => ({
      sequence: `${schema}.${sequence}`,
      lastValue,
    })),
    settings,
    notes: [...queries.notes, ...sequences.notes, ...notes].filter(isUnknownNote),
  };
}

/** Sizes and counters of tables and indexes, as a snapshot has them. */
export async function readRelationCounters(
  session: Session,
  ledgerSchema: string,
): Promise<Pick<StatsSnapshot, 'tables' | 'indexes'>> {
  const precision = { precision: 'exact' } as const;
  const others = `n.nspname <> ${quoteLiteral(ledgerSchema)}`;
  const read = (render: (precision: StatsPrecision, scope: string) => string) =>
    runWithoutWaiting(session, precision, (exactly) => render(exactly, others));
  const tables = await read(tablesSql);
  const indexes = await read(indexesSql);
  return {
    tables: tables as unknown as SnapshotTable[],
    indexes: indexes as unknown as SnapshotIndex[],
  };
}

/** What is hidden has no name to know it by, and tools that look, as evdb does, are no load to judge. */
function isOfApplication({ query, isHidden }: QueryStatsRow): boolean {
  return !isHidden && query !== null && !query.includes('pg_catalog.');
}

function isUnknownNote({ level }: ReportNote): boolean {
  return level === 'unknown';
}

function statementOf(row: QueryStatsRow) {
  const { queryId, user, isTopLevel, query, calls, totalMs, countedSince } = row;
  return {
    id: `${queryId} ${user ?? ''}${isTopLevel === false ? ' nested' : ''}`,
    ...{ user, query, calls },
    totalMs: Math.round(totalMs * 1000) / 1000,
    rows: row.rows,
    readBytes: row.readBytes,
    tempBytes: row.tempBytes,
    walBytes: row.walBytes,
    countedSince: countedSince?.toISOString() ?? null,
  } satisfies SnapshotStatement;
}

const SERVER = `select pg_catalog.current_database() as "database",
    (select d.oid::bigint::float8 from pg_catalog.pg_database d
      where d.datname = pg_catalog.current_database()) as "databaseOid",
    pg_catalog.current_setting('server_version') as "version",
    current_user::text as "user",
    pg_catalog.pg_is_in_recovery() as "isStandby",
    case when not pg_catalog.pg_is_in_recovery() then pg_catalog.substr(
      pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) end as "timeline",
    pg_catalog.pg_postmaster_start_time() as "startedAt",
    case when not pg_catalog.pg_is_in_recovery()
      then pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text end as "nextTransaction",
    pg_catalog.clock_timestamp() as "takenAt"`;

async function readServer(
  session: Session,
): Promise<Omit<SnapshotServer, 'statementsCountedSince'> & { takenAt: string }> {
  const { countedSince } = await readCounterAge(session);
  const [row] = await session.run(SERVER);
  const { startedAt, takenAt, ...server } = row as unknown as Omit<
    SnapshotServer,
    'startedAt' | 'countedSince' | 'statementsCountedSince' | 'system'
  > & { startedAt: Date; takenAt: Date };
  return {
    ...server,
    system: await readSystem(session),
    startedAt: startedAt.toISOString(),
    takenAt: takenAt.toISOString(),
    countedSince: countedSince?.toISOString() ?? null,
  };
}

// What evdb's own session sets is nobody else's: the value behind a reset counts. Some settings hold
// passwords in a form of their own.
const SETTINGS = `select s.name::text as "name",
    case when s.name in ('primary_conninfo', 'ssl_passphrase_command') then '***'
      when s.unit ~ '^[0-9]' then (s.reset_val::numeric * pg_catalog.substring(s.unit, '^[0-9]+')::numeric)::text
        || pg_catalog.substring(s.unit, '[A-Za-z]+$')
      else coalesce(s.reset_val, '') || coalesce(s.unit, '') end as "value"
  from pg_catalog.pg_settings s
  where s.reset_val is distinct from s.boot_val
    and s.name not in ('application_name', 'client_encoding', 'transaction_deferrable',
      'transaction_isolation', 'transaction_read_only', 'in_hot_standby', 'shared_memory_size',
      'shared_memory_size_in_huge_pages', 'num_os_semaphores', 'data_directory_mode')
  order by s.name`;

async function readSettings(session: Session): Promise<Pick<StatsSnapshot, 'settings' | 'notes'>> {
  const rows = await session.run(SETTINGS);
  const [privilege] = await session.run(
    `select pg_catalog.pg_has_role('pg_read_all_settings', 'usage') as "seesAll"`,
  );
  const settings = Object.fromEntries(
    rows.map(({ name, value }) => [String(name), maskSecrets(String(value))]),
  );
  if (privilege?.seesAll === true) return { settings, notes: [] };
  const note: ReportNote = {
    level: 'unknown',
    text: `some settings are hidden from ${session.facts.user}, which is not a member of pg_read_all_settings`,
    hint: 'Let an administrator grant pg_monitor to the role.',
  };
  return { settings, notes: [note] };
}

function tablesSql(precision: StatsPrecision, scope: string): string {
  return `with recursive ${HELD},
  ${renderTableParts({})},
  index_scans as materialized (
    select i.indrelid, pg_catalog.sum(pg_catalog.pg_stat_get_numscans(i.indexrelid)) as scans,
      pg_catalog.bool_or(i.indexrelid in (select h.oid from held h)) as is_held,
      pg_catalog.sum(c.relpages::numeric) as pages
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    group by i.indrelid
  ),
  sized as materialized (
    select p.whole, p.part, c.relkind, c.reltuples, i.scans, ${sizesOf(precision)}
    from parts p
    join pg_catalog.pg_class c on c.oid = p.part
    left join index_scans i on i.indrelid = p.part
  ),
  summed as materialized (
    select s.whole,
      pg_catalog.sum(case
        when s.relkind = 'p' then null
        when pg_catalog.pg_stat_get_live_tuples(s.part) > 0 then pg_catalog.pg_stat_get_live_tuples(s.part)
        when s.reltuples >= 0 then s.reltuples end) as "rows",
      pg_catalog.sum(s.total) as "totalBytes",
      pg_catalog.sum(s.indexes) as "indexBytes",
      pg_catalog.sum(pg_catalog.pg_stat_get_dead_tuples(s.part)) as "deadRows",
      pg_catalog.sum(pg_catalog.pg_stat_get_numscans(s.part)) as "sequentialScans",
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_returned(s.part)) as "sequentialRows",
      pg_catalog.sum(coalesce(s.scans, 0)) as "indexScans",
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(s.part)) as "inserted",
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_updated(s.part)) as "updated",
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_hot_updated(s.part)) as "hotUpdated",
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_deleted(s.part)) as "deleted"
    from sized s group by s.whole
  )
  select c.oid::bigint::float8 as "oid", n.nspname as "schema", c.relname as "table",
    ${TABLE_NUMBERS.map((name) => `s."${name}"::float8 as "${name}"`).join(', ')}
  from summed s
  join pg_catalog.pg_class c on c.oid = s.whole
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace and ${scope}
  order by c.oid`;
}

const TABLE_NUMBERS = [
  ...['rows', 'totalBytes', 'indexBytes', 'deadRows', 'sequentialScans', 'sequentialRows'],
  ...['indexScans', 'inserted', 'updated', 'hotUpdated', 'deleted'],
];

/** Whoever asks for a size waits for an exclusive lock, of the table and of each of its indexes. */
function sizesOf(precision: StatsPrecision): string {
  const block = `pg_catalog.current_setting('block_size')::int`;
  const pages = `coalesce(i.pages, 0) * ${block}`;
  const isFree = `c.relkind <> 'p' and not coalesce(i.is_held, false)
      and c.oid not in (select h.oid from held h) and c.reltoastrelid not in (select h.oid from held h)`;
  if (precision === 'estimate') {
    return `c.relpages::numeric * ${block} + ${pages} as total, ${pages} as indexes`;
  }
  return `case when ${isFree} then pg_catalog.pg_total_relation_size(c.oid)
      else c.relpages::numeric * ${block} + ${pages} end as total,
    case when ${isFree} then pg_catalog.pg_indexes_size(c.oid) else ${pages} end as indexes`;
}

function indexesSql(precision: StatsPrecision, scope: string): string {
  return `with recursive ${HELD},
  parts (whole, part) as (
    select c.oid, c.oid
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('i', 'I') and not c.relispartition and ${renderScope('n', {})}
    union all
    select p.whole, h.inhrelid from parts p join pg_catalog.pg_inherits h on h.inhparent = p.part
  ),
  summed as materialized (
    select p.whole, pg_catalog.sum(${renderSize('c', precision)}) as size_bytes,
      pg_catalog.sum(pg_catalog.pg_stat_get_numscans(p.part)) as scans,
      pg_catalog.bool_and(i.indisvalid) as is_valid
    from parts p
    join pg_catalog.pg_class c on c.oid = p.part
    join pg_catalog.pg_index i on i.indexrelid = p.part
    group by p.whole
  )
  select c.oid::bigint::float8 as "oid", n.nspname as "schema", t.relname as "table",
    c.relname as "index", s.size_bytes::float8 as "sizeBytes", s.scans::float8 as "scans",
    s.is_valid as "isValid"
  from summed s
  join pg_catalog.pg_index i on i.indexrelid = s.whole
  join pg_catalog.pg_class c on c.oid = s.whole
  join pg_catalog.pg_class t on t.oid = i.indrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace and ${scope}
  order by c.oid`;
}
