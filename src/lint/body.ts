import type { Node } from '@pgsql/types';
import { advance, openCursor } from '../sql/lexer.ts';
import type { SqlParser } from '../sql/parser.ts';
import { findBody, type RoutineBody } from '../sql/routine.ts';
import { splitStatements } from '../sql/statements.ts';
import { descend, type TreeObject } from '../sql/tree.ts';

/** A statement inside a body, or SQL that is put together there. */
export interface BodyStatement {
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
export function readBody(text: string, tree: Node, parser: SqlParser): BodyStatement[] | undefined {
  const body = findBody(text, tree);
  if (body === undefined) return undefined;
  if (body.language === 'plpgsql') {
    const routine = parser.parseRoutine(text);
    return routine === null ? undefined : readPlpgsql(routine, text, body);
  }
  if (body.language !== 'sql') return undefined;
  const inner = text.slice(body.start, body.end);
  return splitStatements(inner).map((statement) => ({
    text: statement.text,
    offset: body.start + statement.start,
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

function readPlpgsql(routine: unknown, text: string, body: RoutineBody): BodyStatement[] {
  const locate = createBodyLocator(text, body);
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
function createBodyLocator(text: string, { start, end }: RoutineBody) {
  let after = start;
  return (line: number, query: string): number => {
    let at = start;
    for (let left = line; left > 1; left--) {
      const next = text.indexOf('\n', at);
      if (next < 0 || next >= end) break;
      at = next + 1;
    }
    const from = Math.max(at, after);
    // `perform f()` comes back as `SELECT f()`, and what stands behind `into` is cut out.
    const wanted = query.replace(/^SELECT(?=\s)/, '').trimStart();
    const head = /^\S+(?:\s+\S+)?/.exec(wanted)?.[0] ?? '';
    const found = text.indexOf(head, from);
    if (found < 0 || found >= end) return from;
    after = found + head.length;
    return found;
  };
}
