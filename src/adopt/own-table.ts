import { codeOf } from '../connection/connection-error.ts';
import { describeUser, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { advance, type Cursor, openCursor } from '../sql/lexer.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import type { Statement } from '../sql/statements.ts';
import { commandLine } from '../text/command-line.ts';
import type { Adapter, TableRow } from './foreign.ts';

/** The other tool's tracking table, as scripts may call it. */
export interface OwnTable {
  schema: string;
  name: string;
  /** Whether it counts only with its schema, because its name alone may be anybody's. */
  isAlwaysQualified: boolean;
}

/** How a statement comes to the name of a table that it is about. */
const BEFORE_TARGET = new RegExp(
  `^(?:${[
    'delete from(?: only)?',
    'insert into',
    'update(?: only)?',
    'truncate(?: table)?(?: only)?',
    'create(?: unlogged)? table(?: if not exists)?',
    'drop table(?: if exists)?',
    'alter table(?: if exists)?(?: only)?',
    'lock(?: table)?(?: only)?',
    'comment on (?:table|column|constraint .* on)',
    'create(?: unique)? index(?: .*)? on(?: only)?',
    '(?:grant|revoke) .* on(?: table)?',
  ].join('|')})$`,
);

/** What a statement has to do with the table: it is about that alone, or names it beside others. */
export function relationTo({ text }: Statement, table: OwnTable): 'about' | 'names' | undefined {
  if (!text.toLowerCase().includes(table.name.toLowerCase())) return undefined;
  const tokens = readTokens(text);
  const at = tokens.findIndex((_, index) => isTable(tokens, index, table));
  if (at >= 0) {
    const isQualified = tokens[at - 1] === '.';
    const before = tokens.slice(0, isQualified ? at - 2 : at).join(' ');
    // in a list of tables, what comes behind is another's
    const isList = tokens[at + 1] === ',';
    return BEFORE_TARGET.test(before) && !isList ? 'about' : 'names';
  }
  return bodiesOf(text).some((body) => isNamedIn(body, table)) ? 'names' : undefined;
}

function isNamedIn(text: string, table: OwnTable): boolean {
  const tokens = readTokens(text);
  return tokens.some((_, index) => isTable(tokens, index, table));
}

function isTable(tokens: string[], at: number, table: OwnTable): boolean {
  if (tokens[at] !== table.name) return false;
  if (tokens[at - 1] !== '.') return !table.isAlwaysQualified;
  return tokens[at - 2] === table.schema;
}

/** Names as PostgreSQL folds them; what is no name stays as it is. */
function readTokens(text: string): string[] {
  const cursor = openCursor(text);
  const tokens: string[] = [];
  while (advance(cursor)) tokens.push(nameOf(cursor));
  return tokens;
}

function nameOf({ kind, text, start, end }: Cursor): string {
  const token = text.slice(start, end);
  if (kind === 'word') return token.toLowerCase();
  return kind === 'identifier' ? token.slice(1, -1).replaceAll('""', '"') : token;
}

/** What stands between dollars, such as the body of a `do`. */
function bodiesOf(text: string): string[] {
  const cursor = openCursor(text);
  const bodies: string[] = [];
  while (advance(cursor)) {
    if (cursor.kind !== 'dollar') continue;
    bodies.push(text.slice(cursor.start, cursor.end).replace(/^\$[^$]*\$|\$[^$]*\$$/g, ''));
  }
  return bodies;
}

interface TrackingTable {
  /** As shown to people, such as `public.schema_migrations`; null where there is none. */
  shown: string | null;
  own: OwnTable | null;
  rows: TableRow[];
}

const NO_TABLE: TrackingTable = { shown: null, own: null, rows: [] };

/**
 * Finds the other tool's tracking table and reads it. The one in the target schema is preferred.
 *
 * @param given `table` or `schema.table`, where it is not called as usual
 * @throws {EvdbError} ADOPTION_REFUSED where there is none, USAGE where several are, PERMISSION_DENIED
 */
export async function readTrackingTable(
  session: Session,
  adapter: Adapter,
  { targetSchema, given }: { targetSchema: string; given?: string | undefined },
): Promise<TrackingTable> {
  const { table } = adapter;
  if (!table) {
    if (given === undefined) return NO_TABLE;
    throw new EvdbError('USAGE', `--from ${adapter.tool} reads no table`, {
      hint: 'Leave --table out, or name the tool that the table is from with --from.',
    });
  }
  const wanted = parseTable(table, given);
  const candidates = await findTables(session, table, wanted);
  const chosen =
    candidates.find(({ schema }) => schema === targetSchema) ??
    (candidates.length === 1 ? candidates[0] : undefined);
  if (!chosen) {
    if (table.isOptional && given === undefined && candidates.length === 0) return NO_TABLE;
    throw noTable({ tool: adapter.tool, table }, wanted, candidates);
  }
  const { schema, name } = chosen;
  const shown = `${schema}.${name}`;
  try {
    const sql = adapter.rowsSql(`${quoteIdent(schema)}.${quoteIdent(name)}`);
    const own = { schema, name, isAlwaysQualified: table.schema !== undefined };
    return { shown, own, rows: await session.run(sql) };
  } catch (error) {
    if (codeOf(error) !== '42501') throw error;
    const user = quoteIdent(session.facts.user);
    throw new EvdbError(
      'PERMISSION_DENIED',
      `${describeUser(session.facts)} may not read ${shown}`,
      {
        hint: `Let its owner run: grant usage on schema ${quoteIdent(schema)} to ${user}; grant select on ${quoteIdent(schema)}.${quoteIdent(name)} to ${user};`,
        cause: error,
      },
    );
  }
}

interface Wanted {
  schema: string | undefined;
  name: string;
}

type Table = NonNullable<Adapter['table']>;

function parseTable(table: Table, given: string | undefined): Wanted {
  if (given === undefined) return { schema: table.schema, name: table.name };
  const dot = given.indexOf('.');
  if (dot < 0) return { schema: table.schema, name: given };
  return { schema: given.slice(0, dot), name: given.slice(dot + 1) };
}

/** Tables of that name whose columns are those of the tool. */
async function findTables(
  session: Session,
  table: Table,
  { schema, name }: Wanted,
): Promise<{ schema: string; name: string }[]> {
  const list = (names: string[] = []) => `array[${names.map(quoteLiteral).join(', ')}]::text[]`;
  const rows = await session.run(`
    select ns.nspname::text as "schema", rel.relname::text as "name"
    from pg_catalog.pg_class as rel
    join pg_catalog.pg_namespace as ns on ns.oid = rel.relnamespace
    cross join lateral (
        select pg_catalog.array_agg(att.attname::text) as names
        from pg_catalog.pg_attribute as att
        where att.attrelid = rel.oid and att.attnum > 0 and not att.attisdropped
    ) as columns
    where rel.relname = ${quoteLiteral(name)}
        and rel.relkind in ('r', 'p')
        ${schema === undefined ? "and ns.nspname !~ '^pg_'" : `and ns.nspname = ${quoteLiteral(schema)}`}
        and columns.names operator(pg_catalog.@>) ${list(table.columns)}
        and not columns.names operator(pg_catalog.&&) ${list(table.unlike?.columns)}
        and not exists (
            select
            from pg_catalog.pg_class as beside
            where beside.relnamespace = rel.relnamespace
                and beside.relname::text = any (${list(table.unlike?.tables)})
        )
    order by ns.nspname`);
  return rows as { schema: string; name: string }[];
}

function noTable(
  { tool, table }: { tool: string; table: Table },
  wanted: Wanted,
  found: { schema: string }[],
): EvdbError {
  const name = wanted.schema === undefined ? wanted.name : `${wanted.schema}.${wanted.name}`;
  if (found.length > 1) {
    const schemas = found.map(({ schema }) => `${schema}.${wanted.name}`).join(', ');
    return new EvdbError('USAGE', `there are several tables of ${tool}: ${schemas}`, {
      hint: 'Name the right one with --table.',
    });
  }
  const unlike = table.unlike ? `, and is not ${table.unlike.tool}'s` : '';
  return new EvdbError(
    'ADOPTION_REFUSED',
    `there is no table ${name} here that is ${tool}'s (with the columns ${table.columns.join(', ')}${unlike})`,
    {
      hint: `Check the database; where the table has another name, give it with --table schema.name. A database that no tool has migrated is for another command: \`${commandLine('migrate baseline', { help: true })}\`.`,
    },
  );
}
