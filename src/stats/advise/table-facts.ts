import type { Session } from '../../connection/session.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { WrittenName } from '../../sql/tree.ts';

/** A table as advice on its indexes needs to know it. */
export interface AdvisedTable {
  oid: number;
  schema: string;
  name: string;
  /** `r` a table, `p` a partitioned one, `v` a view, … as in pg_class. */
  kind: string;
  /** As the planner believes. */
  rows: number;
  /** Rows inserted, updated and deleted since the counters began. */
  writes: number;
  /** The names of what holds the rows, qualified as SQL: the table itself, or its partitions. */
  parts: string[];
  /** The same as plans name them, without their schemas. */
  partNames: string[];
  /** Whether its owner may do all that whoever asks may do. */
  isOwnerTrusted: boolean;
  columns: Map<string, AdvisedColumn>;
  indexes: AdvisedIndex[];
}

interface AdvisedColumn {
  number: number;
  /** Whether its type has a default operator class for B-trees. */
  isSortable: boolean;
  /** How many different values; 0 if that is unknown. */
  distinct: number;
}

/** A valid B-tree index on columns alone, without predicate. */
interface AdvisedIndex {
  name: string;
  columns: string[];
  isUnique: boolean;
  /** Whether it only finds rows: it enforces nothing, and includes no further columns. */
  isPlain: boolean;
}

/** SQL that names a relation as a statement wrote it. */
function writtenSql({ schema, name }: WrittenName): string {
  return schema === undefined ? quoteIdent(name) : `${quoteIdent(schema)}.${quoteIdent(name)}`;
}

/** The key of a written name in what `readTableFacts` returns. */
export function writtenKey(written: WrittenName): string {
  return writtenSql(written);
}

/**
 * Reads what the catalog says of relations that statements name.
 *
 * @param searchPath as SQL, by which names without a schema are found
 * @param restrictTo only tables of this schema; undefined for all but PostgreSQL's own
 * @returns by `writtenKey`; names that are not found are not there
 */
export async function readTableFacts(
  session: Session,
  names: readonly WrittenName[],
  { searchPath, restrictTo }: { searchPath: string; restrictTo?: string | undefined },
): Promise<Map<string, AdvisedTable>> {
  const written = [...new Set(names.filter(({ name }) => name !== '').map(writtenSql))];
  if (written.length === 0) return new Map();
  const rows = await session.run(
    `begin read only; set local search_path = ${searchPath}; ${factsSql(written, restrictTo)}; rollback`,
  );
  const found = new Map<string, AdvisedTable>();
  const byOid = new Map<number, AdvisedTable>();
  for (const { written: name, ...row } of rows as unknown as FactsRow[]) {
    const columns = new Map(row.columns.map(({ name: column, ...facts }) => [column, facts]));
    // One table may be written in several ways.
    const table = byOid.get(row.oid) ?? { ...row, columns, indexes: row.indexes ?? [] };
    byOid.set(row.oid, table);
    found.set(name, table);
  }
  return found;
}

interface FactsRow extends Omit<AdvisedTable, 'columns' | 'indexes'> {
  written: string;
  columns: (AdvisedColumn & { name: string })[];
  indexes: AdvisedIndex[] | null;
}

function factsSql(written: readonly string[], restrictTo: string | undefined): string {
  const names = written.map((name) => `(${quoteLiteral(name)})`).join(', ');
  const scope = restrictTo === undefined ? '' : `and n.nspname = ${quoteLiteral(restrictTo)}`;
  return `with recursive named as materialized (
    select w.written, c.oid, c.relname, c.relkind, c.reltuples, c.relowner, n.nspname
    from (values ${names}) w (written)
    join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass(w.written)
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'm', 'v') and n.nspname !~ '^pg_'
      and n.nspname <> 'information_schema' ${scope}
  ),
  parts (whole, part) as (
    select distinct n.oid, n.oid from named n
    union all
    select p.whole, h.inhrelid
    from parts p
    join pg_catalog.pg_inherits h on h.inhparent = p.part
    join pg_catalog.pg_class c on c.oid = h.inhrelid and c.relispartition
  ),
  leaves as (
    select p.whole,
      pg_catalog.sum(greatest(c.reltuples, 0)) as tuples,
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(c.oid)
        + pg_catalog.pg_stat_get_tuples_updated(c.oid)
        + pg_catalog.pg_stat_get_tuples_deleted(c.oid)) as writes,
      pg_catalog.jsonb_agg(pg_catalog.format('%I.%I', n.nspname, c.relname)) as names,
      pg_catalog.jsonb_agg(c.relname) as short_names
    from parts p
    join pg_catalog.pg_class c on c.oid = p.part and c.relkind <> 'p'
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    group by p.whole
  )
  select n.written as "written", n.oid::int8::float8 as "oid", n.nspname as "schema", n.relname as "name",
    n.relkind as "kind", coalesce(l.tuples, 0)::float8 as "rows",
    coalesce(l.writes, 0)::float8 as "writes", coalesce(l.names, '[]') as "parts",
    coalesce(l.short_names, '[]') as "partNames",
    ${trusts('n.relowner')} as "isOwnerTrusted",
    (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'name', a.attname,
        'number', a.attnum,
        'isSortable', exists (
          select from pg_catalog.pg_opclass o
          join pg_catalog.pg_am m on m.oid = o.opcmethod and m.amname = 'btree'
          join pg_catalog.pg_type t on t.oid = a.atttypid
          where o.opcdefault and (o.opcintype in (t.oid, t.typbasetype)
            or (t.typname = 'varchar' and o.opcintype = 'text'::regtype)
            or (t.typtype = 'e' and o.opcintype = 'anyenum'::regtype))
        ),
        'distinct', coalesce((
          select case when s.n_distinct < 0 then -s.n_distinct * coalesce(l.tuples, 0) else s.n_distinct end
          from pg_catalog.pg_stats s
          where s.schemaname = n.nspname and s.tablename = n.relname and s.attname = a.attname
          order by s.inherited desc limit 1
        ), 0)
      )), '[]')
      from pg_catalog.pg_attribute a
      where a.attrelid = n.oid and a.attnum > 0 and not a.attisdropped
    ) as "columns",
    (
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'name', x.relname,
        'isUnique', i.indisunique,
        'isPlain', not i.indisunique and not i.indisreplident and i.indnatts = i.indnkeyatts
          and not exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid),
        'columns', (
          select pg_catalog.jsonb_agg(a.attname order by k.place)
          from pg_catalog.unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) with ordinality k (number, place)
          join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
        )
      ))
      from pg_catalog.pg_index i
      join pg_catalog.pg_class x on x.oid = i.indexrelid
      join pg_catalog.pg_am m on m.oid = x.relam and m.amname = 'btree'
      where i.indrelid = n.oid and i.indisvalid and i.indpred is null and i.indexprs is null
    ) as "indexes"
  from named n
  left join leaves l on l.whole = n.oid`;
}

/** Whether a role is the current one or a superuser. */
function trusts(role: string): string {
  return `(${role} = (select r.oid from pg_catalog.pg_roles r where r.rolname = current_user)
      or exists (select from pg_catalog.pg_roles r where r.oid = ${role} and r.rolsuper))`;
}

/** Functions and operators, by name, that belong to roles which could do harm with them. */
export interface ForeignCode {
  functions: Set<string>;
  operators: Set<string>;
}

/**
 * The planner calls functions that are declared immutable, with the privileges of whoever plans. So
 * these are the names that a statement must not have.
 */
export async function readForeignCode(session: Session): Promise<ForeignCode> {
  const rows = await session.run(`
select p.proname as "name", false as "isOperator"
from pg_catalog.pg_proc p
where p.oid >= ${FIRST_USER_OID} and not ${trusts('p.proowner')}
union
select o.oprname, true
from pg_catalog.pg_operator o join pg_catalog.pg_proc p on p.oid = o.oprcode
where o.oid >= ${FIRST_USER_OID} and not ${trusts('p.proowner')}`);
  const namesOf = (isOperator: boolean) =>
    new Set(rows.filter((row) => row.isOperator === isOperator).map(({ name }) => String(name)));
  return { functions: namesOf(false), operators: namesOf(true) };
}

const FIRST_USER_OID = 16384;
