import { advance, isPunctuation, isWord, openCursor } from '../sql/lexer.ts';
import type { Position } from '../sql/position.ts';
import type { Statement } from '../sql/statements.ts';

/** A row of a copy as the server tells of it. */
interface CopyRow {
  /** From 1: the line behind the statement. */
  line: number;
  column: string | undefined;
}

// `COPY users, line 3, column email: "x"`; the words between are in the language of the server.
const COPY_CONTEXT = /^COPY .+?, \D+?(\d+)(?:, \S+ (.+?) ?:|:|$)/gm;

/**
 * Where in the script the row stands that the server refused: its line, and the column of its field
 * where that can be told, else the start of the row.
 *
 * @param where the context that the server gives with its error
 * @param rows.firstLine the line behind the statement
 * @returns undefined where it names no row, as for a constraint that is checked at the end
 */
export function placeOfRow(
  where: string | undefined,
  { copyData, text: statementText }: Statement,
  rows: { firstLine: number; readLine: (line: number) => string },
): Position | undefined {
  const row = copyData === null ? undefined : readCopyRow(where ?? '');
  if (!row) return undefined;
  const line = rows.firstLine + row.line - 1;
  const rowText = rows.readLine(line);
  const before = rowText.slice(0, fieldStart(rowText, row.column, statementText));
  return { line, column: 1 + [...before].length };
}

function readCopyRow(where: string): CopyRow | undefined {
  // Those before it belong to what the copy set off, such as a trigger.
  const match = [...where.matchAll(COPY_CONTEXT)].at(-1);
  return match && { line: Number(match[1]), column: match[2] };
}

/** The fields of the text format are told apart by tabs; another format is not looked into. */
function fieldStart(rowText: string, column: string | undefined, statementText: string): number {
  const { columns, isPlain } = readCopyHead(statementText);
  const index = isPlain && column !== undefined ? columns.indexOf(column) : -1;
  let at = 0;
  for (let field = 0; field < index; field++) at = rowText.indexOf('\t', at) + 1;
  return at;
}

function readCopyHead(statementText: string): { columns: string[]; isPlain: boolean } {
  const cursor = openCursor(statementText);
  const columns: string[] = [];
  let isInside = false;
  let isAfterStdin = false;
  while (advance(cursor)) {
    if (isAfterStdin) return { columns, isPlain: false };
    if (isPunctuation(cursor, '(')) isInside = true;
    else if (isPunctuation(cursor, ')')) isInside = false;
    else if (isInside && cursor.kind === 'word') {
      columns.push(statementText.slice(cursor.start, cursor.end).toLowerCase());
    } else if (isInside && cursor.kind === 'identifier') {
      columns.push(statementText.slice(cursor.start + 1, cursor.end - 1).replaceAll('""', '"'));
    }
    isAfterStdin = !isInside && isWord(cursor, 'stdin');
  }
  return { columns, isPlain: true };
}
