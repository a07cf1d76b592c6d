/**
 * A session for who sends one statement after the other: the driver opens it and logs in, and from then
 * on its socket belongs to a channel, which sends a statement in one piece and one round trip.
 */

import { randomBytes } from 'node:crypto';
import { EvdbError } from '../errors.ts';
import type { Driver, EncodedValue, Line } from './driver.ts';
import type { ConnectionOptions } from './options.ts';
import {
  closeDriver,
  type OpenSessionOptions,
  openDriver,
  type Session,
  type SessionFacts,
} from './session.ts';
import {
  type Column,
  MessageWriter,
  type ReadValue,
  RowShape,
  readServerError,
  readTag,
  readTypes,
  type Tag,
  type WriteValue,
} from './wire-format.ts';

/** Reads and writes values by the oid of their type. */
export interface Codec {
  /** What is of another type is a text. */
  readers: ReadonlyMap<number, ReadValue>;
  /** Writes a value that is no text yet, because the type decides what it is. */
  write: WriteValue;
}

/** The result of one statement. */
export interface StatementAnswer {
  rows: Record<string, unknown>[];
  /** Rows that were returned or changed; 0 for statements that do neither. */
  rowCount: number;
  /** The server's word for the statement, such as `SELECT`; empty where there was none. */
  command: string;
  fields: readonly Column[];
}

/** What is remembered of a text from one run of it to the next, on any connection. */
export interface TextMemory {
  /** What its rows looked like last. */
  shape?: RowShape | undefined;
}

/** One separate connection. A session that lost its socket stays lost: it never reconnects. */
export interface StatementSession
  extends Pick<Session, 'facts' | 'options' | 'isClosed' | 'close' | 'keepAlive'> {
  readonly facts: SessionFacts;
  readonly options: ConnectionOptions;
  readonly channel: StatementChannel;
}

/**
 * Opens one.
 *
 * @throws {EvdbError} as `openSession`
 */
export async function openStatementSession(
  given: Partial<ConnectionOptions>,
  opening: OpenSessionOptions,
  codec: Codec,
): Promise<StatementSession> {
  // Nothing may be under way when the socket is handed over.
  const opened = await openDriver(given, { ...opening, handsOver: true, keepsTimeLimits: true });
  const { driver, facts, options } = opened;
  return {
    facts,
    options,
    channel: new StatementChannel(driver, codec),
    get isClosed() {
      return driver.isClosed;
    },
    close: closeDriver(opened),
    keepAlive: driver.keepAlive,
  };
}

/** Statements that one connection keeps prepared; the server holds memory for each. */
const MAX_PREPARED = 250;

/** A statement that the server keeps under a name. */
interface Prepared {
  name: string;
  /** What the server expects of parameters. */
  types: readonly number[];
  shape: RowShape;
  /** What runs it, where it has no parameters. */
  message: Buffer | undefined;
}

const NO_VALUES: readonly EncodedValue[] = [];
const NO_TYPES: readonly number[] = [];
const NO_TAG: Tag = { command: '', count: undefined };
const NO_ROWS = new RowShape(Buffer.from([0x54, 0, 0, 0, 6, 0, 0]), new Map());

/** One message on its way, and what came of it so far. */
class Exchange {
  readonly text: string;
  readonly values: readonly EncodedValue[];
  readonly prepare: boolean;
  /** Undefined for a text of any number of statements, whose rows nobody reads. */
  readonly memory: TextMemory | undefined;
  readonly resolve: (answer: StatementAnswer) => void;
  readonly reject: (error: unknown) => void;
  /** What it runs by, where that was prepared before. */
  prepared: Prepared | undefined = undefined;
  /** What it is prepared as; empty for one use. */
  name = '';
  types = NO_TYPES;
  /** Whether the values are not sent yet, because the types decide how they are written. */
  isDescribing = false;
  /** Whether the server has taken the values, and works. */
  hasBegun = false;
  shape = NO_ROWS;
  rows: Record<string, unknown>[] | undefined = undefined;
  tag = NO_TAG;
  error: Record<string, string> | undefined = undefined;

  constructor(
    text: string,
    values: readonly EncodedValue[],
    prepare: boolean,
    memory: TextMemory | undefined,
    resolve: (answer: StatementAnswer) => void,
    reject: (error: unknown) => void,
  ) {
    this.text = text;
    this.values = values;
    this.prepare = prepare;
    this.memory = memory;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** Where the server says that a prepared statement is void, before it has begun with it. */
const VOID_ROUTINES = new Set([
  'FetchPreparedStatement',
  'RevalidateCachedQuery',
  'transformAssignedExpr',
]);

/** All messages are written by it: none is half written when another one begins. */
const WRITER = new MessageWriter();

const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);

/** In the message that ends an answer: no transaction is open, and one that is open has failed. */
const IDLE = 0x49;
const FAILED = 0x45;

/**
 * Sends statements one after the other, each when the one before is answered: so no answer can be taken
 * for another's, whatever fails, and a prepared statement that is void can be prepared again.
 */
export class StatementChannel {
  /** By its text. */
  readonly #prepared = new Map<string, Prepared>();
  /** Names of void statements, which the server may forget. */
  readonly #void: string[] = [];
  readonly #line: Line;
  readonly #codec: Codec;
  readonly #waiting: Exchange[] = [];
  #current: Exchange | undefined;
  #state = IDLE;
  /** The last one; the next is often the same. */
  #tag = NO_TAG;
  // Behind a pooler that keeps them to itself a name must not be another client's.
  readonly #prefix = `evdb_${randomBytes(6).toString('hex')}_`;
  #names = 0;

  constructor(driver: Driver, codec: Codec) {
    this.#codec = codec;
    this.#line = driver.handOver((reason) => this.#lose(reason));
    this.#line.reader.onMessage = (bytes, at, end) => this.#hear(bytes, at, end);
    this.#line.reader.onFailure = (cause) => this.#fail(cause);
  }

  /**
   * Runs one statement with parameters. Where a prepared one is void by now it is prepared again, but
   * inside of a transaction, which has failed with it.
   */
  query(
    text: string,
    values: readonly EncodedValue[],
    prepare: boolean,
    memory: TextMemory,
  ): Promise<StatementAnswer> {
    return new Promise((resolve, reject) =>
      this.#add(new Exchange(text, values, prepare, memory, resolve, reject)),
    );
  }

  /** Whether a transaction was open behind the last answer. */
  get isInTransaction(): boolean {
    return this.#state !== IDLE;
  }

  /** Runs text without parameters, several statements at will, and gives the last one's tag. */
  async run(text: string): Promise<string> {
    const { command } = await new Promise<StatementAnswer>((resolve, reject) =>
      this.#add(new Exchange(text, NO_VALUES, false, undefined, resolve, reject)),
    );
    return command;
  }

  #add(exchange: Exchange): void {
    if (this.#line.isClosed) exchange.reject(this.#line.explainLoss());
    else if (this.#current) this.#waiting.push(exchange);
    else this.#send(exchange);
  }

  #send(exchange: Exchange): void {
    this.#current = exchange;
    try {
      this.#line.send(this.#write(exchange));
    } catch (error) {
      // Nothing of it was sent.
      WRITER.drop();
      exchange.reject(error);
      this.#next();
    }
  }

  #next(): void {
    this.#current = undefined;
    const next = this.#waiting.shift();
    if (next) this.#send(next);
  }

  #write(exchange: Exchange): Buffer {
    const { text, values, memory } = exchange;
    if (!memory) return WRITER.query(text).take();
    const prepared = exchange.prepare ? this.#prepared.get(text) : undefined;
    if (prepared) {
      exchange.prepared = prepared;
      exchange.shape = prepared.shape;
      exchange.types = prepared.types;
      if (values.length > 0) return this.#bind(exchange, prepared.name).execute().take();
      prepared.message ??= this.#bind(exchange, prepared.name).execute().take();
      return prepared.message;
    }
    const isNew = exchange.prepare && this.#prepared.size < MAX_PREPARED;
    if (isNew) exchange.name = this.#newName();
    WRITER.parse(exchange.name, text, values.length);
    if (values.some(isTyped)) {
      exchange.isDescribing = true;
      return WRITER.describeStatement(exchange.name).flush().take();
    }
    if (isNew) {
      WRITER.describeStatement(exchange.name);
      return this.#bind(exchange, exchange.name).execute().take();
    }
    return this.#bind(exchange, '').describePortal().execute().take();
  }

  #bind({ values, types }: Exchange, name: string): MessageWriter {
    return WRITER.bind(name, values, types, this.#codec.write);
  }

  #newName(): string {
    for (const name of this.#void.splice(0)) WRITER.closeStatement(name);
    this.#names += 1;
    return this.#prefix + this.#names;
  }

  #hear(bytes: Buffer, at: number, end: number): void {
    const letter = bytes[at] ?? 0;
    const exchange = this.#current;
    if (!exchange) {
      // What the server says last is heard elsewhere.
      if (letter === 0x45 || BESIDE.has(letter)) return;
      throw outOfStep(letter);
    }
    switch (letter) {
      case 0x44: // DataRow
        if (exchange.memory) addRow(exchange, exchange.shape.readRow(bytes, at, end));
        return;
      case 0x43: // CommandComplete
        this.#tag = readTag(bytes, at, end, this.#tag);
        exchange.tag = this.#tag;
        return;
      case 0x5a: // ReadyForQuery
        this.#state = bytes[end - 1] ?? IDLE;
        this.#finish(exchange, this.#state === FAILED);
        return;
      case 0x32: // BindComplete
        exchange.hasBegun = true;
        return;
      case 0x74: // ParameterDescription
        exchange.types = readTypes(bytes, at);
        return;
      case 0x54: // RowDescription
      case 0x6e: // NoData
        if (exchange.memory) this.#describe(exchange, bytes, at, end);
        return;
      case 0x45: // ErrorResponse
        exchange.error ??= readServerError(bytes, at, end);
        // The server skips all that comes before it.
        if (exchange.isDescribing) this.#line.send(SYNC);
        return;
      case 0x47: // CopyInResponse
      case 0x48: // CopyOutResponse
      case 0x57: // CopyBothResponse
        this.#refuseCopy(exchange);
        return;
      default:
        if (!BESIDE.has(letter)) throw outOfStep(letter);
    }
  }

  #describe(exchange: Exchange, bytes: Buffer, at: number, end: number): void {
    const { text, memory, name, types } = exchange;
    let shape = bytes[at] === 0x54 ? memory?.shape : NO_ROWS;
    if (!shape || (shape !== NO_ROWS && !shape.is(bytes, at, end))) {
      shape = new RowShape(Buffer.from(bytes.subarray(at, end)), this.#codec.readers);
      if (memory) memory.shape = shape;
    }
    exchange.shape = shape;
    if (name !== '') this.#prepared.set(text, { name, types, shape, message: undefined });
    if (!exchange.isDescribing) return;
    exchange.isDescribing = false;
    this.#line.send(this.#bind(exchange, name).execute().take());
  }

  #finish(exchange: Exchange, hasFailed: boolean): void {
    const { text, values, memory, prepared, error, resolve, reject } = exchange;
    if (error && prepared && !exchange.hasBegun && VOID_ROUTINES.has(error.routine ?? '')) {
      this.#prepared.delete(text);
      this.#void.push(prepared.name);
      // In a transaction that failed nothing can be tried again.
      if (!hasFailed) {
        this.#send(new Exchange(text, values, true, memory, resolve, reject));
        return;
      }
    }
    if (error) reject(this.#line.toError(error));
    else resolve(answerOf(exchange));
    this.#next();
  }

  /** The server waits for rows, or sends some, that nobody gives or takes: this is the end of the line. */
  #refuseCopy(exchange: Exchange): void {
    this.#line.reader.onMessage = () => undefined;
    exchange.reject(copyUnsupported());
  }

  /** Nobody knows any more which answer belongs to whom. */
  #fail(cause: Error): void {
    this.#line.reader.onMessage = () => undefined;
    this.#line.fail(cause);
  }

  #lose(reason: Error): void {
    this.#line.reader.onMessage = () => undefined;
    const lost = [this.#current, ...this.#waiting.splice(0)];
    this.#current = undefined;
    for (const exchange of lost) exchange?.reject(reason);
  }
}

function addRow(exchange: Exchange, row: Record<string, unknown>): void {
  // An empty array would make room for many.
  if (exchange.rows) exchange.rows.push(row);
  else exchange.rows = [row];
}

function answerOf({ rows = [], tag, shape }: Exchange): StatementAnswer {
  const { command, count } = tag;
  return { rows, rowCount: count ?? rows.length, command, fields: shape.fields };
}

/** What may come at any time: notices, settings, notifications; and what only says that all is well. */
const BESIDE = new Set([0x4e, 0x53, 0x41, 0x31, 0x33, 0x49]);

function isTyped(value: EncodedValue): boolean {
  return typeof value === 'object' && value !== null;
}

function outOfStep(letter: number): Error {
  const name = String.fromCharCode(letter);
  return new Error(`the server sent a message of kind ${name} that belongs to no statement`);
}

export function copyUnsupported(): EvdbError {
  return new EvdbError('COPY_UNSUPPORTED', 'the pool does not copy from stdin or to stdout', {
    hint: 'Use `insert … select from unnest($1::int[], …)`, or a copy on the server.',
  });
}
