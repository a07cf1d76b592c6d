import { afterAll, beforeAll, describe, expect, test as plainTest } from 'vitest';
import { readVacuum } from '../../src/stats/vacuum.ts';
import { closeSql, openSql, withDatabase, withLogin } from '../support/databases.ts';
import { type SpecialServer, specialServers } from '../support/own-server.ts';
import { inspect, test } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

test('shows how old databases and tables are, against what freezes and what stops them', async ({
  emptyDb,
}) => {
  const { sql, url, name } = emptyDb;
  await sql.unsafe(`
    create schema "Odd one"; create table "Odd one"."my table" (id int, note text);
    alter table "Odd one"."my table" set (autovacuum_freeze_max_age = 150000, autovacuum_enabled = false);
    create table plain (id int)`);
  const report = await inspect(url, readVacuum);
  const database = report.rows.find((row) => row.kind === 'database' && row.name === name);
  const [age] =
    await sql`select age(datfrozenxid)::float8 as age from pg_database where datname = ${name}`;
  expect(database).toMatchObject({ freezeMaxAge: 200_000_000, multixactFreezeMaxAge: 400_000_000 });
  expect(Math.abs((database?.xidAge ?? 0) - age?.age)).toBeLessThan(10_000);
  expect((database?.xidsLeft ?? 0) + (database?.xidAge ?? 0)).toBe(2_147_483_647 - 3_000_000);
  expect(report.rows.find((row) => row.name === 'my table')).toMatchObject({
    kind: 'table',
    schema: 'Odd one',
    freezeMaxAge: 150_000,
    isAutovacuumOff: true,
    lastVacuumAt: null,
    running: null,
  });
  expect(report).toMatchObject({ isAutovacuumOn: true, notes: [] });

  await sql.unsafe('vacuum plain');
  const later = await eventually(async () => {
    const { rows } = await inspect(url, (session) => readVacuum(session, { limit: 10_000 }));
    const row = rows.find((one) => one.name === 'plain');
    return row?.lastVacuumAt ? row : undefined;
  });
  expect(later).toMatchObject({
    isAutovacuumOff: false,
    schema: 'public',
    freezeMaxAge: 200_000_000,
  });
});

test('shows a vacuum that runs with its progress, and hides it from who may not see', async ({
  emptyDb,
  sessions,
  live,
}) => {
  const { sql, url } = emptyDb;
  await sql`create table big as select n, repeat('x', 200) as filler from generate_series(1, 60000) as n`;
  const vacuumer = sessions.open(url, 'vacuumer');
  await vacuumer.unsafe('set vacuum_cost_limit = 1; set vacuum_cost_delay = 50');
  const vacuum = vacuumer.unsafe('vacuum big').catch(() => undefined);
  const row = await eventually(async () => {
    const { rows } = await inspect(live.monitorUrl, readVacuum);
    return rows.find((one) => one.name === 'big' && one.running);
  });
  expect(row.running).toMatchObject({
    pid: expect.any(Number),
    phase: 'scanning heap',
    progress: expect.any(Number),
    isAutovacuum: false,
    isForWraparound: false,
  });
  const hidden = await inspect(live.plainUrl, readVacuum);
  expect(hidden.notes).toContainEqual(expect.objectContaining({ level: 'unknown' }));
  const unnamed = hidden.rows.filter((one) => one.running && one.name.startsWith('(hidden)'));
  expect(unnamed[0]).toMatchObject({ running: { phase: null, progress: null } });
  await sql`select pg_cancel_backend(${row.running?.pid ?? 0})`;
  await vacuum;
});

describe('on a server that does not vacuum on its own', () => {
  const servers = specialServers();
  let server: SpecialServer;
  beforeAll(async () => {
    server = await servers.start({ autovacuum: 'off' });
  });
  afterAll(() => servers.remove());

  plainTest('says so, and names vacuums of other databases by what is known', async () => {
    const sql = openSql(server.url);
    await sql`create role plain login password 'secret'`;
    await sql`create database other`;
    const other = openSql(withDatabase(server.url, 'other'), 1);
    await other`create table big as select n, repeat('x', 200) as filler from generate_series(1, 60000) as n`;
    await other.unsafe('set vacuum_cost_limit = 1; set vacuum_cost_delay = 50');
    const vacuum = other.unsafe('vacuum big').catch(() => undefined);
    const report = await eventually(async () => {
      const found = await inspect(server.url, readVacuum);
      return found.rows.some((row) => row.running) ? found : undefined;
    });
    expect(report.rows.find((row) => row.running)).toMatchObject({
      name: expect.stringMatching(/^relation \d+ in database other$/),
      xidAge: null,
    });
    expect(report.isAutovacuumOn).toBe(false);
    expect(report.notes).toContainEqual(
      expect.objectContaining({
        level: 'warning',
        hint: expect.stringContaining('alter system set autovacuum = on'),
      }),
    );
    expect(
      (await inspect(withLogin(server.url, 'plain', 'secret'), readVacuum)).isAutovacuumOn,
    ).toBe(false);
    await sql`select pg_cancel_backend(pid) from pg_stat_progress_vacuum where datname = 'other'`;
    await vacuum;
    await Promise.all([sql, other].map(closeSql));
  });
});
