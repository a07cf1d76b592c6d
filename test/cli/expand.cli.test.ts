import { readdir } from 'node:fs/promises';
import { expect } from 'vitest';
import { migrateUp } from '../../src/index.ts';
import { test } from '../support/migrate-kit.ts';
import { runCli } from '../support/run-cli.ts';
import { expectError, expectHint, parseJson } from './cli-kit.ts';

test('up --expand says where it stops and what that waits for; plan and status say it too', async ({
  stage,
  project,
}) => {
  await stage.migration('001_events', 'create table events (id int);', 'drop table events;');
  await stage.migration(
    '002_drop',
    '-- evdb: contract\n-- evdb: require select false\ndrop table events;',
    'create table events (id int);',
  );
  const evdb = (...args: string[]) =>
    runCli(args, { cwd: project.dir, env: { EVDB_URL: stage.url } });
  const up = await evdb('migrate', 'up', '--expand');
  expect(up.code).toBe(0);
  expect(up.stdout).toMatch(
    /, 1 still pending\nstopped before 002_drop, which contracts the schema: --expand leaves that out\n {2}it waits for: require select false\n$/,
  );
  expect((await evdb('migrate', 'up', '--expand')).stdout).toMatch(
    /^nothing to apply before 002_drop, which contracts the schema: --expand leaves that out\n/,
  );
  const status = await evdb('migrate', 'status');
  expect(status.stdout).toMatch(/002 +drop +pending \(contract\)/);
  expect(status.stdout).toContain(
    '002_drop contracts the schema: `evdb migrate up --expand` leaves it out\n002_drop waits for: require select false\n',
  );
  const plan = await evdb('migrate', 'plan');
  expect(plan.stdout).toContain('1 statement, contracts the schema');
  expect(plan.stdout).toContain('waits for: require select false (false)');
  const refused = await evdb('migrate', 'up');
  expectError(refused, 'GATE_CLOSED', 4);
  expectHint(refused);
  const json = parseJson(await evdb('migrate', 'plan', '--json'));
  expect(json.steps).toMatchObject([
    { isContract: true, gates: [{ text: 'require select false', isOpen: false, found: 'false' }] },
  ]);
});

test('migrate expand prints the files, or writes them and says what comes next', async ({
  stage,
  project,
}) => {
  await stage.migration('001_events', 'create table events (id int primary key, location text);');
  await migrateUp(stage.options);
  const evdb = (...args: string[]) =>
    runCli(['migrate', 'expand', ...args], { cwd: project.dir, env: { EVDB_URL: stage.url } });
  const rename = ['rename-column', 'events.location', 'venue'];
  const shown = await evdb(...rename, '--dry-run');
  expect(shown.stdout).toContain('-- migrations/002_add_events_venue.sql\n');
  const files = () => readdir(stage.options.directory);
  expect(await files()).toEqual(['001_events.sql']);

  const written = await evdb(...rename);
  expect(written).toMatchObject({ code: 0, stderr: '' });
  expect(written.stdout).toContain(
    'created  migrations/005_drop_events_location.sql  contract\n' +
      'Each has a down script beside it. All ran up, down and up again in a scratch database.\n',
  );
  expect(written.stdout).toContain('evdb migrate up --expand');
  expect(await files()).toHaveLength(9);
  const missing = await evdb('split-column', 'events.location');
  expectError(missing, 'USAGE', 2);
  expect(missing.stderr).toContain('--into');
});
