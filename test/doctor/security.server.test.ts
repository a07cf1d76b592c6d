import { execFileSync } from 'node:child_process';
import { basename } from 'node:path';
import type postgres from 'postgres';
import { afterAll, beforeAll, expect } from 'vitest';
import { runDoctor } from '../../src/doctor/doctor.ts';
import { closeSql, createRole, openSql, withDatabase, withLogin } from '../support/databases.ts';
import { type SpecialServer, specialServers } from '../support/own-server.ts';
import { inspect, test } from '../support/sessions.ts';
import { examine, findingOn } from './doctor-kit.ts';

const servers = specialServers();
let own: SpecialServer;
let sql: postgres.Sql;

beforeAll(async () => {
  own = await servers.start({});
  sql = openSql(own.url);
});
afterAll(async () => {
  if (sql) await closeSql(sql);
  await servers.remove();
});

/** Breaks something, sees the finding, ignores it, runs the fix and sees it gone. */
async function expectFixed(
  db: { url: string; sql: postgres.Sql },
  { check, object, status, breaking }: Record<'check' | 'object' | 'status' | 'breaking', string>,
) {
  const seen = `${check} on ${object}`;
  expect(await findingOn(db.url, check, object), `${seen}, before`).toBeUndefined();
  await db.sql.unsafe(breaking);
  const finding = await findingOn(db.url, check, object);
  expect(finding, seen).toMatchObject({ status });
  const ignore = [{ check, object, reason: 'known' }];
  const { ignored, findings } = await examine(db.url, check, { ignore });
  expect(ignored, seen).toMatchObject([{ object, ignoredBecause: 'known' }]);
  expect(findings.map((one) => one.object)).not.toContain(object);
  await db.sql.unsafe(finding?.fix ?? '');
  expect(await findingOn(db.url, check, object), `${seen}, after: ${finding?.fix}`).toBeUndefined();
}

test('public-tables, public-create and default-privileges find what is open to every role', async ({
  emptyDb,
  live,
}) => {
  await emptyDb.sql.unsafe(`
    create schema shop; create table shop."Order" (id serial, "the ""mail""" text);
    create table notes (id int); create table mail (address text);
    grant usage on schema shop to ${live.plainName}`);
  const open = (object: string, status: string, breaking: string) =>
    expectFixed(emptyDb, { check: 'public-tables', object, status, breaking });
  await open('public.notes', 'warning', 'grant select on notes to public');
  await open('shop.Order', 'critical', 'grant all on shop."Order" to public');
  await open('shop.Order', 'critical', 'grant update ("the ""mail""") on shop."Order" to public');
  await open('shop.Order_id_seq', 'warning', 'grant all on shop."Order_id_seq" to public');
  // What somebody else granted, the owner does not revoke.
  await open(
    'public.mail',
    'warning',
    `grant select on mail to ${live.plainName} with grant option;
     set role ${live.plainName}; grant select on mail to public; reset role`,
  );
  await expectFixed(emptyDb, {
    ...{ check: 'public-create', object: 'schema shop', status: 'warning' },
    breaking: 'grant create on schema shop to public',
  });
  await expectFixed(emptyDb, {
    ...{ check: 'public-create', object: `database ${emptyDb.name}`, status: 'warning' },
    breaking: `grant create on database ${emptyDb.name} to public`,
  });
  const byDefault = (object: string, breaking: string) =>
    expectFixed(emptyDb, { check: 'default-privileges', object, status: 'warning', breaking });
  await byDefault(
    `${live.plainName}.shop`,
    `alter default privileges for role ${live.plainName} in schema shop grant select, insert on tables to public`,
  );
  await byDefault(
    live.plainName,
    `alter default privileges for role ${live.plainName} grant usage on sequences to public`,
  );
});

test('row-security finds policies that do not apply, and tables that look empty', async ({
  emptyDb,
  live,
}) => {
  await emptyDb.sql.unsafe(`
    create table notes (author text); create table drafts (id int); create table alone (id int);
    grant select on notes, drafts to ${live.plainName};
    alter table alone enable row level security`);
  const row = (object: string, status: string, breaking: string) =>
    expectFixed(emptyDb, { check: 'row-security', object, status, breaking });
  await row('public.notes', 'critical', 'create policy own on notes using (author = current_user)');
  await row('public.drafts', 'warning', 'alter table drafts enable row level security');
  expect(await examine(emptyDb.url, 'row-security')).toMatchObject({ status: 'ok' });
});

test('leaking-views finds views that read past row security, through other views too', async ({
  emptyDb,
  live,
}) => {
  const [{ major = 0 } = {}] = await emptyDb.sql`
    select current_setting('server_version_num')::int / 10000 as major`;
  await emptyDb.sql.unsafe(`
    create table notes (author text, body text); insert into notes values ('somebody', 'secret');
    alter table notes enable row level security;
    create policy own on notes using (author = current_user);
    grant select on notes to ${live.plainName};
    create view inner_view as select * from notes;
    create view counted as select count(*) from inner_view;
    create view own_rows as select * from inner_view;
    create materialized view kept as select * from notes;
    create view harmless as select 1; grant select on harmless to ${live.plainName}`);
  const leak = (view: string) =>
    expectFixed(emptyDb, {
      ...{ check: 'leaking-views', object: `public.${view}`, status: 'warning' },
      breaking: `grant select on ${view} to ${live.plainName}`,
    });
  await leak('counted');
  await leak('kept');
  await leak('inner_view');
  if (major < 15) return;
  // The fix leaves the row to those who may see it: a view with the rights of its reader is none.
  await leak('own_rows');
  const reader = openSql(live.plainUrl, 1);
  expect(await reader`select * from public.inner_view`).toEqual([]);
  await closeSql(reader);
  await emptyDb.sql`create view outer_view as select * from inner_view`;
  await leak('outer_view');
});

test('definer-functions finds those that others call, without a search_path', async ({
  emptyDb,
}) => {
  await emptyDb.sql.unsafe(`
    create function pinned() returns int language sql security definer set search_path = public, pg_temp
      as 'select 1';
    create function mine() returns int language sql security definer as 'select 1';
    revoke execute on function mine() from public`);
  expect(await examine(emptyDb.url, 'definer-functions')).toMatchObject({ status: 'ok' });
  await expectFixed(emptyDb, {
    ...{ check: 'definer-functions', object: 'public.Pay', status: 'critical' },
    breaking: `create function "Pay"(amount numeric(9, 2), variadic names text[] default '{}') returns int
      language sql security definer as 'select 1'`,
  });
  await expectFixed(emptyDb, {
    ...{ check: 'definer-functions', object: 'public.clear', status: 'critical' },
    breaking: "create procedure clear() language sql security definer as 'select 1'",
  });
});

test('application-roles finds an owner and a superuser, until their fixes ran', async ({
  emptyDb,
  sessions,
}) => {
  const app = await createRole(emptyDb, 'superuser');
  const session = sessions.open(app.url, 'shop');
  const tool = sessions.open(app.url, 'psql');
  await session.unsafe(
    'create schema shop; create table shop.orders (id serial primary key, note text)',
  );
  await tool`select 1`;
  const find = () => findingOn(emptyDb.url, 'application-roles', app.name);
  const superuser = await find();
  expect(superuser).toMatchObject({
    status: 'warning',
    reason: expect.stringMatching(/^1 session of an application is connected as .*, a superuser/),
  });
  await emptyDb.sql.unsafe(superuser?.fix ?? '');
  const owner = await find();
  expect(owner).toMatchObject({
    status: 'warning',
    reason: expect.stringContaining('which owns 1 table'),
  });
  await emptyDb.sql.unsafe(owner?.fix ?? '');
  expect(await find()).toBeUndefined();
  expect(await session`insert into shop.orders (note) values ('works') returning id`).toEqual([
    { id: 1 },
  ]);
  await expect(session`drop table shop.orders`).rejects.toMatchObject({ code: '42501' });
  await emptyDb.sql.unsafe(`drop owned by ${app.name}_owner cascade; drop role ${app.name}_owner`);
  await app.remove();
});

test('extension-versions finds one that is behind the files of the server', async ({ emptyDb }) => {
  const object = 'pg_stat_statements';
  await expectFixed(emptyDb, {
    ...{ check: 'extension-versions', object, status: 'warning' },
    breaking: `create extension ${object} version '1.8'`,
  });
  // It has a view and a function that are open to every role on purpose.
  const open = await examine(emptyDb.url, 'public-tables');
  expect(open).toMatchObject({ status: 'ok' });
});

test('password-encryption finds MD5 in the settings and in what is stored', async () => {
  await sql.unsafe(`
    set password_encryption = 'md5'; create role old login password 'old'; reset password_encryption;
    create role passwordless login`);
  await sql`alter system set password_encryption = 'md5'`;
  await sql`select pg_reload_conf()`;
  await expect
    .poll(() => findingOn(own.url, 'password-encryption', 'password_encryption'))
    .toBeDefined();
  const found = await examine(own.url, 'password-encryption');
  expect(found.findings.map(({ object, status }) => [object, status])).toEqual([
    ['password_encryption', 'warning'],
    ['old', 'warning'],
  ]);
  const [setting, stored] = found.findings;
  for (const statement of setting?.fix?.split('; ') ?? []) await sql.unsafe(statement);
  expect(stored?.fix).toBe(`set password_encryption = 'scram-sha-256'; \\password "old"`);
  // As psql does it, which asks for the password.
  await sql.unsafe("set password_encryption = 'scram-sha-256'; alter role old password 'old'");
  await expect
    .poll(() => examine(own.url, 'password-encryption'))
    .toMatchObject({ status: 'ok', findings: [] });
  await sql`drop role old, passwordless`;
});

test('host-access finds rules that let in too many, and its fixes narrow them', async () => {
  expect(await examine(own.url, 'host-access')).toMatchObject({ status: 'ok' });
  const [{ file = '' } = {}] = await sql<
    { file: string }[]
  >`select current_setting('hba_file') as file`;
  const lines = [
    'local all app trust',
    'host "all" all 10.0.0.0/8 trust',
    'host shop app 192.168.0.0/16 password',
    'host all all all scram-sha-256',
    'host all all 0.0.0.0/0 scram-sha-256',
    'host all all ::/0 reject',
  ];
  // The server reads the file when it is asked to, so nobody is locked out.
  for (const line of lines) execFileSync('sed', ['-i', `$a ${line}`, file]);
  const { findings } = await examine(own.url, 'host-access');
  expect(findings.map(({ object, status }) => `${status}: ${object}`)).toEqual([
    'warning: local all app trust',
    'critical: host all all 10.0.0.0 255.0.0.0 trust',
    'warning: host shop app 192.168.0.0 255.255.0.0 password',
    'warning: host all all all scram-sha-256',
    'warning: host all all 0.0.0.0 0.0.0.0 scram-sha-256',
  ]);
  for (const { fix } of findings) {
    const [change = '', reload] = fix?.split(' && ') ?? [];
    expect(change).toContain(basename(file));
    expect(reload).toBe("psql -c 'select pg_reload_conf()'");
    execFileSync('sh', ['-c', change]);
  }
  expect(await examine(own.url, 'host-access')).toMatchObject({ status: 'ok', findings: [] });
  const broken = await sql`select error from pg_hba_file_rules where error is not null`;
  expect(broken).toEqual([]);
});

test('nothing is wrong with a new managed database, and what it hides is unknown', async () => {
  await sql.unsafe(`
    set password_encryption = 'scram-sha-256'; create role rds_superuser; grant pg_monitor, pg_signal_backend to rds_superuser with admin option;
    create role rds_replication; create role rdsadmin login superuser;
    create role master login createdb createrole password 'master' in role rds_superuser`);
  await sql.unsafe('create database managed owner master');
  const url = withLogin(withDatabase(own.url, 'managed'), 'master', 'master');
  const report = await inspect(url, (session) => runDoctor(session, { only: ['security'] }));
  expect(report.checks.map(({ check, status }) => `${check} ${status}`)).toEqual([
    'public-tables ok',
    'public-create ok',
    'default-privileges ok',
    'row-security ok',
    'leaking-views ok',
    'definer-functions ok',
    'application-roles skipped',
    'password-encryption unknown',
    'host-access unknown',
    'extension-versions ok',
  ]);
});

test('nothing of the event schema is open', async ({ db }) => {
  const { findings } = await inspect(db.url, (session) =>
    runDoctor(session, { only: ['security'] }),
  );
  const ofDatabase = findings.filter(
    ({ code, objects: [object] }) =>
      !['application-roles', 'password-encryption', 'host-access'].includes(code) &&
      // Of PostgreSQL 14, not of the event schema.
      object !== 'schema public',
  );
  expect(ofDatabase).toEqual([]);
});
