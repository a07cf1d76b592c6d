import type { ReferentialAction } from '../../catalog/catalog.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { loadSqlParser } from '../../sql/parser.ts';
import { quoteIdent } from '../../sql/quote.ts';
import { splitStatements } from '../../sql/statements.ts';
import { parseGate } from '../files/gates.ts';
import { addCheck, addForeignKey, addUnique } from './add-constraint.ts';
import { changeType, type WantedType } from './change-type.ts';
import type { Recipe } from './draft.ts';
import { columnNamed, type TableFacts } from './facts.ts';
import { fitName, type NamedColumn, parseColumn, parseDotted, parseName } from './names.ts';
import { quoteNames, readTable } from './read-table.ts';
import { renameColumn } from './rename-column.ts';
import { setNotNull } from './set-not-null.ts';
import { type SplitPart, splitColumn } from './split-column.ts';

/** Which change of a table is wanted, as somebody types it. */
export type ExpandRequest =
  | ({ recipe: 'rename-column'; column: string; to: string } & Rollout)
  | ({
      recipe: 'change-type';
      column: string;
      type: string;
      using?: string | undefined;
      back?: string | undefined;
    } & Rollout)
  | ({ recipe: 'set-not-null'; column: string; default?: string | undefined } & Rollout)
  | ({
      recipe: 'split-column';
      column: string;
      /** Such as `first_name text = split_part(name, ' ', 1)`. */
      into: readonly string[];
      /** What the old column is, over the new ones. */
      join: string;
    } & Rollout)
  | {
      recipe: 'add-foreign-key';
      column: string;
      /** Such as `events.id`. */
      references: string;
      onDelete?: ReferentialAction | undefined;
      onUpdate?: ReferentialAction | undefined;
    }
  /** Several columns as `registrations.event_id,user_id`. */
  | { recipe: 'add-unique'; columns: string }
  | { recipe: 'add-check'; table: string; condition: string; name?: string | undefined };

/** What has to be true of the running builds before the contract. */
interface Rollout {
  /** Such as `api >= 2.0`: no older build may be connected. */
  requireBuild?: string | undefined;
}

/** Reads what the request is about, and makes the migrations of it. */
export function recipeFor(
  session: Session,
  request: ExpandRequest,
  targetSchema: string,
): Promise<Recipe> {
  const reading = { session, targetSchema };
  switch (request.recipe) {
    case 'rename-column':
      return forRename(reading, request);
    case 'change-type':
      return forType(reading, request);
    case 'set-not-null':
      return forNotNull(reading, request);
    case 'split-column':
      return forSplit(reading, request);
    case 'add-foreign-key':
      return forForeignKey(reading, request);
    case 'add-unique':
      return forUnique(reading, request);
    case 'add-check':
      return forCheck(reading, request);
  }
}

type RequestOf<Name extends ExpandRequest['recipe']> = Extract<ExpandRequest, { recipe: Name }>;

interface Reading {
  session: Session;
  targetSchema: string;
}

async function forRename(
  reading: Reading,
  { column, to, requireBuild }: RequestOf<'rename-column'>,
): Promise<Recipe> {
  const named = parseColumn(column);
  const name = parseName(to, 'a name for the column');
  const gates = gatesOf(requireBuild);
  const table = await tableOf(reading, named);
  const quote = await quoteNames(reading.session, [name]);
  const { type } = columnNamed(table, named.column);
  const isComparable = await canCompare(reading, type);
  const young = { name, sql: quote(name) };
  return renameColumn(table, { column: named.column, to: young, isComparable, gates });
}

async function forType(
  reading: Reading,
  { column, type, using, back, requireBuild }: RequestOf<'change-type'>,
): Promise<Recipe> {
  const named = parseColumn(column);
  const gates = gatesOf(requireBuild);
  if (using !== undefined) await requireExpression(using, '--using');
  if (back !== undefined) await requireExpression(back, '--back');
  const table = await tableOf(reading, named);
  const old = columnNamed(table, named.column);
  const name = freeColumn(table, fitName(named.column, 'new'));
  const quote = await quoteNames(reading.session, [name]);
  const wanted = await readType(reading, type, old.type);
  return changeType(table, {
    ...{ column: named.column, type: wanted, young: { name, sql: quote(name) } },
    ...{ using, back, gates },
  });
}

async function forNotNull(reading: Reading, request: RequestOf<'set-not-null'>): Promise<Recipe> {
  const named = parseColumn(request.column);
  const gates = gatesOf(request.requireBuild);
  if (request.default !== undefined) await requireExpression(request.default, '--default');
  const table = await tableOf(reading, named);
  return setNotNull(table, { column: named.column, default: request.default, gates });
}

const PART = /^\s*("(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)(?:\s+([^=]+?))?\s*=\s*(\S[\s\S]*)$/u;

async function forSplit(
  reading: Reading,
  { column, into, join, requireBuild }: RequestOf<'split-column'>,
): Promise<Recipe> {
  const named = parseColumn(column);
  const gates = gatesOf(requireBuild);
  await requireExpression(join, '--join');
  const parts = await Promise.all(into.map(parsePart));
  const table = await tableOf(reading, named);
  const quote = await quoteNames(
    reading.session,
    parts.map(({ name }) => name),
  );
  const castOf = async (type: string) => ((await canCompare(reading, type)) ? '' : '::text');
  const wanted: SplitPart[] = [];
  for (const part of parts) {
    const castToCompare = await castOf(part.type);
    wanted.push({ ...part, sql: quote(part.name), castToCompare });
  }
  const castToCompare = await castOf(columnNamed(table, named.column).type);
  return splitColumn(table, { column: named.column, into: wanted, join, castToCompare, gates });
}

/** @throws {EvdbError} USAGE */
async function parsePart(text: string): Promise<{ name: string; type: string; from: string }> {
  const [, name, type = 'text', from] = PART.exec(text) ?? [];
  if (name === undefined || from === undefined) {
    throw new EvdbError('USAGE', `"${text}" is not a column and what it becomes`, {
      hint: "Write a name, a type and an expression over the old column, such as --into 'first_name text = split_part(name, '' '', 1)'. Without a type it is text.",
    });
  }
  await requireExpression(from, '--into');
  return { name: parseName(name, 'a name for a column'), type: await writtenType(type), from };
}

async function forForeignKey(
  reading: Reading,
  { column, references, onDelete, onUpdate }: RequestOf<'add-foreign-key'>,
): Promise<Recipe> {
  const [named, target] = [parseColumn(column), parseColumn(references)];
  const table = await tableOf(reading, named);
  const other = await tableOf(reading, target);
  return addForeignKey(table, {
    column: named.column,
    references: { table: other, column: target.column },
    ...{ onDelete, onUpdate },
  });
}

async function forUnique(reading: Reading, { columns }: RequestOf<'add-unique'>): Promise<Recipe> {
  const [first = '', ...others] = columns.split(',');
  const named = parseColumn(first);
  const more = others.map((name) => parseName(name, 'a column'));
  return addUnique(await tableOf(reading, named), [named.column, ...more]);
}

async function forCheck(
  reading: Reading,
  { table, condition, name }: RequestOf<'add-check'>,
): Promise<Recipe> {
  const [own = '', schema, ...rest] = parseDotted(table, 'a table').toReversed();
  if (rest.length > 0) {
    throw new EvdbError('USAGE', `"${table}" is not a table`, {
      hint: 'Write table, or schema.table.',
    });
  }
  await requireExpression(condition, 'the condition');
  const named = name === undefined ? [] : [parseName(name, 'a name for the check')];
  const quote = await quoteNames(reading.session, named);
  const facts = await tableOf(reading, { schema, table: own });
  return addCheck(facts, { condition, name: named[0] === undefined ? undefined : quote(named[0]) });
}

/** @throws {EvdbError} USAGE unless the text is one expression */
async function requireExpression(text: string, what: string): Promise<void> {
  const parser = await loadSqlParser();
  const tree = parser.parse(`select (${text}\n)`);
  const select = tree && 'SelectStmt' in tree ? tree.SelectStmt : undefined;
  const isOne =
    splitStatements(`select (${text}\n)`).length === 1 &&
    select?.targetList?.length === 1 &&
    select.fromClause === undefined;
  if (isOne) return;
  throw new EvdbError('USAGE', `"${text}" is not an SQL expression`, {
    hint: `Check what was given for ${what}; in a shell, put it in single quotes.`,
  });
}

function freeColumn({ columns }: TableFacts, wanted: string): string {
  let name = wanted;
  for (let count = 2; columns.some((column) => column.name === name); count++) {
    name = fitName(wanted, String(count));
  }
  return name;
}

function tableOf(
  { session, targetSchema }: Reading,
  { schema, table }: Pick<NamedColumn, 'schema' | 'table'>,
) {
  return readTable(session, { schema, table, targetSchema });
}

/** @throws {EvdbError} USAGE */
function gatesOf(requireBuild: string | undefined): string[] {
  if (requireBuild === undefined) return [];
  const gate = parseGate('require-build', requireBuild, 1);
  if ('hint' in gate) {
    throw new EvdbError('USAGE', `"${requireBuild}" is not a build of an application`, {
      hint: "Write its name and its oldest version, such as --require-build 'api >= 2.0'.",
    });
  }
  return [gate.text];
}

/** Where the migrations look for names, and where nothing can be written. */
async function ask(
  { session, targetSchema }: Reading,
  query: string,
): Promise<Record<string, unknown>[]> {
  try {
    return await session.run(
      `begin read only; set local search_path = ${quoteIdent(targetSchema)}, pg_temp; ${query}`,
    );
  } finally {
    await session.run('rollback').catch(() => undefined);
  }
}

const NO_FUNCTION = '42883';
const NO_TYPE = '42704';

const codeOf = (error: unknown) => (error as { code?: string }).code;

/** Some types have no operator that compares, such as `json` and `point`. */
async function canCompare(reading: Reading, type: string): Promise<boolean> {
  try {
    await ask(reading, `select null::${type} is distinct from null::${type}`);
    return true;
  } catch (error) {
    if (codeOf(error) === NO_FUNCTION) return false;
    throw error;
  }
}

/** How the server writes a type, and how values become ones of it. */
async function readType(reading: Reading, type: string, from: string): Promise<WantedType> {
  const written = await writtenType(type);
  const [row] = await ask(
    reading,
    `
with asked as (
    select pg_typeof(null::${from})::oid as old, pg_typeof(null::${written})::oid as young
), types as (
    select coalesce(nullif(o.typelem, 0), nullif(o.typbasetype, 0), o.oid) as old,
        coalesce(nullif(y.typelem, 0), nullif(y.typbasetype, 0), y.oid) as young,
        y.typcollation <> 0 as "isCollatable"
    from asked
    join pg_type as o on o.oid = asked.old
    join pg_type as y on y.oid = asked.young
)
select "isCollatable",
    format_type(asked.young, null) as "name",
    case
        when types.old = types.young then 'plain'
        when c.oid is not null and c.castcontext = 'e' then 'none'
        when c.oid is not null and coalesce(f.provolatile, 'i') <> 'i' then 'by settings'
        when c.oid is not null then 'plain'
        when y.typcategory <> 'S' then 'none'
        when o.typtype <> 'e' and w.provolatile <> 'i' then 'by settings'
        else 'plain'
    end as "cast",
    case
        when exists (select from pg_type where oid = asked.young and typtype = 'd') then 'unknown'
        when types.old = types.young then 'by length'
        when c.castmethod = 'b' or c.oid is null and y.typcategory = 'S' then 'whole'
        when c.castcontext <> 'i' or y.typname ~ '^(float4|name|oid|reg.*)$' then 'unknown'
        when y.typname = 'float8' and o.typname not in ('int2', 'int4', 'float4') then 'unknown'
        else 'whole'
    end as "keeps"
from asked, types
join pg_type as o on o.oid = types.old
join pg_type as y on y.oid = types.young
join pg_proc as w on w.oid = o.typoutput
left join pg_cast as c on c.castsource = types.old and c.casttarget = types.young
left join pg_proc as f on f.oid = c.castfunc`,
  ).catch((error: unknown) => {
    if (codeOf(error) !== NO_TYPE) throw error;
    throw noType(type);
  });
  // As the server writes it, unless something like a length is given.
  const sql = /[([]/.test(written) ? written : String(row?.name);
  return {
    sql: sql === 'bpchar' ? written : sql,
    cast: row?.cast as WantedType['cast'],
    keeps: row?.keeps as WantedType['keeps'],
    isCollatable: row?.isCollatable === true,
    isComparable: (await canCompare(reading, written)) && (await canCompare(reading, from)),
  };
}

function noType(type: string): EvdbError {
  return new EvdbError('USAGE', `there is no type ${type}`, {
    hint: 'Write a type as in "create table", such as bigint or varchar(200).',
  });
}

/** @throws {EvdbError} USAGE unless the text is one type */
async function writtenType(type: string): Promise<string> {
  const parser = await loadSqlParser();
  const tree = parser.parse(`alter table t add column c ${type}`);
  const commands = tree && 'AlterTableStmt' in tree ? tree.AlterTableStmt.cmds : undefined;
  const [command] = commands ?? [];
  const column = command && 'AlterTableCmd' in command ? command.AlterTableCmd.def : undefined;
  const isType =
    commands?.length === 1 &&
    column !== undefined &&
    'ColumnDef' in column &&
    column.ColumnDef.constraints === undefined &&
    column.ColumnDef.collClause === undefined;
  if (!isType) throw noType(type);
  return type.trim().toLowerCase() === type.trim() || type.includes('"')
    ? type.trim()
    : type.trim().toLowerCase();
}
