import { expect } from 'vitest';
import { readActivity } from '../../src/stats/activity.ts';
import { inspect, test } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

test('shows who runs what since when, and leaves itself out', async ({ emptyDb, sessions }) => {
  const { url, name, sql } = emptyDb;
  const [sleeper, idler] = [sessions.open(url, 'sleeper'), sessions.open(url, 'idler')];
  const sleeping = sleeper`select pg_sleep(60)`.catch(() => undefined);
  await idler.unsafe('begin; select 1 as kept_open');
  const rows = await eventually(async () => {
    const found = (await inspect(url, readActivity)).rows.filter((row) => row.database === name);
    return found.some(({ waitsFor }) => waitsFor === 'Timeout: PgSleep') ? found : undefined;
  });
  expect(rows.map(({ application }) => application).sort()).toEqual(['idler', 'sleeper']);
  expect(rows.find((row) => row.application === 'sleeper')).toMatchObject({
    state: 'active',
    statement: 'select pg_sleep(60)',
    statementMs: expect.any(Number),
    transactionMs: expect.any(Number),
    backendType: 'client backend',
    leaderPid: null,
    client: '127.0.0.1',
  });
  expect(rows.find((row) => row.application === 'idler')).toMatchObject({
    state: 'idle in transaction',
    statement: expect.stringContaining('kept_open'),
    statementMs: null,
    transactionStart: expect.any(Date),
    waitsFor: 'Client: ClientRead',
  });

  await idler`rollback`;
  await sql`select pg_cancel_backend(pid) from pg_stat_activity where datname = ${name} and application_name = 'sleeper'`;
  await sleeping;
  await eventually(async () => {
    const left = (await inspect(url, readActivity)).rows.filter((row) => row.database === name);
    return left.length === 0 ? true : undefined;
  });
  const all = await inspect(url, (session) => readActivity(session, { includeIdle: true }));
  const idle = all.rows.filter((row) => row.database === name && row.state === 'idle');
  expect(idle.map(({ application }) => application)).toContain('idler');
});

test('names the leader of parallel workers', async ({ emptyDb, sessions }) => {
  const { url, name, sql } = emptyDb;
  await sql.unsafe('create table big as select generate_series(1, 20000) as n; analyze big');
  const scanner = sessions.open(url, 'scanner');
  await scanner.unsafe(
    'set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0',
  );
  const scan = scanner
    .unsafe('select count(*) from big where pg_sleep(0.01 + n * 0) is null')
    .catch(() => undefined);
  const workers = await eventually(async () => {
    const { rows } = await inspect(url, readActivity);
    const found = rows.filter((row) => row.database === name && row.leaderPid !== null);
    return found.length > 0 ? found : undefined;
  });
  const [leader] =
    await sql`select pid from pg_stat_activity where application_name = 'scanner' and leader_pid is null and datname = ${name}`;
  expect(workers[0]).toMatchObject({ leaderPid: leader?.pid, backendType: 'parallel worker' });
  await sql`select pg_cancel_backend(${leader?.pid ?? 0})`;
  await scan;
});

test('shows other sessions to a role that may not see them, and says what is hidden', async ({
  emptyDb,
  sessions,
  live,
}) => {
  const { url, name } = emptyDb;
  const idler = sessions.open(url, 'idler');
  await idler.unsafe("begin; select 'secret'");
  const find = async (as: string) => {
    const report = await inspect(as, readActivity);
    return {
      ...report,
      row: report.rows.find((one) => one.database === name && one.application === 'idler'),
    };
  };
  const seen = await find(live.monitorUrl);
  expect(seen.notes).toEqual([]);
  expect(seen.row).toMatchObject({ isHidden: false, statement: expect.stringContaining('secret') });
  const hidden = await find(live.plainUrl);
  expect(hidden.row).toMatchObject({
    isHidden: true,
    statement: null,
    state: null,
    transactionMs: null,
    user: 'postgres',
  });
  expect(JSON.stringify(hidden.rows)).not.toContain('secret');
  expect(hidden.notes).toEqual([
    {
      level: 'unknown',
      text: expect.stringContaining(`hidden from ${live.plainName}`),
      hint: expect.stringContaining('grant pg_read_all_stats'),
    },
  ]);
  await idler`rollback`;
});

test('says that a session does not tell what it runs', async ({ emptyDb, sessions }) => {
  const quiet = sessions.open(emptyDb.url, 'quiet');
  await quiet.unsafe('set track_activities = off');
  await quiet.unsafe('begin; select 1');
  const { notes } = await inspect(emptyDb.url, readActivity);
  expect(notes).toContainEqual(
    expect.objectContaining({
      level: 'unknown',
      text: expect.stringContaining('track_activities'),
    }),
  );
});
