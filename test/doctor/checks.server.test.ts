import { expect } from 'vitest';
import { addEvent, addUsers, only } from '../event-schema/event-schema-kit.ts';
import { useInOwnSession } from '../event-schema/index-usage-kit.ts';
import { test } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';
import { examine, findingOn } from './doctor-kit.ts';

test('connection-limit looks at the limits of databases', async ({ emptyDb }) => {
  const { url, name, sql } = emptyDb;
  const object = `database ${name}`;
  await sql.unsafe(`alter database ${name} connection limit 100`);
  expect(await findingOn(url, 'connection-limit', object)).toBeUndefined();
  await sql.unsafe(`alter database ${name} connection limit 2`);
  expect(await findingOn(url, 'connection-limit', object)).toMatchObject({ status: 'critical' });
});

test('idle-in-transaction and long-transactions see sessions, and are calm about young ones', async ({
  emptyDb,
  sessions,
}) => {
  const idle = sessions.open(emptyDb.url, 'idle');
  await idle.unsafe('begin; select 1');
  const report = await examine(emptyDb.url, 'idle-in-transaction');
  expect(report.summary).toMatch(/^[1-9]\d* sessions? idle in a transaction$/);
  expect(report.findings.filter(({ reason }) => reason.includes('idle of'))).toEqual([]);
  expect((await examine(emptyDb.url, 'long-transactions')).status).not.toBe('unknown');
  await idle`rollback`;
});

test('lock-waits finds a session that others wait for too long', async ({ emptyDb, sessions }) => {
  const { url, sql } = emptyDb;
  await sql`create table events (id int)`;
  const holder = sessions.open(url, 'holder');
  await holder.unsafe('begin; lock table events');
  const waiting = sessions.open(url, 'waiter')`select * from public.events`.catch(() => undefined);
  const finding = await eventually(async () =>
    (await examine(url, 'lock-waits')).findings.find(({ reason }) => reason.includes('holder')),
  );
  expect(finding).toMatchObject({
    status: 'warning',
    reason: expect.stringMatching(
      /^1 session waits up to \d+ s for pid \d+ \(holder, .*public\.events$/,
    ),
    fix: expect.stringContaining('pg_terminate_backend'),
  });
  await holder`rollback`;
  await waiting;
  const after = await examine(url, 'lock-waits');
  expect(after.findings.filter(({ reason }) => reason.includes('holder'))).toEqual([]);
});

test('wraparound finds a table that is older than it may become', async ({ emptyDb }) => {
  const { url, sql } = emptyDb;
  await sql.unsafe(`
    create table old (id int) with (autovacuum_freeze_max_age = 100000, autovacuum_enabled = false);
    create table young (id int) with (autovacuum_freeze_max_age = 10000000)`);
  expect(await findingOn(url, 'wraparound', 'public.old')).toBeUndefined();
  await sql.unsafe(`do $$ begin
    for i in 1..151000 loop
      begin insert into young values (i); exception when division_by_zero then null; end;
    end loop; end $$`);
  expect(await findingOn(url, 'wraparound', 'public.old')).toMatchObject({
    status: 'warning',
    fix: expect.stringContaining('vacuum (freeze) "public"."old";'),
  });
  expect(await findingOn(url, 'wraparound', 'public.young')).toBeUndefined();
});

test('autovacuum finds a table that it leaves out', async ({ emptyDb }) => {
  const { url, sql } = emptyDb;
  await sql`create table log (id int)`;
  expect((await examine(url, 'autovacuum')).status).toBe('ok');
  await sql`alter table log set (autovacuum_enabled = false)`;
  const finding = await findingOn(url, 'autovacuum', 'public.log');
  expect(finding).toMatchObject({ status: 'warning' });
  await sql.unsafe(finding?.fix ?? '');
  expect((await examine(url, 'autovacuum')).status).toBe('ok');
});

test('dead-rows and stale-statistics find tables that nobody keeps up', async ({ emptyDb }) => {
  const { url, sql } = emptyDb;
  await useInOwnSession(url, [
    'create table log (id int) with (autovacuum_enabled = false)',
    'insert into log select generate_series(1, 50000)',
  ]);
  const stale = await eventually(() => findingOn(url, 'stale-statistics', 'public.log'));
  expect(stale).toMatchObject({ status: 'warning', fix: 'analyze "public"."log";' });
  expect(await findingOn(url, 'dead-rows', 'public.log')).toBeUndefined();
  await useInOwnSession(url, [stale.fix ?? '']);
  await eventually(async () =>
    (await findingOn(url, 'stale-statistics', 'public.log')) === undefined ? true : undefined,
  );

  await useInOwnSession(url, ['delete from log where id <= 30000']);
  const dead = await eventually(() => findingOn(url, 'dead-rows', 'public.log'));
  expect(dead.status).toBe('warning');
  await sql.unsafe('vacuum log');
  await eventually(async () =>
    (await findingOn(url, 'dead-rows', 'public.log')) === undefined ? true : undefined,
  );
});

test('invalid-indexes and unvalidated-constraints find what does not hold', async ({ emptyDb }) => {
  const { url, sql } = emptyDb;
  await sql.unsafe(
    'create table events (id int, seats int); create index events_idx on events (id)',
  );
  expect((await examine(url, 'invalid-indexes')).status).toBe('ok');
  expect((await examine(url, 'unvalidated-constraints')).status).toBe('ok');
  await sql.unsafe(`
    update pg_index set indisvalid = false where indexrelid = 'events_idx'::regclass;
    alter table events add constraint enough check (seats > 0) not valid`);
  const index = await findingOn(url, 'invalid-indexes', 'public.events_idx');
  expect(index).toMatchObject({ status: 'warning' });
  const constraint = await findingOn(url, 'unvalidated-constraints', 'public.events.enough');
  expect(constraint).toMatchObject({ status: 'warning' });
  await sql.unsafe(index?.fix ?? '');
  await sql.unsafe(constraint?.fix ?? '');
  expect((await examine(url, 'invalid-indexes')).status).toBe('ok');
  expect((await examine(url, 'unvalidated-constraints')).status).toBe('ok');
});

test('unused-indexes judges nothing by young counters, and says so', async ({ emptyDb }) => {
  expect(await examine(emptyDb.url, 'unused-indexes')).toMatchObject({
    status: 'unknown',
    findings: [{ status: 'unknown', reason: expect.stringContaining('nothing is judged') }],
  });
});

test('duplicate-indexes finds what another index does', async ({ emptyDb }) => {
  const { url, sql } = emptyDb;
  await sql.unsafe('create table events (id int); create index a_idx on events (id)');
  expect((await examine(url, 'duplicate-indexes')).status).toBe('ok');
  await sql`create index b_idx on events (id)`;
  const { status, findings } = await examine(url, 'duplicate-indexes');
  expect(status).toBe('warning');
  await sql.unsafe(findings[0]?.fix ?? '');
  expect((await examine(url, 'duplicate-indexes')).status).toBe('ok');
});

test('missing-fk-indexes finds a large table only', async ({ emptyDb }) => {
  const { url, sql } = emptyDb;
  await sql.unsafe(`
    create table events (id int primary key); insert into events values (1);
    create table small (event_id int constraint small_fkey references events);
    create table large (event_id int constraint large_fkey references events, filler text)`);
  expect(await examine(url, 'missing-fk-indexes')).toMatchObject({
    status: 'ok',
    summary: '2 foreign keys without index, all of small tables',
  });
  await sql`insert into large select 1, repeat('x', 1000) from generate_series(1, 12000)`;
  const finding = await findingOn(url, 'missing-fk-indexes', 'public.large.large_fkey');
  expect(finding).toMatchObject({ status: 'warning' });
  await sql.unsafe(finding?.fix ?? '');
  expect((await examine(url, 'missing-fk-indexes')).status).toBe('ok');
});

test('collation-versions finds an index that was built under another order', async ({
  emptyDb,
}) => {
  const { url, sql } = emptyDb;
  await sql.unsafe(`
    create collation unused from "en-x-icu"; create collation german from "de-x-icu";
    create table events (title text collate german); create index events_idx on events (title);
    update pg_collation set collversion = '0' where collname = 'unused'`);
  expect((await examine(url, 'collation-versions')).status).toBe('ok');
  await sql`update pg_collation set collversion = '0' where collname = 'german'`;
  const { status, findings } = await examine(url, 'collation-versions');
  expect(status).toBe('critical');
  expect(findings).toMatchObject([{ object: 'public.german' }]);
  const fix = findings[0]?.fix ?? '';
  await sql.unsafe(fix.slice(fix.indexOf('alter')));
  expect((await examine(url, 'collation-versions')).status).toBe('ok');
});

test('collation-versions looks at the database where the server records it', async ({
  emptyDb,
}) => {
  const { url, sql, name } = emptyDb;
  const [column] = await sql`
    select from pg_attribute where attrelid = 'pg_database'::regclass and attname = 'datcollversion'`;
  const [actual] = column
    ? await sql.unsafe(
        'select pg_database_collation_actual_version(oid) as version from pg_database where datname = current_database()',
      )
    : [];
  if (!actual?.version) return expect((await examine(url, 'collation-versions')).status).toBe('ok');
  await sql`update pg_database set datcollversion = '0' where datname = ${name}`;
  const finding = await findingOn(url, 'collation-versions', name);
  expect(finding).toMatchObject({ status: 'critical' });
  for (const statement of (finding?.fix ?? '').split(' then: ')) await sql.unsafe(statement);
  expect((await examine(url, 'collation-versions')).status).toBe('ok');
});

test('disabled-triggers finds guards and foreign keys that are off', async ({ db }) => {
  const { url, sql } = db;
  expect((await examine(url, 'disabled-triggers')).status).toBe('ok');
  await sql`alter table registrations disable trigger all`;
  const { status, findings } = await examine(url, 'disabled-triggers');
  expect(status).toBe('critical');
  expect(findings.map((finding) => finding.status)).toEqual(
    expect.arrayContaining(['warning', 'critical']),
  );
  await sql`alter table registrations enable trigger all`;
  expect((await examine(url, 'disabled-triggers')).status).toBe('ok');
});

test('partition-runway finds a table whose partitions end', async ({ emptyDb }) => {
  const { url, sql } = emptyDb;
  const now = Date.now();
  const day = (days: number) => new Date(now + days * 86_400_000).toISOString();
  await sql.unsafe(`
    create table log (at timestamptz) partition by range (at);
    create table log_1 partition of log for values from ('${day(-1)}') to ('${day(3)}')`);
  const look = () => findingOn(url, 'partition-runway', 'public.log');
  expect(await look()).toMatchObject({ status: 'critical' });
  const add = (from: number, to: number) =>
    sql.unsafe(
      `create table log_${to} partition of log for values from ('${day(from)}') to ('${day(to)}')`,
    );
  await add(3, 20);
  expect(await look()).toMatchObject({ status: 'warning' });
  await add(20, 60);
  expect(await look()).toBeUndefined();
});

test('sequence-runway finds a sequence that is too far for its column', async ({ emptyDb }) => {
  const { url, sql } = emptyDb;
  await sql`create table events (id int generated always as identity)`;
  expect((await examine(url, 'sequence-runway')).status).toBe('ok');
  await sql`select setval('events_id_seq', 2000000000)`;
  expect(await findingOn(url, 'sequence-runway', 'public.events_id_seq')).toMatchObject({
    status: 'critical',
    reason: expect.stringContaining('93.1 %'),
  });
});

test('sequence-runway is unknown to a role that may not see the sequences', async ({
  emptyDb,
  live,
}) => {
  await emptyDb.sql`create table events (id int generated always as identity)`;
  await emptyDb.sql`select nextval('events_id_seq')`;
  expect((await examine(live.plainUrl, 'sequence-runway')).status).toBe('unknown');
});

test('unaudited-columns finds what was added to an audited table, and its fix mends that', async ({
  db,
  emptyDb,
}) => {
  expect(await examine(emptyDb.url, 'unaudited-columns')).toMatchObject({
    status: 'skipped',
    summary: 'no table is audited',
  });
  const { url, sql } = db;
  expect((await examine(url, 'unaudited-columns')).status).toBe('ok');
  await sql.unsafe(`
    alter table users add column nickname text;
    alter table events add column "Türe" text;
    create table tickets (id int primary key, note text, scans int, updated_at timestamptz, place text);
    select attach_audit('tickets', '{note}', '{scans}');`);
  const { findings } = await examine(url, 'unaudited-columns');
  expect(findings).toEqual([
    {
      status: 'warning',
      object: 'public.events.Türe',
      reason: 'column public.events.Türe is not audited: a change of it alone writes no entry',
      hint: expect.stringContaining('Put the fix into a new migration'),
      fix: `select attach_audit('events');`,
    },
  ]);
  await sql.unsafe(only(findings[0]).fix ?? '');
  expect((await examine(url, 'unaudited-columns')).status).toBe('ok');
  await sql`alter table tickets rename column note to remark`;
  expect(await findingOn(url, 'unaudited-columns', 'public.tickets.note')).toMatchObject({
    status: 'critical',
  });
});

test('business-rules finds broken data, and is skipped where there is no event schema', async ({
  db,
  emptyDb,
  live,
}) => {
  expect(await examine(emptyDb.url, 'business-rules')).toMatchObject({
    status: 'skipped',
    summary: expect.stringContaining('does not hold the event schema'),
  });
  expect((await examine(db.url, 'business-rules')).status).toBe('ok');
  await addUsers(db.sql, 1);
  await addEvent(db.sql);
  await db.sql.unsafe(`
    set session_replication_role = replica; update events set current_registrations = 3;
    reset session_replication_role`);
  const { status, findings } = await examine(db.url, 'business-rules');
  expect(status).toBe('critical');
  expect(findings.map(({ object }) => object)).toContain('registration_count_mismatch');

  const plain = new URL(live.plainUrl);
  plain.pathname = `/${db.name}`;
  expect(await examine(plain.href, 'business-rules')).toMatchObject({
    status: 'unknown',
    findings: [{ hint: expect.stringContaining('grant_read_only_access') }],
  });
});
