import type { Row, Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { runInSnapshot } from '../../structure/read/structure.ts';
import type { ColumnFacts, ConstraintFacts, IncomingKey, IndexFacts, TableFacts } from './facts.ts';
import { withoutSchema } from './names.ts';
import {
  columnsSql,
  constraintsSql,
  incomingSql,
  indexesSql,
  mentionsSql,
  usersSql,
} from './table-queries.ts';

interface ReadTableOptions {
  schema: string | undefined;
  table: string;
  /** The schema that the migrations belong to. */
  targetSchema: string;
}

/**
 * Reads what a recipe needs to know of a table. Writes nothing.
 *
 * @throws {EvdbError} EXPAND_REFUSED where there is no such table, and QUERY_FAILED
 */
export async function readTable(
  session: Session,
  { schema, table, targetSchema }: ReadTableOptions,
): Promise<TableFacts> {
  const home = schema ?? targetSchema;
  const found = await findTable(session, home, table);
  const oid = String(found.oid);
  const version = session.facts.serverVersion;
  const [names, columns, constraints, indexes, incoming, users, mentions, triggers, taken] =
    await runInSnapshot(session, [
      `select pg_catalog.quote_ident(${quoteLiteral(home)}) as "schema", pg_catalog.quote_ident(${quoteLiteral(table)}) as "table"`,
      columnsSql(oid),
      constraintsSql(oid),
      indexesSql(oid),
      incomingSql(oid),
      usersSql(oid),
      mentionsSql(oid),
      `select tgname::text as "name", tgtype & 2 <> 0 as "isBefore" from pg_catalog.pg_trigger where tgrelid = ${oid} and not tgisinternal and tgtype & 1 <> 0 and tgtype & 20 <> 0 order by 1`,
      `select relname::text as "name" from pg_catalog.pg_class where relnamespace = ${quoteLiteral(quoteIdent(home))}::pg_catalog.regnamespace union all select proname::text from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace where n.nspname = ${quoteLiteral(targetSchema)}`,
    ]);
  const [written] = names as Row[];
  const qualifier = home === targetSchema ? '' : `${written?.schema}.`;
  const local = (text: unknown) => withoutSchema(String(text), targetSchema);
  const ofConstraints = (constraints ?? []).map((row) => constraintOf(row, local));
  const facts: TableFacts = {
    name: table,
    sql: `${qualifier}${written?.table}`,
    qualifier,
    columns: (columns ?? []).map((row) => columnOf(row, local)),
    constraints: ofConstraints,
    indexes: (indexes ?? []).map((row) => indexOf(row, ofConstraints, local)),
    incoming: (incoming ?? []).map((row) => incomingOf(row, local)),
    obstacle: obstacleOf(found),
    users: (users ?? []).map((row) => useOf(row, local)),
    mentions: (mentions ?? []).map((row) => useOf(row, local)),
    triggers: (triggers ?? []).map((row) => ({
      name: String(row.name),
      isBefore: row.isBefore === true,
    })),
    walk: undefined,
    taken: new Set((taken ?? []).map(({ name }) => String(name))),
    serverVersion: version,
  };
  return { ...facts, walk: walkOf(facts) };
}

/** @throws {EvdbError} EXPAND_REFUSED */
async function findTable(session: Session, home: string, table: string): Promise<Row> {
  const [found] = await session.run(`
select c.oid::text as "oid", c.relkind::text as "kind", c.relispartition as "isPartition",
    exists (select from pg_catalog.pg_inherits where inhrelid = c.oid) as "isChild",
    exists (select from pg_catalog.pg_inherits where inhparent = c.oid) as "hasChildren"
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = ${quoteLiteral(home)} and c.relname = ${quoteLiteral(table)}`);
  if (!found || !'rpfvm'.includes(String(found.kind))) {
    throw new EvdbError('EXPAND_REFUSED', `there is no table ${table} in schema "${home}"`, {
      hint: 'The table is read from the database: apply the migration that creates it first. For another schema write schema.table.column.',
    });
  }
  return found;
}

/** Names as SQL writes them, which only the server knows for sure. */
export async function quoteNames(
  session: Session,
  names: readonly string[],
): Promise<(name: string) => string> {
  if (names.length === 0) return quoteIdent;
  const said = names.map((name) => `pg_catalog.quote_ident(${quoteLiteral(name)})`);
  const [row] = await session.run(
    `select pg_catalog.json_build_array(${said.join(', ')})::text as "names"`,
  );
  const quoted = list(row?.names);
  const byName = new Map(names.map((name, index) => [name, quoted[index] ?? name]));
  return (name) => byName.get(name) ?? quoteIdent(name);
}

type Localize = (text: unknown) => string;

const list = (json: unknown): string[] => (json ? (JSON.parse(String(json)) as string[]) : []);
const optional = (value: unknown) => (value === null ? undefined : String(value));
const named = (row: Row) => ({ name: String(row.name), sql: String(row.sql) });

function obstacleOf({ kind, isPartition, isChild, hasChildren }: Row): string | undefined {
  if (kind === 'p') {
    return 'it is partitioned, and PostgreSQL builds no index of a partitioned table concurrently';
  }
  if (kind === 'f') return 'it is a foreign table';
  if (kind !== 'r') return 'it is a view';
  if (isPartition) return 'it is a partition';
  return isChild || hasChildren ? 'it has inheritance parents or children' : undefined;
}

/** `by` is written only where it is not the primary key. */
function walkOf({ constraints, indexes, columns }: TableFacts): string[] | undefined {
  if (constraints.some(({ kind }) => kind === 'primary key')) return [];
  const isNotNull = new Set(columns.filter((one) => one.isNotNull).map(({ name }) => name));
  const key = indexes.find(
    (index) =>
      index.isUnique &&
      !/ WHERE /.test(index.definition) &&
      index.columns.length > 0 &&
      index.columns.every((name) => isNotNull.has(name)),
  );
  return key?.columns;
}

function columnOf(row: Row, local: Localize): ColumnFacts {
  const text = optional(row.default);
  return {
    ...named(row),
    type: local(row.type),
    collation: row.collation === null ? '' : ` collate ${local(row.collation)}`,
    isNotNull: row.isNotNull === true,
    default: text === undefined || row.generated === true ? undefined : local(text),
    isDefaultConstant: text !== undefined && CONSTANT.test(text),
    generated: row.generated === true,
    identity: optional(row.identity) as ColumnFacts['identity'],
    sequence:
      row.sequence === null
        ? undefined
        : {
            sql: local(row.sequence),
            type: String(row.sequenceType),
            options: String(row.sequenceOptions),
          },
    comment: optional(row.comment),
    grants: list(row.grants),
    settings: list(row.settings).filter((setting) => setting !== null),
  };
}

/** A number, a string or a keyword, with the type that PostgreSQL writes behind it. */
const CONSTANT =
  /^\(?(-?[\d.]+|'(?:[^']|'')*'|true|false)\)?(::[\w ."]+(\(\d+(,\d+)?\))?(\[\])?)?$/;

const KINDS: Record<string, ConstraintFacts['kind']> = {
  ...{ p: 'primary key', u: 'unique', c: 'check', f: 'foreign key', x: 'exclusion', n: 'not null' },
};

function constraintOf(row: Row, local: Localize): ConstraintFacts {
  return {
    ...named(row),
    kind: KINDS[String(row.kind)] ?? 'check',
    definition: local(row.definition),
    columns: list(row.columns),
    isValidated: row.isValidated === true,
    comment: optional(row.comment),
  };
}

function indexOf(row: Row, constraints: ConstraintFacts[], local: Localize): IndexFacts {
  return {
    ...named(row),
    definition: local(row.definition),
    columns: list(row.columns),
    isUnique: row.isUnique === true,
    comment: optional(row.comment),
    constraint: constraints.find(({ name }) => name === row.constraint),
    isReplicaIdentity: row.isReplicaIdentity === true,
  };
}

function incomingOf(row: Row, local: Localize): IncomingKey {
  return {
    ...named(row),
    table: local(row.table),
    definition: local(row.definition),
    referencedColumns: list(row.referencedColumns),
    isValidated: row.isValidated === true,
    comment: optional(row.comment),
  };
}

function useOf(row: Row, local: Localize): { column: string; what: string } {
  return { column: String(row.column), what: local(row.what) };
}
