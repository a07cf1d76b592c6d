import { readClusterSizes } from '../../citus/sizes.ts';
import { codeOf } from '../../connection/connection-error.ts';
import type { Row, Session } from '../../connection/session.ts';
import { quoteLiteral } from '../../sql/quote.ts';
import { type ObjectKey, objectKey, splitKey } from '../catalog.ts';

/** Undefined where it is not known. */
export interface RelationSize {
  /** Planner's estimate. */
  rows: number | undefined;
  /** With indexes and toast. */
  bytes: number | undefined;
}

/** Tables that somebody has locked, or waits to lock, against reading. */
const LOCKED = `with locked as materialized (
        select coalesce(i.indrelid, l.relation) as relid
        from pg_catalog.pg_locks as l
        left join pg_catalog.pg_index as i on i.indexrelid = l.relation
        where l.mode = 'AccessExclusiveLock'
            and l.relation is not null
            and l.pid is distinct from pg_catalog.pg_backend_pid()
    )`;

/**
 * Runs one query that asks functions which lock what they look at, for all but the tables that are
 * locked. Where a lock comes in between, it runs again and takes every table for locked.
 *
 * @param session outside of a transaction
 * @param render gives the query, from `select` on; what it is given tells whether a table is locked
 */
export async function runWithoutWaiting(
  session: Session,
  render: (isLocked: (oid: string) => string) => string,
): Promise<Row[]> {
  const query = render((oid) => `${oid} in (select relid from locked)`);
  try {
    return await session.run(`set local lock_timeout = '100ms';\n${LOCKED}${query}`);
  } catch (error) {
    if (codeOf(error) !== '55P03') throw error;
    return session.run(render(() => 'true'));
  }
}

/**
 * Reads how big relations are; those that do not exist are left out. The server looks at every file
 * of a table for that, so ask for those only that somebody wants to know. It waits for no lock: the
 * size of a table that somebody has locked, or waits to lock, against reading is not known.
 */
export async function readSizes(
  session: Session,
  keys: Iterable<ObjectKey>,
): Promise<Map<ObjectKey, RelationSize>> {
  const names = [...keys].map(splitKey);
  if (names.length === 0) return new Map();
  const wanted = names.map(
    ({ schema, name }) => `(${quoteLiteral(schema)}, ${quoteLiteral(name)})`,
  );
  const rows = await runWithoutWaiting(
    session,
    (isLocked) => `
    select n.nspname::text as "schema",
        c.relname::text as "name",
        case when c.relkind in ('r', 'p', 'm') then c.reltuples::float8 end as "rows",
        c.relpages::float8 as "pages",
        case
            when c.relkind in ('r', 'm') and not ${isLocked('c.oid')}
                then pg_catalog.pg_total_relation_size(c.oid)::text
        end as "bytes",
        case
            when c.relkind in ('r', 'm') and not ${isLocked('c.oid')}
                then pg_catalog.pg_relation_size(c.oid)::float8
                    / pg_catalog.current_setting('block_size')::float8
        end as "pagesNow"
    from (values ${wanted.join(', ')}) as w (schema, name)
    join pg_catalog.pg_namespace as n on n.nspname = w.schema::pg_catalog.name
    join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = w.name::pg_catalog.name`,
  );
  const sizes = new Map(
    rows.map((row) => [
      objectKey(String(row.schema), String(row.name)),
      {
        rows: row.rows === null ? undefined : estimateRows(row),
        bytes: row.bytes === null ? undefined : Number(row.bytes),
      },
    ]),
  );
  // Where a cluster does not say it, nothing is known: the coordinator's own table is empty.
  for (const one of await readClusterSizes(session)) {
    const key = objectKey(one.schema, one.name);
    if (sizes.has(key))
      sizes.set(key, { rows: one.rows ?? undefined, bytes: one.totalBytes ?? undefined });
  }
  return sizes;
}

/** As the planner does: as many rows a page as when it was analyzed, over the pages that it has now. */
function estimateRows(row: Row): number | undefined {
  const [rows, pages] = [Number(row.rows), Number(row.pages)];
  // A partitioned table has no pages of its own, and those of a locked one cannot be asked for.
  const pagesNow = row.pagesNow === null ? pages : Number(row.pagesNow);
  if (pagesNow === 0 && row.pagesNow !== null) return 0;
  // Below zero: never analyzed.
  if (rows < 0) return undefined;
  if (pagesNow === pages) return rows;
  // It was empty when it was analyzed, which says nothing of the rows that came since.
  return rows === 0 || pages === 0 ? undefined : Math.round((rows / pages) * pagesNow);
}

/**
 * The planner's estimate of how many rows each table of a database has. Tables that were never
 * analysed are left out: nothing is known of them.
 *
 * @param session any; takes no lock on the tables
 */
export async function readTableRows(session: Session): Promise<Map<ObjectKey, number>> {
  const rows = await session.run(TABLE_ROWS);
  const known = new Map(
    rows.map(({ schema, name, rows: count }) => [
      objectKey(String(schema), String(name)),
      Number(count),
    ]),
  );
  for (const one of await readClusterSizes(session)) {
    const key = objectKey(one.schema, one.name);
    if (one.rows === null) known.delete(key);
    else known.set(key, one.rows);
  }
  return known;
}

const TABLE_ROWS = `select
  n.nspname as schema,
  c.relname as name,
  c.reltuples::bigint as rows
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
where c.relkind operator(pg_catalog.=) any (array['r', 'p', 'm']::"char"[])
and c.reltuples operator(pg_catalog.>=) 0::real
and n.nspname operator(pg_catalog.!~) '^pg_|^information_schema$'`;
