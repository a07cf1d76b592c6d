import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startHoldingProxy, startProxy } from '../../support/proxy.ts';
import { type CliResult, runCli } from '../../support/run-cli.ts';
import { ALL_APPLIED, FIRST_APPLIED, type Paced, test } from './apply-kit.ts';

function expectError({ code, stderr }: CliResult, errorCode: string, exitCode: number): void {
  expect({ code, stderr }).toEqual({
    code: exitCode,
    stderr: expect.stringContaining(`error ${errorCode}  `),
  });
  expect(stderr).toMatch(/^ {2}hint: \S/m);
  expect(stderr).not.toMatch(/^\s+at .+[:(]/m);
}

async function expectNextUpFinishes(paced: Paced): Promise<void> {
  await paced.speedUp();
  const { code, stderr } = await paced.evdb('migrate', 'up');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(await paced.state()).toEqual(ALL_APPLIED);
}

/** 001 alone, so that the first commit is that of a migration. */
async function prepareOne(paced: Paced): Promise<void> {
  await paced.speedUp();
  expect(await paced.evdb('migrate', 'up')).toMatchObject({ code: 0 });
  expect(await paced.evdb('migrate', 'down')).toMatchObject({ code: 0 });
}

test('says that nothing was applied where the backend was terminated', async ({ paced }) => {
  const running = paced.start('migrate', 'up');
  const pid = await paced.isInTheMiddle();
  await paced.db.sql`select pg_terminate_backend(${pid})`;
  const result = await running.result;
  expectError(result, 'CONNECTION_LOST', 4);
  expect(result.stderr).toContain(
    'the connection was lost while 002_events ran; nothing of it was applied: terminating connection due to administrator command',
  );
  expect(await paced.state()).toEqual(FIRST_APPLIED);
  await expectNextUpFinishes(paced);
});

test('says that nothing was applied where the line was cut', async ({ paced, onTestFinished }) => {
  const proxy = await startProxy(paced.db.url);
  onTestFinished(proxy.close);
  const options = { cwd: paced.dir, env: { EVDB_URL: proxy.url } };
  const running = runCli(['migrate', 'up'], options);
  const pid = await paced.isInTheMiddle();
  proxy.cut();
  expectError(await running, 'CONNECTION_LOST', 4);
  await paced.db.sql`select pg_terminate_backend(${pid})`;
  expect(await paced.state()).toEqual(FIRST_APPLIED);
  await expectNextUpFinishes(paced);
});

test('goes on where only the session that looks on was terminated', async ({ paced }) => {
  const running = paced.start('migrate', 'up');
  const pid = await paced.isInTheMiddle();
  await paced.db.sql`
    select pg_terminate_backend(other.pid)
    from pg_stat_activity as other
    join pg_stat_activity as worker using (datname, application_name)
    where worker.pid = ${pid} and other.pid <> worker.pid`;
  await paced.db.sql`select pg_cancel_backend(${pid})`;
  const { code, stderr } = await running.result;
  expect(stderr).toContain('canceling statement due to user request');
  expect(code).toBe(1);
  await expectNextUpFinishes(paced);
});

test('says that it was applied where the answer to the commit was lost', async ({
  paced,
  onTestFinished,
}) => {
  await prepareOne(paced);
  const proxy = await startProxy(paced.db.url);
  onTestFinished(proxy.close);
  proxy.cutOn('commit\0', { forward: true });
  const options = { cwd: paced.dir, env: { EVDB_URL: proxy.url } };
  const result = await runCli(['migrate', 'up'], options);
  expectError(result, 'CONNECTION_LOST', 4);
  expect(result.stderr).toContain(
    'the connection was lost while 003_venues committed; the server says that the commit succeeded: it is applied',
  );
  const history = await paced.db.sql`
    select label, action from evdb.history order by id desc limit 1`;
  expect(history).toEqual([{ label: '003', action: 'up' }]);
  expect(await paced.state()).toEqual(ALL_APPLIED);
  expect(await paced.evdb('migrate', 'up')).toMatchObject({ code: 0 });
});

test('says that it was rolled back where the commit itself was lost', async ({
  paced,
  onTestFinished,
}) => {
  await prepareOne(paced);
  const before = await paced.state();
  const proxy = await startProxy(paced.db.url);
  onTestFinished(proxy.close);
  proxy.cutOn('commit\0', { forward: false });
  const options = { cwd: paced.dir, env: { EVDB_URL: proxy.url } };
  const result = await runCli(['migrate', 'up'], options);
  expectError(result, 'CONNECTION_LOST', 4);
  expect(result.stderr).toContain('the transaction was rolled back: it is not applied');
  expect(await paced.state()).toEqual(before);
  await expectNextUpFinishes(paced);
});

test('says that it was rolled back where the answer to the commit of down was lost', async ({
  paced,
  onTestFinished,
}) => {
  await prepareOne(paced);
  const proxy = await startProxy(paced.db.url);
  onTestFinished(proxy.close);
  proxy.cutOn('commit\0', { forward: true });
  const options = { cwd: paced.dir, env: { EVDB_URL: proxy.url } };
  const result = await runCli(['migrate', 'down'], options);
  expectError(result, 'CONNECTION_LOST', 4);
  expect(result.stderr).toContain(
    '002_events committed; the server says that the commit succeeded: it is no longer applied',
  );
  expect(await paced.state()).toEqual(FIRST_APPLIED);
});

test('says that it does not know where the server cannot be asked either', async ({
  paced,
  onTestFinished,
}) => {
  await prepareOne(paced);
  const proxy = await startHoldingProxy(paced.db.url);
  onTestFinished(proxy.close);
  const options = { cwd: paced.dir, env: { EVDB_URL: proxy.url } };
  const running = runCli(['migrate', 'up', '--json'], options);
  await proxy.held;
  proxy.cut();
  const result = await running;
  expectError(result, 'OUTCOME_UNKNOWN', 4);
  expect(result.stderr).toContain('003_venues');
  expect(result.stderr).toContain('`evdb migrate status` tells');
  expect(JSON.parse(result.stdout)).toMatchObject({
    error: { code: 'OUTCOME_UNKNOWN', details: { runId: expect.stringMatching(/^[\da-f-]{36}$/) } },
  });
  expect(await paced.state()).toEqual(ALL_APPLIED);
});

test('gives up a server that falls silent before the connection is made', async ({
  paced,
  onTestFinished,
}) => {
  const proxy = await startProxy(paced.db.url);
  onTestFinished(proxy.close);
  proxy.silence();
  const env = { EVDB_URL: `${proxy.url}?connect_timeout=2` };
  const result = await runCli(['migrate', 'up'], { cwd: paced.dir, env });
  expectError(result, 'CONNECT_TIMEOUT', 4);
  proxy.restore();
  await expect.poll(proxy.connections).toBe(0);
});

test('keeps no half of a script without a transaction secret', async ({ paced, project }) => {
  await project.migration(
    '002_events',
    '-- evdb: no-transaction\ncreate table events (id integer);\nselect pg_sleep(seconds) from test.pace;\n',
    'drop table events;',
  );
  const running = paced.start('migrate', 'up');
  const pid = await paced.isInTheMiddle();
  await paced.db.sql`select pg_terminate_backend(${pid})`;
  const result = await running.result;
  expectError(result, 'CONNECTION_LOST', 4);
  expect(result.stderr).toContain('so its first statements stay');
  const status = await paced.evdb('migrate', 'status', '--check');
  expect(status.stdout).toMatch(/^002 .* incomplete \(1 of 2\) /m);
  expect(status.code).toBe(3);
  await rm(join(paced.dir, 'migrations/003_venues.sql'));
  await rm(join(paced.dir, 'migrations/003_venues.down.sql'));
  expect(await paced.evdb('migrate', 'down')).toMatchObject({ code: 0 });
  expect(await paced.state()).toEqual(FIRST_APPLIED);
});
