import type { Session } from '../connection/session.ts';
import { type Catalog, type CatalogIndex, objectKey } from './catalog.ts';
import { numbersIn, type ReadRelations, readList, USER_SCHEMAS } from './read-relations.ts';

/** Fills in the indexes. */
export async function readIndexes(
  session: Session,
  catalog: Catalog,
  relations: Promise<ReadRelations>,
): Promise<void> {
  const query = session.run(`
    select i.indexrelid::text as "id",
        i.indrelid::text as "table",
        n.nspname::text as "schema",
        c.relname::text as "name",
        i.indkey::text as "columns",
        i.indnkeyatts as "keys",
        i.indisunique as "isUnique",
        i.indpred is not null as "isPartial",
        i.indisvalid as "isValid",
        (
            select pg_catalog.json_agg(a.attname order by a.attnum)::text
            from pg_catalog.pg_attribute as a
            where a.attrelid = i.indexrelid
        ) as "attributes",
        case
            when i.indexprs is not null or i.indpred is not null then (
                select pg_catalog.string_agg(d.refobjsubid::text, ' ')
                from pg_catalog.pg_depend as d
                where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                    and d.objid = i.indexrelid
                    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                    and d.refobjid = i.indrelid
            )
        end as "mentions",
        nullif(am.amname, 'btree')::text as "method",
        i.indisreplident as "isIdentity",
        (
            -- As PostgreSQL writes them: only where they differ from the column's.
            select pg_catalog.json_agg(
                case when k.number > 0 and k.own <> a.attcollation then co.collname end
                order by k.place
            )::text
            from rows from (
                pg_catalog.unnest(i.indcollation::oid[]), pg_catalog.unnest(i.indkey::int2[])
            )
                with ordinality as k(own, number, place)
            left join pg_catalog.pg_attribute as a
                on a.attrelid = i.indrelid and a.attnum = k.number and k.number > 0
            left join pg_catalog.pg_collation as co on co.oid = k.own
            where k.place <= i.indnkeyatts
        ) as "collations",
        h.inhparent::text as "parent"
    from pg_catalog.pg_index as i
    join pg_catalog.pg_class as c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_am as am on am.oid = c.relam
    left join pg_catalog.pg_inherits as h on h.inhrelid = i.indexrelid
    where ${USER_SCHEMAS}`);
  const [byId, rows] = await Promise.all([relations, query]);
  const keys = new Map<string, string>();
  for (const row of rows) keys.set(String(row.id), objectKey(String(row.schema), String(row.name)));
  for (const row of rows) {
    const table = byId.get(String(row.table));
    const key = keys.get(String(row.id));
    if (table === undefined || key === undefined) continue;
    const columns = String(row.columns)
      .split(' ')
      .map((number) => table.columns.get(Number(number)));
    const mentioned = numbersIn(row.mentions).map((number) => table.columns.get(number));
    const index: CatalogIndex = {
      key,
      table: table.relation.key,
      columns: columns.slice(0, Number(row.keys)),
      mentions: [...new Set([...columns, ...mentioned].filter((name) => name !== undefined))],
      attributes: readList(row.attributes),
      isUnique: row.isUnique === true,
      isPartial: row.isPartial === true,
      isValid: row.isValid === true,
    };
    if (row.method !== null) index.method = String(row.method);
    if (row.isIdentity === true) index.isIdentity = true;
    const collations = collationsOf(row.collations);
    if (collations) index.collations = collations;
    const parent = keys.get(String(row.parent));
    if (parent !== undefined) index.parent = parent;
    catalog.indexes.set(key, index);
    table.relation.indexes.add(key);
  }
}

/** By key column; undefined where no column has one of its own. */
function collationsOf(value: unknown): (string | undefined)[] | undefined {
  const names = (value === null ? [] : JSON.parse(String(value))) as (string | null)[];
  return names.some((name) => name !== null) ? names.map((name) => name ?? undefined) : undefined;
}
