import { afterAll, beforeAll, expect } from 'vitest';
import type { Session } from '../../src/connection/session.ts';
import { runDoctor } from '../../src/doctor/doctor.ts';
import { closeSql } from '../support/databases.ts';
import { type SpecialServer, specialServers } from '../support/own-server.ts';
import { inspect, test } from '../support/sessions.ts';
import { toldChecks } from './told.ts';

const servers = specialServers();
let careful: SpecialServer;

beforeAll(async () => {
  careful = await servers.start({ max_prepared_transactions: '2' });
}, 120_000);

afterAll(() => servers.remove());

/** The same session at a server whose clock is ahead: what is there has become that much older. */
function later(session: Session, interval: string): Session {
  const run = (text: string) =>
    session.run(
      text.replaceAll(
        'pg_catalog.clock_timestamp()',
        `(pg_catalog.clock_timestamp() + interval '${interval}')`,
      ),
    );
  return Object.create(session, { run: { value: run } });
}

async function examineLater(url: string, check: string, interval: string) {
  const report = await inspect(url, (session) =>
    runDoctor(later(session, interval), { only: [check] }),
  );
  return toldChecks(report).find((one) => one.check === check);
}

test('idle-in-transaction finds a session that forgot its transaction', async ({
  emptyDb,
  sessions,
}) => {
  const idle = sessions.open(emptyDb.url, 'forgetful');
  await idle.unsafe('begin');
  const [{ pid }] = await idle<[{ pid: number }]>`select pg_backend_pid() as pid`;
  const findings = async (interval: string) =>
    (await examineLater(emptyDb.url, 'idle-in-transaction', interval))?.findings.filter(
      ({ reason }) => reason.includes(`pid ${pid}`),
    );
  expect(await findings('10 seconds')).toEqual([]);
  expect(await findings('2 minutes')).toMatchObject([{ status: 'warning' }]);
  expect(await findings('20 minutes')).toMatchObject([{ status: 'critical' }]);
  await idle`rollback`;
});

test('long-transactions finds one that has been at work for long', async ({
  emptyDb,
  sessions,
}) => {
  const busy = sessions.open(emptyDb.url, 'busy');
  const [{ pid }] = await busy<[{ pid: number }]>`select pg_backend_pid() as pid`;
  const sleeping = busy`select pg_sleep(30)`.catch(() => undefined);
  await expect
    .poll(() => emptyDb.sql`select 1 from pg_stat_activity where pid = ${pid} and state = 'active'`)
    .toHaveLength(1);
  const findings = async (interval: string) =>
    (await examineLater(emptyDb.url, 'long-transactions', interval))?.findings.filter(
      ({ reason }) => reason.includes(`pid ${pid}`),
    );
  expect(await findings('1 minute')).toEqual([]);
  expect(await findings('11 minutes')).toMatchObject([{ status: 'warning' }]);
  expect(await findings('13 hours')).toMatchObject([{ status: 'critical' }]);
  await emptyDb.sql`select pg_cancel_backend(${pid})`;
  await sleeping;
});

test('prepared-transactions finds one that nobody ended', async ({ sessions }) => {
  const sql = sessions.open(careful.url);
  await sql.unsafe("begin; create table paid (); prepare transaction 'left behind'");
  const status = async (interval: string) =>
    (await examineLater(careful.url, 'prepared-transactions', interval))?.status;
  expect(await status('10 seconds')).toBe('ok');
  expect(await status('6 minutes')).toBe('warning');
  expect(await status('2 hours')).toBe('critical');
  await sql`rollback prepared 'left behind'`;
});

test('unused-indexes finds a large one once the server has counted for long', async ({
  emptyDb,
  sessions,
}) => {
  await emptyDb.sql.unsafe(`
    create table visits (id integer primary key, at integer);
    insert into visits select i, i from generate_series(1, 600000) i;
    create index visits_at on visits (at);
    analyze visits;
    select count(*) from visits;`);
  const objects = async (interval: string) =>
    (await examineLater(emptyDb.url, 'unused-indexes', interval))?.findings.map(
      ({ object }) => object,
    );
  await expect.poll(() => objects('30 days'), { timeout: 15_000 }).toContain('public.visits_at');
  expect(await objects('1 hour')).not.toContain('public.visits_at');
  // A session counts at its end; one that stays idle may keep it to itself before PostgreSQL 15.
  const reader = sessions.open(emptyDb.url);
  await reader.unsafe('set enable_seqscan = off; select * from visits where at = 7');
  await closeSql(reader);
  await expect
    .poll(() => objects('30 days'), { timeout: 15_000 })
    .not.toContain('public.visits_at');
});

test('replication-lag finds a standby that is behind', async ({ sessions }) => {
  const standby = await servers.addStandby(careful, { max_prepared_transactions: '2' });
  const status = async (interval: string) =>
    (await examineLater(standby.url, 'replication-lag', interval))?.status;
  const replica = sessions.open(standby.url);
  const primary = sessions.open(careful.url);
  await primary.unsafe('create table heard ()');
  await expect.poll(() => status('1 hour'), { timeout: 15_000 }).toBe('ok');
  await replica`select pg_wal_replay_pause()`;
  await primary.unsafe('create table not_heard ()');
  await expect.poll(() => status('1 minute'), { timeout: 15_000 }).toBe('warning');
  expect(await status('10 minutes')).toBe('critical');
  await replica`select pg_wal_replay_resume()`;
  await expect.poll(() => status('10 minutes'), { timeout: 15_000 }).toBe('ok');
});
