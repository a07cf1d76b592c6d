/**
 * Queries of the driver, each settled in its own way: those of the extended protocol, whose parameters
 * go along at once, and `copy … from stdin`, which is answered twice.
 */

import { Writable } from 'node:stream';
import type { Sql } from 'postgres';
import { codeOf } from './connection-error.ts';
import type { CopyRows, EncodedValue, StatementResult } from './driver.ts';

/** A query of the driver, which can be settled from outside. */
export type Settleable<T> = Promise<T> & { reject(error: Error): void; resolve(value: T): void };

/**
 * Tells of each statement of a simple-protocol message that is done. The driver asks a query whether it
 * is simple when it sends it, and again at the end of each statement's answer.
 */
export function countAnswers(query: Settleable<unknown>, onAnswer: () => void): void {
  const { options } = query as unknown as { options: object };
  let isSent = false;
  Object.defineProperty(options, 'simple', {
    get: () => {
      if (isSent) onAnswer();
      isSent = true;
      return true;
    },
  });
}

/**
 * Says in which of the statements of one message an error is: where it has a position in that one,
 * which is then counted from its own start, else in the first that is not answered.
 */
export function placeError(error: Error, texts: string[], answered: number): FailedStatement {
  const { position } = error as { position?: string };
  if (position === undefined) return Object.assign(error, { failedAt: answered });
  let left = Number(position);
  let failedAt = 0;
  for (const text of texts.slice(0, -1)) {
    const length = countCodePoints(text) + BETWEEN.length;
    if (left <= length) break;
    left -= length;
    failedAt++;
  }
  return Object.assign(error, { failedAt, position: String(left) });
}

/** An error of a message that holds several statements. */
export interface FailedStatement extends Error {
  /** From 0. */
  failedAt: number;
}

/** Stands between the statements of one message. */
export const BETWEEN = ';\n';

function countCodePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** So many parameters the driver takes; the protocol counts to 65,535. */
const MOST_OF_DRIVER = 65_533;

/**
 * A statement for the extended protocol. Given parameters in the usual way, the driver has the server
 * describe a statement that is not prepared, waits, and only then sends the values. It takes them as
 * they are, all in one message, where they are there already; only a value that is written in one of
 * two ways has to wait for its type.
 */
export function makeQuery(
  sql: Sql,
  text: string,
  values: EncodedValue[],
  prepare: boolean,
): Settleable<StatementResult> {
  const waits = values.some(isTyped);
  const options = { prepare, simple: false } as object;
  const query = sql.unsafe(text, (waits ? values : []) as string[], options) as unknown as Sendable;
  query.parameters = values.length > MOST_OF_DRIVER ? manyParameters(values) : values;
  return prepare ? withLastError(query) : query;
}

type Sendable = Settleable<StatementResult> & { parameters: unknown; wasVoid?: Error };

/**
 * Where a statement was void, the driver prepares it again, and where it fails then, tells why it was
 * void and not why it failed. It finds nothing to tell here, and goes on to the other error. Inside of a
 * transaction nothing can be tried again, and why it was void is all there is.
 */
function withLastError(query: Sendable): Sendable {
  const { reject } = query;
  query.reject = (error) =>
    reject(codeOf(error) === IN_FAILED_TRANSACTION ? (query.wasVoid ?? error) : error);
  return Object.defineProperty(query, 'retried', RETRIED);
}

const IN_FAILED_TRANSACTION = '25P02';

const RETRIED = {
  get: () => undefined,
  set(this: Sendable, error: Error) {
    this.wasVoid = error;
  },
};

function isTyped(value: EncodedValue): boolean {
  return typeof value === 'object' && value !== null;
}

/** The driver asks once whether there are too many of them, before it asks how many to write. */
function manyParameters(values: EncodedValue[]) {
  let isCounted = false;
  return {
    get length() {
      const length = isCounted ? values.length : 0;
      isCounted = true;
      return length;
    },
    forEach: values.forEach.bind(values),
  };
}

/**
 * Feeds the rows to a `copy … from stdin`.
 *
 * The driver settles such a query with a stream when the server asks for rows, and once more, heard
 * by nobody, when the server has the last word: so an error behind the last row would be lost, and
 * the stream would never end. Here the second word counts, and the stream is only a place to write.
 *
 * @param query not sent yet; nothing may be sent behind it before it is done
 * @param start sends the query, and settles as it does
 * @param rows bytes or text in pieces of any size; where they throw, the copy fails on the server
 *   too, and what they threw is thrown
 */
export async function runCopyIn(
  query: Settleable<unknown>,
  start: () => Promise<unknown>,
  rows: CopyRows,
): Promise<void> {
  const settle = query.resolve;
  let open: (stream: Writable | undefined) => void = () => undefined;
  const opened = new Promise<Writable | undefined>((resolve) => {
    open = resolve;
  });
  query.resolve = (value) => {
    if (value instanceof Writable) open(value);
    else settle(value);
  };
  const done = start();
  const pump: Pump = { isOver: false, wake: () => undefined };
  const stop = () => {
    pump.isOver = true;
    pump.wake();
    open(undefined);
  };
  done.then(stop, stop);
  const stream = await opened;
  if (stream) await feed(stream, rows, pump, done);
  await done;
}

interface Pump {
  /** Whether the server has answered: it takes no more rows. */
  isOver: boolean;
  /** Ends the wait for a piece to be on its way. */
  wake: () => void;
}

async function feed(
  stream: Writable,
  rows: CopyRows,
  pump: Pump,
  done: Promise<unknown>,
): Promise<void> {
  // The driver destroys the stream with the error that `done` tells.
  stream.on('error', () => undefined);
  try {
    // One piece is read while the one before is still on its way.
    let before = Promise.resolve();
    let wake: () => void = () => undefined;
    for await (const piece of rows) {
      if (pump.isOver) return;
      pump.wake = wake;
      const sent = new Promise<void>((resolve) => {
        wake = resolve;
        stream.write(piece, () => resolve());
      });
      await before;
      before = sent;
    }
  } catch (error) {
    stream.destroy(new Error('the rows ended early'));
    await done.catch(() => undefined);
    throw error;
  }
  if (!pump.isOver) stream.end();
}
