import { expect } from 'vitest';
import { findPostmaster } from '../../src/embedded/running.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { type OwnServer, startOwnServer, whyNoOwnServer } from '../support/own-server.ts';
import { type FaultsStage, outcomeOf, faultsTest as stageTest } from './pool-kit.ts';

const test = stageTest.extend<{ server: OwnServer }>({
  server: async ({ skip }, use) => {
    const reason = whyNoOwnServer();
    skip(reason !== undefined, reason);
    const server = await startOwnServer();
    await runOn(server, 'create table kept (id integer, what text)');
    await use(server);
    await server.remove();
  },
});

async function runOn(server: OwnServer, text: string): Promise<Record<string, unknown>[]> {
  const sql = openSql(server.url, 1);
  try {
    return await sql.unsafe(text);
  } finally {
    await closeSql(sql);
  }
}

/** As a crash of the server looks: every backend is gone at once, without a goodbye. */
async function stopImmediately({ dataDirectory }: OwnServer): Promise<void> {
  const postmaster = findPostmaster(dataDirectory);
  if (!postmaster) throw new Error(`no server runs on ${dataDirectory}`);
  process.kill(postmaster.pid, 'SIGQUIT');
  await expect
    .poll(() => findPostmaster(dataDirectory)?.pid, { timeout: 20_000, interval: 20 })
    .not.toBe(postmaster.pid);
}

function poolOf(stage: FaultsStage, server: OwnServer) {
  // The server is removed before the pool is looked at, so each test closes its own.
  return stage.pool(
    { max: 3, connectionString: server.url, acquireTimeoutMillis: 20_000 },
    { isReachable: false },
  );
}

const STOPS: [name: string, stop: (server: OwnServer) => Promise<void>][] = [
  ['a fast shutdown', (server) => server.stop()],
  ['an immediate shutdown', stopImmediately],
];

for (const [name, stop] of STOPS) {
  test(`serves again after ${name}, and keeps no half of what it cut`, async ({
    stage,
    server,
  }) => {
    const pool = poolOf(stage, server);
    await pool.withTransaction((tx) => tx.query(`insert into kept values (0, 'before')`));
    let isUnderWay: () => void = () => undefined;
    const underWay = new Promise<void>((resolve) => {
      isUnderWay = resolve;
    });
    const cut = [
      outcomeOf(pool.query('select pg_sleep(60)'), 30_000),
      outcomeOf(
        pool.withTransaction(async (tx) => {
          await tx.query(`insert into kept values (1, 'a')`);
          isUnderWay();
          await tx.query('select pg_sleep(60)').catch(() => undefined);
          await tx.query(`insert into kept values (1, 'b')`);
        }),
        30_000,
      ),
    ];
    await underWay;
    await stop(server);
    expect(await Promise.all(cut)).toEqual(['CONNECTION_LOST', 'CONNECTION_LOST']);

    const waiting = Array.from({ length: 10 }, (_, n) =>
      outcomeOf(pool.query(`insert into kept values (2, $1)`, [`waited ${n}`]), 25_000),
    );
    await server.start();
    expect(await Promise.all(waiting)).toEqual(Array(10).fill('ok'));
    expect(
      await runOn(server, 'select id, count(*)::int as n from kept group by id order by id'),
    ).toEqual([
      { id: 0, n: 1 },
      { id: 2, n: 10 },
    ]);
    expect(await outcomeOf(pool.close())).toBe('ok');
    const left = `select from pg_stat_activity where application_name = '${stage.applicationName}'`;
    await expect.poll(async () => (await runOn(server, left)).length).toBe(0);
  }, 90_000);
}

test('loses no confirmed row where the server is restarted under load', async ({
  stage,
  server,
}) => {
  const pool = poolOf(stage, server);
  const confirmed: number[] = [];
  const unknown: number[] = [];
  let isOver = false;
  const worker = async (first: number) => {
    for (let id = first; !isOver; id++) {
      const work = pool.withTransaction(async (tx) => {
        await tx.query(`insert into kept values ($1, 'a')`, [id]);
        await tx.query(`insert into kept values ($1, 'b')`, [id]);
      });
      const outcome = await outcomeOf(work, 30_000);
      if (outcome === 'ok') confirmed.push(id);
      else if (outcome === 'OUTCOME_UNKNOWN') unknown.push(id);
      else expect(outcome).toBe('CONNECTION_LOST');
    }
  };
  const workers = [0, 100_000, 200_000].map(worker);
  for (const [, stop] of STOPS) {
    const before = confirmed.length;
    await expect.poll(() => confirmed.length > before + 20, { timeout: 20_000 }).toBe(true);
    await stop(server);
    await server.start();
  }
  const before = confirmed.length;
  await expect.poll(() => confirmed.length > before + 20, { timeout: 20_000 }).toBe(true);
  isOver = true;
  await Promise.all(workers);
  const rows = await runOn(server, 'select id, count(*)::int as n from kept group by id');
  expect(rows.filter(({ n }) => n !== 2)).toEqual([]);
  const present = new Set(rows.map(({ id }) => id));
  expect(confirmed.filter((id) => !present.has(id))).toEqual([]);
  const told = new Set([...confirmed, ...unknown]);
  expect([...present].filter((id) => !told.has(id as number))).toEqual([]);
  expect(await outcomeOf(pool.close())).toBe('ok');
}, 90_000);
