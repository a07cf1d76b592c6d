import type { Socket } from 'node:net';
import type { Options } from 'postgres';
import { EvdbError } from '../errors.ts';
import { isConnectionLoss } from './connection-error.ts';
import {
  BETWEEN,
  countAnswers,
  makeQuery,
  placeError,
  runCopyIn,
  type Settleable,
} from './driver-query.ts';
import type { ConnectionOptions, HostAddress } from './options.ts';
import type { NoticeListener, OpenSessionOptions, Row, ServerNotice } from './session.ts';
import type { LastWords } from './socket.ts';
import type { MessageReader } from './wire-format.ts';

/** What the server needs to know whose statement is to be cancelled. */
export interface BackendKey {
  pid: number;
  secret: number;
}

/** The result of one statement: its rows, and what else the server said about it. */
export interface StatementResult extends Array<Row> {
  count: number | null;
  command: string | null;
  columns: readonly { name: string; type: number }[];
}

/** A value in the server's text format; an object provides it with `toString`. */
export type EncodedValue = string | null | { toString(): string };

/** The rows of a copy, as in a file, in pieces of any size. */
export type CopyRows = AsyncIterable<Buffer | string> | Iterable<Buffer | string>;

/** One instance of the driver over one socket: it cannot reconnect, queue for others or pipeline. */
export interface Driver {
  readonly isClosed: boolean;
  /** Known once the first answer was read. */
  readonly backendKey: BackendKey | undefined;
  run(text: string): Promise<Row[]>;
  runEach(texts: string[], onAnswer: (index: number) => void): Promise<Row[]>;
  query(text: string, values: EncodedValue[], prepare: boolean): Promise<StatementResult>;
  /** Nothing may be sent behind it before it is done. */
  copyIn(text: string, rows: CopyRows): Promise<void>;
  /**
   * Gives the connection to somebody else, who alone sends and hears from now on. Nothing may be under
   * way, and `handsOver` has to have been set.
   */
  handOver(onLoss: (reason: Error) => void): Line;
  onNotice(listener: NoticeListener): void;
  end(): Promise<void>;
  /** Whether the socket keeps the process alive. */
  keepAlive(keeps: boolean): void;
  /** Rejects what is running and takes nothing more; the socket stays until `destroy`. */
  abandon(): void;
  destroy(): void;
}

/** A connection that was handed over. */
export interface Line {
  readonly isClosed: boolean;
  /** Has heard everything from the first message on. */
  readonly reader: MessageReader;
  send(bytes: Buffer): void;
  /** Why nothing can be sent any more. */
  explainLoss(): EvdbError;
  /** Makes an error of what the server said. */
  toError(fields: Record<string, string>): Error;
  /** Ends a connection whose answers are out of step; `onLoss` is called. */
  fail(cause: Error): void;
}

/**
 * Makes one driver instance over a socket that we opened. The driver asks for a socket again
 * whenever it wants to reconnect; it is refused then, because a reconnected session would go on
 * in autocommit, without our transaction and without our lock.
 */
export async function createDriver(
  options: ConnectionOptions,
  address: HostAddress,
  { onNotice, onClose, signal, parameters, handsOver }: OpenSessionOptions,
): Promise<Driver> {
  const { openSocket, hearLastWords } = await import('./socket.ts');
  const reader = handsOver ? await makeReader() : undefined;
  const opened = bind(openSocket(options, address, signal), options, { signal, parameters });
  const [{ default: postgres }, socket] = await Promise.all([import('postgres'), opened]);
  const connection = watchConnection(socket, onClose, () => {
    if (reader) socket.on('data', reader.read);
    return hearLastWords(socket);
  });
  let backendKey: BackendKey | undefined;
  let hear = onNotice;
  const sql = postgres({
    ...driverOptions(options, address, parameters),
    socket: giveOnce(socket, connection),
    onnotice: (notice: unknown) => hear?.(notice as ServerNotice, connection.running()),
    onclose: () => connection.close(),
  } as unknown as Options<Record<string, never>>);
  const simple = (text: string) => {
    if (connection.isClosed) throw lost(address, connection.lastWords());
    return sql.unsafe(text).simple() as unknown as Settleable<unknown>;
  };
  return {
    get isClosed() {
      return connection.isClosed;
    },
    get backendKey() {
      return backendKey;
    },
    run: async (text) => {
      const results = await connection.orLoss(simple(text), () => text);
      backendKey ??= backendOf(results);
      connection.confirm();
      return lastRows(results);
    },
    runEach: (texts, onAnswer) => sendEach(texts, onAnswer, simple, connection),
    query: (text, values, prepare) => {
      if (connection.isClosed) return Promise.reject(lost(address, connection.lastWords()));
      return connection.orLoss(makeQuery(sql, text, values, prepare));
    },
    copyIn: async (text, rows) => {
      const query = simple(text);
      await runCopyIn(query, () => connection.orLoss(query), rows);
    },
    handOver: (onLoss) => takeLine({ socket, reader, connection, address, postgres }, onLoss),
    onNotice: (listener) => {
      hear = listener;
    },
    end: () => {
      // Once the goodbye is on its way there is nothing to wait for.
      socket.once('finish', () => socket.destroy());
      return sql.end({ timeout: 1 });
    },
    keepAlive: (keeps) => void (keeps ? socket.ref() : socket.unref()),
    abandon: () => connection.close(),
    destroy: () => {
      connection.close();
      socket.destroy();
    },
  };
}

/** Logs in before the driver does, where it could not. */
function bind(
  opened: Promise<Socket>,
  options: ConnectionOptions,
  { signal, parameters }: OpenSessionOptions,
): Promise<Socket> {
  if (options.channelBinding !== 'require') return opened;
  return opened.then(async (socket) => {
    const { logInBound } = await import('./channel-binding.ts');
    const session = sessionParameters(options, parameters);
    return logInBound(socket, { options, parameters: session, signal });
  });
}

async function sendEach(
  texts: string[],
  onAnswer: (index: number) => void,
  simple: (text: string) => Settleable<unknown>,
  connection: ReturnType<typeof watchConnection>,
): Promise<Row[]> {
  const query = simple(texts.join(BETWEEN));
  let answered = 0;
  countAnswers(query, () => onAnswer(answered++));
  try {
    return lastRows(await connection.orLoss(query, () => texts[answered]));
  } catch (error) {
    throw placeError(error as Error, texts, answered);
  }
}

async function makeReader(): Promise<MessageReader> {
  return new (await import('./wire-format.ts')).MessageReader();
}

interface Handed {
  socket: Socket;
  reader: MessageReader | undefined;
  connection: ReturnType<typeof watchConnection>;
  address: HostAddress;
  postgres: { PostgresError: unknown };
}

/** Takes the socket out of the driver's hands. */
function takeLine(
  { socket, reader, connection, address, postgres }: Handed,
  onLoss: (reason: Error) => void,
): Line {
  if (!reader) throw new Error('this connection is not made to be handed over');
  // What its types call a message are all fields.
  const PostgresError = postgres.PostgresError as new (fields: object) => Error;
  socket.removeAllListeners('data');
  connection.listen();
  connection.tellLoss(onLoss);
  return {
    get isClosed() {
      return connection.isClosed;
    },
    reader,
    send: (bytes) => void socket.write(bytes),
    explainLoss: () => lost(address, connection.lastWords()),
    toError: (fields) => new PostgresError(fields),
    fail: connection.fail,
  };
}

function giveOnce(socket: Socket, connection: { isClosed: boolean; listen(): void }): () => Socket {
  let unused: Socket | undefined = socket;
  return () => {
    const taken = unused;
    unused = undefined;
    if (!taken || connection.isClosed) throw connectionClosed();
    connection.listen();
    return taken;
  };
}

/**
 * Sees to it that no query outlives its connection. The driver forgets those that it queued behind
 * the lost one, and those that were sent between the socket's error and its end: they would stay
 * pending for ever, and the process would end as if all were done.
 */
function watchConnection(
  socket: Socket,
  onClose: (() => void) | undefined,
  hear: () => () => LastWords | undefined,
) {
  // Not a set: V8 replaces the table of one that changes with each query, and links the old table to
  // the new one, so that a table which lived long keeps all its successors from being collected.
  const pending: Pick<Settleable<unknown>, 'reject'>[] = [];
  let isClosed = socket.destroyed;
  const markClosed = () => {
    if (isClosed) return;
    isClosed = true;
    onClose?.();
  };
  const close = (reason = connectionClosed()) => {
    markClosed();
    // The driver's own answer to the loss, which may name its reason, comes first.
    setImmediate(() => {
      for (const query of [...pending]) query.reject(reason);
    });
  };
  socket.on('error', close).once('close', () => close());
  let lastWords: () => LastWords | undefined = () => undefined;
  const texts: RunningText[] = [];
  let hasAnswered = false;
  /**
   * Where the driver itself fails, while it writes a message or reads one, nobody knows any more which
   * answer belongs to whom: that is the end of the connection.
   */
  const explain = (error: Error): Error => {
    if (isAnswer(error)) return error;
    if (!hasAnswered || isClosed || isConnectionLoss(error)) return saidBy(error, lastWords());
    return fail(error);
  };
  const fail = (cause: Error): Error => {
    const reason = Object.assign(connectionClosed(), { cause });
    close(reason);
    socket.destroy();
    return reason;
  };
  return {
    /** What the server said before it closed the connection. */
    lastWords: () => lastWords(),
    /** Not before the driver listens too: what comes would be gone. */
    listen: () => {
      lastWords = hear();
    },
    fail,
    tellLoss: (tell: (reason: Error) => void) => {
      pending.push({ reject: (error) => tell(explain(error)) });
    },
    /** The server has answered: what fails from now on is no failure to connect. */
    confirm: () => {
      hasAnswered = true;
    },
    get isClosed() {
      return isClosed;
    },
    close,
    running: () => texts[0]?.(),
    /** @param text kept for as long as the query runs, where it is given */
    orLoss: <T>(query: Settleable<T>, text?: RunningText): Promise<T> => {
      pending.push(query);
      if (text !== undefined) endWith(query, texts, text);
      const { reject } = query;
      query.reject = (error) => reject(explain(error));
      const forget = () => {
        pending.splice(pending.indexOf(query), 1);
      };
      // No asynchronous function around it: this is on the way of every query.
      query.then(forget, forget);
      return query;
    },
  };
}

/** The text of the statement that is under way. */
type RunningText = () => string | undefined;

/** At once and not a tick later, because the driver reads the next answer before that. */
function endWith<T>(query: Settleable<T>, texts: RunningText[], text: RunningText): void {
  texts.push(text);
  const { resolve, reject } = query;
  query.resolve = (value) => {
    texts.shift();
    resolve(value);
  };
  query.reject = (error) => {
    texts.shift();
    reject(error);
  };
}

function isAnswer(error: Error): boolean {
  return 'severity' in error || 'severity_local' in error;
}

/** The reason that the server gave, where it did, in place of the loss that it led to. */
function saidBy(error: Error, words: LastWords | undefined): Error {
  return words ? Object.assign(new Error(words.message, { cause: error }), words) : error;
}

function connectionClosed(): Error {
  return Object.assign(new Error('the server closed the connection'), {
    code: 'CONNECTION_CLOSED',
  });
}

/** Every option is set, because the driver fills each gap from PG* variables of the environment. */
function driverOptions(
  options: ConnectionOptions,
  address: HostAddress,
  parameters: OpenSessionOptions['parameters'],
) {
  const isUnixSocket = address.host.startsWith('/');
  return {
    host: isUnixSocket ? 'localhost' : address.host,
    port: address.port,
    database: options.database,
    username: options.user,
    password: typeof options.password === 'string' ? options.password : '',
    // the socket is handed over with TLS on it
    ssl: false,
    max: 1,
    idle_timeout: 0,
    max_lifetime: 0,
    connect_timeout: 0,
    backoff: false,
    keep_alive: 60,
    // each statement says for itself; `simple` is never prepared
    prepare: true,
    debug: false,
    fetch_types: false,
    publications: 'alltables',
    target_session_attrs: undefined,
    connection: sessionParameters(options, parameters),
  };
}

/** What a session begins with, beside user and database. */
function sessionParameters(
  options: ConnectionOptions,
  parameters: OpenSessionOptions['parameters'],
): Record<string, string> {
  return {
    application_name: options.applicationName,
    ...(options.backendOptions ? { options: options.backendOptions } : {}),
    ...parameters,
  };
}

function backendOf(results: unknown): BackendKey | undefined {
  const list = results as { state?: BackendKey }[] & { state?: BackendKey };
  return list.state ?? list.at(-1)?.state;
}

/** A multi-statement message yields one result for each statement that returned rows. */
function lastRows(results: unknown): Row[] {
  const list = results as Row[] & { command?: string };
  if ('command' in list) return list;
  return (list as unknown as Row[][]).at(-1) ?? [];
}

function lost(address: HostAddress, words: LastWords | undefined): EvdbError {
  const reason = words ? `: ${words.message}` : '';
  return new EvdbError('CONNECTION_LOST', `the connection to ${address.host} is closed${reason}`, {
    hint: 'Run the command again.',
    cause: words && saidBy(connectionClosed(), words),
  });
}
