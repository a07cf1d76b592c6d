import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { test } from '../support/migrate-kit.ts';
import { runCli } from '../support/run-cli.ts';
import { expectError, expectHint, parseJson } from './cli-kit.ts';

const USERS = `create table users (id integer primary key, name text);`;

test('writes the file, says when it is up to date, and exits 3 where it is not', async ({
  stage,
  project,
}) => {
  await stage.sql.unsafe(USERS);
  const types = (...args: string[]) =>
    runCli(['types', '--out', 'db.ts', ...args], {
      cwd: project.dir,
      env: { EVDB_URL: stage.url },
    });
  const missing = await types('--check');
  expect(missing).toMatchObject({ code: 3, stdout: expect.stringMatching(/^missing {2}db\.ts: /) });
  expect(await types()).toMatchObject({ code: 0, stdout: 'wrote  db.ts  1 table\n' });
  expect(await types()).toMatchObject({ stdout: 'db.ts is up to date: nothing to do\n' });
  expect(await types('--check')).toMatchObject({
    code: 0,
    stdout: 'db.ts is up to date with the database\n',
  });
  const text = await readFile(join(project.dir, 'db.ts'), 'utf8');
  expect(text).toMatch(/^\/\/ Written by `evdb types`\. /);
  const printed = await runCli(['types'], { cwd: project.dir, env: { EVDB_URL: stage.url } });
  expect(printed).toMatchObject({ code: 0, stdout: text });
  await stage.sql.unsafe('alter table users add phone text');
  const different = await types('--check');
  expect(different.code).toBe(3);
  expect(different.stdout).toContain('    +  phone: string | null;\n');
  expect(await readFile(join(project.dir, 'db.ts'), 'utf8')).toBe(text);
  const json = parseJson(await types('--check', '--json'));
  expect(json).toMatchObject({
    ...{ command: 'types', ok: false, source: 'live', state: 'different' },
    findings: [{ code: 'types', location: { file: 'db.ts', line: 1 } }],
  });
  expect(parseJson(await types('--json'))).toMatchObject({ state: 'written', findings: [] });
});

test('reads several schemas, and names the one that is missing', async ({ stage, project }) => {
  await stage.sql.unsafe(`${USERS} create schema audit; create table audit.users (id integer)`);
  const types = (...schemas: string[]) =>
    runCli(['types', ...schemas.flatMap((name) => ['--schema', name])], {
      cwd: project.dir,
      env: { EVDB_URL: stage.url },
    });
  const { stdout } = await types('public', 'audit');
  expect(stdout).toContain('`evdb types --schema public --schema audit`');
  expect(stdout).toContain('export interface AuditUsers {');
  expectError(await types('public', 'nowhere'), 'TARGET_SCHEMA', 1);
});

test('takes the migrations where that is said, and leaves no scratch database', async ({
  stage,
  project,
}) => {
  await stage.migration('001_users', USERS);
  const env = { EVDB_URL: stage.url };
  const args = ['types', '--from', 'migrations', '--json'];
  const json = parseJson(await runCli(args, { cwd: project.dir, env }));
  expect(json).toMatchObject({ source: 'migrations', counts: { tables: 1 } });
  expect(await stage.sql`select from pg_database where datname like 'evdb_scratch_%'`).toEqual([]);
  expect(await stage.relations()).toEqual([]);
});

test('takes the migrations on the embedded server where the configured one does not run', {
  timeout: 60_000,
}, async ({ stage, project }) => {
  await stage.migration('001_users', USERS);
  const env = { EVDB_URL: 'postgres://nobody@127.0.0.1:1/none' };
  const types = () => runCli(['types', '--out', 'db.ts'], { cwd: project.dir, env });
  try {
    const first = await types();
    expect(first).toMatchObject({ code: 0, stdout: 'wrote  db.ts  1 table\n' });
    expect(first.stderr).toMatch(/^warning .*: the types are those of the migrations$/m);
    expect(first.stderr).not.toContain('no database is configured');
    expect(await types().then(({ stdout }) => stdout)).toContain('nothing to do');
    const check = await runCli(['types', '--out', 'none.ts', '--check'], { cwd: project.dir });
    expect(check).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/^missing {2}none\.ts: /),
    });
    const again = await runCli(['types', '--out', 'db.ts'], { cwd: project.dir });
    expect(again).toMatchObject({ code: 0, stdout: 'db.ts is up to date: nothing to do\n' });
    expect(again.stderr).toContain(
      'no server is configured, and the database of the embedded one is empty: the types are those of the migrations',
    );
    const chosen = await runCli(['types', '--embedded', '--json'], { cwd: project.dir });
    expect(parseJson(chosen)).toMatchObject({ source: 'live', counts: { tables: 0 } });
    await runCli(['migrate', 'up', '--embedded'], { cwd: project.dir });
    for (const flags of [['--embedded'], []]) {
      const live = await runCli(['types', ...flags, '--json'], { cwd: project.dir });
      expect(live.stderr).not.toContain('migrations');
      expect(parseJson(live)).toMatchObject({ source: 'live', counts: { tables: 1 } });
    }
  } finally {
    await runCli(['server', 'stop'], { cwd: project.dir });
  }
});

test('says what is missing for a check and for a pipeline', async ({ stage, project }) => {
  const run = (...args: string[]) =>
    runCli(['types', ...args], { cwd: project.dir, env: { EVDB_URL: stage.url } });
  const unnamed = await run('--check');
  expectError(unnamed, 'USAGE', 2);
  expectHint(unnamed);
  const format = await run('--format', 'github');
  expect(format).toMatchObject({ code: 2, stderr: expect.stringContaining('--check') });
});
