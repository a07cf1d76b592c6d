import { readdir } from 'node:fs/promises';
import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';
import { expectError, expectHint, parseJson, readContents } from './cli-kit.ts';

const VACUUM = 'vacuum users;\n';

test('says where, why and what to do, and exits 3', async ({ project }) => {
  await project.migration('001_users', 'create table users (id integer);\n\n  vacuum users;\n');
  const { code, stdout, stderr } = await runCli(['lint'], { cwd: project.dir });
  expect(stdout).toBe(
    `error concurrently-in-tx  migrations/001_users.sql:3:3: "vacuum" fails here: it cannot run inside the migration's transaction
  3 |   vacuum users;
    |   ^
  hint: Move it into a migration of its own that starts with the line: -- evdb: no-transaction
  --fix can move it into a no-transaction migration
  more: evdb lint --explain concurrently-in-tx
1 file linted: 1 error, 0 warnings
`,
  );
  expect({ code, stderr }).toEqual({ code: 3, stderr: '' });
});

test('exits 0 with warnings, and 3 with --strict', async ({ project }) => {
  const index = 'create index concurrently if not exists i on users (id);';
  await project.migration('001_index', `-- evdb: no-transaction\n${index}`);
  const only = ['--rule', 'invalid-index-masked'];
  const lenient = await runCli(['lint', ...only], { cwd: project.dir });
  expect(lenient.stdout).toContain('1 file linted: 0 errors, 1 warning');
  expect(lenient.code).toBe(0);
  expect((await runCli(['lint', '--strict', ...only], { cwd: project.dir })).code).toBe(3);
});

test('needs no database, and touches none that is configured', async ({ project, emptyDb }) => {
  await project.migration('001_users', 'create table users (id integer);');
  const before = await readContents(emptyDb.sql);
  const env = { EVDB_URL: emptyDb.url };
  const { code, stdout } = await runCli(['lint'], { cwd: project.dir, env });
  expect({ code, stdout }).toEqual({ code: 0, stdout: '1 file linted: no problems\n' });
  expect(await readContents(emptyDb.sql)).toEqual(before);
  const away = await runCli(['lint'], {
    cwd: project.dir,
    env: { EVDB_URL: 'postgres://nobody@127.0.0.1:1/nothing', CI: 'true' },
  });
  expect(away).toMatchObject({ code: 0, stderr: '' });
  expect(await readdir(project.dir)).not.toContain('.evdb');
});

test('lints files that are named, and knows the earlier ones beside them', async ({ project }) => {
  await project.migration('001_enum', "create type mood as enum ('sad');\nvacuum;");
  const use = "alter type mood add value 'happy';\nselect 'happy'::mood;\n";
  const path = await project.migration('002_value', use);
  await project.migration('003_later', VACUUM);
  const { code, stdout } = await runCli(['lint', 'migrations/002_value.sql'], { cwd: project.dir });
  expect(stdout).toContain(`error enum-value-same-tx  migrations/002_value.sql:2:8: `);
  expect(stdout).toContain('1 file linted: 1 error');
  expect(code).toBe(3);
  const other = await runCli(['lint', path], { cwd: '/' });
  expect(other.stdout).toContain('1 file linted: 1 error');
});

test('lints a folder of another tool, and loose files', async ({ project }) => {
  await project.write('db/V2__b.sql', VACUUM);
  await project.write('db/V10__c.sql', VACUUM);
  const folder = await runCli(['lint', 'db'], { cwd: project.dir });
  expect(folder.stdout.match(/db\/V\d+__.\.sql/g)).toEqual(['db/V2__b.sql', 'db/V10__c.sql']);
  const file = await runCli(['lint', 'db/V10__c.sql'], { cwd: project.dir });
  expect(file.stdout).toContain('1 file linted: 1 error');
});

test('tells of files that cannot be read, and goes on with the others', async ({ project }) => {
  await project.migration('001_bytes', Buffer.from([0xff, 0xfe]).toString('latin1'));
  await project.write('migrations/002_bytes.sql', new Uint8Array([0x73, 0xff]));
  await project.migration('003_header', '-- evdb: notransaction\nselect 1;');
  await project.migration('004_syntax', 'create tabel users (id integer);');
  await project.migration('005_psql', '\\i other.sql\n');
  await project.migration('006_fine', VACUUM);
  const { code, stdout } = await runCli(['lint'], { cwd: project.dir });
  for (const says of [
    'error unreadable-file  migrations/002_bytes.sql:1:1: ',
    'error unreadable-file  migrations/003_header.sql:1:1: "notransaction" is not a directive',
    'error syntax-error  migrations/004_syntax.sql:1:8: syntax error at or near "tabel"',
    'error syntax-error  migrations/005_psql.sql:1:1: \\i is a command of psql, not SQL.',
    'error concurrently-in-tx  migrations/006_fine.sql:1:1: ',
  ]) {
    expect(stdout).toContain(says);
  }
  expect(code).toBe(3);
});

test('names what there is not', async ({ project }) => {
  const lint = (...args: string[]) => runCli(['lint', ...args], { cwd: project.dir });
  expectError(await lint(), 'MIGRATIONS_DIR_MISSING', 2);
  expectError(await lint('none.sql'), 'FILE_UNREADABLE', 1);
  const rule = await lint('--rule', 'concurrent-in-tx');
  expectError(rule, 'USAGE', 2);
  expect(rule.stderr).toContain('did you mean "concurrently-in-tx"?');
  expectHint(rule);
  expectError(await lint('--explain', 'nothing'), 'USAGE', 2);
  expectError(await lint('--server-version', '13'), 'USAGE', 2);
});

test('leaves old migrations alone, by flag and by configuration', async ({ project }) => {
  await project.migration('001_old', VACUUM);
  await project.migration('012_older', VACUUM);
  await project.migration('013_new', VACUUM);
  const flag = await runCli(['lint', '--start-after', '12'], { cwd: project.dir });
  expect(flag.stdout).toContain('1 file linted: 1 error');
  await project.write('evdb.config.json', '{ "lint": { "startAfter": "012" } }');
  const file = await runCli(['lint'], { cwd: project.dir });
  expect(file.stdout).toBe(flag.stdout);
});

test('takes severities from the configuration', async ({ project }) => {
  await project.migration('001_users', VACUUM);
  const lintWith = async (lint: object) => {
    await project.write('evdb.config.json', JSON.stringify({ lint }));
    return runCli(['lint'], { cwd: project.dir });
  };
  expect(await lintWith({ rules: { 'concurrently-in-tx': 'off' } })).toMatchObject({ code: 0 });
  const weaker = await lintWith({ groups: { tx: 'warning' } });
  expect(weaker.stdout).toContain('warning concurrently-in-tx');
  const both = { groups: { tx: 'off' }, rules: { 'concurrently-in-tx': 'info' } };
  expect((await lintWith(both)).stdout).toContain('1 for information');
  const unknown = await lintWith({ rules: { 'concurrent-in-tx': 'off' } });
  expectError(unknown, 'CONFIG_INVALID', 2);
  expect(unknown.stderr).toContain('did you mean "concurrently-in-tx"?');
  expectError(await lintWith({ rules: { 'concurrently-in-tx': 'no' } }), 'CONFIG_INVALID', 2);
  expectError(await lintWith({ groups: { locking: 'off' } }), 'CONFIG_INVALID', 2);
  expectError(await lintWith({ startsAfter: '1' }), 'CONFIG_INVALID', 2);
});

test('turns the style rules on where it is asked to', async ({ project }) => {
  await project.migration('001_users', 'create table users (id serial primary key, at timestamp);');
  expect((await runCli(['lint'], { cwd: project.dir })).code).toBe(0);
  await project.write('evdb.config.json', '{ "lint": { "groups": { "style": "error" } } }');
  const { stdout } = await runCli(['lint'], { cwd: project.dir });
  expect(stdout.match(/^error \S+/gm)).toEqual([
    'error prefer-bigint-key',
    'error prefer-identity',
    'error prefer-timestamptz',
  ]);
});

test('gives programs all that it knows', async ({ project }) => {
  await project.migration('001_users', `create table users (id integer);\n${VACUUM}`);
  const result = await runCli(['lint', '--json'], { cwd: project.dir });
  expect(parseJson(result)).toEqual({
    formatVersion: 1,
    command: 'lint',
    ok: false,
    exitCode: 3,
    findings: [
      {
        code: 'concurrently-in-tx',
        severity: 'error',
        message: expect.any(String),
        hint: expect.any(String),
        location: {
          file: 'migrations/001_users.sql',
          line: 2,
          column: 1,
          endLine: 2,
          endColumn: 13,
          excerpt: '  2 | vacuum users;\n    | ^',
        },
        objects: [],
        fix: 'move it into a no-transaction migration',
        details: {
          group: 'tx',
          evidence: 'static',
          fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
          page: 'docs/rules/concurrently-in-tx.md',
        },
      },
    ],
    suppressed: [],
    counts: { error: 1, warning: 0, info: 0 },
    files: ['migrations/001_users.sql'],
    statements: 2,
  });
});

test('lists its rules, and explains each', async ({ project }) => {
  const list = await runCli(['lint', '--list-rules'], { cwd: project.dir });
  expect(list.stdout).toMatch(
    /^ {2}concurrently-in-tx +error {4}cannot run inside a transaction$/m,
  );
  expect((await runCli(['lint', 'rules'], { cwd: project.dir })).stdout).toBe(list.stdout);
  const json = await runCli(['lint', 'rules', '--json'], { cwd: project.dir });
  const { rules } = parseJson(json) as unknown as { rules: { name: string }[] };
  for (const { name } of rules) {
    const page = await runCli(['lint', '--explain', name], { cwd: project.dir });
    expect(page.stdout, name).toMatch(new RegExp(`^# ${name}\n`));
  }
}, 60_000);
