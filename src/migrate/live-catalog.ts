import { type Catalog, createCatalog, objectKey, type Relation } from '../catalog/catalog.ts';
import type { Session } from '../connection/session.ts';

/** What the target holds, with the planner's estimates of sizes, which need no lock. */
export async function readLiveCatalog(session: Session, searchPath: string[]): Promise<Catalog> {
  const catalog: Catalog = { ...createCatalog(searchPath), isComplete: true };
  const rows = await session.run(`
    select n.nspname::text as "schema",
        c.relname::text as "name",
        c.relkind::text as "relkind",
        nullif(c.reltuples, -1)::float8 as "rows",
        (
            c.relpages
            + coalesce(t.relpages, 0)
            + coalesce((
                select sum(x.relpages)
                from pg_catalog.pg_index as i
                join pg_catalog.pg_class as x on x.oid = i.indexrelid
                where i.indrelid = c.oid
            ), 0)
        )::float8 * pg_catalog.current_setting('block_size')::integer as "bytes",
        array_to_json(array(
            select x.relname
            from pg_catalog.pg_index as i
            join pg_catalog.pg_class as x on x.oid = i.indexrelid
            where i.indrelid = c.oid
        ))::text as "indexes"
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join pg_catalog.pg_class as t on t.oid = c.reltoastrelid
    where c.relkind in ('r', 'p', 'f', 'm', 'v', 'S')
        and n.nspname !~ '^pg_'
        and n.nspname <> 'information_schema'`);
  for (const row of rows) {
    const key = objectKey(String(row.schema), String(row.name));
    const indexes = JSON.parse(String(row.indexes)) as string[];
    const relation: Relation = {
      key,
      kind: KINDS[String(row.relkind)] ?? 'table',
      columns: new Map(),
      constraints: new Map(),
      indexes: new Set(indexes.map((name) => objectKey(String(row.schema), name))),
      children: new Set(),
      dependents: new Set(),
      isUnlogged: false,
      isTemporary: false,
      ...(row.rows !== null && { rows: Number(row.rows), bytes: Number(row.bytes) }),
    };
    catalog.relations.set(key, relation);
  }
  return catalog;
}

const KINDS: Record<string, Relation['kind']> = {
  p: 'partitioned table',
  f: 'foreign table',
  m: 'materialized view',
  v: 'view',
  S: 'sequence',
};
