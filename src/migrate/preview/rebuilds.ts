import { isDeepStrictEqual } from 'node:util';
import type { Session } from '../../connection/session.ts';
import { openStatementSession, type StatementSession } from '../../connection/statement-session.ts';
import type { Column } from '../../connection/wire-format.ts';
import { advance, isWord, openCursor } from '../../sql/lexer.ts';
import { loadSqlParser, type SqlParser } from '../../sql/parser.ts';
import { quoteLiteral } from '../../sql/quote.ts';
import { asKind, stringsOf, withoutPlaces } from '../../sql/tree.ts';
import { readRebuild } from '../../structure/rebuild.ts';
import type { RepeatablePart } from '../plan/prepare-repeatables.ts';
import { isRoutine, writtenMade } from '../repeatable/objects.ts';
import { fitsRoutine, readRoutine, type WrittenRoutine } from './routine-fit.ts';

/*
 * What `up` would take down for the views and routines of repeatables. The server says no to `create or
 * replace` only when that runs, so a plan compares by itself: the columns that the query of a view gives
 * now, asked for without its rows, and those that it has; what a routine is called with and returns.
 */

/** A view or routine that cannot be changed in place. */
export interface RebuiltObject {
  /** Such as `view public.active_users` or `function public.total(integer)`. */
  object: string;
  /** What is taken down with it and made again as it was, or as its own file makes it. */
  dependents: string[];
  /** What cannot be made again, so that `up` refuses the change. */
  refused: string[];
}

/**
 * Finds what `up` would drop and make again: views whose columns change, routines that are called otherwise
 * or return something else. Only reads.
 *
 * @param searchPath quoted names, as after `set search_path =`
 * @returns those of each file; where a query needs what an earlier step makes, nothing is known
 */
export async function readRebuilds(
  parts: readonly RepeatablePart[],
  session: Session,
  { searchPath, targetSchema }: { searchPath: string; targetSchema: string },
): Promise<RebuiltObject[][]> {
  const parser = await loadSqlParser();
  const written = parts.map(({ makes, statements }) =>
    makes.flatMap((made): Written[] => {
      const text = statements[made.statementIndex]?.text;
      const name = writtenMade(made, targetSchema);
      const view = made.kind === 'view' && text ? readView(text, parser) : undefined;
      if (view) return [{ view: { ...view, name } }];
      const tree = isRoutine(made) && text ? parser.parse(text) : undefined;
      const routine = readRoutine(asKind(tree ?? undefined, 'CreateFunctionStmt'));
      return routine ? [{ routine: { ...routine, name } }] : [];
    }),
  );
  if (written.every(({ length }) => length === 0)) return written.map(() => []);
  const describer = await openStatementSession(session.options, {}, AS_TEXT);
  try {
    const found: RebuiltObject[][] = [];
    for (const ofPart of written) {
      const rebuilt: RebuiltObject[] = [];
      for (const one of ofPart) {
        const rebuild = await inReadOnly(session, searchPath, () =>
          readRebuildOf(one, session, (query) => describe(describer, searchPath, query)),
        );
        if (rebuild) rebuilt.push(rebuild);
      }
      found.push(rebuilt);
    }
    return found;
  } finally {
    await describer.close();
  }
}

type Written =
  | { view: WrittenView; routine?: undefined }
  | { view?: undefined; routine: WrittenRoutine };

async function readRebuildOf(
  { view, routine }: Written,
  session: Session,
  readColumns: (query: string) => Promise<readonly Column[]>,
): Promise<RebuiltObject | undefined> {
  const isInPlace = view
    ? await fitsInPlace(session, view, () => readColumns(view.query))
    : await fitsRoutine(session, routine);
  if (isInPlace) return undefined;
  return readRebuild(session, { isRoutine: !view, name: (view ?? routine).name });
}

/** Nothing is read or written with it: what the server says of the columns is all. */
const AS_TEXT = { readers: new Map(), write: String };

/** The columns of a query, with lengths and precisions, which the driver of other sessions does not tell. */
async function describe(
  { channel }: StatementSession,
  searchPath: string,
  query: string,
): Promise<readonly Column[]> {
  await channel.run(beginReadOnly(searchPath));
  try {
    return (await channel.query(`select * from (${query}\n) as q limit 0`, [], false, {})).fields;
  } finally {
    await channel.run('rollback');
  }
}

/** What a statement says of its view. */
interface WrittenView {
  /** As `to_regclass` takes it. */
  name: string;
  query: string;
  /** The names of its first columns, where they are not those of the query. */
  aliases: string[];
}

/** The tree has no place for where the query begins: behind the `as` where the rest parses to the same. */
function readView(text: string, parser: SqlParser): Omit<WrittenView, 'name'> | undefined {
  const tree = asKind(parser.parse(text) ?? undefined, 'ViewStmt');
  if (!tree?.query) return undefined;
  const wanted = withoutPlaces(tree.query);
  const cursor = openCursor(text);
  const ends: number[] = [text.length];
  const begins: number[] = [];
  while (advance(cursor)) {
    if (isWord(cursor, 'as')) begins.push(cursor.end);
    // `with check option` is no part of the query.
    if (isWord(cursor, 'with')) ends.push(cursor.start);
  }
  for (const begin of begins) {
    for (const end of [ends[0], ends.at(-1)]) {
      const query = text.slice(begin, end);
      const read = parser.parse(query);
      if (read && isDeepStrictEqual(withoutPlaces(read), wanted)) {
        return { query, aliases: stringsOf(tree.aliases) };
      }
    }
  }
  return undefined;
}

function beginReadOnly(searchPath: string): string {
  return `begin read only; set local lock_timeout = '200ms'; set local search_path = ${searchPath}`;
}

async function inReadOnly<T>(
  session: Session,
  searchPath: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  await session.run(beginReadOnly(searchPath));
  try {
    return await work();
  } catch (error) {
    // An earlier step of the plan may make what the query needs, or a table is locked; what is wrong, `up` tells.
    if (session.isClosed) throw error;
    return undefined;
  } finally {
    if (!session.isClosed) await session.run('rollback');
  }
}

/** Whether the view is not there, or its columns are the first ones of the query. */
async function fitsInPlace(
  session: Session,
  { name, aliases }: WrittenView,
  readColumns: () => Promise<readonly Column[]>,
): Promise<boolean> {
  const before =
    await session.run(`select attname as "name", atttypid::int8::float8 as "type", atttypmod as "modifier"
from pg_catalog.pg_attribute
where attrelid = pg_catalog.to_regclass(${quoteLiteral(name)}) and attnum > 0
order by attnum`);
  if (before.length === 0) return true;
  const columns = await readColumns();
  return before.every(({ name: known, type, modifier }, index) => {
    const { name: own, dataTypeID, dataTypeModifier } = columns[index] ?? {};
    return (
      (aliases[index] ?? own) === known &&
      dataTypeID === Number(type) &&
      dataTypeModifier === modifier
    );
  });
}
