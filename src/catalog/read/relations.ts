import type { Row, Session } from '../../connection/session.ts';
import {
  type Catalog,
  type CatalogColumn,
  type ColumnType,
  objectKey,
  type PartitionKey,
  type Relation,
  type RelationKind,
} from '../catalog.ts';
import { createRelation } from '../replay/relation.ts';

/** A relation of the catalog, with the numbers of its columns. */
export interface ReadRelation {
  relation: Relation;
  columns: Map<number, string>;
}

/** By the relation's id. */
export type ReadRelations = Map<string, ReadRelation>;

/** A condition on `n`, a row of pg_namespace: nothing of the system or of another session. */
export const USER_SCHEMAS = `(n.nspname !~ '^pg_' and n.nspname <> 'information_schema')`;

const KINDS: Record<string, RelationKind> = {
  r: 'table',
  p: 'partitioned table',
  f: 'foreign table',
  v: 'view',
  m: 'materialized view',
  S: 'sequence',
  c: 'composite type',
};

const STRATEGIES: Record<string, PartitionKey['strategy']> = { r: 'range', l: 'list', h: 'hash' };

/** Fills in the relations with their columns, and how they hang together. */
export async function readRelations(session: Session, catalog: Catalog): Promise<ReadRelations> {
  const [rows, columnRows] = await Promise.all([queryRelations(session), queryColumns(session)]);
  const byId: ReadRelations = new Map();
  for (const row of rows)
    byId.set(String(row.id), { relation: relationOf(row), columns: new Map() });
  for (const { relation } of byId.values()) catalog.relations.set(relation.key, relation);
  for (const row of rows) linkRelation(row, byId);
  addColumns(columnRows, byId);
  for (const row of rows) linkColumns(row, byId);
  return byId;
}

function queryRelations(session: Session): Promise<Row[]> {
  return session.run(`
    select c.oid::text as "id",
        n.nspname::text as "schema",
        c.relname::text as "name",
        c.relkind::text as "kind",
        c.relpersistence::text as "persistence",
        pt.partstrat::text as "strategy",
        pt.partattrs::text as "keyColumns",
        nullif(pt.partdefid, 0)::text as "defaultPartition",
        (
            select typ.typrelid::text
            from pg_catalog.pg_type as typ
            where typ.oid = c.reloftype
        ) as "type",
        (
            select pg_catalog.string_agg(h.inhparent::text, ' ' order by h.inhseqno)
            from pg_catalog.pg_inherits as h
            where h.inhrelid = c.oid
        ) as "parents",
        (
            select d.refobjid::text || ' ' || d.refobjsubid::text
            from pg_catalog.pg_depend as d
            where c.relkind = 'S'
                and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                and d.objid = c.oid
                and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                and d.refobjsubid > 0
                and d.deptype in ('a', 'i')
            limit 1
        ) as "owner"
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join pg_catalog.pg_partitioned_table as pt on pt.partrelid = c.oid
    where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S', 'c')
        and ${USER_SCHEMAS}`);
}

function relationOf(row: Row): Relation {
  const key = objectKey(String(row.schema), String(row.name));
  const kind = KINDS[String(row.kind)] ?? 'table';
  return createRelation(key, kind, { relpersistence: String(row.persistence) });
}

function linkRelation(row: Row, byId: ReadRelations): void {
  const relation = byId.get(String(row.id))?.relation;
  if (relation === undefined) return;
  for (const id of row.parents === null ? [] : String(row.parents).split(' ')) {
    const parent = byId.get(id)?.relation;
    if (parent === undefined) continue;
    parent.children.add(relation.key);
    relation.parent ??= parent.key;
  }
  byId.get(String(row.type))?.relation.children.add(relation.key);
  const defaultPartition = byId.get(String(row.defaultPartition))?.relation;
  if (defaultPartition !== undefined) relation.defaultPartition = defaultPartition.key;
}

function queryColumns(session: Session): Promise<Row[]> {
  return session.run(`
    select a.attrelid::text as "relation",
        a.attnum as "number",
        a.attname::text as "name",
        a.attnotnull as "isNotNull",
        a.atthasdef as "hasDefault",
        a.attidentity::text as "identity",
        a.attgenerated::text as "generated",
        nullif(co.collname, 'default')::text as "collation",
        ${TYPE_COLUMNS('a.atttypmod')}
    from pg_catalog.pg_attribute as a
    join pg_catalog.pg_class as c on c.oid = a.attrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join pg_catalog.pg_collation as co on co.oid = a.attcollation
    ${TYPE_JOINS('a.atttypid')}
    where a.attnum > 0
        and not a.attisdropped
        and c.relkind in ('r', 'p', 'f', 'v', 'm', 'c')
        and ${USER_SCHEMAS}
    order by a.attrelid, a.attnum`);
}

function addColumns(rows: Row[], byId: ReadRelations): void {
  for (const row of rows) {
    const found = byId.get(String(row.relation));
    if (found === undefined) continue;
    const column = columnOf(row);
    found.relation.columns.set(column.name, column);
    found.columns.set(Number(row.number), column.name);
  }
}

function columnOf(row: Row): CatalogColumn {
  const isIdentity = row.identity !== '';
  return {
    name: String(row.name),
    ...(row.collation !== null && { collation: String(row.collation) }),
    type: readColumnType(row),
    isNotNull: row.isNotNull === true,
    hasDefault: row.hasDefault === true || isIdentity,
    generated: isIdentity ? 'identity' : GENERATED[String(row.generated)],
  };
}

const GENERATED: Record<string, CatalogColumn['generated']> = { s: 'stored', v: 'virtual' };

/** What hangs on the numbers of columns: partition keys and owned sequences. */
function linkColumns(row: Row, byId: ReadRelations): void {
  const found = byId.get(String(row.id));
  if (found === undefined) return;
  if (row.strategy !== null) {
    found.relation.partitionKey = {
      strategy: STRATEGIES[String(row.strategy)] ?? 'range',
      columns: numbersIn(row.keyColumns).map((number) => found.columns.get(number)),
    };
  }
  const [table = '', number] = row.owner === null ? [] : String(row.owner).split(' ');
  const owner = byId.get(table);
  const column = owner?.columns.get(Number(number));
  if (owner && column !== undefined) {
    found.relation.ownedBy = { table: owner.relation.key, column };
  }
}

/** The numbers of an `int2vector` or an array, as text. */
export function numbersIn(value: unknown): number[] {
  return (String(value ?? '').match(/\d+/g) ?? []).map(Number);
}

/** The strings of a `json_agg`, as text; none where there was nothing to gather. */
export function readList(value: unknown): string[] {
  return value === null ? [] : (JSON.parse(String(value)) as string[]);
}

/** The columns of a query that `readColumnType` needs, with `TYPE_JOINS` beside them. */
export const TYPE_COLUMNS = (modifier: string): string => `
        coalesce(en.nspname, tn.nspname)::text as "typeSchema",
        coalesce(e.typname, t.typname)::text as "typeName",
        e.oid is not null as "isArray",
        ${modifier} as "modifier"`;

/** Joins the type of an id, and its element where it is an array. */
export const TYPE_JOINS = (id: string): string => `
    join pg_catalog.pg_type as t on t.oid = ${id}
    join pg_catalog.pg_namespace as tn on tn.oid = t.typnamespace
    left join pg_catalog.pg_type as e
        on e.oid = t.typelem
        and t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
    left join pg_catalog.pg_namespace as en on en.oid = e.typnamespace`;

/** A type of the database, in the catalog's terms. */
export function readColumnType(row: Row): ColumnType {
  const schema = String(row.typeSchema);
  const name = String(row.typeName);
  return {
    name: schema === 'pg_catalog' ? name : objectKey(schema, name),
    modifiers: modifiersOf(name, Number(row.modifier)),
    isArray: row.isArray === true,
  };
}

const HEADER = 4;
const FULL_INTERVAL = 0x7fff;

function modifiersOf(name: string, modifier: number): number[] {
  if (modifier < 0) return [];
  switch (name) {
    case 'varchar':
    case 'bpchar':
      return [modifier - HEADER];
    case 'numeric': {
      const packed = modifier - HEADER;
      // A scale of 11 bits with a sign.
      return [(packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 0x400) - 0x400];
    }
    case 'interval': {
      const range = (modifier >> 16) & FULL_INTERVAL;
      const precision = modifier & 0xffff;
      return range === FULL_INTERVAL ? [precision] : [range, precision];
    }
    default:
      return [modifier];
  }
}
