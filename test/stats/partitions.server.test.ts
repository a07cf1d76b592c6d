import { expect } from 'vitest';
import { readPartitions } from '../../src/stats/partitions.ts';
import { withLogin } from '../support/databases.ts';
import { test as eventTest } from '../support/fixture.ts';
import { inspect, test } from '../support/sessions.ts';

/** What the schema takes for a password hash. */
const HASH = `$2b$12$${'a'.repeat(53)}`;

async function find(url: string) {
  const { rows } = await inspect(url, readPartitions);
  return Object.fromEntries(rows.map((row) => [row.table, row]));
}

/** A bound so many days from now, as SQL. */
const day = (days: number) => `(current_date + ${days})::text`;

async function addPart(
  sql: { unsafe(text: string): Promise<unknown> },
  table: string,
  from: number,
  until: number,
): Promise<void> {
  await sql.unsafe(`do $$ begin execute format(
    'create table %I partition of ${table} for values from (%L) to (%L)',
    '${table.replaceAll('"', '')} ${from}', ${day(from)}, ${day(until)}); end $$`);
}

test('tells until when the time is covered, without a gap', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    set timezone = 'Asia/Tokyo'; alter database ${emptyDb.name} set timezone = 'Asia/Tokyo';
    alter database ${emptyDb.name} set datestyle = 'SQL, DMY';
    create table "good one" (id int, at date) partition by range (at);
    create table gap (at date, id int) partition by range (at, id);
    create table expired (at date) partition by range (at);
    create table bare (at date) partition by range (at);
    create table endless (at timestamptz) partition by range (at);
    create table endless_1 partition of endless for values from (minvalue) to (maxvalue);
    create table numbers (n int) partition by range (n);
    create table numbers_1 partition of numbers for values from (0) to (10);
    create table words (w text) partition by list (w);
    create table hashes (n int) partition by hash (n)`);
  await addPart(sql, '"good one"', -10, 5);
  await addPart(sql, '"good one"', 5, 20);
  await sql.unsafe(`do $$ begin
    execute format('create table gap_1 partition of gap for values from (%L, 1) to (%L, 1)', ${day(-5)}, ${day(5)});
    execute format('create table gap_2 partition of gap for values from (%L, 1) to (%L, 1)', ${day(8)}, ${day(9)}); end $$`);
  await addPart(sql, 'expired', -10, -5);
  const rows = await find(url);
  expect(rows['good one']).toMatchObject({
    strategy: 'range',
    key: 'RANGE (at)',
    partitions: 2,
    isByTime: true,
    isOpenEnded: false,
    gapFrom: null,
    defaultPartition: null,
  });
  expect(rows['good one']?.daysLeft).toBeGreaterThan(18);
  expect(rows['good one']?.daysLeft).toBeLessThan(22);
  expect(rows['good one']?.coveredUntil?.toISOString()).toMatch(/T00:00:00.000Z$/);
  expect(rows.gap?.daysLeft).toBeLessThan(7);
  expect(rows.gap?.gapFrom).toEqual(rows.gap?.coveredUntil);
  expect(rows.expired).toMatchObject({ coveredUntil: null, daysLeft: 0, gapFrom: null });
  expect(rows.bare).toMatchObject({ partitions: 0, coveredUntil: null, daysLeft: 0 });
  expect(rows.endless).toMatchObject({ isOpenEnded: true, coveredUntil: null, daysLeft: null });
  expect(rows.numbers).toMatchObject({ isByTime: false, coveredUntil: null, daysLeft: null });
  expect(rows.words).toMatchObject({ strategy: 'list', daysLeft: null });
  expect(rows.hashes).toMatchObject({ strategy: 'hash', daysLeft: null });
});

test('counts what fell into a default partition', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`create table t (at date) partition by range (at);
    create table "t rest" partition of t default; analyze t`);
  expect((await find(url)).t).toMatchObject({
    defaultPartition: 't rest',
    defaultRows: 0,
    daysLeft: 0,
    partitions: 1,
  });
  await sql.unsafe('insert into t select current_date from generate_series(1, 50); analyze t');
  expect((await find(url)).t).toMatchObject({ defaultRows: 50, rows: 50 });
});

test('warns of a partition that is half detached', async ({ emptyDb, sessions }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table t (at date) partition by range (at)');
  await addPart(sql, 't', -5, 5);
  await addPart(sql, 't', 5, 25);
  expect((await inspect(url, readPartitions)).notes).toEqual([]);
  const reader = sessions.open(url);
  await reader.unsafe('begin; select * from t');
  const detacher = sessions.open(url);
  await detacher.unsafe("set statement_timeout = '300ms'");
  await expect(
    detacher.unsafe('alter table t detach partition "t 5" concurrently'),
  ).rejects.toMatchObject({ code: '57014' });
  const { rows, notes } = await inspect(url, readPartitions);
  expect(rows[0]).toMatchObject({ partitions: 1 });
  expect(rows[0]?.daysLeft).toBeLessThan(7);
  expect(notes).toMatchObject([
    { level: 'warning', text: '1 partition of public.t is half detached' },
  ]);
});

test('does not wait for a table that is locked', async ({ emptyDb, sessions }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table t (at date) partition by range (at)');
  await addPart(sql, 't', -5, 15);
  const holder = sessions.open(url);
  await holder.unsafe('begin; lock table t in access exclusive mode');
  const row = (await find(url)).t;
  expect(row).toMatchObject({ key: null, partitions: 1 });
  expect(row?.daysLeft).toBeGreaterThan(10);
});

eventTest(
  'tells the runway of the audit log and what waits in its overflow',
  async ({ db, admin }) => {
    const { rows, notes } = await inspect(db.url, readPartitions);
    const [own] = await db.sql`select max(ends_at) as until from list_audit_partitions()`;
    expect(rows).toMatchObject([{ table: 'audit_logs', isByTime: true, coveredUntil: own?.until }]);
    expect(rows[0]?.daysLeft).toBeGreaterThan(60);
    expect(notes).toEqual([]);

    const role = `evdb_test_look_${db.name.slice(-12)}`;
    await admin.unsafe(`create role ${role} login password 'secret'`);
    try {
      const asOther = await inspect(withLogin(db.url, role, 'secret'), readPartitions);
      expect(asOther.notes).toMatchObject([{ level: 'unknown' }]);
      expect(asOther.rows).toMatchObject([{ coveredUntil: own?.until }]);
    } finally {
      await admin.unsafe(`drop role ${role}`);
    }

    await db.sql.unsafe(`do $$ begin
      insert into users (name, email, password_hash) values ('n', 'n@example.org', '${HASH}');
      insert into audit_logs_overflow select * from audit_logs;
    end $$`);
    expect((await inspect(db.url, readPartitions)).notes).toMatchObject([
      { level: 'warning', hint: 'select * from "public".ensure_audit_partitions();' },
    ]);
  },
);
