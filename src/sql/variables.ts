import { EvdbError } from '../errors.ts';
import { advance, isPunctuation, openCursor } from './lexer.ts';
import { quoteIdent } from './quote.ts';
import type { Statement } from './statements.ts';

/** The values of variables, by name. */
export type VariableValues = Readonly<Record<string, string>>;

/** A statement as its file has it, where values stand in the text that is sent. */
export interface WrittenStatement {
  text: string;
  /** In the order of the text. */
  replaced: Replaced[];
}

/** A variable and its value, by their places in UTF-16 units of the two texts. */
interface Replaced {
  written: { start: number; end: number };
  sent: { start: number; end: number };
}

interface VariableUse {
  name: string;
  isLiteral: boolean;
  start: number;
  end: number;
}

// Those of psql, which also takes any letter beyond ASCII.
const USE = /^(?:"[A-Za-z0-9_\u0080-\uffff]+"|'[A-Za-z0-9_\u0080-\uffff]+')$/;

/** Where a text uses variables: `:"name"` and `:'name'` outside of comments and quotes, as in psql. */
export function listVariableUses(text: string): VariableUse[] {
  if (!/:["']/.test(text)) return [];
  const uses: VariableUse[] = [];
  const cursor = openCursor(text);
  for (
    let colonEnd = -1;
    advance(cursor);
    colonEnd = isPunctuation(cursor, ':') ? cursor.end : -1
  ) {
    const { start, end, kind } = cursor;
    if (start !== colonEnd || (kind !== 'string' && kind !== 'identifier')) continue;
    const quoted = text.slice(start, end);
    if (USE.test(quoted))
      uses.push({ name: quoted.slice(1, -1), isLiteral: kind === 'string', start: start - 1, end });
  }
  return uses;
}

/**
 * A text with the values of its variables, quoted as psql quotes them. Those without a value stay as they
 * are written.
 *
 * @throws {EvdbError} CONFIG_INVALID for a value that cannot be used so
 * @example
 * substituteVariables(`grant usage on schema s to :"app"`, { app: 'web' }).text // … to "web"
 */
export function substituteVariables(
  text: string,
  values: VariableValues,
): { text: string; replaced: Replaced[] } {
  const replaced: Replaced[] = [];
  let sent = '';
  let from = 0;
  for (const { name, isLiteral, start, end } of listVariableUses(text)) {
    if (!Object.hasOwn(values, name)) continue;
    sent += text.slice(from, start);
    // What stands before it must not become a part of it, as the e in `e:'x'` would.
    if (/[\p{L}\p{N}_$&]$/u.test(sent)) sent += ' ';
    const at = sent.length;
    sent += (isLiteral ? quoteText : quoteName)(name, values[name] as string);
    replaced.push({ written: { start, end }, sent: { start: at, end: sent.length } });
    from = end;
  }
  return { text: sent + text.slice(from), replaced };
}

/** PostgreSQL cuts longer names off without an error. */
const LONGEST_NAME_BYTES = 63;

function quoteName(variable: string, value: string): string {
  refuseNul(variable, value);
  const bytes = Buffer.byteLength(value);
  if (bytes > 0 && bytes <= LONGEST_NAME_BYTES) return quoteIdent(value);
  throw unfit(
    variable,
    bytes === 0 ? 'an SQL name cannot be empty' : `it has ${bytes} bytes`,
    `Names have 1 to ${LONGEST_NAME_BYTES} bytes.`,
  );
}

/** A backslash means itself in a plain literal, unless the server is set otherwise. */
function quoteText(variable: string, value: string): string {
  refuseNul(variable, value);
  const doubled = value.replaceAll("'", "''");
  return doubled.includes('\\') ? `E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

function refuseNul(variable: string, value: string): void {
  if (value.includes('\0')) throw unfit(variable, 'it holds a NUL character', 'Remove it.');
}

function unfit(variable: string, reason: string, hint: string): EvdbError {
  return new EvdbError(
    'CONFIG_INVALID',
    `the value of variable "${variable}" cannot be used: ${reason}`,
    { hint, details: { variable } },
  );
}

/** The statements as they are sent; each keeps its place in the file. */
export function withValues(
  statements: Statement[],
  values: VariableValues | undefined,
): Statement[] {
  return values === undefined ? statements : statements.map((one) => withValuesIn(one, values));
}

/** The same for one statement. */
export function withValuesIn(statement: Statement, values: VariableValues): Statement {
  if (statement.psqlCommand !== null) return statement;
  const { text, replaced } = substituteVariables(statement.text, values);
  if (replaced.length === 0) return statement;
  return { ...statement, text, written: { text: statement.text, replaced } };
}

/** The text of a statement as its file has it. */
export function writtenText({ text, written }: Pick<Statement, 'text' | 'written'>): string {
  return written?.text ?? text;
}

/**
 * Where a place of the text that is sent stands in the statement as its file has it; for one in a value
 * that is the variable.
 *
 * @param offset in UTF-16 units of `statement.text`
 */
export function writtenOffset({ written }: Pick<Statement, 'written'>, offset: number): number {
  let moved = 0;
  for (const { written: from, sent: to } of written?.replaced ?? []) {
    if (offset < to.start) break;
    if (offset < to.end) return from.start;
    moved = from.end - to.end;
  }
  return offset + moved;
}
