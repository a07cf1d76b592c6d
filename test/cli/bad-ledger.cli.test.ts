import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { EvdbErrorCode } from '../../src/errors.ts';
import { test as base, type TestDatabase } from '../support/fixture.ts';
import type { TestProject } from '../support/project.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';
import { expectError, expectHint, readContents } from './cli-kit.ts';

interface Applied {
  project: TestProject;
  db: TestDatabase;
  evdb(...args: string[]): Promise<CliResult>;
  remove(file: string): Promise<void>;
}

/** `applied`: a project whose migrations 001, 002 and 004 are applied. */
const test = base.extend<{ applied: Applied }>({
  applied: async ({ project, emptyDb }, use) => {
    for (const [version, table] of [
      ['001', 'users'],
      ['002', 'events'],
      ['004', 'venues'],
    ]) {
      const text = `create table ${table} (\n  id integer\n);\n`;
      await project.migration(`${version}_${table}`, text, `drop table ${table};\n`);
    }
    const env = { EVDB_URL: emptyDb.url };
    const evdb = (...args: string[]) => runCli(args, { cwd: project.dir, env });
    const { code, stderr } = await evdb('migrate', 'up');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const remove = (file: string) => rm(join(project.dir, 'migrations', file));
    await use({ project, db: emptyDb, evdb, remove });
  },
});

/** Runs `migrate up`, and expects that it is refused and that the database stays as it was. */
async function expectRefusal(
  { evdb, db }: Applied,
  code: EvdbErrorCode,
  { exitCode = 1, flags = [] }: { exitCode?: number; flags?: string[] } = {},
): Promise<string> {
  const before = await readContents(db.sql);
  const result = await evdb('migrate', 'up', ...flags);
  expectError(result, code, exitCode);
  expectHint(result);
  expect(await readContents(db.sql)).toEqual(before);
  return result.stderr;
}

test('refuses a file that changed after it was applied, and shows what changed', async ({
  applied,
}) => {
  await applied.project.migration('002_events', 'create table events (\n  id bigint\n);\n');
  const stderr = await expectRefusal(applied, 'CHANGED_MIGRATION');
  expect(stderr).toContain('002_events changed after being applied');
  expect(stderr).toMatch(/^ +- {2}id integer\n +\+ {2}id bigint$/m);
});

test('warns of a file that changed in comments and white space, and goes on', async ({
  applied,
}) => {
  const text = '-- Events.\r\ncreate table events ( id integer );\r\n';
  await applied.project.migration('002_events', text);
  await applied.project.migration('005_tags', 'create table tags (id integer);');
  const { code, stdout, stderr } = await applied.evdb('migrate', 'up');
  expect(stderr).toMatch(/^warning {2}002_events differs .* only in comments or white space/);
  expect(stderr).toContain('+-- Events.');
  expect(stdout).toContain('applied      005_tags');
  expect(code).toBe(0);
});

test('refuses to go on where the file of an applied migration is gone', async ({ applied }) => {
  await applied.remove('002_events.sql');
  await applied.remove('002_events.down.sql');
  const stderr = await expectRefusal(applied, 'MISSING_MIGRATION');
  expect(stderr).toContain('002_events is applied, but the file is gone');
});

test('refuses a new migration that is older than the newest applied one', async ({ applied }) => {
  await applied.project.migration('003_late', 'create table late (id integer);');
  const stderr = await expectRefusal(applied, 'OUT_OF_ORDER');
  expect(stderr).toContain('003_late is pending, but the newer 004_venues is applied already');
  expect(stderr).toContain('--out-of-order');
});

test('applies an older migration where that is asked for', async ({ applied }) => {
  await applied.project.migration('003_late', 'create table late (id integer);');
  const { code, stdout } = await applied.evdb('migrate', 'up', '--out-of-order');
  expect(stdout).toContain('applied      003_late');
  expect(code).toBe(0);
});

test('warns where the database is ahead of the files, and succeeds', async ({ applied }) => {
  await applied.remove('004_venues.sql');
  await applied.remove('004_venues.down.sql');
  const { code, stdout, stderr } = await applied.evdb('migrate', 'up');
  expect(stderr).toContain('warning  the database is ahead of these files: 004_venues is applied');
  expect(stdout).toBe('nothing to apply: everything is applied\n');
  expect(code).toBe(0);
});

test('refuses a database that is ahead of the files where that is asked for', async ({
  applied,
}) => {
  await applied.remove('004_venues.sql');
  await applied.remove('004_venues.down.sql');
  const stderr = await expectRefusal(applied, 'LEDGER_AHEAD', { flags: ['--strict'] });
  expect(stderr).toContain('004_venues is applied and not here');
});

test('refuses a target that does not exist, and names those that do', async ({ applied }) => {
  const flags = ['--to', '003'];
  const stderr = await expectRefusal(applied, 'UNKNOWN_VERSION', { exitCode: 2, flags });
  expect(stderr).toContain('version 003 does not exist');
  expect(stderr).toContain('001, 002, 004');
});

test.for(['abc', '-1', '1.5', '', '9'.repeat(30)])(
  'refuses the target "%s" of up',
  async (version, { applied }) => {
    const before = await readContents(applied.db.sql);
    const result = await applied.evdb('migrate', 'up', `--to=${version}`);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/^error (USAGE|UNKNOWN_VERSION) {2}/);
    expect(await readContents(applied.db.sql)).toEqual(before);
  },
);

test('refuses to roll back to a version that is not applied', async ({ applied }) => {
  const before = await readContents(applied.db.sql);
  const result = await applied.evdb('migrate', 'down', '--to', '3');
  expectError(result, 'UNKNOWN_VERSION', 2);
  expect(result.stderr).toContain('version 3 is not applied');
  expect(await readContents(applied.db.sql)).toEqual(before);
});

test('refuses a target and a number of steps together', async ({ applied }) => {
  const result = await applied.evdb('migrate', 'down', '--to', '0', '--steps', '1');
  expectError(result, 'USAGE', 2);
  expect(result.stderr).toContain('--to and --steps cannot be used together');
});

test('refuses to roll back a migration without a down script, also those above it', async ({
  applied,
}) => {
  await applied.remove('002_events.down.sql');
  const before = await readContents(applied.db.sql);
  const result = await applied.evdb('migrate', 'down', '--to', '1');
  expectError(result, 'MISSING_DOWN', 1);
  expect(result.stderr).toContain('002_events.down.sql');
  expect(await readContents(applied.db.sql)).toEqual(before);
});
