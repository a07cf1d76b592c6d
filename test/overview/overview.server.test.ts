import { expect } from 'vitest';
import { readStatsSnapshot } from '../../src/history/snapshot.ts';
import { renderOverviewPage } from '../../src/overview/page.ts';
import { renderOverview } from '../../src/overview/report.ts';
import { PLAIN } from '../../src/report/table.ts';
import { keepSnapshots } from '../../src/stats/history.ts';
import { DAY_MS } from '../../src/text/units.ts';
import { createRole } from '../support/databases.ts';
import { connectionTo, test, write } from '../support/sessions.ts';
import { look, readScript } from './overview-kit.ts';

/** `state` of each section that is one. */
function statesOf(overview: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(overview).flatMap(([name, value]) =>
      value !== null && typeof value === 'object' && 'state' in value ? [[name, value.state]] : [],
    ),
  );
}

test('an overview has the numbers of the database', async ({ db }) => {
  const { url, sql } = db;
  await sql.unsafe(readScript('example'));
  const { sizes, registrations, audit, doctor, ...rest } = await look(url);

  const [expected] = await sql`
    select (select count(*)::int from registrations
        where registered_at >= now() - interval '90 days') as made,
      (select count(*)::int from registrations where status = 'waitlist') as waiting,
      (select count(*)::int from events where is_active and date_time > now()) as coming,
      (select count(*)::int from events where date_time > now()
        and current_registrations = capacity) as "full",
      (select count(*)::int from events where current_registrations = capacity) as "soldOut",
      (select count(*)::int from audit_logs) as entries,
      (select max(registered_at) - e.created_at from registrations r
        join events e on e.id = r.event_id where r.status = 'confirmed'
        and e.id = ${registrations.data?.soldOut[0]?.id ?? 0} group by e.created_at)::text as took,
      pg_total_relation_size('registrations')::int as bytes`;
  const sum = (values: number[] | undefined) => values?.reduce((all, one) => all + one, 0);
  const { days, fillLevels, waitingLists, soldOut, coming } = registrations.data ?? {};
  const made = days?.map((day) => day.confirmed + day.waitlist + day.pending + day.cancelled);
  const last = fillLevels?.at(-1);
  expect({
    made: sum(made),
    waiting: sum(waitingLists?.map(({ waiting }) => waiting)),
    coming: sum(fillLevels?.map(({ events }) => events)),
    full: last?.fromPercent === 100 ? last.events : undefined,
    soldOut: soldOut?.length,
    entries: sum(audit.data?.rows.map(({ entries }) => entries)),
    bytes: sizes.data?.tables.find(({ table }) => table === 'registrations')?.totalBytes,
  }).toEqual({
    ...{ made: expected?.made, waiting: expected?.waiting, coming: expected?.coming },
    ...{ full: expected?.full, soldOut: expected?.soldOut, entries: expected?.entries },
    bytes: expected?.bytes,
  });
  expect(expected?.soldOut).toBeGreaterThan(10);
  expect(expected?.took).toContain(`${Math.floor((soldOut?.[0]?.tookMs ?? 0) / DAY_MS)} days`);
  expect(coming).toHaveLength(expected?.coming);
  expect(doctor.data?.checks.length).toBeGreaterThan(30);
  // Of the whole server, where other tests are at work.
  const here = rest.connections.data?.rows.filter(({ database }) => database === db.name);
  expect(here?.map(({ application }) => application)).not.toContain('evdb');
});

test('an overview of an empty database says that there is nothing', async ({ emptyDb }) => {
  const overview = await look(emptyDb.url);
  expect(statesOf(overview)).toMatchObject({
    ...{ doctor: 'known', sizes: 'known', sequences: 'known', migrations: 'absent' },
    ...{ registrations: 'absent', audit: 'absent' },
  });
  expect(overview.sizes.data).toMatchObject({ tables: [], indexes: [], totalBytes: 0 });
  const text = renderOverview(overview, { style: PLAIN });
  expect(text).toContain('Migrations: No migration was applied to this database by evdb.');
  expect(text).toContain('Sizes: There are no tables.');
  expect(text).toContain('does not hold the event schema.');
  expect(renderOverviewPage(overview)).not.toContain('NaN');
});

test('an overview for a role without privileges is unknown, and never empty', async ({ db }) => {
  await db.sql.unsafe(`${readScript('example')}; create schema evdb; create table evdb.history ()`);
  const plain = await createRole(db);
  const overview = await look(plain.url);
  expect(statesOf(overview)).toMatchObject({
    ...{ migrations: 'unknown', registrations: 'unknown', audit: 'unknown', sizes: 'known' },
  });
  expect(overview.registrations.reason).toMatchObject({
    level: 'unknown',
    hint: expect.stringContaining('grant_read_only_access'),
  });
  const page = renderOverviewPage(overview);
  expect(page).toContain('Unknown: the history of migrations is hidden from');
  expect(page.match(/the last value of .*? hidden/)).not.toBeNull();
  await plain.remove();
});

test('what takes too long is unknown, and the rest is read', async ({ db }) => {
  await db.sql.unsafe(`${readScript('example')};
    alter table registrations rename to kept;
    create view registrations as select k.* from kept k, pg_sleep(60)`);
  const overview = await look(db.url, { timeoutMs: 1500 });
  expect(overview.registrations).toMatchObject({
    ...{ state: 'unknown', data: null },
    reason: { text: 'it takes longer than 1.5 s and was cancelled' },
  });
  expect(statesOf(overview)).toMatchObject({ sizes: 'known', doctor: 'known', audit: 'known' });
});

test('a table that is locked delays no overview', async ({ db, sessions }) => {
  const holder = sessions.open(db.url, 'holder');
  await holder.unsafe('begin; lock table registrations, users in access exclusive mode');
  const overview = await look(db.url);
  expect(overview.sizes.data?.tables.map(({ table }) => table)).toContain('registrations');
  expect(overview.registrations.state).toBe('unknown');
  await holder`rollback`;
});

test('growth is told from the first snapshot of this database', async ({ emptyDb }) => {
  const { url, sql } = emptyDb;
  await sql.unsafe('create table t as select generate_series(1, 1000) as id');
  const before = await readStatsSnapshot(await connectionTo(url), { doctor: false });
  const takenAt = new Date(Date.parse(before.takenAt) - 3 * DAY_MS).toISOString();
  const other = { ...before, takenAt, server: { ...before.server, databaseOid: 1 } };
  await write(url, (session) => keepSnapshots(session, [other, before]));
  await sql.unsafe('insert into t select generate_series(1, 100000); create table young (id int)');
  const { data } = (await look(url)).sizes;
  const [bytes] = await sql`select pg_total_relation_size('t')::int as now`;
  expect(data?.tables.map(({ table, growthBytes }) => [table, growthBytes])).toEqual([
    ['t', bytes?.now - (before.tables[0]?.totalBytes ?? 0)],
    ['young', null],
  ]);
  expect(data?.history.map(({ totalBytes }) => totalBytes)).toEqual([
    before.tables[0]?.totalBytes,
    data?.totalBytes,
  ]);
});
