import { expect } from 'vitest';
import { runCli } from '../../support/run-cli.ts';
import { ALL_APPLIED, FIRST_APPLIED, test } from './apply-kit.ts';

test('applies everything exactly once with 20 processes at the same moment', async ({
  project,
  emptyDb,
}) => {
  await project.migration('001_runs', 'create table runs (version integer);');
  for (const version of [2, 3, 4, 5]) {
    await project.migration(`00${version}_run`, `insert into runs values (${version});`);
  }
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url }, timeoutMs: 110_000 };
  const results = await Promise.all(
    Array.from({ length: 20 }, () => runCli(['migrate', 'up', '--json'], options)),
  );
  for (const { code, stderr } of results) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('error') });
  }
  const applied = results.flatMap(({ stdout }) => JSON.parse(stdout).steps as { label: string }[]);
  expect(applied.map(({ label }) => label).sort()).toEqual(['001', '002', '003', '004', '005']);
  expect(await emptyDb.sql`select version from runs order by version`).toEqual(
    [2, 3, 4, 5].map((version) => ({ version })),
  );
  expect(
    await emptyDb.sql`select action, count(*)::integer as n from evdb.history group by 1`,
  ).toEqual([{ action: 'up', n: 5 }]);
}, 120_000);

test('finishes with the next up what a kill -9 cut short, with nobody’s help', async ({
  paced,
}) => {
  const killed = paced.start('migrate', 'up');
  await paced.isInTheMiddle();
  killed.child.kill('SIGKILL');
  expect(await killed.result).toMatchObject({ signal: 'SIGKILL' });
  expect(await paced.state()).toEqual(FIRST_APPLIED);

  await paced.speedUp();
  const next = await paced.evdb('migrate', 'up');
  expect(next.stdout).toMatch(/^applied {6}002_events.*\napplied {6}003_venues/);
  expect(next.code).toBe(0);
  expect(await paced.state()).toEqual(ALL_APPLIED);
  expect(await paced.locks()).toBe(0);
});

test('goes on after a kill -9 amid a script without a transaction where that stopped', async ({
  paced,
  project,
}) => {
  await project.migration(
    '002_events',
    [
      '-- evdb: no-transaction',
      'create table events (id integer);',
      'select pg_sleep(seconds) from test.pace;',
      'create index concurrently events_id_idx on events (id);',
    ].join('\n'),
    'drop table if exists events;',
  );
  const killed = paced.start('migrate', 'up');
  const pid = await paced.isInTheMiddle();
  killed.child.kill('SIGKILL');
  await killed.result;
  await paced.db.sql`select pg_terminate_backend(${pid})`;

  const status = await paced.evdb('migrate', 'status');
  expect(status.stdout).toContain('incomplete (1 of 3)');

  await paced.speedUp();
  const next = await paced.evdb('migrate', 'up');
  expect(next.stdout).toMatch(/^applied {6}002_events.*\napplied {6}003_venues/);
  expect(next.code).toBe(0);
  expect(await paced.state()).toEqual(ALL_APPLIED);
});

test('gives up waiting for another runner after --lock-wait, and names it', async ({ paced }) => {
  const first = paced.start('migrate', 'up');
  const pid = await paced.isInTheMiddle();
  const second = await paced.evdb('migrate', 'up', '--lock-wait', '100ms');
  expect(second.stderr).toContain(`error LOCKED  another runner is at work: pid ${pid} (evdb`);
  expect(second.code).toBe(4);
  first.child.kill('SIGINT');
  await first.result;
});

test('waits for another runner, says for whom, and finds the work done', async ({ paced }) => {
  const first = paced.start('migrate', 'up');
  const pid = await paced.isInTheMiddle();
  const second = paced.start('migrate', 'up');
  await second.printed(`waiting for pid ${pid} (evdb`);
  await paced.db.sql`select pg_cancel_backend(${pid})`;
  await paced.speedUp();
  expect((await first.result).stderr).toContain('canceling statement due to user request');
  const { code, stdout } = await second.result;
  expect(stdout).toMatch(/^applied {6}002_events.*\napplied {6}003_venues/);
  expect(code).toBe(0);
});
