import { startOfRows } from './copy.ts';
import { type Part, type PartStart, type Statement, splitPart } from './statements.ts';

/** Reads the statements of a script one after the other, however long it is. */
export interface StatementReader {
  /** The next statement; rows of the one before that were not read are passed over. */
  next(): Statement | undefined;
  /** The white space, comments and semicolons before the statement that `next` gave. */
  gap(): string;
  /** Once `next` has given the last one: what stands behind it, and the line where that begins. */
  tail(): { text: string; line: number };
  /**
   * The rows of the copy that `next` gave, once. Its `copyData` is complete when they are read.
   */
  rows(): Generator<Buffer>;
}

/** Longer statements cannot be held in one string together with what is made of them. */
const MAX_STATEMENT_BYTES = 256 * 1024 * 1024;

/** A statement that is longer than `MAX_STATEMENT_BYTES`. */
export class StatementTooLong extends Error {
  /** Of its start, from 1. */
  readonly line: number;

  constructor(line: number) {
    super(`the statement in line ${line} is too long`);
    this.name = 'StatementTooLong';
    this.line = line;
  }
}

/**
 * Parts grow to this; small ones suit copies that follow each other closely. Larger ones are decoded
 * into strings that only a full collection frees: four times as much took 30 MB more at the peak.
 */
const MAX_PART_BYTES = 128 * 1024;
const MIN_PART_BYTES = 8 * 1024;

/**
 * Gives the same statements as `splitStatements` gives for the whole text, and holds no more of it
 * than its longest statement.
 *
 * @param blocks the text in UTF-8; no block ends within a character
 * @throws {StatementTooLong} from `next`
 */
export function createStatementReader(blocks: Iterator<Buffer>): StatementReader {
  const bytes = createByteQueue(blocks);
  const parts = createPartReader(bytes);
  let given = 0;

  function* rows(): Generator<Buffer> {
    const statement = parts.takeCopy();
    if (statement) yield* readRows(bytes, statement, parts);
  }

  return {
    next() {
      while (given === parts.statements().length) {
        for (const _ of rows());
        if (bytes.isUsedUp()) return undefined;
        parts.read();
        given = 0;
      }
      return parts.statements()[given++];
    },
    gap: () => parts.gapBefore(given - 1),
    tail: parts.tail,
    rows,
  };
}

type PartReader = ReturnType<typeof createPartReader>;

/** Splits the script part by part. */
function createPartReader(bytes: ByteQueue) {
  let place: PartStart = { index: 0, offset: 0, line: 1, column: 1 };
  let text = '';
  let base = 0;
  let firstLine = 1;
  let part: Part = { statements: [], next: place, isBeforeRows: false };
  let usual = MIN_PART_BYTES;

  return {
    statements: () => part.statements,
    /** As much as is usual, and more where that holds no whole statement. */
    read() {
      for (let wanted = usual; ; wanted *= 2) {
        if (wanted > 2 * MAX_STATEMENT_BYTES) throw new StatementTooLong(place.line);
        const { bytes: piece, isLast } = bytes.peek(wanted);
        text = piece.toString('utf8');
        base = place.offset;
        firstLine = place.line;
        part = splitPart(text, { ...place, isLast });
        const length = part.next.offset - base;
        if (length === 0 && !isLast) continue;
        const isAll = isLast && !part.isBeforeRows;
        bytes.take(isAll ? piece.length : Buffer.byteLength(text.slice(0, length)));
        place = part.next;
        usual = part.isBeforeRows ? MIN_PART_BYTES : Math.min(usual * 2, MAX_PART_BYTES);
        return;
      }
    },
    /** The copy that the part ends with, once: its rows come next. */
    takeCopy(): Statement | undefined {
      if (!part.isBeforeRows) return undefined;
      part = { ...part, isBeforeRows: false };
      return part.statements.at(-1);
    },
    gapBefore(index: number): string {
      const { start = base } = part.statements[index] ?? {};
      return text.slice((part.statements[index - 1]?.end ?? base) - base, start - base);
    },
    tail() {
      const last = part.statements.at(-1);
      // Behind a copy stand its rows, which were passed over.
      if (last?.copyData) return { text: '', line: place.line };
      const inText = last ? last.end - base : 0;
      return {
        text: text.slice(inText),
        line: firstLine + (text.slice(0, inText).match(/\n/g)?.length ?? 0),
      };
    },
    /** Moves on by what was not split; gives the new offset. */
    skip({ units, lines, column = 1 }: { units: number; lines: number; column?: number }): number {
      place = { ...place, offset: place.offset + units, line: place.line + lines, column };
      return place.offset;
    },
  };
}

function* readRows(bytes: ByteQueue, statement: Statement, parts: PartReader): Generator<Buffer> {
  const { copyData } = statement;
  const rest = bytes.line();
  if (!copyData || startOfRows(rest, 0) < 0) return;
  bytes.take(Buffer.byteLength(rest));
  copyData.start = parts.skip({ units: rest.length, lines: 1 });
  for (const piece of takeRows(bytes)) {
    parts.skip(measure(piece));
    yield piece;
  }
  copyData.end = parts.skip({ units: 0, lines: 0 });
  copyData.terminated = !bytes.isUsedUp();
  if (copyData.terminated) {
    bytes.take(END_MARK.length);
    parts.skip({ units: END_MARK.length, lines: 0, column: 1 + END_MARK.length });
  }
  copyData.resumeAt = copyData.end + (copyData.terminated ? END_MARK.length : 0);
}

const END_MARK = '\\.';
const BREAK_AND_MARK = `\n${END_MARK}`;
const LF = 0x0a;
const CR = 0x0d;
const BACKSLASH = 0x5c;

type ByteQueue = ReturnType<typeof createByteQueue>;

/** Bytes that were read and not used yet. */
function createByteQueue(blocks: Iterator<Buffer>) {
  let pending: Buffer = Buffer.alloc(0);
  let isEnd = false;
  const fill = (length: number) => {
    const parts = [pending];
    for (let total = pending.length; total < length && !isEnd; ) {
      const { done, value } = blocks.next();
      if (done) isEnd = true;
      else {
        parts.push(value);
        total += value.length;
      }
    }
    if (parts.length > 1) {
      pending =
        pending.length === 0 && parts.length === 2 ? (parts[1] as Buffer) : Buffer.concat(parts);
    }
  };
  return {
    fill,
    pending: () => pending,
    isEnd: () => isEnd,
    isUsedUp: () => isEnd && pending.length === 0,
    /** The next bytes, about as many as are wanted and no part of a character; takes nothing. */
    peek(length: number): { bytes: Buffer; isLast: boolean } {
      fill(length);
      let to = Math.min(length, pending.length);
      while (to < pending.length && ((pending[to] as number) & 0xc0) === 0x80) to++;
      return { bytes: pending.subarray(0, to), isLast: isEnd && to === pending.length };
    },
    take(length: number): Buffer {
      const taken = pending.subarray(0, length);
      pending = pending.subarray(taken.length);
      return taken;
    },
    /** Up to the next line break and with it, or to the end of the script; takes nothing. */
    line(): string {
      for (;;) {
        const end = pending.indexOf(LF);
        if (end >= 0 || isEnd) return pending.toString('utf8', 0, end < 0 ? undefined : end + 1);
        fill(pending.length * 2 + 1);
      }
    },
  };
}

/** The rows up to the line `\.`, which is left; up to the end where there is none. */
function* takeRows(bytes: ByteQueue): Generator<Buffer> {
  let isLineStart = true;
  for (;;) {
    // Enough to tell an end mark; more would be copied together.
    bytes.fill(END_MARK.length + 2);
    const pending = bytes.pending();
    if (isLineStart && isEndMark(pending, 0)) return;
    const end = findEndOfRows(pending, bytes.isEnd());
    const rows = bytes.take(end);
    if (rows.length > 0) yield rows;
    isLineStart = rows.at(-1) === LF;
    if (bytes.isUsedUp()) return;
  }
}

/** How many bytes are rows for certain. */
function findEndOfRows(pending: Buffer, isEnd: boolean): number {
  let at = pending.indexOf(BREAK_AND_MARK);
  while (at >= 0) {
    const mayGoOn = !isEnd && at + 5 > pending.length;
    if (mayGoOn || isEndMark(pending, at + 1)) return at + 1;
    at = pending.indexOf(BREAK_AND_MARK, at + 1);
  }
  // The mark may be cut in two.
  const isCut = !isEnd && pending.at(-1) === BACKSLASH && pending.at(-2) === LF;
  return isCut ? pending.length - 1 : pending.length;
}

function isEndMark(bytes: Buffer, at: number): boolean {
  if (bytes[at] !== BACKSLASH || bytes[at + 1] !== 0x2e) return false;
  const next = bytes[at + 2];
  if (next === undefined || next === LF) return true;
  return next === CR && (bytes[at + 3] === undefined || bytes[at + 3] === LF);
}

/** Length in UTF-16 units and line breaks of bytes that may begin or end within a character. */
export function measure(bytes: Buffer): { units: number; lines: number } {
  if (bytes.length < 16) return measureBytes(bytes);
  const head = (4 - (bytes.byteOffset % 4)) % 4;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + head, (bytes.length - head) >> 2);
  const { units, lines } = measureWords(words);
  const ends = [bytes.subarray(0, head), bytes.subarray(head + 4 * words.length)].map(measureBytes);
  return {
    units: ends.reduce((sum, end) => sum + end.units, units),
    lines: ends.reduce((sum, end) => sum + end.lines, lines),
  };
}

/** Four bytes at once: half a gigabyte byte by byte takes seconds. */
function measureWords(words: Uint32Array): { units: number; lines: number } {
  let units = 4 * words.length;
  let lines = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    const other = word ^ 0x0a0a0a0a;
    // The top bit of each byte that is zero, which is where a line break was.
    const breaks = ~(((other & 0x7f7f7f7f) + 0x7f7f7f7f) | other | 0x7f7f7f7f);
    if (breaks !== 0) lines += sumOfBytes((breaks >>> 7) & 0x01010101);
    if ((word & 0x80808080) === 0) continue;
    const top = (word >>> 7) & 0x01010101;
    const second = (word >>> 6) & 0x01010101;
    units -= sumOfBytes(top & ~second);
    units += sumOfBytes(top & second & (word >>> 5) & (word >>> 4));
  }
  return { units, lines };
}

function sumOfBytes(word: number): number {
  return Math.imul(word, 0x01010101) >>> 24;
}

function measureBytes(bytes: Buffer): { units: number; lines: number } {
  let units = bytes.length;
  let lines = 0;
  for (const byte of bytes) {
    if (byte === LF) lines++;
    // Continuations add nothing, and a lead of four bytes stands for two units.
    else if (byte >= 0x80 && byte < 0xc0) units--;
    else if (byte >= 0xf0) units++;
  }
  return { units, lines };
}
