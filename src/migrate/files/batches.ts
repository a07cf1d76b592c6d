import type { Statement } from '../../sql/statements.ts';
import { type VariableValues, withValuesIn } from '../../sql/variables.ts';
import { createPrint, isSameFile, readNormalised } from './checksum.ts';
import { fileChanged } from './file-errors.ts';
import { createSummedReader, type LargeFile } from './scan.ts';
import type { Script } from './source.ts';

/** What is sent before an answer to the batch before is waited for. */
interface Batch {
  statements: Statement[];
  /** Of the last statement, where that is a copy: behind it nothing may be sent. */
  rows?: Iterable<Buffer>;
  /** Whether more may be sent along, because nothing of the script follows. */
  isLast: boolean;
}

/** So many statements make a batch, and so much of a large file; two batches are under way at once. */
const PIPELINE_DEPTH = 64;
const PIPELINE_LENGTH = 256 * 1024;

/**
 * The statements of a script in the order and the company in which they are sent.
 *
 * @throws {EvdbError} FILE_CHANGED behind the last one, where a large file is not what was checked
 */
export function batchesOf(step: { script: Script; statements: Statement[] }): Iterable<Batch> {
  const { script, statements } = step;
  return script.large
    ? readBatches(script.large, script.values)
    : sliceBatches(script.text, statements);
}

function* sliceBatches(text: string, statements: Statement[]): Generator<Batch> {
  for (let from = 0; from < statements.length; ) {
    const next = statements.slice(from, from + PIPELINE_DEPTH);
    const copy = next.findIndex(({ copyData }) => copyData !== null);
    const batch = copy < 0 ? next : next.slice(0, copy + 1);
    const { copyData } = batch.at(-1) ?? {};
    from += batch.length;
    if (copyData) yield { statements: batch, rows: sliceRows(text, copyData), isLast: false };
    else yield { statements: batch, isLast: from === statements.length };
  }
}

function* readBatches(
  { filePath, print, sums }: LargeFile,
  values: VariableValues = {},
): Generator<Batch> {
  const again = createPrint();
  const reader = createSummedReader(filePath, again);
  let statements: Statement[] = [];
  let length = 0;
  for (let next = reader.next(); next; next = reader.next()) {
    statements.push(withValuesIn(next, values));
    length += next.text.length;
    const isFull = statements.length === PIPELINE_DEPTH || length >= PIPELINE_LENGTH;
    if (!isFull && next.copyData === null) continue;
    yield { statements, ...(next.copyData && { rows: reader.rows() }), isLast: false };
    statements = [];
    length = 0;
  }
  if (!isSameFile(print, again)) throw fileChanged(filePath);
  sums.settle(reader.finish());
  yield { statements, isLast: true };
}

/** A file that is written to while it runs fails in any way; this tells the true one. */
export function unlessChanged(error: unknown, { script }: { script: Script }): unknown {
  const { large } = script;
  return large && isChanged(large) ? fileChanged(large.filePath, error) : error;
}

function isChanged({ filePath, print }: LargeFile): boolean {
  const again = createPrint();
  try {
    for (const _ of readNormalised(filePath, again));
  } catch {
    return true;
  }
  return !isSameFile(print, again);
}

/** In UTF-16 units: enough that the number of messages does not count. */
const PIECE_LENGTH = 64 * 1024;

/** The rows of a copy as they stand in a text, in pieces that cut no character in two. */
export function* sliceRows(
  text: string,
  { start, end }: { start: number; end: number },
): Generator<Buffer> {
  for (let from = start; from < end; ) {
    let to = Math.min(from + PIECE_LENGTH, end);
    if (to < end && isLeadSurrogate(text.charCodeAt(to - 1))) to--;
    yield Buffer.from(text.slice(from, to));
    from = to;
  }
}

function isLeadSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
