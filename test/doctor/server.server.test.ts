import type postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { type SpecialServer, specialServers } from '../support/own-server.ts';
import { examine, findingOn } from './doctor-kit.ts';

const servers = specialServers();
let careful: SpecialServer;
let careless: SpecialServer;
let sql: postgres.Sql;

beforeAll(async () => {
  careful = await servers.start({ fsync: 'on', max_prepared_transactions: '2' });
  careless = await servers.start({ autovacuum: 'off', synchronous_commit: 'off' });
  sql = openSql(careful.url);
});
afterAll(async () => {
  if (sql) await closeSql(sql);
  await servers.remove();
});

test('durability finds settings that endanger data', async () => {
  expect(await examine(careful.url, 'durability')).toMatchObject({ status: 'ok', findings: [] });
  const { findings } = await examine(careless.url, 'durability');
  expect(findings.map(({ object, status }) => `${object} ${status}`)).toEqual([
    'fsync critical',
    'synchronous_commit warning',
  ]);
});

test('autovacuum is critical where it is off for all', async () => {
  expect((await examine(careful.url, 'autovacuum')).status).toBe('ok');
  expect(await examine(careless.url, 'autovacuum')).toMatchObject({
    status: 'critical',
    findings: [{ object: null }],
  });
});

test('pending-restart finds a change that waits', async () => {
  expect((await examine(careful.url, 'pending-restart')).status).toBe('ok');
  await sql`alter system set max_locks_per_transaction = 128`;
  await sql`select pg_reload_conf()`;
  await expect
    .poll(() => findingOn(careful.url, 'pending-restart', 'max_locks_per_transaction'), {
      timeout: 10_000,
    })
    .toMatchObject({ status: 'warning' });
});

test('prepared-transactions sees them, and is calm about young ones', async () => {
  expect((await examine(careful.url, 'prepared-transactions')).summary).toBe(
    '0 prepared transactions',
  );
  const preparer = openSql(careful.url, 1);
  await preparer.unsafe("begin; create table t (id int); prepare transaction 'paid'");
  await closeSql(preparer);
  expect(await examine(careful.url, 'prepared-transactions')).toMatchObject({
    status: 'ok',
    summary: '1 prepared transaction',
  });
  await sql`rollback prepared 'paid'`;
});

test('replication-slots finds one that nobody uses, and its fix removes it', async () => {
  expect((await examine(careful.url, 'replication-slots')).status).toBe('ok');
  await sql`select pg_create_physical_replication_slot('left_behind', true)`;
  const finding = await findingOn(careful.url, 'replication-slots', 'left_behind');
  expect(finding).toMatchObject({ status: 'warning' });
  await sql.unsafe(finding?.fix ?? '');
  expect((await examine(careful.url, 'replication-slots')).status).toBe('ok');
});

test('replication-lag finds a standby that receives nothing, where every check still runs', async () => {
  expect((await examine(careful.url, 'replication-lag')).status).toBe('ok');
  const alone = await servers.addStandby(careless, { primary_conninfo: '' });
  expect(await examine(alone.url, 'replication-lag')).toMatchObject({
    status: 'warning',
    findings: [{ reason: expect.stringContaining('receives nothing') }],
  });
  for (const check of ['connection-limit', 'wraparound', 'sequence-runway', 'replication-slots']) {
    expect((await examine(alone.url, check)).status).toBe('ok');
  }
});
