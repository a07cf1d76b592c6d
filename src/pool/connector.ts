import { setMaxListeners } from 'node:events';
import { parse as parseArray } from 'postgres-array';
import postgresDate from 'postgres-date';
import { codeOf } from '../connection/connection-error.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { backOffMs } from '../connection/retry.ts';
import { type Codec, openSession, type Session } from '../connection/session.ts';
import { EvdbError, type EvdbErrorCode } from '../errors.ts';
import type { PoolSettings } from './options.ts';
import { TypedValue } from './parameters.ts';
import { Slot } from './pooled-connection.ts';

/** Waiting does not mend these: whoever waits is told at once. */
const LASTING: ReadonlySet<EvdbErrorCode> = new Set<EvdbErrorCode>([
  'AUTHENTICATION_FAILED',
  'CONFIG_INVALID',
  'DATABASE_MISSING',
  'EMBEDDED_UNAVAILABLE',
  'NOT_CONFIGURED',
  'PERMISSION_DENIED',
  'SERVER_UNSUPPORTED',
  'TLS_FAILED',
]);

/** What is told of attempts to connect; nothing here may throw. */
export interface ConnectorReports {
  connected(slot: Slot, durationMs: number): void;
  connectFailed(error: EvdbError): void;
}

interface ConnectorOptions {
  settings: PoolSettings;
  /** Asked for each connection. */
  resolveConnection: () => Promise<ConnectionOptions>;
  reports: ConnectorReports;
  onOpen: (slot: Slot) => void;
  onClose: (slot: Slot) => void;
  onLastingFailure: (makeError: () => EvdbError) => void;
  /** The time for the next attempt has come. */
  onRetry: () => void;
}

/** Opens connections, and holds back while the server cannot be reached. */
export class Connector {
  readonly #options: ConnectorOptions;
  /** Each resolves to why it failed, if it did. */
  readonly #attempts = new Set<Promise<EvdbError | undefined>>();
  #failures = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  readonly #stopping = unlimitedController();
  /** Why the last attempt failed; undefined when it succeeded. */
  lastError: EvdbError | undefined;

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  /** Opens so many connections; after a failure only one, which tells whether the server is back. */
  open(wanted: number): void {
    if (this.#retryTimer || this.#stopping.signal.aborted) return;
    const count = this.#failures > 0 ? Math.min(wanted, 1 - this.opening) : wanted;
    for (let i = 0; i < count; i++) void this.#start();
  }

  /**
   * Resolves when the next connection is open: one that is being opened, or one that is opened now,
   * whatever failed before.
   *
   * @throws {EvdbError} as `openSession`
   */
  async connect(): Promise<void> {
    this.#stopping.signal.throwIfAborted();
    const [underWay] = this.#attempts;
    const error = await (underWay ?? this.#start());
    if (error) throw error;
  }

  /** Opens nothing from now on, gives up what is being opened, and resolves when that is done. */
  async stop(): Promise<void> {
    this.#stopping.abort(poolClosed());
    clearTimeout(this.#retryTimer);
    await Promise.all(this.#attempts);
  }

  /** Attempts under way. */
  get opening(): number {
    return this.#attempts.size;
  }

  #start(): Promise<EvdbError | undefined> {
    const attempt = this.#attempt(() => this.#attempts.delete(attempt));
    this.#attempts.add(attempt);
    return attempt;
  }

  async #attempt(onEnd: () => void): Promise<EvdbError | undefined> {
    const { settings, resolveConnection, reports, onClose, onOpen } = this.#options;
    const startedAt = performance.now();
    let slot: Slot;
    try {
      const connection = await resolveConnection();
      const { signal } = this.#stopping;
      slot = await openSlot({ connection, settings, onClose, signal });
    } catch (error) {
      onEnd();
      return this.#fail(error);
    }
    onEnd();
    this.#failures = 0;
    this.lastError = undefined;
    reports.connected(slot, performance.now() - startedAt);
    onOpen(slot);
    return undefined;
  }

  #fail(cause: unknown): EvdbError {
    const error = cause instanceof EvdbError ? cause : unexpected(cause);
    if (this.#stopping.signal.aborted) return error;
    this.#failures += 1;
    this.lastError = error;
    this.#options.reports.connectFailed(error);
    if (LASTING.has(error.code)) this.#options.onLastingFailure(() => sameError(error));
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#options.onRetry();
    }, backOffMs(this.#failures));
    // Whoever waits keeps the process alive with a timer of his own.
    this.#retryTimer.unref();
    return error;
  }
}

/** Everyone gets an error of his own: what one adds to it is not seen by the others. */
function sameError({ code, message, hint, details, cause }: EvdbError): EvdbError {
  return new EvdbError(code, message, { hint, details, cause });
}

/** Each attempt listens to it, and there may be many: Node would take that for a leak. */
function unlimitedController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

export function poolClosed(): EvdbError {
  return new EvdbError('POOL_CLOSED', 'the pool is closed', {
    hint: 'Close the pool last, when nothing uses it any longer.',
  });
}

function unexpected(cause: unknown): EvdbError {
  return new EvdbError('INTERNAL', `a connection could not be opened: ${String(cause)}`, { cause });
}

interface OpenSlotOptions {
  connection: ConnectionOptions;
  settings: PoolSettings;
  signal: AbortSignal;
  /** Called once when the opened connection is gone. */
  onClose: (slot: Slot) => void;
}

/**
 * Opens one connection. What its sessions shall hold goes along with the opening, so that
 * `reset all` comes back to it; a pooler that refuses that gets a plain one.
 *
 * @throws {EvdbError} as `openSession`
 */
async function openSlot(options: OpenSlotOptions): Promise<Slot> {
  const { settings } = options;
  let slot: Slot | undefined;
  const onClose = () => {
    if (!slot) return;
    slot.isDead = true;
    options.onClose(slot);
  };
  const session = await openWithParameters(options, onClose);
  const jitter = 0.9 + Math.random() * 0.2;
  const lifetime = settings.maxLifetimeMillis * jitter;
  slot = new Slot(session, {
    settings,
    expiresAt: lifetime > 0 ? performance.now() + lifetime : Number.POSITIVE_INFINITY,
    prepares: settings.prepare === 'auto' ? !session.facts.isPooled : settings.prepare,
  });
  return slot;
}

async function openWithParameters(
  { connection, settings, signal }: OpenSlotOptions,
  onClose: () => void,
): Promise<Session> {
  const codec = APPLICATION_CODEC;
  // PgBouncer takes the second choice; what stands between may take none.
  const choices = [{ ...READABLE, ...timeLimits(settings) }, DATES, {}];
  for (const parameters of choices) {
    try {
      const opening = {
        ...{ codec, onClose, signal, parameters },
        ...{ pipelines: false, keepsTimeLimits: true },
      };
      return await openSession(connection, opening);
    } catch (error) {
      const isRefused = codeOf((error as Error).cause) === '08P01';
      if (!isRefused || parameters === choices.at(-1)) throw error;
    }
  }
  throw new EvdbError('INTERNAL', 'no way of opening a session was tried');
}

const DATES = { DateStyle: 'ISO' };

/** How the codec expects values, whatever the database or the role is set to. */
const READABLE = { ...DATES, bytea_output: 'hex' };

/** Settings that end what takes too long; behind a pooler they come with each transaction. */
function timeLimits(settings: PoolSettings): Record<string, string> {
  const { statementTimeoutMillis: statement, idleInTransactionTimeoutMillis: idle } = settings;
  return {
    ...(statement > 0 ? { statement_timeout: String(Math.ceil(statement)) } : {}),
    ...(idle > 0 ? { idle_in_transaction_session_timeout: String(Math.ceil(idle)) } : {}),
  };
}

type Parse = (text: string) => unknown;

// Its types describe another way of importing it than Node's.
const readDate = postgresDate as unknown as Parse;

/**
 * What is not in the ISO style, which the pool asks for, stays text rather than becoming null, and
 * so does what lies beyond the furthest Date: PostgreSQL knows 18,000 years more.
 */
const parseDate: Parse = (text) => {
  const date = readDate(text);
  const isDate = date instanceof Date ? !Number.isNaN(date.getTime()) : date !== null;
  return isDate ? date : text;
};

/** Both formats of `bytea_output`: the pool asks for hex, and a pooler may not pass that on. */
function parseBytea(text: string): Buffer {
  if (text.startsWith('\\x')) return Buffer.from(text.slice(2), 'hex');
  const bytes = text.replace(/\\(\\|[0-7]{3})/g, (_, code: string) =>
    code === '\\' ? code : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return Buffer.from(bytes, 'latin1');
}

/**
 * How values of the server become values of JavaScript, as applications that come from `pg` know
 * it: bigint and numeric stay text because a number would round them, and timestamps become Date.
 * A date stays text too (`2026-11-22`): as a Date it would move by a day in half of the time zones.
 */
const SCALARS: [oid: number, arrayOid: number, parse: Parse][] = [
  [16, 1000, (text) => text === 't'],
  [17, 1001, parseBytea],
  [21, 1005, Number],
  [23, 1007, Number],
  [26, 1028, Number],
  [700, 1021, Number],
  [701, 1022, Number],
  [114, 199, (text) => JSON.parse(text)],
  [3802, 3807, (text) => JSON.parse(text)],
  [1114, 1115, parseDate],
  [1184, 1185, parseDate],
];

/** Types whose text is their value, but whose arrays become arrays. */
const TEXTS: [oid: number, arrayOid: number][] = [
  [18, 1002],
  [19, 1003],
  [20, 1016],
  [25, 1009],
  [650, 651],
  [829, 1040],
  [869, 1041],
  [1042, 1014],
  [1043, 1015],
  [1082, 1182],
  [1083, 1183],
  [1186, 1187],
  [1266, 1270],
  [1700, 1231],
  [2950, 2951],
];

/** Arrays of further types that every PostgreSQL has, whose elements stay text: money, ranges, … */
const RARE_ARRAYS = [
  ...[143, 271, 775, 791, 1008, 1011, 1017, 1561, 1563, 2210, 2211, 3221, 3643, 3645, 3905, 3907],
  ...[3909, 3911, 3913, 3927, 4073, 6150, 6151, 6152, 6153, 6155, 6157],
];

/** The one type whose arrays have another delimiter, because its values hold commas. */
const BOX_ARRAY = 1020;

/** No value of it holds a quote, so that each can stand in quotes. */
const parseBoxes: Parse = (text) =>
  parseArray(text.replace(/\([^;{}]*\)/g, '"$&"').replaceAll(';', ','));

const JSON_TYPES = new Set([114, 3802]);

/**
 * The codec of the pool. Values are written by their type in JavaScript (`encodeParameters`), and
 * what is text stays as it is: the driver may write the same value twice, when it prepares a
 * statement again, and its own writers would turn `true` into `false` and JSON into a string then.
 */
const APPLICATION_CODEC: Codec = Object.fromEntries([
  ...SCALARS.map(([oid, , parse]) => codecEntry(oid, parse)),
  ...TEXTS.map(([oid]) => codecEntry(oid, (text) => text)),
  ...SCALARS.map(([, arrayOid, parse]) => codecEntry(arrayOid, (text) => parseArray(text, parse))),
  ...[...TEXTS.map(([, arrayOid]) => arrayOid), ...RARE_ARRAYS].map((arrayOid) =>
    codecEntry(arrayOid, (text) => parseArray(text)),
  ),
  codecEntry(BOX_ARRAY, parseBoxes),
]);

function codecEntry(oid: number, parse: Parse): [string, Codec[string]] {
  const serialize = JSON_TYPES.has(oid) ? writeJson : String;
  return [`evdb_${oid}`, { to: oid, from: [oid], serialize, parse }];
}

/** Only the server knows that an array is meant as JSON and not as an array. */
function writeJson(value: unknown): string {
  return value instanceof TypedValue ? value.json() : String(value);
}
