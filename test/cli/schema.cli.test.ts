import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { TestDatabase } from '../support/fixture.ts';
import { type MigrateStage, test } from '../support/migrate-kit.ts';
import type { TestProject } from '../support/project.ts';
import { runCli, startCli } from '../support/run-cli.ts';
import { listScratchSessions } from '../support/waiting.ts';
import { expectError, expectHint, parseJson } from './cli-kit.ts';

const USERS = `create table users (id integer primary key, name text default 'nobody');`;

test('writes the structure into a file and its folder, and says when it is up to date', async ({
  stage,
  project,
}) => {
  await stage.sql.unsafe(USERS);
  const env = { EVDB_URL: stage.url };
  const dump = () =>
    runCli(['schema', 'dump', '--file', 'db/structure.sql'], { cwd: project.dir, env });
  expect(await dump()).toMatchObject({ code: 0, stdout: 'wrote  db/structure.sql  5 objects\n' });
  expect(await dump()).toMatchObject({
    code: 0,
    stdout: 'db/structure.sql is up to date: nothing to do\n',
  });
  const text = await readFile(join(project.dir, 'db/structure.sql'), 'utf8');
  expect(text).toContain(`create table public.users (
    id integer not null,
    name text default 'nobody'::text,
    constraint users_pkey PRIMARY KEY (id)
);`);
  const printed = await runCli(['schema', 'dump'], { cwd: project.dir, env });
  expect(printed.stdout).toBe(text);
});

test('exits 3 where the file is not what the database is, and shows how', async ({
  stage,
  project,
}) => {
  await stage.sql.unsafe(USERS);
  const env = { EVDB_URL: stage.url };
  const check = ['schema', 'dump', '--file', 'structure.sql', '--check'];
  const missing = await runCli(check, { cwd: project.dir, env });
  expect(missing).toMatchObject({
    code: 3,
    stdout: expect.stringContaining('missing  structure.sql'),
  });
  await runCli(['schema', 'dump', '--file', 'structure.sql'], { cwd: project.dir, env });
  const same = await runCli(check, { cwd: project.dir, env });
  expect(same).toMatchObject({
    code: 0,
    stdout: 'structure.sql is the structure of the database\n',
  });
  await stage.sql.unsafe('alter table users add phone text');
  const different = await runCli(check, { cwd: project.dir, env });
  expect(different.code).toBe(3);
  expect(different.stdout).toContain('    +    phone text,\n');
  const json = parseJson(await runCli([...check, '--json'], { cwd: project.dir, env }));
  expect(json).toMatchObject({ state: 'different', diff: expect.stringContaining('phone text') });
});

test('takes a file of Windows for the same', async ({ stage, project }) => {
  await stage.sql.unsafe(USERS);
  const options = { cwd: project.dir, env: { EVDB_URL: stage.url } };
  const { stdout } = await runCli(['schema', 'dump'], options);
  await project.write('structure.sql', stdout.replaceAll('\n', '\r\n'));
  const check = ['schema', 'dump', '--file', 'structure.sql', '--check'];
  expect(await runCli(check, options)).toMatchObject({ code: 0 });
});

test('gives the structure as data', async ({ stage, project }) => {
  await stage.sql.unsafe(USERS);
  const result = await runCli(['schema', 'dump', '--json'], {
    cwd: project.dir,
    env: { EVDB_URL: stage.url },
  });
  expect(parseJson(result)).toMatchObject({
    command: 'schema dump',
    schemas: ['public'],
    objects: expect.arrayContaining([
      {
        ...{ kind: 'column', name: 'public.users.name', own: 'name', of: 'table public.users' },
        parts: { type: 'text', default: "'nobody'::text" },
        dependsOn: [],
      },
    ]),
    sql: expect.stringContaining('create table public.users'),
  });
});

test('says what is wrong with the call', async ({ stage, project }) => {
  const options = { cwd: project.dir, env: { EVDB_URL: stage.url } };
  const noFile = await runCli(['schema', 'dump', '--check'], options);
  expectError(noFile, 'USAGE', 2);
  expectHint(noFile);
  expectError(await runCli(['schema', 'diff', '--from', 'nowhere'], options), 'USAGE', 2);
  const unreadable = await runCli(['schema', 'diff', '--from', 'file:gone.sql'], options);
  expectError(unreadable, 'FILE_UNREADABLE', 1);
  const noSchema = await runCli(['schema', 'dump', '--schema', 'gone'], options);
  expectError(noSchema, 'TARGET_SCHEMA', 1);
  const noFolder = await runCli(['schema', 'dump', '--file', 'package.json/x.sql'], options);
  expectError(noFolder, 'FILE_UNREADABLE', 1);
});

const PENDING =
  '1 migration is pending; to compare only those that are applied: evdb migrate status --drift\n';

test('compares database, migrations and dump', async ({ stage, project }) => {
  await stage.migration('001_users', USERS, 'drop table users');
  const options = { cwd: project.dir, env: { EVDB_URL: stage.url } };
  await runCli(['migrate', 'up'], options);
  await runCli(['schema', 'dump', '--file', 'a.sql'], options);
  const diff = (...args: string[]) => runCli(['schema', 'diff', ...args], options);
  expect(await diff()).toMatchObject({
    code: 0,
    stdout: 'no difference between the migrations and the database\n',
  });
  await stage.migration('002_phone', 'alter table users add phone text', '');
  expect(await diff()).toMatchObject({
    code: 3,
    stdout: `${PENDING}- column public.users.phone: text\n1 difference from the migrations to the database: 1 removed\n`,
  });
  expect(await diff('--from', 'live', '--to', 'migrations')).toMatchObject({
    code: 3,
    stdout: `${PENDING}+ column public.users.phone: text\n1 difference from the database to the migrations: 1 added\n`,
  });
  expect(await diff('--from', 'file:a.sql')).toMatchObject({ code: 0 });
  const json = parseJson(await diff('--json'));
  expect(json).toMatchObject({
    from: 'the migrations',
    differences: [{ kind: 'column', object: 'public.users.phone', change: 'removed' }],
  });
});

test('the status says what was changed by hand, and exits 3', async ({ stage, project }) => {
  await stage.migration('001_users', USERS, 'drop table users');
  const options = { cwd: project.dir, env: { EVDB_URL: stage.url } };
  await runCli(['migrate', 'up'], options);
  await stage.migration('002_pending', 'create table later ()', 'drop table later');
  const status = () => runCli(['migrate', 'status', '--drift'], options);
  expect(await status()).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(
      'no difference between the applied migrations and the database',
    ),
  });
  const whole = await runCli(['schema', 'diff'], options);
  expect(whole.code).toBe(3);
  expect(whole.stdout).toMatch(
    /^1 migration is pending; to compare only those that are applied: evdb migrate status --drift\n- table public\.later\b/,
  );
  await stage.sql.unsafe(
    `create index by_hand on users (name); alter table users alter name drop default`,
  );
  const { code, stdout } = await status();
  expect(code).toBe(3);
  expect(stdout).toContain(
    "~ column public.users.name\n-   default: 'nobody'::text\n+ index public.by_hand: CREATE INDEX by_hand ON public.users USING btree (name)\n",
  );
  expect(await runCli(['migrate', 'status'], options)).toMatchObject({ code: 0 });
  const json = parseJson(await runCli(['migrate', 'status', '--drift', '--json'], options));
  expect(json).toMatchObject({ drift: { differences: [{}, {}] } });
});

test('drift is none where partitions came and went', async ({ stage, project }) => {
  await stage.migration(
    '001_log',
    `create table log (at date not null) partition by range (at);
     create table log_1 partition of log for values from ('2024-01-01') to ('2024-02-01')`,
    'drop table log',
  );
  const options = { cwd: project.dir, env: { EVDB_URL: stage.url } };
  await runCli(['migrate', 'up'], options);
  await stage.sql.unsafe(
    `drop table log_1; create table log_2 partition of log for values from ('2024-02-01') to ('2024-03-01')`,
  );
  const { code, stdout } = await runCli(['migrate', 'status', '--drift'], options);
  expect({ code, says: stdout.includes('2 partitions on one side only, not compared') }).toEqual({
    code: 0,
    says: true,
  });
  const all = await runCli(['schema', 'diff', '--partitions'], options);
  expect(all.stdout).toContain('2 differences from the migrations to the database');
});

test('says which privilege a role needs, and uses the embedded server where it lacks it', async ({
  stage,
  project,
}) => {
  await stage.migration(
    '001_users',
    `${USERS} grant select on users to current_user`,
    'drop table users',
  );
  const role = await stage.createRole();
  const options = { cwd: project.dir, env: { EVDB_URL: role.url } };
  const result = await runCli(['schema', 'diff', '--schema', 'public'], options);
  expect(result.stderr).toContain(
    `user "${role.name}" may not create databases: the scratch database is made on the embedded PostgreSQL`,
  );
  await runCli(['server', 'stop'], { cwd: project.dir });
  expect(result).toMatchObject({
    code: 3,
    stdout: expect.stringContaining('- table public.users'),
  });
});

interface SlowStage {
  stage: MigrateStage;
  emptyDb: TestDatabase;
  project: TestProject;
}

/** Starts a comparison that sleeps, and finds its session in the scratch database. */
async function startSlowDiff({ stage, emptyDb, project }: SlowStage) {
  const mark = `/* ${emptyDb.name} */`;
  await stage.migration(
    '001_slow',
    `create table t (); select pg_sleep(60 ${mark})`,
    'drop table t',
  );
  const options = { cwd: project.dir, env: { EVDB_URL: stage.url } };
  const running = startCli(['schema', 'diff'], options);
  const scratches = () => listScratchSessions(stage.sql, mark);
  await expect.poll(async () => (await scratches()).length, { timeout: 30_000 }).toBe(1);
  const [scratch] = await scratches();
  return { running, scratch, options };
}

test('Ctrl-C ends a comparison and drops the scratch database', async ({
  stage,
  emptyDb,
  project,
}) => {
  const { running, scratch } = await startSlowDiff({ stage, emptyDb, project });
  running.child.kill('SIGINT');
  expect(await running.result).toMatchObject({ code: 130, stdout: '' });
  const left = await stage.sql`select from pg_database where datname = ${scratch?.datname ?? ''}`;
  expect(left).toEqual([]);
});

test('a killed comparison leaves a database that the next one drops', async ({
  stage,
  emptyDb,
  project,
}) => {
  const { running, scratch, options } = await startSlowDiff({ stage, emptyDb, project });
  running.child.kill('SIGKILL');
  await running.result;
  await stage.sql`select pg_terminate_backend(${scratch?.pid ?? 0}, 5000)`;
  await stage.migration('001_slow', 'create table t ()', 'drop table t');
  await runCli(['schema', 'diff'], options);
  const left = await stage.sql`select from pg_database where datname = ${scratch?.datname ?? ''}`;
  expect(left).toEqual([]);
});

test('says in a dry run what down would lose', async ({ stage, project }) => {
  await stage.migration(
    '001_users',
    `${USERS} insert into users select generate_series(1, 42)`,
    'drop table users',
  );
  const options = { cwd: project.dir, env: { EVDB_URL: stage.url } };
  await runCli(['migrate', 'up'], options);
  const { stdout } = await runCli(['migrate', 'down', '--dry-run'], options);
  expect(stdout).toContain('It would lose for good:\n  table    public.users  42 rows\n');
  const json = parseJson(await runCli(['migrate', 'down', '--dry-run', '--json'], options));
  expect(json).toMatchObject({ losses: [{ object: 'public.users', count: 42, isExact: true }] });
});

test('proves down scripts, and exits 3 where one forgets something', async ({ stage, project }) => {
  await stage.migration('001_users', USERS, 'drop table users');
  await stage.migration(
    '002_more',
    'alter table users add a text, add b text',
    'alter table users drop a',
  );
  const options = { cwd: project.dir, env: { EVDB_URL: stage.url } };
  const { code, stdout } = await runCli(['migrate', 'validate', '--shadow'], options);
  expect(stdout).toContain('error DOWN_INCOMPLETE  migrations/002_more.down.sql:1:1: ');
  expect(stdout).toContain('    + column public.users.b: text\n');
  expect(stdout).toContain('1 down script proven: undoes its migration exactly\n');
  expect(code).toBe(3);
});

test('draws a dump without a server, as text and as a drawing', async ({ project }) => {
  await writeFile(
    join(project.dir, 'dump.sql'),
    `${USERS} create table notes (user_id integer not null references users);`,
  );
  const env = { EVDB_URL: 'postgres://nobody@127.0.0.1:1/nothing' };
  const diagram = (...args: string[]) =>
    runCli(['schema', 'diagram', '--from', 'file:dump.sql', ...args], { cwd: project.dir, env });
  const text = await diagram();
  expect(text).toMatchObject({ code: 0, stdout: expect.stringContaining('users ||--o{ notes') });
  expect(await diagram('--out', 'docs/schema.svg')).toMatchObject({
    code: 0,
    stdout: 'wrote  docs/schema.svg  2 tables, 1 foreign key\n',
  });
  expect(await readFile(join(project.dir, 'docs/schema.svg'), 'utf8')).toMatch(/^<svg /);
  const again = await diagram('--out', 'docs/schema.svg', '--json');
  expect(parseJson(again)).toMatchObject({ format: 'svg', state: 'unchanged' });
  const unknown = await diagram('--tables', 'nothing');
  expect(unknown.code).toBe(2);
  expect(unknown.stderr).toContain('no table matches nothing');
});
