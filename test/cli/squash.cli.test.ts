import { readdir } from 'node:fs/promises';
import { expect } from 'vitest';
import { migrateUp } from '../../src/index.ts';
import { test } from '../support/migrate-kit.ts';
import { runCli } from '../support/run-cli.ts';
import { expectError, expectHint, parseJson } from './cli-kit.ts';

test('migrate squash prints the baseline, or writes it and moves the old files', async ({
  stage,
  project,
}) => {
  await stage.migration('001_plans', 'create table plans (name text);', 'drop table plans;');
  await stage.migration('002_rows', "insert into plans values ('free');");
  await migrateUp({ ...stage.options, to: '1' });
  const evdb = (...args: string[]) =>
    runCli(['migrate', ...args], { cwd: project.dir, env: { EVDB_URL: stage.url } });
  const shown = await evdb('squash', '--to', '002', '--dry-run');
  expect(shown.stdout).toMatch(
    /^-- migrations\/002_baseline\.sql\n-- Makes what 2 migrations made/,
  );
  expect(shown.stdout).toContain("insert into plans (name) values\n    ('free');");
  expect(await readdir(stage.options.directory)).toHaveLength(3);

  const written = await evdb('squash', '--to', '002');
  expect(written).toMatchObject({ code: 0, stderr: '' });
  expect(written.stdout).toBe(`created  migrations/002_baseline.sql  replaces 001-002
moved    3 files of 2 migrations to migrations/squashed/002
proved   2 objects and 1 row equal in scratch databases
note     1 row of plans in the baseline

Databases that have all of these migrations count the baseline as applied:
  evdb migrate status
  evdb migrate up
`);
  const up = await evdb('up');
  expectError(up, 'PARTIAL_BASELINE', 1);
  expectHint(up);
  expect(up.stderr).toContain('evdb migrate up --migrations-dir migrations/squashed/002');
  const status = await evdb('status', '--check');
  expect(status.code).toBe(3);
  expect(status.stdout).toContain('partial (replaces 001-002)');
  const repair = await evdb('repair');
  expect(repair.stdout).toContain('evdb migrate up --migrations-dir migrations/squashed/002');

  expect(await evdb('up', '--migrations-dir', 'migrations/squashed/002')).toMatchObject({
    code: 0,
  });
  expect((await evdb('plan')).stdout + (await evdb('plan')).stderr).toContain('counts as applied');
  expect((await evdb('plan', '--json')).code).toBe(0);
  const counted = parseJson(await evdb('up', '--json'));
  expect(counted).toMatchObject({ counted: [{ label: '002', name: 'baseline' }], steps: [] });
  const after = parseJson(await evdb('status', '--json')) as unknown as { migrations: unknown[] };
  expect(after.migrations).toMatchObject([{ state: 'applied', replaces: '001-002' }]);
  const drift = await evdb('status', '--drift');
  expect(drift).toMatchObject({ code: 0 });
});
