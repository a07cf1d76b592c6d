import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { test as base } from '../support/fixture.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';
import { expectError, expectHint } from './cli-kit.ts';

interface Creation {
  create(...args: string[]): Promise<CliResult>;
  list(): Promise<string[]>;
}

const test = base.extend<{ creation: Creation }>({
  creation: async ({ project }, use) => {
    await use({
      create: (...args) => runCli(['migrate', 'create', ...args], { cwd: project.dir }),
      list: () => readdir(join(project.dir, 'migrations')).catch(() => []),
    });
  },
});

test('writes a migration and its down script, and names both', async ({ creation, project }) => {
  const { code, stdout, stderr } = await creation.create('add venues');
  const [down = '', up = ''] = await creation.list();
  expect(up).toMatch(/^20\d{12}_add_venues\.sql$/);
  expect(down).toBe(up.replace('.sql', '.down.sql'));
  expect(stdout).toBe(`created  migrations/${up}\ncreated  migrations/${down}\n`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(await readFile(join(project.dir, 'migrations', up), 'utf8')).toContain('-- add venues');
});

test('goes on with numbers where the folder has numbers', async ({ creation, project }) => {
  await project.migration('009_users', 'create table users (id integer);');
  await creation.create('add-venues');
  expect(await creation.list()).toContain('010_add_venues.sql');
});

test('goes on with timestamps where the folder has timestamps', async ({ creation, project }) => {
  await project.migration('20240102030405_users', 'create table users (id integer);');
  await creation.create('venues');
  const [, , created = ''] = await creation.list();
  expect(created).toMatch(/^20\d{12}_venues\.sql$/);
  expect(created > '20250101000000').toBe(true);
});

test('numbers as it is told', async ({ creation }) => {
  await creation.create('first', '--sequential');
  expect(await creation.list()).toEqual(['001_first.down.sql', '001_first.sql']);
  await creation.create('second', '--timestamp');
  expect((await creation.list()).at(-1)).toMatch(/^20\d{12}_second\.sql$/);
});

test('gives two migrations of one second two versions', async ({ creation }) => {
  await creation.create('first');
  await creation.create('first');
  await creation.create('first');
  expect(await creation.list()).toHaveLength(6);
});

test('writes what it is told about transactions and the way back', async ({
  creation,
  project,
}) => {
  await creation.create('index events', '--sequential', '--no-transaction', '--irreversible');
  expect(await creation.list()).toEqual(['001_index_events.sql']);
  const text = await readFile(join(project.dir, 'migrations/001_index_events.sql'), 'utf8');
  expect(text).toMatch(/^-- evdb: no-transaction$/m);
  expect(text).toMatch(/^-- evdb: irreversible \S/m);
});

test('creates nothing that up would run as it is', async ({ creation, project, emptyDb }) => {
  await creation.create('add venues', '--sequential');
  const env = { EVDB_URL: emptyDb.url };
  const result = await runCli(['migrate', 'up'], { cwd: project.dir, env });
  expectError(result, 'EMPTY_FILE', 1);
});

const BAD_NAMES = [
  ['a path upwards', '../escape'],
  ['a path', 'a/b'],
  ['a path of Windows', 'a\\b'],
  ['an absolute path', '/tmp/x'],
  ['single quotes', "it's"],
  ['double quotes', 'a"b'],
  ['an emoji', 'party 🎉'],
  ['letters outside ASCII', 'café'],
  ['a line break', 'a;\nb'],
  ['a NUL-like escape', 'a\u0001b'],
  ['a semicolon', 'a; drop table users'],
  ['300 characters', 'x'.repeat(300)],
  ['nothing', ''],
  ['nothing but spaces', '   '],
  ['nothing but underscores', '___'],
  ['dots alone', '..'],
  ['an ending of its own', 'users.down'],
] as const;

test.for(BAD_NAMES)('refuses a name with %s', async ([, name], { creation, project }) => {
  await project.migration('001_users', 'create table users (id integer);');
  const before = await readdir(project.dir, { recursive: true });
  const result = await creation.create('--', name);
  expectError(result, 'INVALID_NAME', 1);
  expectHint(result);
  expect(result.stderr.length).toBeLessThan(400);
  expect(await readdir(project.dir, { recursive: true })).toEqual(before);
});

test('takes a name of 100 characters', async ({ creation }) => {
  await creation.create('x'.repeat(100), '--sequential');
  expect(await creation.list()).toContain(`001_${'x'.repeat(100)}.sql`);
});

test('makes no folder for a name that it refuses', async ({ creation, project }) => {
  expectError(await creation.create('a/b'), 'INVALID_NAME', 1);
  expect(await readdir(project.dir)).toEqual(['package.json']);
});

test('refuses to add to a folder that is broken', async ({ creation, project }) => {
  await project.migration('001_users', 'select 1;');
  await project.migration('01_events', 'select 1;');
  const before = await creation.list();
  expectError(await creation.create('venues'), 'DUPLICATE_VERSION', 1);
  expect(await creation.list()).toEqual(before);
});

test('needs no database, and reads no URL', async ({ project }) => {
  const env = { EVDB_URL: 'postgres://app@127.0.0.1:1/app', CI: 'true' };
  const result = await runCli(['migrate', 'create', 'venues'], { cwd: project.dir, env });
  expect(result.code).toBe(0);
});

test('warns of an earlier migration of the same name', async ({ creation, project }) => {
  await project.migration('003_add_venues', 'select 1;');
  const { code, stdout, stderr } = await creation.create('add_venues');
  expect(stderr).toBe('warning  003_add_venues has the same name: was it created before?\n');
  expect(stdout).toContain('created  migrations/004_add_venues.sql');
  expect(code).toBe(0);
});

test('writes a repeatable, which has no version, and takes it back by its name', async ({
  creation,
  project,
  emptyDb,
}) => {
  const { code, stdout } = await creation.create('active users', '--repeatable', '--json');
  expect({ code, ...JSON.parse(stdout) }).toMatchObject({
    ...{ code: 0, name: 'active_users', files: ['migrations/repeatable/active_users.sql'] },
  });
  expectError(await creation.create('active users', '--repeatable'), 'FILE_EXISTS', 1);
  await project.write(
    'migrations/repeatable/active_users.sql',
    'create or replace view active_users as select 1 as one;',
  );
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const up = await runCli(['migrate', 'up'], options);
  expect(up.stdout).toMatch(/^applied {6}repeatable\/active_users {2}.*\napplied 1 repeatable in /);
  const down = await runCli(['migrate', 'down', '--repeatable', 'active_users'], options);
  expect(down.stdout).toMatch(
    /^rolled back {2}repeatable\/active_users .*\nrolled back 1 repeatable in /,
  );
  expect(down.code).toBe(0);
});
