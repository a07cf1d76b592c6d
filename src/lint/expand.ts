import type { Node } from '@pgsql/types';
import { type Catalog, type ObjectKey, resolveKey } from '../catalog/catalog.ts';
import { advance, openCursor } from '../sql/lexer.ts';
import type { SqlParser } from '../sql/parser.ts';
import { findBody, type RoutineBody } from '../sql/routine.ts';
import { type Statement, splitStatements } from '../sql/statements.ts';
import { asKind, descend, type TreeObject, walkTree, writtenNameOf } from '../sql/tree.ts';

/** A statement to judge: one of the script, or one that a statement of the script runs. */
export interface ExpandedStatement {
  text: string;
  tree: Node;
  /** Where `text` starts in the script, in UTF-16 units; of the outer statement for a called function. */
  start: number;
  isEmbedded: boolean;
  isConditional: boolean;
  isDynamic: boolean;
  routine?: ObjectKey;
}

/** Stands for SQL that nobody can read. */
const OPAQUE: Node = { DoStmt: {} };

/** How deep functions that call functions are followed. */
const MAX_DEPTH = 8;

/** How many statements are followed: functions that call each other several times multiply. */
const MAX_EXPANDED = 5000;

/**
 * A statement with those that run inside of it: the body of a `do` block, and of functions in SQL
 * or PL/pgSQL that it calls and that a migration has created.
 */
export function expandStatement(
  statement: Statement,
  tree: Node,
  { catalog, parser }: { catalog: Catalog; parser: SqlParser },
): ExpandedStatement[] {
  const outer: ExpandedStatement = {
    text: statement.text,
    tree,
    start: statement.start,
    isEmbedded: false,
    isConditional: false,
    isDynamic: false,
  };
  const expanded = [outer];
  const queue = { catalog, parser, into: expanded, seen: new Set<ObjectKey>() };
  if ('DoStmt' in tree) addBody(outer, outer, queue, 0);
  else addCalls(outer, queue, 0);
  return expanded;
}

interface Queue {
  catalog: Catalog;
  parser: SqlParser;
  into: ExpandedStatement[];
  seen: Set<ObjectKey>;
}

/** @param holder the statement whose body is read; its place is that of `outer` plus the offset */
function addBody(
  outer: ExpandedStatement,
  holder: { text: string; tree: Node; routine?: ObjectKey },
  queue: Queue,
  depth: number,
): void {
  const body = readBody(holder.text, holder.tree, queue.parser);
  const { routine } = holder;
  const place = (offset: number) => ({
    start: routine === undefined ? outer.start + offset : outer.start,
    ...(routine !== undefined && { routine }),
  });
  if (body === undefined || queue.into.length + body.length > MAX_EXPANDED) {
    queue.into.push({ ...outer, ...place(0), tree: OPAQUE, isEmbedded: true, isDynamic: true });
    return;
  }
  for (const { text, offset, isDynamic, isConditional } of body) {
    const tree = isDynamic ? null : queue.parser.parse(text);
    const depends = isConditional || outer.isConditional;
    const embedded = { ...place(offset), isEmbedded: true, isConditional: depends };
    if (tree === null) {
      // What cannot be parsed alone, such as `x := 1`, runs no statement; what is not known may.
      if (isDynamic) queue.into.push({ ...embedded, text, tree: OPAQUE, isDynamic });
      continue;
    }
    const inner = { ...embedded, text, tree, isDynamic: false };
    queue.into.push(inner);
    addCalls(inner, queue, depth);
  }
}

function addCalls(statement: ExpandedStatement, queue: Queue, depth: number): void {
  const { catalog, parser, seen } = queue;
  if (depth >= MAX_DEPTH || catalog.routines.size === 0 || !canCall(statement.tree)) return;
  const follow = (kind: string, fields: TreeObject) => {
    if (kind !== 'FuncCall') return;
    const written = writtenNameOf(fields.funcname as Node[]);
    const key = resolveKey(catalog, written, catalog.routines);
    const { definition } = catalog.routines.get(key) ?? {};
    if (definition === undefined || seen.has(key)) return;
    const tree = parser.parse(definition);
    if (tree === null || asKind(tree, 'CreateFunctionStmt') === undefined) return;
    seen.add(key);
    addBody(statement, { text: definition, tree, routine: key }, queue, depth + 1);
    seen.delete(key);
  };
  walkTree(statement.tree, follow);
  // The call itself is not a node of its own; what stands in its arguments is.
  const call = asKind(statement.tree, 'CallStmt')?.funccall;
  if (call) follow('FuncCall', call as TreeObject);
}

/** Defaults, checks and index expressions call functions too, but those rarely run statements. */
function canCall(tree: Node): boolean {
  return 'SelectStmt' in tree || 'CallStmt' in tree;
}

/** A statement inside a body, or SQL that is put together there. */
interface BodyStatement {
  /** Of dynamic SQL the expression that makes it. */
  text: string;
  /** Where it is written, in UTF-16 units of the text that holds the body. */
  offset: number;
  isDynamic: boolean;
  /** Whether an `if`, a loop or an exception handler decides whether it takes effect. */
  isConditional: boolean;
}

/**
 * The statements in the body of a `do` block or of a `create function`, in the order of the text.
 *
 * @param tree of the statement
 * @returns undefined where the body is in a language that cannot be read, or holds no statements
 */
function readBody(text: string, tree: Node, parser: SqlParser): BodyStatement[] | undefined {
  const body = findBody(text, tree);
  if (body === undefined) return undefined;
  if (body.language === 'plpgsql') {
    const routine = parser.parseRoutine(text);
    return routine === null ? undefined : readPlpgsql(routine, body);
  }
  if (body.language !== 'sql') return undefined;
  return splitStatements(body.source).map((statement) => ({
    text: statement.text,
    offset: body.placeOf(statement.start),
    isDynamic: false,
    isConditional: false,
  }));
}

interface Found {
  line: number;
  query: string;
  isDynamic: boolean;
  isConditional: boolean;
}

function readPlpgsql(routine: unknown, body: RoutineBody): BodyStatement[] {
  const locate = createBodyLocator(body);
  return collect(routine).map(({ line, query, isDynamic, isConditional }) => {
    const offset = locate(line, query);
    const literal = isDynamic ? literalOf(query) : undefined;
    if (literal === undefined) return { text: query, offset, isDynamic, isConditional };
    const { text: inner, width } = literal;
    return { text: inner, offset: offset + width, isDynamic: false, isConditional };
  });
}

const CONDITIONAL =
  /^PLpgSQL_(?:stmt_(?:if|case|loop|while|fori|fors|forc|foreach_a|dynfors)|exception)$/;

function collect(routine: unknown): Found[] {
  const into: Found[] = [];
  descend(routine, false, (key, value, isConditional) => {
    if (Array.isArray(value)) return isConditional;
    const fields = value as TreeObject;
    // What a handler catches may have been undone.
    const isGuarded = key === 'PLpgSQL_stmt_block' && fields.exceptions !== undefined;
    const query = queryOf(key, fields);
    if (query !== undefined) {
      const line = typeof fields.lineno === 'number' ? fields.lineno : 1;
      into.push({ line, query: query.text, isDynamic: query.isDynamic, isConditional });
    }
    return isConditional || isGuarded || CONDITIONAL.test(key);
  });
  return into;
}

function queryOf(
  kind: string,
  fields: TreeObject,
): { text: string; isDynamic: boolean } | undefined {
  const text = (field: unknown) =>
    (field as { PLpgSQL_expr?: { query?: string } } | undefined)?.PLpgSQL_expr?.query;
  switch (kind) {
    case 'PLpgSQL_stmt_execsql':
      return withText(text(fields.sqlstmt), false);
    case 'PLpgSQL_stmt_perform':
    case 'PLpgSQL_stmt_call':
      return withText(text(fields.expr), false);
    case 'PLpgSQL_stmt_fors':
      return withText(text(fields.query), false);
    case 'PLpgSQL_stmt_dynexecute':
    case 'PLpgSQL_stmt_dynfors':
      return withText(text(fields.query), true);
    default:
      return undefined;
  }
}

function withText(text: string | undefined, isDynamic: boolean) {
  return text === undefined ? undefined : { text, isDynamic };
}

/** The text of an expression that is one string, which `execute` then runs as it is. */
function literalOf(expression: string): { text: string; width: number } | undefined {
  const cursor = openCursor(expression);
  if (!advance(cursor) || (cursor.kind !== 'string' && cursor.kind !== 'dollar')) return undefined;
  const { start, end, kind } = cursor;
  if (advance(cursor)) return undefined;
  const token = expression.slice(start, end);
  if (kind === 'dollar') {
    const width = token.indexOf('$', 1) + 1;
    return { text: token.slice(width, -width), width };
  }
  if (!token.startsWith("'")) return undefined;
  return { text: token.slice(1, -1).replaceAll("''", "'"), width: 1 };
}

/** PL/pgSQL tells lines only, so the text is looked for from there on, each behind the one before. */
function createBodyLocator({ source, placeOf }: RoutineBody) {
  let after = 0;
  return (line: number, query: string): number => {
    let at = 0;
    for (let left = line; left > 1; left--) {
      const next = source.indexOf('\n', at);
      if (next < 0) break;
      at = next + 1;
    }
    const from = Math.max(at, after);
    // `perform f()` comes back as `SELECT f()`, and what stands behind `into` is cut out.
    const wanted = query.replace(/^SELECT(?=\s)/, '').trimStart();
    const head = /^\S+(?:\s+\S+)?/.exec(wanted)?.[0] ?? '';
    const found = source.indexOf(head, from);
    if (found < 0) return placeOf(from);
    after = found + head.length;
    return placeOf(found);
  };
}
