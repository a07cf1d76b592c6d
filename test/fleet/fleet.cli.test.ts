import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { closeSql, createRole, openSql, withDatabase } from '../support/databases.ts';
import { checkSarif } from '../support/format-checks.ts';
import { checkJsonOutput } from '../support/json-schemas.ts';
import { POLL } from '../support/waiting.ts';
import { readDocuments, test } from './fleet-kit.ts';

const tenants = (...members: string[]) => ({ tenants: { members } });

test('migrates schemas and databases, each with a ledger of its own, and exits once', async ({
  fleet,
}) => {
  const [database = ''] = await fleet.databases(1);
  const members = ['tenant_a', 'tenant_b', { database, labels: { kind: 'database' } }];
  await fleet.fleets({ mixed: { members } });
  const up = await fleet.evdb('migrate', 'up', '--fleet', 'mixed');
  expect(up).toMatchObject({ code: 0, stderr: '' });
  expect(up.stdout).toMatch(/^\[tenant_a\] applied {6}001_people {2}/m);
  expect(up.stdout).toMatch(/^fleet mixed: 3 members, 3 done, in \S+ \S+\n$/m);
  // Every line says whose it is, but for the summary.
  const others = up.stdout.split('\n').filter((line) => !/^(\[\S+\] |fleet |$)/.test(line));
  expect(others).toEqual([]);
  expect(await fleet.applied()).toEqual({ tenant_a: '001', tenant_b: '001' });
  const again = await fleet.evdb('migrate', 'status', '--check', '--fleet', 'mixed', '--json');
  const { members: documents, summary, problems } = readDocuments(again);
  expect(problems).toEqual([]);
  expect(documents.get(database)).toMatchObject({ schema: 'public', counts: { applied: 1 } });
  expect(summary).toMatchObject({ ok: true, fleet: 'mixed', counts: { done: 3, failed: 0 } });
});

test('says of each member what became of it, and gives one exit code', async ({ fleet }) => {
  await fleet.fleets({ all: { members: ['a', 'b', 'c', { database: 'evdb_no_such_database' }] } });
  await fleet.sql`create schema b`;
  await fleet.sql`create table b.people (name text)`;
  const up = await fleet.evdb(
    ...['migrate', 'up', '--fleet', 'all', '--keep-going', '--json', '--log-dir', 'logs'],
  );
  expect(up.code).toBe(1);
  const { members, summary, problems } = readDocuments(up);
  expect(problems).toEqual([]);
  expect(members.get('b')).toMatchObject({ ok: false, error: { code: 'MIGRATION_FAILED' } });
  expect(members.get('a')).toMatchObject({ ok: true, exitCode: 0, schema: 'a' });
  expect(summary).toMatchObject({ exitCode: 1, counts: { done: 2, failed: 2 } });
  // What is printed to be pasted concerns this member.
  expect(up.stderr).toMatch(/^\[evdb_no_such_database\] .*DATABASE_MISSING/m);
  expect(await readFile(join(fleet.project.dir, 'logs/b.log'), 'utf8')).toContain('already exists');
  expect((await readdir(join(fleet.project.dir, 'logs'))).sort()).toContain('a.log');
  expect(await fleet.applied()).toEqual({ a: '001', c: '001' });
});

test('stops behind a canary that fails, and goes on where it stopped', async ({ fleet }) => {
  await fleet.fleets(tenants('a', 'b', 'c', 'd'));
  await fleet.sql`create schema a`;
  await fleet.sql`create table a.people (name text)`;
  const up = ['migrate', 'up', '--fleet', 'tenants', '--concurrency', '1'];
  const first = await fleet.evdb(...up, '--canary', '1');
  expect(first.code).toBe(1);
  expect(first.stdout).toContain('1 failed, 3 not begun');
  expect(first.stdout).toContain('stopped: 1 member failed in the canary group, and none may');
  expect(first.stderr).toContain('canary group: a\n');
  const second = await fleet.evdb(...up, '--canary', 'name=b', '--failure-budget', '1');
  expect(second).toMatchObject({ code: 1 });
  expect(await fleet.applied()).toEqual({ b: '001', c: '001', d: '001' });
  await fleet.sql`drop table a.people`;
  const resume = /^to go on: evdb (.+)$/m.exec(second.stdout)?.[1] ?? '';
  expect(resume).toContain('--resume');
  const third = await fleet.evdb(...resume.split(' '), '--json');
  const { members, summary } = readDocuments(third);
  // Nobody who is done is opened again.
  expect([...members.keys()]).toEqual(['a']);
  expect(summary).toMatchObject({ exitCode: 0, counts: { done: 1, doneBefore: 3 } });
  const nothing = await fleet.evdb(...up, '--resume');
  expect(nothing).toMatchObject({ code: 2 });
});

test('asks a query and a command between waves', async ({ fleet }) => {
  await fleet.fleets(tenants('a', 'b', 'c'));
  const up = ['migrate', 'up', '--fleet', 'tenants', '--wave-size', '1'];
  const query = await fleet.evdb(...up, '--wave-check', 'query:select count(*) > 0 from people');
  expect(query.code).toBe(3);
  expect(query.stdout).toContain(
    'stopped: the check after wave 1: a: the query gives false, not true',
  );
  expect(await fleet.applied()).toEqual({ a: '001' });
  const command = await fleet.evdb(
    ...up,
    '--wave-check',
    'command:echo "seen $EVDB_FLEET_MEMBERS" >> seen.txt; test "$EVDB_FLEET_WAVE" = 1',
  );
  expect(command.stdout).toContain('the check after wave 2: the command ended with 1');
  expect(await readFile(join(fleet.project.dir, 'seen.txt'), 'utf8')).toBe('seen a\nseen b\n');
  expect(await fleet.evdb(...up, '--wave-check', 'nothing')).toMatchObject({ code: 2 });
  const both = ['--wave-check', 'query:select false', '--wave-check', 'query:select true'];
  expect((await fleet.evdb(...up, ...both)).stdout).toContain('a: the query gives false, not true');
  // A server for tests may lose what is committed, which is critical anywhere else.
  const ignore = ['durability', 'password-encryption'].map((check) => ({
    check,
    reason: 'a test',
  }));
  await fleet.fleets(tenants('a', 'b', 'c'), { doctor: { ignore } });
  const doctor = await fleet.evdb(...up, '--wave-check', 'doctor');
  expect(doctor).toMatchObject({ code: 0, stderr: expect.stringContaining('wave 3 of 3: c') });
  expect(await fleet.applied()).toEqual({ a: '001', b: '001', c: '001' });
});

test('takes members and labels from a query, and selects by them', async ({ fleet }) => {
  await fleet.sql`create table tenants as
    select 't_' || i as schema_name, case when i % 2 = 0 then 'eu' else 'us' end as region
    from generate_series(1, 6) as i`;
  const query = 'select schema_name as schema, region from public.tenants order by 1';
  await fleet.fleets({ tenants: { query } });
  const list = await fleet.evdb('fleet', 'list', 'tenants', '--only', 'region=eu', '--json');
  expect(JSON.parse(list.stdout)).toMatchObject({
    members: ['t_2', 't_4', 't_6'].map((name) => ({ name, labels: { region: 'eu' } })),
  });
  await fleet.evdb('migrate', 'up', '--fleet', 'tenants', '--only', 'region=eu');
  expect(Object.keys(await fleet.applied())).toEqual(['t_2', 't_4', 't_6']);
  const wrong = await fleet.evdb('migrate', 'up', '--fleet', 'tenants', '--only', 'reigon=eu');
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
  const unknown = await fleet.evdb('migrate', 'up', '--fleet', 'tenats');
  expect(unknown.stderr).toContain('did you mean "tenants"?');
  const bare = await fleet.evdb('stats', 'tables', '--fleet', 'tenants', '--only', 't_4', '--json');
  expect([...readDocuments(bare).members.keys()]).toEqual(['t_4']);
  const everyone = await fleet.evdb('migrate', 'up', '--only', 't_1');
  expect(everyone.stderr).toContain('--only is for fleets');
  const alone = await fleet.evdb('migrate', 'up', '--canary', '3');
  expect(alone).toMatchObject({ code: 2 });
  expect(alone.stderr).toContain('--canary is for fleets');
});

test('refuses one schema for members that have schemas of their own', async ({ fleet }) => {
  const [database = ''] = await fleet.databases(1);
  await fleet.fleets({ mixed: { members: ['a', { database }] } });
  const up = ['migrate', 'up', '--fleet', 'mixed', '--schema', 'app'];
  const refused = await fleet.evdb(...up);
  expect(refused).toMatchObject({ code: 2, stdout: '' });
  expect(refused.stderr).toContain(
    '--schema app cannot be used here: the member a has a schema of its own',
  );
  const taken = await fleet.evdb(...up, '--only', `name=${database}`, '--json');
  expect(readDocuments(taken).members.get(database)).toMatchObject({ ok: true, schema: 'app' });
});

test('shows outliers first, and how a structure differs from the others', async ({ fleet }) => {
  await fleet.fleets(tenants('a', 'b', 'c', 'd'));
  await fleet.evdb('migrate', 'up', '--fleet', 'tenants');
  await fleet.project.migration('002_tags', 'create table tags ();\n', 'drop table tags;\n');
  await fleet.evdb('migrate', 'up', '--fleet', 'tenants', '--only', 'name=a,b,c');
  await fleet.sql`alter table b.people add column "by hand" text`;
  const status = await fleet.evdb('fleet', 'status', 'tenants', '--drift', '--check', '--json');
  expect(JSON.parse(status.stdout)).toMatchObject({
    ...{ exitCode: 3, versions: ['002'], isUniform: false },
    groups: [
      { members: ['b'], newest: '002', differences: ['+ column people."by hand": text'] },
      { members: ['d'], newest: '001', states: { '002': 'pending' } },
      { members: ['a', 'c'], newest: '002', states: {} },
    ],
  });
  const text = await fleet.evdb('fleet', 'status', 'tenants', '--drift');
  expect(text.stdout).toMatch(/^d +1 +001 +pending +\S$/m);
  await fleet.sql`alter table b.people drop column "by hand"`;
  await fleet.evdb('migrate', 'up', '--fleet', 'tenants');
  const done = await fleet.evdb('fleet', 'status', 'tenants', '--check');
  expect(done).toMatchObject({ code: 0 });
  expect(done.stdout).toContain('fleet tenants: 4 members, all alike, everything applied');
});

test('runs what only reads for every member, and joins the reports', async ({ fleet }) => {
  await fleet.fleets(tenants('a', 'b'));
  await fleet.evdb('migrate', 'up', '--fleet', 'tenants', '--only', 'name=a');
  const check = ['migrate', 'status', '--check', '--fleet', 'tenants'];
  const sarif = await fleet.evdb(...check, '--format', 'sarif', '--report', 'junit=r.xml');
  expect(sarif.code).toBe(3);
  expect(await checkSarif(sarif.stdout)).toEqual([]);
  expect(sarif.stdout).toContain('[b] 001_people is not applied yet');
  const junit = await readFile(join(fleet.project.dir, 'r.xml'), 'utf8');
  expect(junit).toContain('[a] 001_people');
  for (const line of [
    'migrate plan',
    'migrate validate',
    'migrate status --drift',
    'stats tables',
    'schema diff',
    'backfill status',
    'doctor --only ledger',
  ]) {
    const result = await fleet.evdb(...line.split(' '), '--fleet', 'tenants', '--json');
    const { members, problems } = readDocuments(result);
    expect({ line, problems, members: [...members.keys()].sort() }).toEqual({
      ...{ line, problems: [], members: ['a', 'b'] },
    });
  }
});

test('opens no more connections than twice its concurrency, and shows no password', async ({
  fleet,
}) => {
  const role = await createRole(fleet, '', 'S3cret/w@rd?');
  const names = await fleet.databases(4);
  const members = names.map((name) => ({ name, url: withDatabase(role.url, name) }));
  const schemas = Array.from({ length: 12 }, (_, index) => `s_${index}`);
  await fleet.fleets({
    urls: { members },
    schemas: { members: schemas },
  });
  await fleet.project.migration('002_slow', 'select pg_sleep(0.2);\n', 'select 1;\n');
  const running = fleet.start('migrate', 'up', '--fleet', 'schemas', '--concurrency', '3');
  let most = 0;
  let ended = false;
  void running.result.finally(() => {
    ended = true;
  });
  await expect
    .poll(async () => {
      const [row] = await fleet.sql<{ count: number }[]>`
        select count(*)::int as count from pg_stat_activity
        where application_name = 'evdb' and datname = current_database()`;
      most = Math.max(most, row?.count ?? 0);
      return ended;
    }, POLL)
    .toBe(true);
  expect(most).toBeGreaterThan(2);
  expect(most).toBeLessThanOrEqual(6);
  expect(await running.result).toMatchObject({ code: 0 });
  const denied = await fleet.evdb(
    'migrate',
    'up',
    '--fleet',
    'urls',
    '--log-dir',
    'logs',
    '--keep-going',
  );
  const config = await fleet.evdb('fleet', 'list', 'urls');
  const logs = await Promise.all(
    names.map((name) => readFile(join(fleet.project.dir, 'logs', `${name}.log`), 'utf8')),
  );
  const all = [denied.stdout, denied.stderr, config.stdout, ...logs].join('\n');
  expect(all).not.toMatch(/S3cret|w%40rd|w@rd/);
  await role.remove();
});

test('makes a schema from the migrations, and forgets what it drops', async ({ fleet }) => {
  await fleet.fleets(tenants('a', 'z'));
  const added = await fleet.evdb('fleet', 'add', 'tenants', 'z', '--json');
  expect(checkJsonOutput(JSON.parse(added.stdout))).toEqual([]);
  expect(JSON.parse(added.stdout)).toMatchObject({
    ...{ kind: 'schema', schema: 'z', from: 'migrations', migrations: 1 },
  });
  expect(await fleet.applied()).toEqual({ z: '001' });
  const twice = await fleet.evdb('fleet', 'add', 'tenants', 'z');
  expect(twice).toMatchObject({ code: 1, stdout: '' });
  expect(twice.stderr).toContain('is there already');
  expect(await fleet.evdb('fleet', 'remove', 'tenants', 'z')).toMatchObject({ code: 2 });
  expect(await fleet.applied()).toEqual({ z: '001' });
  const removed = await fleet.evdb('fleet', 'remove', 'tenants', 'z', '--confirm');
  expect(removed).toMatchObject({ code: 0, stdout: 'dropped the schema z\n' });
  expect(await fleet.applied()).toEqual({});
  const [history] = await fleet.sql`select count(*)::int as rows from evdb.history`;
  expect(history).toEqual({ rows: 1 });
  const unknown = await fleet.evdb('fleet', 'remove', 'tenants', 'y', '--confirm');
  expect(unknown.stderr).toContain('has no member "y"');
  // What cannot be made whole is not left behind.
  await fleet.project.migration('002_broken', 'select 1 / 0;\n', 'select 1;\n');
  expect(await fleet.evdb('fleet', 'add', 'tenants', 'z')).toMatchObject({ code: 1 });
  expect(await fleet.applied()).toEqual({});
  expect(await fleet.sql`select from pg_namespace where nspname = 'z'`).toHaveLength(0);
});

test('copies a database from a template, and proves that it is equal', async ({ fleet }) => {
  const [template = '', member = '', other = ''] = await fleet.databases(3);
  await fleet.fleets({ shops: { members: [{ database: member }], template } });
  await fleet.sql`drop database ${fleet.sql(member)}`;
  await fleet.sql`drop database ${fleet.sql(other)}`;
  const behind = await fleet.evdb('fleet', 'add', 'shops', member);
  expect(behind).toMatchObject({ code: 1 });
  expect(behind.stderr).toContain('TEMPLATE_UNFIT');
  expect(behind.stderr).toContain('is not at the newest migration');
  const there = () => fleet.sql`select from pg_database where datname = ${member}`;
  expect(await there()).toHaveLength(0);
  await fleet.evdb('migrate', 'up', '--url', withDatabase(fleet.url, template));
  const added = await fleet.evdb('fleet', 'add', 'shops', member, '--json');
  expect(JSON.parse(added.stdout)).toMatchObject({
    ...{ ok: true, kind: 'database', database: member, from: 'template', migrations: 1 },
  });
  expect(await fleet.evdb('migrate', 'status', '--check', '--fleet', 'shops')).toMatchObject({
    code: 0,
  });
  const used = openSql(withDatabase(fleet.url, template), 1);
  await used`select 1`;
  const busy = await fleet.evdb('fleet', 'add', 'shops', other);
  await closeSql(used);
  expect(busy.stderr).toContain('TEMPLATE_UNFIT');
  const removed = await fleet.evdb('fleet', 'remove', 'shops', member, '--confirm', '--json');
  expect(checkJsonOutput(JSON.parse(removed.stdout))).toEqual([]);
  expect(await there()).toHaveLength(0);
});
