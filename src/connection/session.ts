import { EvdbError } from '../errors.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { connectError } from './connection-error.ts';
import {
  type BackendKey,
  type CopyRows,
  createDriver,
  type Driver,
  type EncodedValue,
  type StatementResult,
} from './driver.ts';
import {
  type ConnectionOptions,
  completeOptions,
  type HostAddress,
  liftTimeLimitsSql,
} from './options.ts';

/** What the server reports when a session begins. */
export interface SessionFacts {
  pid: number;
  /** As in server_version_num: 180004 is 18.4. */
  serverVersion: number;
  /** The effective role, whose privileges count: `alter role … set role` can change it. */
  user: string;
  /** The role that logged in. */
  sessionUser: string;
  isInRecovery: boolean;
  isReadOnly: boolean;
  /** Whether it can detect a lost client while it works; not all servers outside Linux can. */
  canCheckClient: boolean;
  /** Whether the database is of a Citus cluster: the catalog of its distributed tables is there. */
  isCitus: boolean;
  /** Whether there is a pooler in between: it gives out its own keys instead of the server's. */
  isPooled: boolean;
  /** The table that was asked for, such as `evdb.history`, where it was not there as the session opened. */
  lacksTable?: string;
}

/** What the server says beside its answer, such as by `raise warning`. */
export interface ServerNotice {
  /** `WARNING`, `NOTICE`, `INFO`, `LOG` or `DEBUG`, in English. */
  severity: string;
  code?: string;
  message: string;
  detail?: string;
  hint?: string;
}

/** Called with the server's messages; `statement` is the running text, if `run` sent it. */
export type NoticeListener = (notice: ServerNotice, statement: string | undefined) => void;

export type Row = Record<string, unknown>;

/** What can be asked something. */
export type Asked = Pick<Session, 'run'>;

/** One separate connection. A session that lost its socket stays lost: it never reconnects. */
export interface Session {
  readonly facts: SessionFacts;
  readonly options: ConnectionOptions;
  readonly isClosed: boolean;
  /**
   * Sends text as one simple-protocol message, several statements at will, and returns the rows
   * of the last statement that returned any. Throws the server's error (with `code`, `position`).
   */
  run(text: string): Promise<Row[]>;
  /**
   * The same for several statements, with a call when each is done. An error has the index of its
   * statement in `failedAt`, and its `position` counts from there. After an error the remaining
   * statements do not run. The server reads the text of all of them before it runs the first, and
   * may only report them at the end.
   */
  runEach(texts: string[], onAnswer: (index: number) => void): Promise<Row[]>;
  /**
   * Runs one statement with parameters. A prepared one saves a round trip from its second run on,
   * and the driver prepares it again if the server has forgotten or invalidated it.
   */
  query(text: string, values: EncodedValue[], prepare: boolean): Promise<StatementResult>;
  /**
   * Runs a `copy … from stdin` with these rows. Send nothing else before it is done. If the rows
   * throw, the copy fails on the server too, and their error is thrown.
   */
  copyIn(text: string, rows: CopyRows): Promise<void>;
  /** Passes notices to this listener from now on, instead of the previous one. */
  onNotice(listener: NoticeListener): void;
  /**
   * Asks the server, on a separate connection, to cancel what this session runs. The request can
   * arrive late and hit the next statement: close the session afterwards.
   */
  cancel(): Promise<void>;
  /**
   * Ends the connection; at once if `force` is set, whatever is running. With `cancel` the server
   * is also asked to end that: by itself it would only notice when it has something to send.
   */
  close(options?: { force?: boolean; cancel?: boolean }): Promise<void>;
  /** Whether the connection keeps the process alive; default true. */
  keepAlive(keeps: boolean): void;
}

export interface OpenSessionOptions {
  /** Called with each notice of the server; default: notices are dropped. */
  onNotice?: NoticeListener | undefined;
  /** Called once when the connection is gone, whoever ended it. */
  onClose?: (() => void) | undefined;
  signal?: AbortSignal | undefined;
  /** Settings of the session, sent when it opens; poolers refuse what they do not know. */
  parameters?: Record<string, string> | undefined;
  /**
   * Whether the role's and the database's time limits on idle sessions and on transactions hold;
   * default: they are taken away, but for a session of a pooler, whose settings others would get.
   */
  keepsTimeLimits?: boolean | undefined;
  /**
   * A table of which `facts` say whether it is missing. Who knows it reads nothing in vain: a failed
   * statement would take a round trip, and leave an error in the server's log.
   */
  table?: { schema: string; name: string } | undefined;
  /** Whether the socket will be handed over, see `Driver`; default false. */
  handsOver?: boolean | undefined;
}

const FACTS = `select pg_catalog.pg_backend_pid() as "pid",
  pg_catalog.current_setting('server_version_num')::int as "serverVersion",
  current_user as "user",
  session_user as "sessionUser",
  pg_catalog.pg_is_in_recovery() as "isInRecovery",
  pg_catalog.current_setting('transaction_read_only') = 'on' as "isReadOnly",
  pg_catalog.version() like '%linux%' as "canCheckClient",
  pg_catalog.to_regclass('pg_catalog.pg_dist_partition') is not null as "isCitus"`;

type AskedFacts = Omit<SessionFacts, 'isPooled' | 'lacksTable'> & { isMissing?: boolean };

/** Not by `to_regclass`, which fails where the role may not use the schema. */
function factsSql(table: OpenSessionOptions['table']): string {
  if (!table) return FACTS;
  return `${FACTS},
  not exists (
    select from pg_catalog.pg_class
    where relname = ${quoteLiteral(table.name)}
      and relnamespace = (select oid from pg_catalog.pg_namespace where nspname = ${quoteLiteral(table.schema)})
  ) as "isMissing"`;
}

/** Such as `user "app"`; where its privileges are those of another role, that one first. */
export function describeUser({ user, sessionUser }: SessionFacts): string {
  return user === sessionUser
    ? `user "${user}"`
    : `role "${user}" (of session user "${sessionUser}")`;
}

/**
 * Opens one session, trying the hosts in their order. The deadline of `connectTimeoutMs` holds
 * for each host from the first packet to the answer of the first query.
 *
 * @param given `hosts`, `database`, `sslMode` and so on have the defaults of libpq
 * @throws {EvdbError} CONFIG_INVALID, CONNECTION_REFUSED, UNKNOWN_HOST, CONNECT_TIMEOUT, AUTHENTICATION_FAILED,
 *   DATABASE_MISSING, TOO_MANY_CONNECTIONS, SERVER_STARTING, TLS_FAILED, CONNECTION_LOST
 */
export async function openSession(
  given: Partial<ConnectionOptions>,
  opening: OpenSessionOptions = {},
): Promise<Session> {
  const connect = async (used: OpenSessionOptions) => makeSession(await openDriver(given, used));
  return given.keeper ? given.keeper.open(given, opening, connect) : connect(opening);
}

/** A driver that has logged in, and what the server said of itself. */
export interface OpenedDriver {
  driver: Driver;
  facts: SessionFacts;
  options: ConnectionOptions;
  address: HostAddress;
}

/** What `openSession` makes a session of. */
export async function openDriver(
  given: Partial<ConnectionOptions>,
  opening: OpenSessionOptions,
): Promise<OpenedDriver> {
  const options = completeOptions(given);
  const { signal } = opening;
  const wanted = options.targetSessionAttrs ?? 'any';
  // prefer-standby settles for any server once no standby answered
  const rounds = wanted === 'prefer-standby' ? (['standby', 'any'] as const) : [wanted];
  let failure: unknown;
  for (const round of rounds) {
    for (const address of options.hosts) {
      try {
        signal?.throwIfAborted();
        const isAsked = typeof options.password === 'function';
        const login = isAsked ? await askPassword(options, address, signal) : options;
        const driver = await createDriver(login, address, opening);
        const facts = await readFacts(driver, options, address, opening);
        if (fits(facts, round)) {
          if (!opening.keepsTimeLimits) liftTimeLimits(driver, facts);
          return { driver, facts, options, address };
        }
        await driver.end();
        failure = wrongKind(address, wanted);
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        // No other host gives one.
        if (error instanceof EvdbError && error.code === 'PASSWORD_UNAVAILABLE') throw error;
        failure = connectError(error, options, address);
      }
    }
  }
  throw failure;
}

async function askPassword(
  options: ConnectionOptions,
  address: HostAddress,
  signal: AbortSignal | undefined,
): Promise<ConnectionOptions> {
  const { withPassword } = await import('./password.ts');
  return withPassword(options, address, signal);
}

/** Nothing waits for the answer: what is sent behind it runs behind it. */
function liftTimeLimits(driver: Driver, facts: SessionFacts): void {
  if (!facts.isPooled) driver.run(liftTimeLimitsSql(facts)).catch(() => undefined);
}

async function readFacts(
  driver: Driver,
  options: ConnectionOptions,
  address: HostAddress,
  { signal, table }: OpenSessionOptions,
): Promise<SessionFacts> {
  let timer: NodeJS.Timeout | undefined;
  let abort: (() => void) | undefined;
  const deadline = new Promise<never>((_, reject) => {
    abort = () => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    timer = setTimeout(
      () => reject(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })),
      options.connectTimeoutMs,
    );
  });
  try {
    const rows = await Promise.race([driver.run(factsSql(table)), deadline]);
    const { isMissing, ...asked } = rows[0] as unknown as AskedFacts;
    const facts = {
      ...asked,
      isPooled: driver.backendKey?.pid !== asked.pid,
      ...(isMissing && table && { lacksTable: `${table.schema}.${table.name}` }),
    };
    if (facts.serverVersion < 140000) throw tooOld(facts, address);
    return facts;
  } catch (error) {
    driver.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    if (abort) signal?.removeEventListener('abort', abort);
  }
}

function tooOld(facts: SessionFacts, address: HostAddress): EvdbError {
  const major = Math.floor(facts.serverVersion / 10000);
  return new EvdbError(
    'SERVER_UNSUPPORTED',
    `the server at ${address.host} is PostgreSQL ${major}; evdb works with 14 and later`,
    { hint: 'Upgrade the server.' },
  );
}

function fits(facts: SessionFacts, wanted: ConnectionOptions['targetSessionAttrs']): boolean {
  switch (wanted) {
    case 'read-write':
      return !facts.isReadOnly;
    case 'read-only':
      return facts.isReadOnly;
    case 'primary':
      return !facts.isInRecovery;
    case 'standby':
      return facts.isInRecovery;
    default:
      return true;
  }
}

function wrongKind(address: HostAddress, wanted: string): EvdbError {
  return new EvdbError(
    'CONNECTION_REFUSED',
    `${address.host}:${address.port} answers, but is not what target_session_attrs=${wanted} asks for`,
    { hint: 'Name a host that matches, or change target_session_attrs.' },
  );
}

function makeSession(opened: OpenedDriver): Session {
  const { driver, facts, options, address } = opened;
  return {
    facts,
    options,
    get isClosed() {
      return driver.isClosed;
    },
    // the driver's own, so that no call passes through here
    run: driver.run,
    runEach: driver.runEach,
    query: driver.query,
    copyIn: driver.copyIn,
    onNotice: driver.onNotice,
    keepAlive: driver.keepAlive,
    cancel: async () => {
      if (driver.backendKey) await cancelStatement(driver.backendKey, address);
    },
    close: closeDriver(opened),
  };
}

/** Makes what closes a session. */
export function closeDriver({ driver, address }: OpenedDriver): Session['close'] {
  let ending: Promise<void> | undefined;
  return async ({ force = false, cancel = false } = {}) => {
    if (!force) return driver.end();
    const { backendKey, isClosed } = driver;
    driver.abandon();
    if (cancel && backendKey && !isClosed) {
      // A pooler knows the key only for as long as the connection stands.
      ending = cancelStatement(backendKey, address);
    }
    if (ending) await ending;
    driver.destroy();
  };
}

const CANCEL_REQUEST = 80877102;
const DEADLINE_MS = 2_000;

/**
 * Sends a CancelRequest as the protocol describes it: on a connection of its own, without TLS or
 * password, answered by nothing but the end of the connection. A server that cannot be reached is
 * not an error here: whoever cancels gives the connection up anyway.
 *
 * Source: PostgreSQL manual, "Message Flow", "Canceling Requests in Progress".
 */
async function cancelStatement(key: BackendKey, address: HostAddress): Promise<void> {
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(CANCEL_REQUEST, 4);
  request.writeUInt32BE(key.pid, 8);
  request.writeUInt32BE(key.secret, 12);
  try {
    const { connectSocket } = await import('./socket.ts');
    const socket = await connectSocket(address, DEADLINE_MS);
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
      socket.setTimeout(DEADLINE_MS, () => socket.destroy());
      // Not `end`: a pooler forgets a request whose sender has gone.
      socket.write(request);
      socket.resume();
    });
  } catch {
    // said above
  }
}
