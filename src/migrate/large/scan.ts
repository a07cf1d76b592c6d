import { createHash } from 'node:crypto';
import { EvdbError } from '../../errors.ts';
import { foldStatement } from '../../sql/lexical.ts';
import { createStatementReader, StatementTooLong } from '../../sql/statement-reader.ts';
import type { Statement } from '../../sql/statements.ts';
import { displayPath } from '../display-path.ts';
import { countsForTokens } from '../token-checksum.ts';
import { readNormalised } from './normalised-bytes.ts';
import { createOutline } from './outline.ts';

/** What is known of a file that is too large to be held in memory. */
export interface LargeFile {
  filePath: string;
  statementsTotal: number;
  tokenChecksum: string;
}

export interface LargeScan {
  checksum: string;
  /** What stands for the text, see `createOutline`. */
  outline: string;
  file: LargeFile;
}

/**
 * Refuses what must not stand in a text around a statement.
 *
 * @param part the line of the file that the text begins in, and whether a statement stands before it
 */
export type RefuseText = (text: string, part: { firstLine: number; isBehind: boolean }) => void;

/** So many statements or pieces of rows are read before somebody else gets a turn. */
const TURN = 500;

/**
 * Reads a large file once, from its start to its end.
 *
 * @returns a generator that yields now and then, so that the caller can look around
 * @param refuse sees every text that holds a comment
 * @throws {EvdbError} FILE_UNREADABLE, NOT_UTF8, NUL_BYTE, SCRIPT_TOO_LONG, and what `refuse` throws
 */
export function* scanLargeFile(path: string, refuse: RefuseText): Generator<void, LargeScan> {
  const sum = createHash('sha256');
  const tokens = createTokenSum();
  const outline = createOutline();
  const reader = createStatementReader(hashed(readNormalised(path), sum));
  let statementsTotal = 0;
  for (let done = 0; ; done++) {
    if (done % TURN === 0) yield;
    const statement = refuseTooLong(path, reader.next);
    if (!statement) break;
    const gap = reader.gap();
    refuseAround(gap, statement, { refuse, isBehind: statementsTotal > 0 });
    statementsTotal++;
    if (countsForTokens(statement)) tokens.addStatement(statement.text);
    if (statement.copyData) {
      for (const rows of reader.rows()) {
        tokens.addRows(rows);
        if (++done % TURN === 0) yield;
      }
    }
    outline.add(statement, gap);
  }
  const tail = reader.tail();
  if (COMMENT.test(tail.text)) {
    refuse(tail.text, { firstLine: tail.line, isBehind: statementsTotal > 0 });
  }
  return {
    checksum: sum.digest('hex'),
    outline: outline.finish(),
    file: { filePath: path, statementsTotal, tokenChecksum: tokens.finish() },
  };
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
export function* hashed(
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
