import type { Node } from '@pgsql/types';
import type { Row, Session } from '../../connection/session.ts';
import type { SqlParser } from '../../sql/parser.ts';
import { asKind } from '../../sql/tree.ts';
import {
  type Catalog,
  type CatalogConstraint,
  type CatalogIndex,
  objectKey,
  type ReferentialAction,
} from '../catalog.ts';
import { provenNotNull } from '../expression.ts';
import {
  numbersIn,
  type ReadRelation,
  type ReadRelations,
  readList,
  USER_SCHEMAS,
} from './relations.ts';
import { runWithoutWaiting } from './sizes.ts';

const KINDS: Record<string, CatalogConstraint['kind']> = {
  c: 'check',
  n: 'not null',
  f: 'foreign key',
  p: 'primary key',
  u: 'unique',
  x: 'exclusion',
};

const ACTIONS: Record<string, ReferentialAction> = {
  a: 'no action',
  r: 'restrict',
  c: 'cascade',
  n: 'set null',
  d: 'set default',
};

/**
 * Fills in the constraints. Where a foreign key references a partitioned table, PostgreSQL keeps one
 * for each of its partitions too; those are left out. What a check says is not known of a table that
 * somebody has locked: reading it would wait.
 */
export async function readConstraints(
  session: Session,
  relations: Promise<ReadRelations>,
  parser: SqlParser,
): Promise<void> {
  const isEnforced = session.facts.serverVersion >= 180_000 ? 'k.conenforced' : 'true';
  const query = runWithoutWaiting(
    session,
    (isLocked) => `
    select k.conrelid::text as "table",
        k.conname::text as "name",
        k.contype::text as "kind",
        k.convalidated as "isValidated",
        ${isEnforced} as "isEnforced",
        k.conkey::text as "columns",
        k.confrelid::text as "references",
        k.confkey::text as "referencedColumns",
        k.confdeltype::text as "onDelete",
        k.confupdtype::text as "onUpdate",
        n.nspname::text as "schema",
        i.relname::text as "index",
        k.coninhcount > 0 as "isInherited",
        k.connoinherit and k.contype in ('c', 'n') as "isOwnOnly",
        case
            when k.contype = 'c' and not ${isLocked('k.conrelid')}
                then pg_catalog.pg_get_expr(k.conbin, k.conrelid)
        end as "expression"
    from pg_catalog.pg_constraint as k
    join pg_catalog.pg_class as c on c.oid = k.conrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join pg_catalog.pg_class as i on i.oid = k.conindid and k.contype in ('p', 'u', 'x')
    left join pg_catalog.pg_constraint as p on p.oid = k.conparentid
    where k.contype in ('c', 'n', 'f', 'p', 'u', 'x')
        and (p.oid is null or k.contype <> 'f' or p.conrelid <> k.conrelid)
        and ${USER_SCHEMAS}`,
  );
  const [byId, rows] = await Promise.all([relations, query]);
  for (const row of rows) {
    const table = byId.get(String(row.table));
    if (table === undefined) continue;
    const constraint = constraintOf(row, table, byId);
    if (row.expression !== null) addExpression(constraint, String(row.expression), parser);
    table.relation.constraints.set(constraint.name, constraint);
  }
}

function constraintOf(row: Row, table: ReadRelation, byId: ReadRelations): CatalogConstraint {
  const kind = KINDS[String(row.kind)] ?? 'check';
  const columns = namesOf(row.columns, table);
  const constraint: CatalogConstraint = {
    name: String(row.name),
    kind,
    isValidated: row.isValidated === true,
    isEnforced: row.isEnforced === true,
    columns,
    provesNotNull: kind === 'not null' ? columns : [],
  };
  if (row.isInherited === true) constraint.isInherited = true;
  if (row.isOwnOnly === true) constraint.isOwnOnly = true;
  if (row.index !== null) constraint.index = objectKey(String(row.schema), String(row.index));
  const referenced = byId.get(String(row.references));
  if (kind === 'foreign key' && referenced !== undefined) {
    constraint.references = referenced.relation.key;
    constraint.referencedColumns = namesOf(row.referencedColumns, referenced);
    constraint.onDelete = ACTIONS[String(row.onDelete)] ?? 'no action';
    constraint.onUpdate = ACTIONS[String(row.onUpdate)] ?? 'no action';
  }
  return constraint;
}

function namesOf(numbers: unknown, { columns }: ReadRelation): string[] {
  return numbersIn(numbers).flatMap((number) => columns.get(number) ?? []);
}

/** Few checks are ever asked what they say, so most are not parsed. */
function addExpression(constraint: CatalogConstraint, text: string, parser: SqlParser): void {
  let parsed: Node | undefined;
  const parse = () => {
    parsed ??= parseExpression(parser, text);
    return parsed;
  };
  Object.defineProperty(constraint, 'expression', {
    configurable: true,
    enumerable: true,
    get: parse,
  });
  if (text.includes('IS NOT NULL')) constraint.provesNotNull = provenNotNull(parse());
}

/** The tree of an expression as the database writes it. */
export function parseExpression(parser: SqlParser, text: string): Node | undefined {
  const select = asKind(parser.parse(`select ${text}`) ?? undefined, 'SelectStmt');
  return asKind(select?.targetList?.[0], 'ResTarget')?.val;
}

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
