import { expect } from 'vitest';
import type { Session } from '../../src/connection/session.ts';
import { readSequences } from '../../src/stats/sequences.ts';
import { useInOwnSession } from '../event-schema/index-usage-kit.ts';
import { test as eventTest } from '../support/fixture.ts';
import { inspect, test } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

/** Makes the counters of a test, which are always young, look old. */
function asIfCountedFor(session: Session, days: number): Session {
  return {
    ...session,
    run: async (text) => {
      const rows = await session.run(text);
      const [age] = rows;
      if (!(age?.since instanceof Date && age.now instanceof Date)) return rows;
      const since = new Date(age.now.getTime() - days * 86_400_000);
      return [{ ...age, since, mayReadFiles: false }];
    },
  };
}

async function find(url: string) {
  const { rows } = await inspect(url, readSequences);
  return Object.fromEntries(rows.map((row) => [row.sequence, row]));
}

test('measures against the narrowest of sequence, column and foreign key', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(
    `
    create schema "S x"; set search_path = "S x";
    create table "T ""y""" (id serial primary key);
    create table wide (id bigserial primary key);
    create sequence "wide into narrow" as bigint;
    create table narrow (id int primary key default nextval('"wide into narrow"'), "by" int);
    create table tiny (id smallint generated always as identity);
    create table child (wide_id int references wide);
    create domain small_id as smallint; create domain smaller_id as small_id;
    create sequence s; create table domained (id smaller_id default nextval('s'));
    create sequence lonely maxvalue 10;
    select setval('"T ""y""_id_seq"', 1073741824), setval('wide into narrow', 2147483646),
      setval('wide_id_seq', 214748365), setval('s', 16384), setval('lonely', 9)`.replace(
      "setval('wide into narrow'",
      `setval('"wide into narrow"'`,
    ),
  );
  const rows = await find(url);
  expect(rows['T "y"_id_seq']).toMatchObject({
    schema: 'S x',
    type: 'integer',
    lastValue: '1073741824',
    limit: '2147483647',
    limitedBy: 'sequence',
    isKnown: true,
    remaining: '1073741823',
    columns: [{ schema: 'S x', table: 'T "y"', column: 'id', type: 'integer', role: 'owner' }],
  });
  expect(rows['T "y"_id_seq']?.usedPercent).toBeCloseTo(50, 5);
  expect(rows['wide into narrow']).toMatchObject({
    type: 'bigint',
    limit: '2147483647',
    limitedBy: '"S x".narrow.id',
    remaining: '1',
  });
  expect(rows['wide into narrow']?.usedPercent).toBeGreaterThan(99.99);
  expect(rows.wide_id_seq).toMatchObject({ limitedBy: '"S x".child.wide_id', limit: '2147483647' });
  expect(rows.wide_id_seq?.usedPercent).toBeCloseTo(10, 5);
  expect(rows.wide_id_seq?.columns.map(({ table, role }) => ({ table, role }))).toEqual([
    { table: 'wide', role: 'owner' },
    { table: 'child', role: 'reference' },
  ]);
  expect(rows.tiny_id_seq).toMatchObject({ lastValue: null, usedPercent: 0, limit: '32767' });
  expect(rows.s).toMatchObject({ limit: '32767', limitedBy: '"S x".domained.id' });
  expect(rows.s?.usedPercent).toBeCloseTo(50, 1);
  expect(rows.lonely).toMatchObject({ columns: [], usedPercent: 90, remaining: '1' });
  const report = await inspect(url, readSequences);
  expect(report.rows[0]?.sequence).toBe('wide into narrow');
  expect(report.notes).toEqual([]);
});

test('counts downwards, from a start of its own, and beyond what a float holds', async ({
  emptyDb,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create sequence down increment -1 minvalue -100 maxvalue -1; select setval('down', -75);
    create sequence late minvalue 1000 maxvalue 1099; select setval('late', 1049);
    create sequence huge; select setval('huge', 9223372036854775806);
    create sequence round maxvalue 10 cycle; select setval('round', 10);
    create sequence beyond; create table t (id smallint default nextval('beyond')); select setval('beyond', 40000)`);
  const rows = await find(url);
  expect(rows.down).toMatchObject({
    usedPercent: 75,
    remaining: '25',
    limit: '-100',
    increment: '-1',
  });
  expect(rows.late).toMatchObject({ usedPercent: 50, remaining: '50' });
  expect(rows.huge).toMatchObject({ lastValue: '9223372036854775806', remaining: '1' });
  expect(rows.round).toMatchObject({ isCycling: true, daysLeft: null });
  expect(rows.beyond).toMatchObject({ remaining: '0', limit: '32767' });
  expect(rows.beyond?.usedPercent).toBeGreaterThan(100);
});

test('says unknown where the role may not see the last value', async ({ emptyDb, live }) => {
  const { sql } = emptyDb;
  await sql.unsafe(`create sequence hidden maxvalue 10; select setval('hidden', 10);
    create sequence shown maxvalue 10; select setval('shown', 10);
    grant usage on schema public to public; grant select on sequence shown to public`);
  const { rows, notes } = await inspect(live.monitorUrl, readSequences);
  expect(rows).toMatchObject([
    { sequence: 'hidden', isKnown: false, lastValue: null, usedPercent: null, remaining: null },
    { sequence: 'shown', isKnown: true, usedPercent: 100, remaining: '0' },
  ]);
  expect(notes).toMatchObject([
    {
      level: 'unknown',
      text: expect.stringMatching(/^the last value of 1 sequence is hidden from /),
      hint: expect.stringMatching(
        /^Let .*: grant select on all sequences in schema "public" to ".*";$/,
      ),
    },
  ]);
});

test('knows where a sequence stands that has given no number since it was restarted', async ({
  emptyDb,
  live,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create sequence "By set" maxvalue 100; select setval('"By set"', 54, false);
    create sequence by_restart maxvalue 100; alter sequence by_restart restart with 54;
    create sequence down increment -1 minvalue -100 maxvalue -1; alter sequence down restart with -54;
    create sequence fresh maxvalue 100;
    create sequence at_the_end; select setval('at_the_end', 9223372036854775807, false);
    create sequence late minvalue 1 start 51 maxvalue 100;
    grant usage on schema public to public; grant usage on sequence fresh to public`);
  const rows = await find(url);
  expect(rows['By set']).toMatchObject({ lastValue: null, usedPercent: 53, remaining: '47' });
  expect(rows.by_restart).toMatchObject({ lastValue: null, usedPercent: 53, remaining: '47' });
  expect(rows.down).toMatchObject({ lastValue: null, usedPercent: 53, remaining: '47' });
  expect(rows.fresh).toMatchObject({ lastValue: null, usedPercent: 0, remaining: '100' });
  expect(rows.at_the_end).toMatchObject({ remaining: '1' });
  expect(rows.late).toMatchObject({ usedPercent: 50, remaining: '50' });
  const { rows: sorted } = await inspect(url, readSequences);
  expect(sorted.at(0)?.sequence).toBe('at_the_end');
  expect(sorted.at(-1)?.sequence).toBe('fresh');
  const { rows: plain } = await inspect(live.plainUrl, readSequences);
  // With usage alone the number that comes next cannot be read.
  expect(plain.find(({ sequence }) => sequence === 'fresh')).toMatchObject({
    isKnown: false,
    unknownBecause: 'privilege',
    usedPercent: null,
  });
});

test('does not wait for a sequence that is being altered', async ({ emptyDb, sessions }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create sequence altered; create sequence free');
  const holder = sessions.open(url);
  await holder.unsafe('begin; alter sequence altered increment 2');
  const rows = await find(url);
  expect(rows.altered).toMatchObject({
    isKnown: false,
    unknownBecause: 'lock',
    usedPercent: null,
  });
  expect(rows.free).toMatchObject({ isKnown: true, usedPercent: 0 });
  await holder.unsafe('rollback');
  expect((await find(url)).altered).toMatchObject({ isKnown: true });
});

test('estimates the days left from the rows inserted since the server counts', async ({
  emptyDb,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(
    'create table t (id smallserial); create table log (id smallserial, at date, n int) partition by range (at)',
  );
  await sql.unsafe(
    `create table log_1 partition of log for values from ('2026-01-01') to ('2026-02-01')`,
  );
  await useInOwnSession(url, [
    'insert into t select from generate_series(1, 1000)',
    `insert into log (at) select '2026-01-05' from generate_series(1, 200)`,
    // Rows with numbers of their own use up none.
    `insert into log select 1, '2026-01-05' from generate_series(1, 1000)`,
  ]);
  const rows = await eventually(async () => {
    const found = (await inspect(url, (session) => readSequences(asIfCountedFor(session, 10))))
      .rows;
    return found.every(({ perDay }) => perDay !== null) ? found : undefined;
  });
  const t = rows.find(({ sequence }) => sequence === 't_id_seq');
  expect(t?.perDay).toBeCloseTo(100, 1);
  expect(t?.daysLeft).toBeCloseTo((32767 - 1000) / 100, 0);
  const log = rows.find(({ sequence }) => sequence === 'log_id_seq');
  expect(log?.perDay).toBeCloseTo(20, 1);
});

test('tells no rate before a day of counting', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table t (id serial); insert into t select from generate_series(1, 100)');
  expect((await find(url)).t_id_seq).toMatchObject({
    lastValue: '100',
    perDay: null,
    daysLeft: null,
  });
});

eventTest('knows that the audit log and its overflow share a sequence', async ({ db }) => {
  const rows = Object.values(await find(db.url));
  const shared = rows.find(({ columns }) => columns.some(({ table }) => table === 'audit_logs'));
  expect(shared?.columns.map(({ table }) => table).sort()).toEqual([
    'audit_logs',
    'audit_logs_overflow',
  ]);
  const users = rows.find(({ columns }) =>
    columns.some(({ table, role }) => table === 'users' && role === 'owner'),
  );
  expect(users?.columns.filter(({ role }) => role === 'reference').length).toBeGreaterThan(1);
});
