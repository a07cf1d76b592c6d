import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { test as base } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';
import { type Applied, applyAll, expectError, parseJson } from './cli-kit.ts';

/** `applied`: 001 differs in a comment, 002 in its SQL, the file of 003 is gone, 004 is as it was. */
const test = base.extend<{ applied: Applied }>({
  applied: async ({ project, emptyDb }, use) => {
    for (const name of ['001_a', '002_b', '003_c', '004_d']) {
      await project.migration(name, `create table ${name.at(-1)} (id integer);`);
    }
    const { evdb, ...applied } = await applyAll(project, emptyDb);
    await project.migration('001_a', '-- why\ncreate table a (id integer);');
    await project.migration('002_b', 'create table b (id bigint);');
    await rm(join(project.dir, 'migrations/003_c.sql'));
    await use({ ...applied, evdb: (...args) => evdb('migrate', ...args) });
  },
});

test('repairs what is safe, lists the rest with commands that work as they are', async ({
  applied: { evdb },
}) => {
  const first = await evdb('repair');
  expect(first.stdout).toMatch(/^accepted {2}001_a {2}only comments or white space differ$/m);
  expect(first.stdout).toMatch(/^to decide {2}the SQL of 002_b changed/m);
  expect(first.stdout).toMatch(/^ {4}\+create table b \(id bigint\);$/m);
  expect(first.stdout).toMatch(/^repaired 1 migration in schema public, 2 to decide$/m);
  expect(first).toMatchObject({ code: 3, stderr: '' });
  const commands = [...first.stdout.matchAll(/^ {4}evdb migrate (repair .*)$/gm)];
  expect(commands).toHaveLength(2);
  for (const [, command = ''] of commands) {
    expect(await evdb(...command.split(' '))).toMatchObject({ code: 0, stderr: '' });
  }
  expect(await evdb('repair')).toMatchObject({
    code: 0,
    stdout: 'nothing to repair in schema public\n',
  });
  expect(await evdb('status', '--check')).toMatchObject({ code: 0 });
});

test('shows a change of SQL and does nothing without --confirm', async ({ applied }) => {
  const before = await applied.contents();
  const result = await applied.evdb('repair', '002');
  expectError(result, 'CONFIRM_REQUIRED', 2);
  expect(result.stderr).toContain('+create table b (id bigint);');
  expect(result.stderr).toContain('evdb migrate repair 002 --confirm');
  expect(await applied.contents()).toEqual(before);
});

test('gives the environment and the schema along with the commands', async ({
  applied: { evdb },
}) => {
  const { stdout } = await evdb('repair', '--dry-run', '--env', 'production', '--schema', 'public');
  const command = 'evdb migrate repair 002 --env production --schema public --confirm';
  expect(stdout).toContain(`    ${command}\n`);
});

test('asks for --confirm where the environment is protected, also for what is safe', async ({
  applied,
}) => {
  const before = await applied.contents();
  for (const args of [['repair'], ['repair', '001'], ['baseline', '004']]) {
    const result = await applied.evdb(...args, '--env', 'production');
    expectError(result, 'CONFIRM_REQUIRED', 2);
    expect(result.stderr).toContain(`evdb migrate ${args.join(' ')} --env production --confirm`);
    expect(await applied.evdb(...args, '--env', 'production', '--dry-run')).not.toMatchObject({
      code: 2,
    });
  }
  expect(await applied.contents()).toEqual(before);
  const confirmed = await applied.evdb('repair', '--env', 'production', '--confirm');
  expect(confirmed.stdout).toMatch(/repaired 1 migration in schema public, 2 to decide/);
});

test('gives the result as JSON', async ({ applied: { evdb } }) => {
  const result = await evdb('repair', '--dry-run', '--json');
  expect(parseJson(result)).toMatchObject({
    command: 'migrate repair',
    dryRun: true,
    repairs: [{ version: '1', state: 'reworded', action: 'accept', risk: null }],
    decisions: [
      { version: '2', choices: [{ command: 'evdb migrate repair 002 --confirm' }] },
      { version: '3' },
    ],
  });
  expect(result.code).toBe(3);
});

test('sets a baseline, and shows it in the status', async ({ project, emptyDb }) => {
  await project.migration('001_a', 'create table a (id integer);');
  await project.migration('002_b', 'create table b (id integer);');
  await emptyDb.sql`create table a (id integer)`;
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const dryRun = await runCli(['migrate', 'baseline', '1', '--dry-run'], options);
  expect(dryRun.stdout).toMatch(/^would count as applied {2}001_a\n.*\nNothing was changed/m);
  const baseline = await runCli(['migrate', 'baseline', '1'], options);
  expect(baseline).toMatchObject({
    code: 0,
    stdout: 'counts as applied  001_a\n1 migration in schema public; none was run\n',
  });
  const { stdout } = await runCli(['migrate', 'status'], options);
  expect(stdout).toMatch(/^001 {6}a {5}applied \(baseline\) {2}- +-$/m);
  const json = parseJson(await runCli(['migrate', 'baseline', '1', '--json'], options));
  expect(json).toMatchObject({ command: 'migrate baseline', migrations: [], risk: null });
});

test('settles what became of an interrupted statement', async ({ project, emptyDb }) => {
  const script = '-- evdb: no-transaction\ncreate table a ();\ncall missing();\n';
  await project.migration('001_a', script);
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  expect(await runCli(['migrate', 'up'], options)).toMatchObject({ code: 1 });
  await emptyDb.sql`update evdb.migration set statement_started = 2, statement_started_at = now()`;
  const listed = await runCli(['migrate', 'repair'], options);
  expect(listed).toMatchObject({ code: 3, stderr: '' });
  expect(listed.stdout).toMatch(/^to decide {2}applying 001_a stopped at statement 2 of 2$/m);
  expect(listed.stdout).toMatch(/^ {4}evdb migrate repair 001 --as not-done$/m);
  expectError(await runCli(['migrate', 'repair', '001'], options), 'INCOMPLETE_MIGRATION', 1);
  expectError(await runCli(['migrate', 'repair', '001', '--as', 'maybe'], options), 'USAGE', 2);
  const settled = await runCli(['migrate', 'repair', '001', '--as', 'done'], options);
  expect(settled.stdout).toMatch(/^settled {3}001_a {2}statement 2 is done$/m);
  expect(await runCli(['migrate', 'up'], options)).toMatchObject({ code: 0 });
  expect(await runCli(['migrate', 'status', '--check'], options)).toMatchObject({ code: 0 });
});

test('writes a lost file from the ledger, by the command that the failure names', async ({
  applied: { evdb },
}) => {
  await evdb('repair', '002', '--confirm');
  const failed = await evdb('up');
  expectError(failed, 'MISSING_MIGRATION', 1);
  const [, command = ''] = /`evdb migrate (restore [^`]*)`/.exec(failed.stderr) ?? [];
  const dry = await evdb(...command.split(' '), '--dry-run', '--json');
  const path = expect.stringMatching(/003_c\.sql$/);
  expect(parseJson(dry)).toMatchObject({
    dryRun: true,
    migrations: [{ label: '003', files: [{ path, direction: 'up', outcome: 'written' }] }],
  });
  const restored = await evdb(...command.split(' '));
  expect(restored).toMatchObject({ code: 0, stderr: '' });
  expect(restored.stdout).toBe(
    'wrote  migrations/003_c.sql\nnote: the ledger kept no down script of 003_c\n1 file from the ledger\n',
  );
  expect(await evdb('up')).toMatchObject({ code: 0 });
  expect((await evdb('restore', '003')).stdout).toContain('nothing to do');
});
