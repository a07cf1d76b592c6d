import { codeOf } from '../connection/connection-error.ts';
import type { Row, Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import type { ReportNote } from '../report/columns.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { commandLine } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';

/*
 * What the queries of several topics share: which schema they read, sizes that wait for no lock, what
 * the role may see, and what the server's catalog has.
 */

/** Which schema to read, and how exactly. */
export interface StatsOptions {
  /** Only this schema; default: every schema that is not PostgreSQL's own. */
  schema?: string | undefined;
  /** Default `exact`; a locked relation is always estimated, and marked. */
  precision?: StatsPrecision | undefined;
}

/**
 * The condition that keeps a query to what was asked about.
 *
 * @param namespace the alias of pg_namespace in the query
 */
export function renderScope(namespace: string, { schema }: StatsOptions): string {
  return schema === undefined
    ? `${namespace}.nspname !~ '^pg_' and ${namespace}.nspname <> 'information_schema'`
    : `${namespace}.nspname = ${quoteLiteral(schema)}`;
}

/**
 * A recursive common table expression that pairs each table, materialized view and partitioned table
 * with itself and with the partitions below it.
 */
export function renderTableParts(options: StatsOptions): string {
  return `parts (whole, part) as (
    select c.oid, c.oid
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'm') and not c.relispartition and ${renderScope('n', options)}
    union all
    select p.whole, h.inhrelid
    from parts p
    join pg_catalog.pg_inherits h on h.inhparent = p.part
    join pg_catalog.pg_class c on c.oid = h.inhrelid and c.relispartition
  )`;
}

/**
 * Refuses a schema that does not exist: an empty report on it would look like good news.
 *
 * @throws {EvdbError} USAGE
 */
export async function requireSchema(session: Session, { schema }: StatsOptions): Promise<void> {
  if (schema === undefined) return;
  const [row] = await session.run(
    `select exists (select from pg_catalog.pg_namespace n where n.nspname = ${quoteLiteral(schema)}) as "isThere"`,
  );
  if (row?.isThere === true) return;
  throw new EvdbError(
    'USAGE',
    `schema "${schema}" does not exist in database "${session.options.database}"`,
    {
      hint: 'Check the spelling; upper and lower case count.',
      details: { schema },
    },
  );
}

/**
 * A common table expression with all that somebody holds, or waits for, exclusively. The functions
 * that tell a size or a definition wait for those; who waits counts too, because whoever comes
 * later queues behind.
 */
export const HELD = `held as materialized (
    select distinct l.relation as oid
    from pg_catalog.pg_locks l
    where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
      and l.database = (select d.oid from pg_catalog.pg_database d
        where d.datname = pg_catalog.current_database())
      and l.pid is distinct from pg_catalog.pg_backend_pid()
  )`;

/**
 * `estimate` opens no relation at all: sizes are those of the last vacuum or analyze, definitions
 * are left out, and ten thousand indexes take a third of the time.
 */
export type StatsPrecision = 'exact' | 'estimate';

/**
 * Nobody knows beforehand how many rows a common table expression gives. The planner guesses one, and
 * goes through all of them again for each of another: for indexes by the ten thousand that takes
 * minutes. It holds for one message, which is a transaction.
 */
const JOIN_ONCE = 'set local enable_nestloop = off; ';

/**
 * Runs a query that reads sizes. Where a lock comes in between and outlasts the session's
 * `lock_timeout`, it runs again without opening any relation.
 */
export async function runWithoutWaiting(
  session: Session,
  { precision = 'exact' }: { precision?: StatsPrecision | undefined },
  render: (precision: StatsPrecision) => string,
): Promise<Row[]> {
  try {
    return await session.run(`${JOIN_ONCE}${render(precision)}`);
  } catch (error) {
    if (codeOf(error) !== '55P03') throw error;
    return session.run(`${JOIN_ONCE}${render('estimate')}`);
  }
}

/** The size of a relation's main fork; `alias` is one of pg_class. */
export function renderSize(alias: string, precision: StatsPrecision): string {
  const estimate = `${alias}.relpages * pg_catalog.current_setting('block_size')::bigint`;
  if (precision === 'estimate') return estimate;
  // Partitioned tables and indexes have no storage. What was dropped meanwhile has a size of null.
  return `case when ${alias}.relkind in ('I', 'p') then 0
      when ${alias}.oid in (select h.oid from held h) then ${estimate}
      else coalesce(pg_catalog.pg_relation_size(${alias}.oid), 0) end`;
}

/** Says which rows have an estimate because of a lock. */
export function estimateNotes(
  rows: { isSizeEstimated: boolean }[],
  { precision }: { precision?: StatsPrecision | undefined },
  [one, many]: [one: string, many: string],
): ReportNote[] {
  const count = rows.filter((row) => row.isSizeEstimated).length;
  if (count === 0 || precision === 'estimate') return [];
  return [
    {
      level: 'warning',
      text: `the size of ${renderCount(count, one, many)} is an estimate, because another session holds a lock`,
      hint: `\`${commandLine('stats locks')}\` shows who.`,
    },
  ];
}

/**
 * SQL for whether the server shows the current role what the sessions of another role do.
 *
 * @param roleId SQL for the other role's id; null or 0 for processes that belong to nobody
 */
export function seesRole(roleId: string): string {
  return `(pg_catalog.pg_has_role('pg_read_all_stats', 'usage')
    or coalesce(pg_catalog.pg_has_role(nullif(${roleId}, 0), 'usage'), false))`;
}

/** Says what a role without `pg_read_all_stats` cannot see, and what would let it. */
export function hiddenNote(what: string, user: string): ReportNote {
  return {
    level: 'unknown',
    text: `${what} hidden from ${user}, which is not a member of pg_read_all_stats`,
    hint: `Let an administrator run: grant pg_read_all_stats to ${quoteIdent(user)};`,
  };
}

/**
 * Which columns of the system catalog this server has; asking beats comparing version numbers,
 * since forks and managed servers differ.
 *
 * @param columns as `pg_index.indnullsnotdistinct`
 */
export async function findCatalogColumns(
  session: Session,
  columns: readonly `${string}.${string}`[],
): Promise<Set<string>> {
  // By relation and name, as the catalog is indexed: a large database has 100,000 columns.
  const wanted = columns.map((column) => {
    const [relation, name] = column.split('.');
    const oid = `pg_catalog.to_regclass(${quoteLiteral(`pg_catalog.${relation}`)})`;
    return `(${quoteLiteral(column)}, ${oid}, ${quoteLiteral(name ?? '')}::name)`;
  });
  const rows = await session.run(
    `select w.label as name
     from (values ${wanted.join(', ')}) w (label, relation, name)
     join pg_catalog.pg_attribute a
       on a.attrelid = w.relation and a.attname = w.name and not a.attisdropped`,
  );
  return new Set(rows.map((row) => String(row.name)));
}
