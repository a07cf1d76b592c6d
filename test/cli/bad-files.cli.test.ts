import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { EvdbErrorCode } from '../../src/errors.ts';
import { type TestDatabase, test } from '../support/fixture.ts';
import type { TestProject } from '../support/project.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';
import { expectError, expectHint, readContents } from './cli-kit.ts';

/** Runs `migrate up`, and expects that it is refused and that the database stays as it was. */
async function expectRefusal(
  { dir }: TestProject,
  { url, sql }: TestDatabase,
  { code, exitCode }: { code: EvdbErrorCode; exitCode: number },
): Promise<CliResult> {
  const before = await readContents(sql);
  const result = await runCli(['migrate', 'up'], { cwd: dir, env: { EVDB_URL: url } });
  expectError(result, code, exitCode);
  expect(await readContents(sql)).toEqual(before);
  if (code !== 'SYNTAX_ERROR') expectHint(result);
  return result;
}

test('asks for a migrations folder where there is none', async ({ project, emptyDb }) => {
  const { stderr } = await expectRefusal(project, emptyDb, {
    code: 'MIGRATIONS_DIR_MISSING',
    exitCode: 2,
  });
  expect(stderr).toContain('the folder migrations does not exist');
  expect(stderr).toContain('evdb init');
});

test('says how to begin where the folder is empty', async ({ project, emptyDb }) => {
  await mkdir(join(project.dir, 'migrations'));
  for (const command of ['migrate up', 'migrate status', 'migrate validate', 'lint']) {
    const env = { EVDB_URL: emptyDb.url };
    const result = await runCli(command.split(' '), { cwd: project.dir, env });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain("no migrations yet: `evdb migrate create 'first table'`");
  }
});

test('refuses an empty folder where migrations were applied', async ({ project, emptyDb }) => {
  const evdb = (command: string) =>
    runCli(command.split(' '), { cwd: project.dir, env: { EVDB_URL: emptyDb.url } });
  await project.migration('001_a', 'create table a (id integer);');
  expect(await evdb('migrate up')).toMatchObject({ code: 0 });
  await mkdir(join(project.dir, 'other'));
  expectError(await evdb('migrate up --migrations-dir other'), 'MIGRATIONS_DIR_EMPTY', 2);
  const status = await evdb('migrate status --check --migrations-dir other');
  expect(status).toMatchObject({ code: 3, stdout: expect.stringContaining('ahead') });
});

const BAD_NAMES = ['add_venues.sql', '7.sql', '7-add.sql', 'V1__flyway.sql', '1_é.sql'];

test.for(BAD_NAMES)('refuses the file name %s', async (name, { project, emptyDb }) => {
  await project.migration('001_good', 'create table good (id integer);');
  await project.write(`migrations/${name}`, 'create table bad (id integer);');
  const { stderr } = await expectRefusal(project, emptyDb, { code: 'INVALID_NAME', exitCode: 1 });
  expect(stderr).toContain(`"${name}" in migrations`);
  expect(stderr).toContain('007_add_venues.sql');
});

test('refuses a file with both halves of another tool, whatever reads it', async ({
  project,
  emptyDb,
}) => {
  await project.write(
    'migrations/001_users.sql',
    'create table users ();\n\n-- Down Migration\ndrop table if exists users;\n',
  );
  const { stderr } = await expectRefusal(project, emptyDb, { code: 'FOREIGN_MARKER', exitCode: 1 });
  expect(stderr).toContain('migrations/001_users.sql:3: "-- Down Migration" is a marker');
  expect(stderr).toContain('evdb migrate adopt --from node-pg-migrate');
  const env = { EVDB_URL: emptyDb.url };
  for (const args of [['lint'], ['migrate', 'validate'], ['migrate', 'plan']]) {
    const result = await runCli(args, { cwd: project.dir, env });
    expect(result.code, args.join(' ')).not.toBe(0);
    expect(result.stdout + result.stderr).toContain('is a marker of node-pg-migrate');
  }
});

test('takes no notice of files that are no SQL', async ({ project, emptyDb }) => {
  await project.migration('001_good', 'create table good (id integer);');
  await project.write('migrations/README.md', 'How we write migrations.');
  const env = { EVDB_URL: emptyDb.url };
  const { code, stdout } = await runCli(['migrate', 'up'], { cwd: project.dir, env });
  expect(stdout).toContain('applied      001_good');
  expect(code).toBe(0);
});

test('refuses two files of one version, also where their digits differ', async ({
  project,
  emptyDb,
}) => {
  await project.migration('001_users', 'create table users (id integer);');
  await project.migration('1_events', 'create table events (id integer);');
  const { stderr } = await expectRefusal(project, emptyDb, {
    code: 'DUPLICATE_VERSION',
    exitCode: 1,
  });
  expect(stderr).toContain('migrations/001_users.sql and migrations/1_events.sql');
});

test('refuses a down script without its migration', async ({ project, emptyDb }) => {
  await project.migration('001_users', 'create table users (id integer);');
  await project.write('migrations/002_events.down.sql', 'drop table events;');
  const { stderr } = await expectRefusal(project, emptyDb, {
    code: 'DOWN_WITHOUT_UP',
    exitCode: 1,
  });
  expect(stderr).toContain('migrations/002_events.down.sql');
});

test('says how to get a lost up script back, and the command that it prints does', async ({
  project,
  emptyDb,
}) => {
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  await project.migration('017_note', 'create table note (id integer);', 'drop table note;');
  expect(await runCli(['migrate', 'up'], options)).toMatchObject({ code: 0 });
  await rm(join(project.dir, 'migrations/017_note.sql'));
  const { stderr } = await runCli(['migrate', 'status'], options);
  expect(stderr).toContain('DOWN_WITHOUT_UP');
  const words = stderr.replaceAll(/\s+/g, ' ');
  expect(words).toContain(
    'Its up script 017_note.sql may be lost: restore it from version control',
  );
  expect(words).toContain('`evdb migrate restore 017`');
  expect(await runCli(['migrate', 'restore', '017'], options)).toMatchObject({ code: 0 });
  expect(await runCli(['migrate', 'status', '--check'], options)).toMatchObject({ code: 0 });
});

/** Each is wrong in the second of two files, and known before the first one runs. */
const BAD_TEXTS: [title: string, text: string | Uint8Array, code: EvdbErrorCode, says: string][] = [
  ['that is not UTF-8', Buffer.from("select 'caf\xe9';", 'latin1'), 'NOT_UTF8', 'iconv'],
  ['with a NUL byte', 'select 1;\0', 'NUL_BYTE', '(at byte 10)'],
  ['that is empty', '', 'EMPTY_FILE', 'holds no statement'],
  ['with nothing but comments', '-- later\n/* maybe */\n;\n', 'EMPTY_FILE', 'holds no statement'],
  ['with an unknown directive', '-- evdb: notransaction\nselect 1;', 'DIRECTIVE_INVALID', ':1'],
  ['with a command of psql', 'select 1;\n\\i other.sql\n', 'PSQL_COMMAND', '002_bad.sql:2'],
  ['that begins a transaction', 'begin;\nselect 1;\n', 'TRANSACTION_CONTROL', '002_bad.sql:1'],
  ['that commits', 'select 1;\ncommit;\n', 'TRANSACTION_CONTROL', '002_bad.sql:2'],
  ['that rolls back', 'select 1;\nrollback;\n', 'TRANSACTION_CONTROL', '002_bad.sql:2'],
  [
    'that was cut short among the rows of a copy',
    'create table t (id integer);\ncopy t from stdin;\n1\n',
    'COPY_UNTERMINATED',
    '002_bad.sql:2',
  ],
  [
    'that builds an index concurrently in a transaction',
    'create index concurrently good_id_idx on good (id);\n',
    'NEEDS_NO_TRANSACTION',
    '-- evdb: no-transaction',
  ],
];

test.for(BAD_TEXTS)('refuses a file %s', async ([, text, code, says], { project, emptyDb }) => {
  await project.migration('001_good', 'create table good (id integer);');
  await project.write('migrations/002_bad.sql', text);
  const { stderr } = await expectRefusal(project, emptyDb, { code, exitCode: 1 });
  expect(stderr).toContain('migrations/002_bad.sql');
  expect(stderr).toContain(says);
});

test('refuses a migration that is a folder', async ({ project, emptyDb }) => {
  await mkdir(join(project.dir, 'migrations/001_users.sql'), { recursive: true });
  const { stderr } = await expectRefusal(project, emptyDb, {
    code: 'FILE_UNREADABLE',
    exitCode: 1,
  });
  expect(stderr).toContain('migrations/001_users.sql');
});

test('knows of a syntax error in the fifth of ten files before the first one runs', async ({
  project,
  emptyDb,
}) => {
  for (let i = 1; i <= 10; i++) {
    const text =
      i === 5 ? 'select 1;\n  creat table five (id integer);\n' : `create table t${i} ();`;
    await project.migration(`${String(i).padStart(3, '0')}_step`, text);
  }
  const { stderr } = await expectRefusal(project, emptyDb, { code: 'SYNTAX_ERROR', exitCode: 1 });
  expect(stderr).toContain('migrations/005_step.sql:2:3: ');
  expect(stderr).toMatch(/^.*creat table five \(id integer\);\n\s*\|?\s*\^/m);
});

test('says what to do about a syntax error', async ({ project, emptyDb }) => {
  await project.migration('001_step', 'creat table one (id integer);');
  expectHint(await expectRefusal(project, emptyDb, { code: 'SYNTAX_ERROR', exitCode: 1 }));
});

test('shows where a statement failed and what PostgreSQL says, and keeps what ran before', async ({
  project,
  emptyDb,
}) => {
  await project.migration('001_users', 'create table users (id integer primary key);');
  const failing = [
    'create table half (id integer);',
    'insert into users values (1);',
    '  insert into users',
    '  values (1);',
  ];
  await project.migration('002_fill', `${failing.join('\n')}\n`);
  await project.migration('003_never', 'create table never (id integer);');
  const env = { EVDB_URL: emptyDb.url };
  const result = await runCli(['migrate', 'up'], { cwd: project.dir, env });
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(/^applied {6}001_users {2}\S.*\n$/);
  expect(result.stderr).toMatch(
    /^error MIGRATION_FAILED {2}migrations\/002_fill\.sql:3:3: duplicate key value/m,
  );
  expect(result.stderr).toMatch(/insert into users\n\s*\|?\s*\^/);
  expect(result.stderr).toContain('detail: Key (id)=(1) already exists.');
  expect(result.stderr).toContain('sqlstate: 23505');
  expect(result.stderr).toContain(
    'hint: Nothing of 002_fill was applied; what ran before it stays',
  );
  const tables = await emptyDb.sql`select relname from pg_class
    where relnamespace = 'public'::regnamespace and relkind = 'r'`;
  expect(tables).toEqual([{ relname: 'users' }]);
  expect(await emptyDb.sql`select * from users`).toEqual([]);
  expect(await emptyDb.sql`select label, state from evdb.migration`).toEqual([
    { label: '001', state: 'applied' },
  ]);
});

test("puts the caret under the place that PostgreSQL names, and passes on PostgreSQL's hint", async ({
  project,
  emptyDb,
}) => {
  await project.migration('001_users', 'create table users (name text);');
  await project.migration('002_wrong', "select 'é🎉',\n  nam\nfrom users;\n");
  const env = { EVDB_URL: emptyDb.url };
  const { stderr, code } = await runCli(['migrate', 'up'], { cwd: project.dir, env });
  expect(stderr).toMatch(/002_wrong\.sql:2:3: column "nam" does not exist/);
  const lines = stderr.split('\n');
  const at = lines.findIndex((line) => line.endsWith('  nam'));
  expect(lines[at + 1]?.indexOf('^')).toBe(lines[at]?.indexOf('nam'));
  expect(stderr).toContain(`server's hint: Perhaps you meant to reference the column "users.name"`);
  expect(code).toBe(1);
});
