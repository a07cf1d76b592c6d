import { classifyStatement } from '../../sql/kind.ts';
import { MAX_CHECKED_LENGTH } from '../../sql/parser.ts';
import { locate, type Position } from '../../sql/position.ts';
import type { Statement } from '../../sql/statements.ts';

/** So much of a large file is looked at closely, in UTF-16 units: parsing it takes seconds. */
const MAX_KEPT_LENGTH = 8_000_000;
/** The same for the statements that only read or write rows, which are all alike. */
const MAX_KEPT_DATA_LENGTH = 1_000_000;
const MAX_KEPT_GAP_LENGTH = 64_000;
const MAX_PADDING = 2000;

/**
 * Makes the short text that stands for a large file wherever it is looked at and not run: its
 * statements at their lines, without the rows of copies and without most statements that write rows.
 * Those that may be wrong in a way that the whole file shows are always in it.
 */
export interface Outline {
  /** @param gap what stands between the statement before and this one */
  add(statement: Statement, gap: string): void;
  finish(): string;
}

export function createOutline(): Outline {
  const writer = createWriter();
  let dataLength = 0;
  let otherLength = 0;

  function mayKeep(statement: Statement): boolean {
    const { length } = statement.text;
    if (length > MAX_CHECKED_LENGTH) return false;
    const { lockClass, isTransactionControl, needsNoTransaction } = classifyStatement(statement);
    if (isTransactionControl || needsNoTransaction || mustStay(statement)) return true;
    if (lockClass === 'data') {
      dataLength += length;
      return dataLength <= MAX_KEPT_DATA_LENGTH;
    }
    otherLength += length;
    return otherLength <= MAX_KEPT_LENGTH;
  }

  return {
    add(statement, gap) {
      if (mayKeep(statement)) {
        // The semicolon of the statement before stands there already.
        const between = gap.startsWith(';') ? gap.slice(1) : gap;
        if (gap.length <= MAX_KEPT_GAP_LENGTH) {
          writer.writeAt(startOfGap(statement, between), between);
        }
        writer.writeAt(statement, statement.text);
        if (statement.copyData) writer.write(endOfCopy(statement.copyData));
        else if (statement.isTerminated) writer.write(';');
      } else if (statement.unterminated !== null) writeOpenEnd(statement, writer);
    },
    finish: writer.finish,
  };
}

function mustStay({ psqlCommand, copyData, unterminated }: Statement): boolean {
  return psqlCommand !== null || copyData !== null || unterminated !== null;
}

/** Rows without an end stay such. */
function endOfCopy({ start, end, terminated }: NonNullable<Statement['copyData']>): string {
  if (terminated) return ';\n\\.';
  return end > start ? ';\n\n' : ';';
}

function startOfGap({ line, column }: Statement, gap: string): Position {
  const breaks = countBreaks(gap);
  return breaks > 0
    ? { line: line - breaks, column: 1 }
    : { line, column: Math.max(1, column - gap.length) };
}

/** Of a statement that is too long to keep, the quote that nobody closed. */
function writeOpenEnd(statement: Statement, writer: ReturnType<typeof createWriter>): void {
  const at = (statement.unterminated?.at ?? statement.start) - statement.start;
  const place = locate(statement.text, at);
  writer.writeAt(
    {
      line: statement.line + place.line - 1,
      column: place.line === 1 ? statement.column + place.column - 1 : place.column,
    },
    statement.text.slice(at, at + MAX_PADDING),
  );
}

function createWriter() {
  // As bytes: a slice of a string would keep the whole part of the file that it comes from.
  const parts: Buffer[] = [];
  let line = 1;
  let column = 1;
  function write(text: string): void {
    parts.push(Buffer.from(text));
    const breaks = countBreaks(text);
    line += breaks;
    column = breaks > 0 ? text.length - text.lastIndexOf('\n') : column + text.length;
  }
  return {
    write,
    /** Fills up with line breaks and spaces to the place. */
    writeAt(at: Position, text: string) {
      if (line < at.line) write('\n'.repeat(at.line - line));
      if (column < at.column && line === at.line) {
        write(' '.repeat(Math.min(at.column - column, MAX_PADDING)));
      }
      write(text);
    },
    finish: () => Buffer.concat(parts).toString('utf8'),
  };
}

function countBreaks(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}
