import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { PoolOptions } from '../../src/pool/options.ts';
import { DatabasePool } from '../../src/pool/pool.ts';
import { test as base } from '../support/fixture.ts';
import { startWire, type Wire } from './pool-wire-stage.ts';

export interface PoolStage {
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
