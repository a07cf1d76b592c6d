import { randomBytes } from 'node:crypto';
import type postgres from 'postgres';
import { expect } from 'vitest';
import type { PoolOptions } from '../../src/pool/options.ts';
import { DatabasePool } from '../../src/pool/pool.ts';
import { closeSql, openSql, withDatabase } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import { type FaultyProxy, startProxy } from '../support/proxy.ts';
import { meeting, POLL } from '../support/waiting.ts';

export interface Backend {
  pid: number;
  state: string;
  query: string;
}

/** What becomes of a pool after the test. */
export interface Afterwards {
  /** Whether its server answers then: if not, the pool is only closed. Default true. */
  isReachable?: boolean;
  /** Whether its backends end with it: those of a pooler do not. Default true. */
  ownsBackends?: boolean;
}

export interface PoolStage {
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
export const test = base.extend<{ stage: PoolStage }>({
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

function createStage(url: string, applicationName: string): PoolStage & Kept {
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
async function expectSound({ pool, max, afterwards }: Made, stage: PoolStage): Promise<void> {
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
