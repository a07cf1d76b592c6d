import { createHash } from 'node:crypto';
import { EvdbError } from '../../errors.ts';
import { createStatementReader } from '../../sql/statement-reader.ts';
import type { Statement } from '../../sql/statements.ts';
import { readLargeChecksum, readNormalised } from './checksum.ts';
import { hashed, type LargeFile } from './scan.ts';
import type { Script } from './source.ts';

/** What is sent before an answer is waited for. */
interface Batch {
  statements: Statement[];
  /** Of the last statement, where that is a copy: behind it nothing may be sent. */
  rows?: Iterable<Buffer>;
  /** Whether more may be sent along, because nothing of the script follows. */
  isLast: boolean;
}

/** So many statements are sent before an answer is waited for, and so much of a large file. */
const PIPELINE_DEPTH = 64;
const PIPELINE_LENGTH = 1024 * 1024;

/**
 * The statements of a script in the order and the company in which they are sent.
 *
 * @throws {EvdbError} FILE_CHANGED behind the last one, where a large file is not what was checked
 */
export function batchesOf(step: { script: Script; statements: Statement[] }): Iterable<Batch> {
  const { script, statements } = step;
  return script.large ? readBatches(script, script.large) : sliceBatches(script.text, statements);
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

function* readBatches(script: Script, { filePath }: LargeFile): Generator<Batch> {
  const sum = createHash('sha256');
  const reader = createStatementReader(hashed(readNormalised(filePath), sum));
  let statements: Statement[] = [];
  let length = 0;
  for (let next = reader.next(); next; next = reader.next()) {
    statements.push(next);
    length += next.text.length;
    const isFull = statements.length === PIPELINE_DEPTH || length >= PIPELINE_LENGTH;
    if (!isFull && next.copyData === null) continue;
    yield { statements, ...(next.copyData && { rows: reader.rows() }), isLast: false };
    statements = [];
    length = 0;
  }
  if (sum.digest('hex') !== script.checksum) throw fileChanged(script);
  yield { statements, isLast: true };
}

/** A file that is written to while it runs fails in any way; this tells the true one. */
export function unlessChanged(error: unknown, { script }: { script: Script }): unknown {
  return script.large && isChanged(script, script.large) ? fileChanged(script, error) : error;
}

function isChanged({ checksum }: Script, { filePath }: LargeFile): boolean {
  try {
    return readLargeChecksum(filePath) !== checksum;
  } catch {
    return true;
  }
}

function fileChanged({ path }: Script, cause?: unknown): EvdbError {
  return new EvdbError('FILE_CHANGED', `${path} was changed while it ran`, {
    hint: 'Nothing of it stays. Run the command again when nobody writes to the file.',
    cause,
    details: { file: path },
  });
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
