import { createHash } from 'node:crypto';
import { EvdbError } from '../../errors.ts';
import { classifyStatement } from '../../sql/kind.ts';
import { countsForTokens, foldStatement } from '../../sql/lexical.ts';
import { MAX_CHECKED_LENGTH } from '../../sql/parser.ts';
import { locate, type Position } from '../../sql/position.ts';
import {
  createStatementReader,
  type StatementReader,
  StatementTooLong,
} from '../../sql/statement-reader.ts';
import type { Statement } from '../../sql/statements.ts';
import {
  createPrint,
  type FilePrint,
  isSameFile,
  readLargeChecksum,
  readNormalised,
} from './checksum.ts';
import { fileChanged } from './file-errors.ts';
import { displayPath } from './version.ts';

/** What is known of a file that is too large to be held in memory. */
export interface LargeFile {
  filePath: string;
  statementsTotal: number;
  /** Of the reading that checked it; every later one has to give the same. */
  print: FilePrint;
  sums: LargeSums;
}

/**
 * The checksums of a large file. They are for the ledger, and cost as much as the rest of reading it:
 * whoever reads the file in any case settles them, and asked before they read it once more.
 *
 * @throws {EvdbError} FILE_CHANGED
 */
interface LargeSums {
  readonly checksum: string;
  readonly tokenChecksum: string;
  settle(sums: Sums): void;
}

type Sums = Pick<LargeSums, 'checksum' | 'tokenChecksum'>;

interface LargeScan {
  /** What stands for the text, see `createOutline`. */
  outline: string;
  file: LargeFile;
}

/**
 * Refuses what must not stand in a text around a statement.
 *
 * @param part the line of the file that the text begins in, and whether a statement stands before it
 */
type RefuseText = (text: string, part: { firstLine: number; isBehind: boolean }) => void;

/** So many statements or pieces of rows are read before somebody else gets a turn. */
const TURN = 500;

/**
 * Reads a large file once, from its start to its end.
 *
 * @returns a generator that yields now and then, so that the caller can look around
 * @param about.refuse sees every text that holds a comment
 * @param about.settles whether the checksums are wanted in any case
 * @throws {EvdbError} FILE_UNREADABLE, NOT_UTF8, NUL_BYTE, SCRIPT_TOO_LONG, and what `refuse` throws
 */
export function* scanLargeFile(
  path: string,
  { refuse, settles }: { refuse: RefuseText; settles: boolean },
): Generator<void, LargeScan> {
  const print = createPrint();
  const outline = createOutline();
  const summed = settles ? createSummedReader(path, print) : undefined;
  const reader = summed ?? createStatementReader(readNormalised(path, print));
  let statementsTotal = 0;
  for (let done = 0; ; done++) {
    if (done % TURN === 0) yield;
    const statement = refuseTooLong(path, reader.next);
    if (!statement) break;
    const gap = reader.gap();
    refuseAround(gap, statement, { refuse, isBehind: statementsTotal > 0 });
    statementsTotal++;
    if (statement.copyData) {
      for (const _ of reader.rows()) if (++done % TURN === 0) yield;
    }
    outline.add(statement, gap);
  }
  const tail = reader.tail();
  if (COMMENT.test(tail.text)) {
    refuse(tail.text, { firstLine: tail.line, isBehind: statementsTotal > 0 });
  }
  const sums = createSums(path, print);
  if (summed) sums.settle(summed.finish());
  return { outline: outline.finish(), file: { filePath: path, statementsTotal, print, sums } };
}

function createSums(path: string, print: FilePrint): LargeSums {
  let checksum: string | undefined;
  let tokens: string | undefined;
  function checked<T>(read: (again: FilePrint) => T): T {
    const again = createPrint();
    const result = read(again);
    if (!isSameFile(print, again)) throw fileChanged(path);
    return result;
  }
  return {
    get checksum() {
      checksum ??= checked((again) => readLargeChecksum(path, again));
      return checksum;
    },
    get tokenChecksum() {
      tokens ??= checked((again) => readSums(path, again)).tokenChecksum;
      return tokens;
    },
    settle(sums) {
      checksum = sums.checksum;
      tokens = sums.tokenChecksum;
    },
  };
}

function readSums(path: string, print: FilePrint): Sums {
  const reader = createSummedReader(path, print);
  while (reader.next());
  return reader.finish();
}

/** Reads the statements of a large file, and adds up its checksums on the way. */
export function createSummedReader(path: string, print: FilePrint) {
  const sum = createHash('sha256');
  const tokens = createTokenSum();
  const reader = createStatementReader(hashed(readNormalised(path, print), sum));
  let isCopy = false;
  function* rows(): Generator<Buffer> {
    for (const piece of reader.rows()) {
      tokens.addRows(piece);
      yield piece;
    }
  }
  return {
    ...reader,
    next() {
      // Rows that nobody wanted count too.
      if (isCopy) for (const _ of rows());
      const statement = reader.next();
      isCopy = statement?.copyData != null;
      if (statement && countsForTokens(statement)) tokens.addStatement(statement.text);
      return statement;
    },
    rows,
    /** Once `next` has given the last statement. */
    finish: (): Sums => ({ checksum: sum.digest('hex'), tokenChecksum: tokens.finish() }),
  } satisfies StatementReader & { finish(): Sums };
}

const COMMENT = /--|\/\*/;

/** The comments before the first statement of a file, whatever else is in it. */
export function readHeader(path: string): string {
  const blocks = readNormalised(path);
  try {
    const reader = createStatementReader(blocks);
    return refuseTooLong(path, reader.next) ? reader.gap() : reader.tail().text;
  } finally {
    blocks.return(undefined);
  }
}

/** It may stand before a statement, or in one that no semicolon ends. */
function refuseAround(
  gap: string,
  { text, line }: Statement,
  { refuse, isBehind }: { refuse: RefuseText; isBehind: boolean },
): void {
  if (!COMMENT.test(gap) && !COMMENT.test(text)) return;
  const firstLine = line - (gap.match(/\n/g)?.length ?? 0);
  refuse(gap + text, { firstLine, isBehind });
}

/** The same blocks; `sum` has seen all of them when they end. */
function* hashed(
  blocks: Iterable<Buffer>,
  sum: { update(bytes: Buffer): unknown },
): Generator<Buffer> {
  for (const block of blocks) {
    sum.update(block);
    yield block;
  }
}

function refuseTooLong<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof StatementTooLong)) throw cause;
    const file = displayPath(path);
    throw new EvdbError('SCRIPT_TOO_LONG', `${file}:${cause.line}: this statement is too long`, {
      hint: 'Split it: a statement may have 256 MB. The rows of a copy … from stdin have no limit.',
      cause,
      details: { file, line: cause.line },
    });
  }
}

const BATCH_LENGTH = 64 * 1024;

/** The sum that `tokenChecksum` gives for the whole text. */
function createTokenSum() {
  const sum = createHash('sha256');
  let parts: string[] = [];
  let length = 0;
  function flush(): void {
    sum.update(parts.join(''));
    parts = [];
    length = 0;
  }
  function add(part: string): void {
    parts.push(part);
    length += part.length;
    if (length >= BATCH_LENGTH) flush();
  }
  return {
    addStatement: (text: string) => foldStatement(text, add),
    addRows(rows: Buffer) {
      flush();
      sum.update(rows);
    },
    finish() {
      flush();
      return sum.digest('hex');
    },
  };
}

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
interface Outline {
  /** @param gap what stands between the statement before and this one */
  add(statement: Statement, gap: string): void;
  finish(): string;
}

function createOutline(): Outline {
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
