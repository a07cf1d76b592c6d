// Pools for tests: `test` closes them afterwards, `faultsTest` looks first whether they are sound, and
// a recorder shows what they sent.

import { randomBytes } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type postgres from 'postgres';
import { expect } from 'vitest';
import type { PoolOptions } from '../../src/pool/options.ts';
import { DatabasePool } from '../../src/pool/pool.ts';
import { closeSql, openSql, withDatabase } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import { type FaultyProxy, startProxy } from '../support/proxy.ts';
import { meeting, POLL } from '../support/waiting.ts';

interface PoolStage {
  /** Makes a pool, by default on the test's empty database; it is closed after the test. */
  pool(options?: PoolOptions): DatabasePool;
  /** Starts a recorder before the server, to be used as `connectionString`. */
  wire(url?: string): Promise<Wire>;
  url: string;
  /** Pids of the sessions that the pools hold on the server. */
  backends(): Promise<number[]>;
}

export const test = base.extend<{ stage: PoolStage }>({
  stage: async ({ emptyDb, admin }, use) => {
    const pools: DatabasePool[] = [];
    const wires: Wire[] = [];
    const applicationName = `evdb-${randomBytes(4).toString('hex')}`;
    await use({
      url: emptyDb.url,
      pool: (options = {}) => {
        const source = options.host || options.env ? {} : { connectionString: emptyDb.url };
        const pool = new DatabasePool({ ...source, applicationName, ...options });
        pools.push(pool);
        return pool;
      },
      wire: async (url = emptyDb.url) => {
        const wire = await startWire(url);
        wires.push(wire);
        return wire;
      },
      backends: async () => {
        const rows = await admin<{ pid: number }[]>`
          select pid from pg_stat_activity
          where application_name = ${applicationName} and backend_type = 'client backend'`;
        return rows.map(({ pid }) => pid);
      },
    });
    await Promise.all(pools.map((pool) => pool.close({ timeoutMillis: 2_000 })));
    await Promise.all(wires.map((wire) => wire.close()));
  },
});

/** The pid of the connection that a pool gives next. */
export async function pidOf(pool: Pick<DatabasePool, 'query'>): Promise<number> {
  const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
  const pid = rows[0]?.pid;
  expect(pid).toBeGreaterThan(0);
  return pid ?? 0;
}

interface Backend {
  pid: number;
  state: string;
  query: string;
}

/** What becomes of a pool after the test. */
interface Afterwards {
  /** Whether its server answers then: if not, the pool is only closed. Default true. */
  isReachable?: boolean;
  /** Whether its backends end with it: those of a pooler do not. Default true. */
  ownsBackends?: boolean;
}

export interface FaultsStage {
  /** URL of a database that holds an empty table `kept (id integer, what text)`. */
  url: string;
  sql: postgres.Sql;
  /** The pools' name on the server. */
  applicationName: string;
  /** Makes a pool, by default on the test's database; what it left behind is looked at later. */
  pool(options?: PoolOptions, afterwards?: Afterwards): DatabasePool;
  /** Starts a proxy before the server, which stays until the pools were looked at. */
  proxy(): Promise<FaultyProxy>;
  /** Sessions that the pools hold on the server. */
  backends(): Promise<Backend[]>;
  /** Ends the sessions of the pools that `where` chooses; resolves when they are gone. */
  kill(where?: string): Promise<number>;
  /** Resolves when a session of the pools is found that fits the condition; gives its pid. */
  until(where: string): Promise<number>;
  /** Rows of `kept`, as `id what`. */
  kept(): Promise<string[]>;
}

interface Made {
  pool: DatabasePool;
  max: number;
  afterwards: Afterwards;
}

/**
 * `stage` makes pools. After the test each of them must be sound: nobody gets a connection in a
 * transaction, or with what another left in it, `close()` returns, no session remains on the
 * server, and no error went unheard.
 */
export const faultsTest = base.extend<{ stage: FaultsStage }>({
  stage: async ({ emptyDb, task }, use) => {
    await emptyDb.sql`create table kept (id integer, what text)`;
    const unheard = collectUnheard();
    const applicationName = `evdb-pool-${randomBytes(4).toString('hex')}`;
    const stage = createStage(emptyDb.url, applicationName);
    await use(stage);
    try {
      if (task.result?.state === 'fail') return;
      for (const made of stage.made) await expectSound(made, stage);
      if (stage.made.every(({ afterwards }) => ownsReachable(afterwards))) {
        await expect.poll(stage.backends, POLL).toEqual([]);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(unheard.errors).toEqual([]);
    } finally {
      for (const { pool } of stage.made) pool.close({ timeoutMillis: 1 }).catch(() => undefined);
      unheard.stop();
      await Promise.all(stage.proxies.map((proxy) => proxy.close()));
      await closeSql(stage.sql);
    }
  },
});

interface Kept {
  made: Made[];
  proxies: FaultyProxy[];
}

function createStage(url: string, applicationName: string): FaultsStage & Kept {
  const made: Made[] = [];
  const proxies: FaultyProxy[] = [];
  // Watches from another database, so that nothing that is locked here is in its way.
  const watcher = openSql(withDatabase(url, 'postgres'), 1);
  const sql = openSql(url, 2);
  const find = (where: string) =>
    watcher.unsafe<Backend[]>(
      `select pid, state, query from pg_stat_activity
       where application_name = '${applicationName}' and backend_type = 'client backend'
         and (${where})`,
    );
  const end = sql.end.bind(sql);
  sql.end = async (options) => {
    await Promise.all([closeSql(watcher), end(options)]);
  };
  return {
    url,
    sql,
    made,
    proxies,
    applicationName,
    pool: (options = {}, afterwards = {}) => {
      const pool = new DatabasePool({ connectionString: url, applicationName, ...options });
      made.push({ pool, max: options.max ?? 10, afterwards });
      return pool;
    },
    proxy: async () => {
      const proxy = await startProxy(url);
      proxies.push(proxy);
      return proxy;
    },
    backends: () => find('true'),
    kill: async (where = 'true') => {
      const pids = (await find(where)).map(({ pid }) => pid);
      await watcher`select pg_terminate_backend(pid) from unnest(${pids}::int[]) as pid`;
      await expect
        .poll(() => watcher`select from pg_stat_activity where pid = any(${pids})`, POLL)
        .toHaveLength(0);
      return pids.length;
    },
    until: async (where) => {
      await expect.poll(() => find(where), POLL).not.toHaveLength(0);
      return (await find(where))[0]?.pid ?? 0;
    },
    kept: async () => {
      const rows = await sql`select id || ' ' || what as row from kept order by id, what`;
      return rows.map(({ row }) => row);
    },
  };
}

const CLOSE_TIMEOUT_MS = 15_000;

/** Looks at every connection that the pool can give, all at the same time, and closes it. */
async function expectSound({ pool, max, afterwards }: Made, stage: FaultsStage): Promise<void> {
  const { isReachable = true, ownsBackends = true } = afterwards;
  if (isReachable) {
    const meet = meeting(max);
    const found = await Promise.all(
      Array.from({ length: max }, () => pool.withConnection((one) => lookAt(one, meet))),
    ).catch((error) => {
      if (error.code !== 'POOL_CLOSED') throw error;
      return [];
    });
    const spotless = { xid: null, hasOneTransaction: false, locks: 0, temporary: 0, isHere: true };
    expect(found).toEqual(found.map(() => spotless));
    if (ownsBackends) {
      expect((await stage.backends()).filter(({ state }) => /in transaction/.test(state))).toEqual(
        [],
      );
    }
  }
  expect(await outcomeOf(pool.close(), CLOSE_TIMEOUT_MS)).toBe('ok');
}

function ownsReachable({ isReachable = true, ownsBackends = true }: Afterwards): boolean {
  return isReachable && ownsBackends;
}

const LOOK = `select transaction_timestamp()::text as at,
  pg_current_xact_id_if_assigned()::text as xid,
  (select count(*)::int from pg_locks where pid = pg_backend_pid() and locktype = 'advisory') as locks,
  (select count(*)::int from pg_class where relnamespace = pg_my_temp_schema()) as temporary,
  current_user = session_user and current_setting('search_path') = '"$user", public' as "isHere"`;

interface Look {
  at: string;
  xid: string | null;
  locks: number;
  temporary: number;
  isHere: boolean;
}

async function lookAt(
  connection: { query: DatabasePool['query'] },
  meet: () => Promise<void>,
): Promise<Omit<Look, 'at'> & { hasOneTransaction: boolean }> {
  await meet();
  const { rows: first } = await connection.query<Look>(LOOK);
  const { rows: second } = await connection.query<Look>(LOOK);
  if (!first[0] || !second[0]) throw new Error('a query without its row');
  const { at, ...rest } = first[0];
  return { ...rest, hasOneTransaction: at === second[0].at };
}

/** How many connections a new pool believes to have: of a lost one it hears a little later. */
export function countOpen(pool: DatabasePool): () => number {
  let count = 0;
  pool.on('connect', () => {
    count += 1;
  });
  pool.on('disconnect', () => {
    count -= 1;
  });
  return () => count;
}

/** `ok`, the code of the error, or `pending` where nothing came of it in the time. */
export async function outcomeOf(work: Promise<unknown>, withinMs = 12_000): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('pending'), withinMs);
  });
  const settled = work.then(
    () => 'ok',
    (error) => String(error?.code ?? error),
  );
  const outcome = await Promise.race([settled, tooLate]);
  clearTimeout(timer);
  return outcome;
}

/** Errors that nobody caught; vitest reports them too, but not whose they are. */
function collectUnheard(): { errors: unknown[]; stop(): void } {
  const errors: unknown[] = [];
  const collect = (error: unknown) => void errors.push(error);
  process.on('unhandledRejection', collect).on('uncaughtException', collect);
  return {
    errors,
    stop: () => {
      process.off('unhandledRejection', collect).off('uncaughtException', collect);
    },
  };
}

/** What a client sent: the kind of the message and, where it holds one, the statement. */
interface Sent {
  /** `simple` is a message of its own, `parse` is prepared for one use, `prepare` for many. */
  kind: 'simple' | 'parse' | 'prepare' | 'bind' | 'terminate';
  text: string;
}

/** Passes everything on, and writes down which statements the clients sent. */
interface Wire {
  url: string;
  /** All statements so far, without the one by which each connection introduces itself. */
  sent(): Sent[];
  /** The texts that were sent since the last call. */
  news(): string[];
  close(): Promise<void>;
}

const SSL_REQUEST = 80877103;
const KINDS: Record<string, Sent['kind']> = { Q: 'simple', P: 'parse', B: 'bind', X: 'terminate' };

/** Starts it on a free loopback port before the server that `targetUrl` names. */
async function startWire(targetUrl: string): Promise<Wire> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  const sent: Sent[] = [];
  let seen = 0;
  const server = createServer((client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port) });
    const read = createReader((message) => sent.push(message));
    client.on('data', read);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        client.destroy();
        upstream.destroy();
        sockets.delete(socket);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(targetUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  const statements = () => sent.filter(({ text }) => !text.includes('pg_is_in_recovery'));
  return {
    url: url.href,
    sent: statements,
    news: () => {
      const all = statements().filter(({ text }) => text !== '');
      const fresh = all.slice(seen).map(({ text }) => text);
      seen = all.length;
      return fresh;
    },
    close: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      return closed;
    },
  };
}

/** Cuts the bytes of one client into messages: the first ones have no letter. */
function createReader(note: (message: Sent) => void): (part: Buffer) => void {
  let rest = Buffer.alloc(0);
  let isStarted = false;
  return (part) => {
    rest = Buffer.concat([rest, part]);
    for (;;) {
      const head = isStarted ? 1 : 0;
      if (rest.length < head + 4) return;
      const length = head + rest.readInt32BE(head);
      if (rest.length < length) return;
      const body = rest.subarray(head + 4, length);
      if (isStarted) describe(rest.toString('latin1', 0, 1), body, note);
      else isStarted = body.readInt32BE(0) !== SSL_REQUEST;
      rest = rest.subarray(length);
    }
  };
}

function describe(letter: string, body: Buffer, note: (message: Sent) => void): void {
  const kind = KINDS[letter];
  if (kind === undefined) return;
  const [first = '', second = ''] = body.toString('utf8').split('\0');
  if (kind === 'simple') note({ kind, text: first });
  else if (kind === 'parse') note({ kind: first === '' ? 'parse' : 'prepare', text: second });
  else note({ kind, text: '' });
}
