import type { Session } from '../connection/session.ts';
import { type ObjectKey, objectKey } from './catalog.ts';

/**
 * The planner's estimate of how many rows each table of a database has. Tables that were never
 * analysed are left out: nothing is known of them.
 *
 * @param session any; takes no lock on the tables
 */
export async function readTableRows(session: Session): Promise<Map<ObjectKey, number>> {
  const rows = await session.run(TABLE_ROWS);
  return new Map(
    rows.map(({ schema, name, rows: count }) => [
      objectKey(String(schema), String(name)),
      Number(count),
    ]),
  );
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
