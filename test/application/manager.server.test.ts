import { expect } from 'vitest';
import { DatabaseManager, databaseManager } from '../../src/application/manager.ts';
import { createDatabase, dropDatabase } from '../support/databases.ts';
import { failureOf, gate } from '../support/waiting.ts';
import { test } from './application-kit.ts';

test('is of no use before it is initialized, and says so', async ({ manager }) => {
  for (const one of [manager(), databaseManager]) {
    for (const use of [() => one.getPool(), () => one.getMetrics()]) {
      expect(use).toThrow(
        expect.objectContaining({ code: 'NOT_INITIALIZED', hint: expect.any(String) }),
      );
    }
    expect(await one.health()).toMatchObject({
      status: 'down',
      latencyMs: null,
      connections: { total: 0 },
      error: { code: 'NOT_INITIALIZED' },
    });
    expect(await one.testConnection()).toBe(false);
    await one.close();
  }
});

test('gives the same pool to all who initialize it, at once and again', async ({
  manager,
  emptyDb,
}) => {
  const one = manager({ min: 2, max: 3, name: 'app' });
  const pools = await Promise.all([one.initialize(), one.initialize(), one.initialize()]);
  expect(new Set([...pools, await one.initialize(), one.getPool()]).size).toBe(1);
  const { rows } = await one.getPool().query('select current_database() as name');
  expect(rows).toEqual([{ name: emptyDb.name }]);
  expect(one.getMetrics()).toMatchObject({ pool: 'app', total: 2, max: 3, min: 2 });
  expect(await one.health()).toMatchObject({ status: 'ok' });
  expect(await one.testConnection()).toBe(true);
});

test('can be initialized again after it was closed, also where that was at once', async ({
  manager,
}) => {
  const one = manager();
  const first = await one.initialize();
  await one.close();
  await one.close();
  expect(await failureOf(first.query('select 1'))).toMatchObject({ code: 'POOL_CLOSED' });
  expect(() => one.getPool()).toThrow(expect.objectContaining({ code: 'NOT_INITIALIZED' }));
  const second = await one.initialize();
  expect(second).not.toBe(first);
  expect(await second.sql`select 1 as n`).toEqual([{ n: 1 }]);

  const closing = one.close();
  const third = await one.initialize();
  await closing;
  expect(await third.sql`select 1 as n`).toEqual([{ n: 1 }]);
  expect(one.getPool()).toBe(third);
});

test('closes what is just being opened', async ({ manager, emptyDb }) => {
  const one = manager({ applicationName: 'half-open', min: 2 });
  const initializing = one.initialize();
  await one.close();
  const pool = await initializing;
  expect(await failureOf(pool.query('select 1'))).toMatchObject({ code: 'POOL_CLOSED' });
  const left = await emptyDb.sql`
    select from pg_stat_activity where datname = current_database() and application_name = 'half-open'`;
  expect(left).toHaveLength(0);
});

test('can be initialized again after a failure, and keeps nothing of it', async ({
  manager,
  emptyDb,
  admin,
}) => {
  const name = `${emptyDb.name}_late`;
  const url = new URL(emptyDb.url);
  url.pathname = `/${name}`;
  const one = manager({ env: { DATABASE_URL: url.href } });
  const failures = await Promise.allSettled([one.initialize(), one.initialize()]);
  for (const failure of failures) {
    expect(failure).toMatchObject({ status: 'rejected', reason: { code: 'DATABASE_MISSING' } });
  }
  expect(() => one.getPool()).toThrow(expect.objectContaining({ code: 'NOT_INITIALIZED' }));
  await createDatabase(admin, name);
  try {
    const pool = await one.initialize();
    expect((await pool.query('select current_database() as name')).rows).toEqual([{ name }]);
    await one.close();
  } finally {
    await dropDatabase(admin, name);
  }
});

test('waits at its closing for what is in use, as the pool does', async ({ manager }) => {
  const one = manager({ max: 1 });
  const pool = await one.initialize();
  const { promise, open } = gate();
  const held = pool.withTransaction(async (tx) => {
    await promise;
    return (await tx.query('select 7 as n')).rows;
  });
  const closed: string[] = [];
  const closing = [one.close(), one.close()].map((work) => work.then(() => closed.push('closed')));
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(closed).toEqual([]);
  open();
  expect(await held).toEqual([{ n: 7 }]);
  await Promise.all(closing);
  const hanging = await one.initialize();
  const hung = failureOf(hanging.withConnection(() => new Promise<never>(() => undefined)));
  await one.close({ timeoutMillis: 20 });
  expect(await hung).toMatchObject({ code: 'POOL_CLOSED' });
});

test('refuses options that cannot be used', async ({ manager }) => {
  expect(() => new DatabaseManager({ migrations: 'down' as 'up' })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID' }),
  );
  expect(() => new DatabaseManager({ max: 0 })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID' }),
  );
  expect(await failureOf(manager({ env: {} }).initialize())).toMatchObject({
    code: 'NOT_CONFIGURED',
  });
});
