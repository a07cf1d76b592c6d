import { codeOf } from '../connection/connection-error.ts';
import { listColumns } from '../connection/inspection.ts';
import type { Row, Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport } from '../report/columns.ts';
import { maskSecrets } from '../sql/mask.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { hiddenNote, seesRole } from './catalog-queries.ts';

/** A normalized statement, as pg_stat_statements counts it in this database. */
export interface QueryStatsRow {
  /** Null if the statement is hidden. */
  queryId: string | null;
  user: string | null;
  /** Constants are replaced by $1, $2, …; null if the text is hidden. */
  query: string | null;
  isHidden: boolean;
  /** Whether a client sent it, rather than a function; null if the extension is older than 1.9. */
  isTopLevel: boolean | null;
  calls: number;
  totalMs: number;
  meanMs: number;
  maxMs: number;
  stddevMs: number;
  /** 0 to 1: its part of the time of all statements in this database. */
  shareOfTime: number;
  /** Rows that it returned or changed. */
  rows: number;
  /** 0 to 1; null if it touched no shared buffer. */
  hitRatio: number | null;
  readBytes: number;
  tempBytes: number;
  /** Null if the extension does not count it (before 1.8). */
  walBytes: number | null;
  /** Time of reading and writing blocks; null if it was not recorded (`track_io_timing`). */
  ioMs: number | null;
  /** Since when this statement is counted; null if the extension does not say (before 1.11). */
  countedSince: Date | null;
}

/** How many statements are shown. */
export interface ReadQueriesOptions {
  /** Default 20. */
  limit?: number | undefined;
}

/**
 * Reads which statements took the most time, from any version of pg_stat_statements in any schema.
 * If it is not installed, there are no rows and a note says how to get it.
 *
 * @param session from `withInspection`
 * @throws {EvdbError} QueryError if the server refuses a statement
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readQueries(session, { limit: 10 }));
 */
export async function readQueries(
  session: Session,
  { limit = 20 }: ReadQueriesOptions = {},
): Promise<StatsReport<QueryStatsRow>> {
  const [extension] = await session.run(EXTENSION);
  const missing = missingNote(extension);
  if (missing) return { rows: [], countedSince: null, notes: [missing] };
  const schema = String(extension?.schema);
  const view = `${quoteIdent(schema)}.pg_stat_statements`;
  try {
    const columns = await listColumns(session, view);
    const found = (await session.run(
      statementsSql(view, columns, limit),
    )) as unknown as QueryStatsRow[];
    // Utility statements keep their constants, passwords among them.
    const rows = found.map((row) => ({ ...row, query: row.query && maskSecrets(row.query) }));
    return { rows, ...(await readCounting(session, schema, rows)) };
  } catch (error) {
    const note = refusalNote(error, schema, session.facts.user);
    if (!note) throw error;
    return { rows: [], countedSince: null, notes: [note] };
  }
}

const EXTENSION = `
select
    n.nspname as "schema",
    -- the setting exists where the library was loaded at start
    pg_catalog.current_setting('pg_stat_statements.max', true) is not null as "isLoaded",
    a.name is not null as "isAvailable"
from (values ('pg_stat_statements')) as wanted (name)
left join pg_catalog.pg_extension as e on e.extname = wanted.name
left join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
left join pg_catalog.pg_available_extensions() as a using (name)`;

const PRELOAD =
  "Add 'pg_stat_statements' to shared_preload_libraries (alter system set shared_preload_libraries = …, keeping what is there) and restart the server";

function missingNote(extension: Row | undefined): ReportNote | undefined {
  if (!extension?.schema) {
    const create = 'create extension pg_stat_statements;';
    return {
      level: 'unknown',
      text: extension?.isAvailable
        ? 'the extension pg_stat_statements is not installed in this database, so no statements are counted here'
        : 'the extension pg_stat_statements is not available on this server',
      hint: extension?.isLoaded
        ? `Let an administrator run in this database: ${create}`
        : `${PRELOAD}, then run in this database: ${create}`,
    };
  }
  if (extension.isLoaded) return undefined;
  return {
    level: 'unknown',
    text: 'pg_stat_statements is installed but not loaded, so nothing is counted',
    hint: `${PRELOAD}.`,
  };
}

function refusalNote(error: unknown, schema: string, user: string): ReportNote | undefined {
  if (codeOf(error) === '55000') {
    return {
      level: 'unknown',
      text: 'pg_stat_statements is installed but not loaded, so nothing is counted',
      hint: `${PRELOAD}.`,
    };
  }
  if (codeOf(error) !== '42501') return undefined;
  const role = quoteIdent(user);
  return {
    level: 'unknown',
    text: `${user} may not read pg_stat_statements in schema ${schema}`,
    hint: `Let its owner run: grant usage on schema ${quoteIdent(schema)} to ${role}; grant select on ${quoteIdent(schema)}.pg_stat_statements, ${quoteIdent(schema)}.pg_stat_statements_info to ${role};`,
  };
}

function statementsSql(view: string, columns: ReadonlySet<string>, limit: number): string {
  // 1.8 renamed the times, 1.11 split those of blocks.
  const time = (name: string) =>
    columns.has(`${name}_exec_time`) ? `s.${name}_exec_time` : `s.${name}_time`;
  const read = columns.has('shared_blk_read_time') ? 'shared_blk_read_time' : 'blk_read_time';
  const write = columns.has('shared_blk_write_time') ? 'shared_blk_write_time' : 'blk_write_time';
  return `
with counted as materialized (
    select *, ${seesRole('userid')} as is_seen
    from ${view}
    where dbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
)
select
    s.queryid::text as "queryId",
    pg_catalog.pg_get_userbyid(s.userid)::text as "user",
    case when s.is_seen then s.query end as "query",
    not s.is_seen as "isHidden",
    ${columns.has('toplevel') ? 's.toplevel' : 'null::bool'} as "isTopLevel",
    s.calls::float8 as "calls",
    ${time('total')} as "totalMs",
    ${time('mean')} as "meanMs",
    ${time('max')} as "maxMs",
    ${time('stddev')} as "stddevMs",
    coalesce(${time('total')} / nullif(pg_catalog.sum(${time('total')}) over (), 0), 0) as "shareOfTime",
    s.rows::float8 as "rows",
    s.shared_blks_hit::float8 / nullif(s.shared_blks_hit + s.shared_blks_read, 0) as "hitRatio",
    s.shared_blks_read::float8 * ${BLOCK_BYTES} as "readBytes",
    (s.temp_blks_read + s.temp_blks_written)::float8 * ${BLOCK_BYTES} as "tempBytes",
    ${columns.has('wal_bytes') ? 's.wal_bytes::float8' : 'null::float8'} as "walBytes",
    case when pg_catalog.current_setting('track_io_timing')::bool or s.${read} + s.${write} > 0
        then s.${read} + s.${write} end as "ioMs",
    ${columns.has('stats_since') ? 's.stats_since' : 'null::timestamptz'} as "countedSince"
from counted as s
order by "totalMs" desc, s.queryid
limit ${Math.max(0, Math.floor(limit))}`;
}

const BLOCK_BYTES = "pg_catalog.current_setting('block_size')::int";

async function readCounting(
  session: Session,
  schema: string,
  rows: QueryStatsRow[],
): Promise<Pick<StatsReport<QueryStatsRow>, 'countedSince' | 'notes'>> {
  const notes: ReportNote[] = [];
  if (rows.some(({ isHidden }) => isHidden)) {
    notes.push(hiddenNote("texts of other users' statements are", session.facts.user));
  }
  const info = `${quoteIdent(schema)}.pg_stat_statements_info`;
  const [found] = await session.run(
    `select pg_catalog.to_regclass(${quoteLiteral(info)}) is not null as "exists"`,
  );
  if (!found?.exists) return { countedSince: null, notes };
  const [counting] = await session.run(
    `select stats_reset as "since", dealloc::float8 as "dropped" from ${info}`,
  );
  const dropped = Number(counting?.dropped ?? 0);
  if (dropped > 0) {
    notes.push({
      level: 'warning',
      text: `pg_stat_statements was full ${dropped} times and dropped its rarest statements, so rare ones are missing`,
      hint: 'Raise pg_stat_statements.max, or find out why so many different statements arrive (lists of values of all lengths, names made up at run time).',
    });
  }
  return { countedSince: (counting?.since as Date | null | undefined) ?? null, notes };
}

export const QUERIES_VIEW: ReportView<QueryStatsRow> = {
  title: 'Statements by total time',
  columns: [
    {
      header: 'time',
      unit: 'ratio',
      value: (row) => row.shareOfTime,
      tone: (row) => (row.shareOfTime >= 1 / 3 ? 'warning' : undefined),
    },
    { header: 'total', unit: 'ms', value: (row) => row.totalMs, priority: 2 },
    { header: 'calls', unit: 'count', value: (row) => row.calls },
    { header: 'mean', unit: 'ms', value: (row) => row.meanMs },
    { header: 'max', unit: 'ms', value: (row) => row.maxMs, priority: 4 },
    { header: 'rows', unit: 'count', value: (row) => row.rows, priority: 5 },
    { header: 'cache hits', unit: 'ratio', value: (row) => row.hitRatio, priority: 6 },
    { header: 'temp', unit: 'bytes', value: (row) => row.tempBytes, priority: 8 },
    { header: 'WAL', unit: 'bytes', value: (row) => row.walBytes, priority: 9 },
    { header: 'user', value: (row) => row.user, priority: 7 },
    {
      header: 'statement',
      value: (row) => row.query ?? '(hidden)',
      tone: (row) => (row.isHidden ? 'muted' : undefined),
    },
  ],
  empty: ({ notes }) =>
    notes.some(({ level }) => level === 'unknown')
      ? 'no statements can be shown'
      : 'no statement was counted in this database yet',
};
