import type { Node } from '@pgsql/types';
import type { Row, Session } from '../connection/session.ts';
import type { SqlParser } from '../sql/parser.ts';
import { asKind } from '../sql/tree.ts';
import { type CatalogConstraint, objectKey, type ReferentialAction } from './catalog.ts';
import { provenNotNull } from './expression.ts';
import {
  numbersIn,
  type ReadRelation,
  type ReadRelations,
  USER_SCHEMAS,
} from './read-relations.ts';

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
 * for each of its partitions too; those are left out.
 */
export async function readConstraints(
  session: Session,
  relations: Promise<ReadRelations>,
  parser: SqlParser,
): Promise<void> {
  const isEnforced = session.facts.serverVersion >= 180_000 ? 'k.conenforced' : 'true';
  const query = session.run(`
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
            when k.contype = 'c' then pg_catalog.pg_get_expr(k.conbin, k.conrelid)
        end as "expression"
    from pg_catalog.pg_constraint as k
    join pg_catalog.pg_class as c on c.oid = k.conrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join pg_catalog.pg_class as i on i.oid = k.conindid and k.contype in ('p', 'u', 'x')
    left join pg_catalog.pg_constraint as p on p.oid = k.conparentid
    where k.contype in ('c', 'n', 'f', 'p', 'u', 'x')
        and (p.oid is null or k.contype <> 'f' or p.conrelid <> k.conrelid)
        and ${USER_SCHEMAS}`);
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
