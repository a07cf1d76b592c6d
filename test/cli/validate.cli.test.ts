import { readdir } from 'node:fs/promises';
import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';
import { expectError, readContents } from './cli-kit.ts';

const SKIPPED = 'skipped  applied migrations against their files: ';

test('checks the files where there is no database, says what it left out, and starts no server', async ({
  project,
}) => {
  await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
  const { code, stdout, stderr } = await runCli(['migrate', 'validate'], { cwd: project.dir });
  expect(stdout).toBe(`${SKIPPED}no database is configured\n1 migration checked: no problems\n`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(await readdir(project.dir)).not.toContain('.evdb');
});

test('checks the files in a pipeline without a database', async ({ project }) => {
  await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
  const env = { CI: 'true', NODE_ENV: 'production' };
  const { code, stdout } = await runCli(['migrate', 'validate'], { cwd: project.dir, env });
  expect(stdout).toContain(SKIPPED);
  expect(code).toBe(0);
});

test('leaves an embedded server that is asked for stopped', async ({ project }) => {
  await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
  const { stdout } = await runCli(['migrate', 'validate', '--embedded'], { cwd: project.dir });
  expect(stdout).toContain(`${SKIPPED}the embedded server is not running`);
  expect(await readdir(project.dir)).not.toContain('.evdb');
});

test('finds all that is wrong with all the files, and exits 3', async ({ project, emptyDb }) => {
  await project.migration('001_users', 'create table users (id integer);\nselec 1;\n', 'drop;');
  await project.migration('002_events', 'begin;\ncommit;\n');
  await project.migration('003_venues', 'create index concurrently i on venues (id);', 'select 1;');
  const before = await readContents(emptyDb.sql);
  const env = { EVDB_URL: emptyDb.url };
  const { code, stdout } = await runCli(['migrate', 'validate'], { cwd: project.dir, env });
  for (const says of [
    'error SYNTAX_ERROR  migrations/001_users.sql:2:1: ',
    'error SYNTAX_ERROR  migrations/001_users.down.sql:1:',
    'error TRANSACTION_CONTROL  migrations/002_events.sql:1:1: ',
    'error TRANSACTION_CONTROL  migrations/002_events.sql:2:1: ',
    'warning NO_DOWN  migrations/002_events.sql:1:1: ',
    'error NEEDS_NO_TRANSACTION  migrations/003_venues.sql:1:1: ',
    '3 migrations checked: 5 errors, 1 warning',
  ]) {
    expect(stdout).toContain(says);
  }
  expect(code).toBe(3);
  expect(await readContents(emptyDb.sql)).toEqual(before);
});

test('finds names that do not fit, and says that it looked no further', async ({ project }) => {
  await project.migration('001_users', 'selec 1;');
  await project.write('migrations/nonsense.sql', 'select 1;');
  const { code, stdout } = await runCli(['migrate', 'validate'], { cwd: project.dir });
  expect(stdout).toContain('error INVALID_NAME  ');
  expect(stdout).toContain("skipped  the files' contents: ");
  expect(code).toBe(3);
});

test('finds what changed since it was applied, with a diff, and exits 3', async ({
  project,
  emptyDb,
}) => {
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
  await project.migration('003_events', 'create table events (id integer);', 'select 1;');
  await runCli(['migrate', 'up'], options);
  await project.migration('001_users', 'create table users (id bigint);');
  await project.migration('002_late', 'select 1;', 'select 1;');
  const { code, stdout } = await runCli(['migrate', 'validate'], options);
  expect(stdout).toContain('error CHANGED_MIGRATION  ');
  expect(stdout).toContain('+create table users (id bigint);');
  expect(stdout).toContain('error OUT_OF_ORDER  ');
  expect(stdout).not.toContain('skipped');
  expect(code).toBe(3);
  const github = await runCli(['migrate', 'validate', '--format', 'github'], options);
  expect(github.stdout).toMatch(
    /^::error file=migrations\/001_users\.sql,line=1,.*title=evdb%3A CHANGED_MIGRATION::001_users changed.*%0APut the old text back .*%0A\+create table users \(id bigint\);/m,
  );
});

test('says why no down script was proven where no migration is pending', async ({
  project,
  emptyDb,
}) => {
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
  await runCli(['migrate', 'up'], options);
  const { code, stdout } = await runCli(['migrate', 'validate', '--shadow'], options);
  const command = 'evdb migrate validate --shadow --all';
  expect(stdout).toContain('skipped  the down scripts: no migration is pending; `');
  expect(stdout).toContain(`${command}\` proves those of applied ones`);
  expect(stdout).not.toContain('proven');
  const all = await runCli(['migrate', 'validate', '--shadow', '--all'], options);
  expect(all.stdout).toContain('1 down script proven: undoes its migration exactly');
  expect([code, all.code]).toEqual([0, 0]);
});

test('exits 0 with warnings alone', async ({ project }) => {
  await project.migration('001_users', 'create table users (id integer);');
  const { code, stdout } = await runCli(['migrate', 'validate'], { cwd: project.dir });
  expect(stdout).toContain('warning NO_DOWN');
  expect(stdout).toContain('0 errors, 1 warning');
  expect(code).toBe(0);
});

test('asks for a folder where there is none', async ({ project }) => {
  const result = await runCli(['migrate', 'validate'], { cwd: project.dir });
  expectError(result, 'MIGRATIONS_DIR_MISSING', 2);
});

test('takes findings about small tables for information where the database knows their rows', async ({
  project,
  emptyDb,
}) => {
  await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
  await project.write('evdb.config.json', '{ "lint": { "smallTableRows": 100 } }');
  const env = { EVDB_URL: emptyDb.url };
  const evdb = (...args: string[]) => runCli(args, { cwd: project.dir, env });
  await evdb('migrate', 'up');
  await project.migration('002_i', 'create index i on users (id);', 'drop index i;');
  await emptyDb.sql`insert into users select 1 from generate_series(1, 200)`;
  await emptyDb.sql`analyze users`;
  const large = await evdb('migrate', 'validate');
  expect(large.stdout).toContain('error index-not-concurrent');
  expect(large.code).toBe(3);
  await emptyDb.sql`delete from users where ctid > '(0,50)'`;
  await emptyDb.sql`vacuum analyze users`;
  const small = await evdb('migrate', 'validate', '--verbose');
  expect(small.stdout).toContain('info index-not-concurrent');
  expect(small.code).toBe(0);
});

test('calls warnings errors in the formats of pipelines too, where it is strict', async ({
  project,
}) => {
  await project.migration('001_users', 'create table users (id integer);');
  const args = ['migrate', 'validate', '--format', 'github'];
  const { stdout, code } = await runCli(args, { cwd: project.dir });
  expect({ code, isWarning: stdout.startsWith('::warning file=') }).toEqual({
    code: 0,
    isWarning: true,
  });
  const strict = await runCli([...args, '--strict'], { cwd: project.dir });
  expect({ code: strict.code, isError: strict.stdout.startsWith('::error file=') }).toEqual({
    code: 3,
    isError: true,
  });
});
