import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { parseJson } from '../../cli/cli-kit.ts';
import { startProxy } from '../../support/proxy.ts';
import { type RunningCli, startCli } from '../../support/run-cli.ts';
import { ALL_APPLIED, FIRST_APPLIED, type Paced, test } from './apply-kit.ts';

/** Expects an orderly end: said, exit 130, no stack. */
async function expectInterrupted(running: RunningCli): Promise<void> {
  const { code, signal, stderr } = await running.result;
  expect(stderr).toContain('error INTERRUPTED  ');
  expect(stderr).not.toMatch(/^\s+at .+[:(]/m);
  expect({ code, signal }).toEqual({ code: 130, signal: null });
}

/** Expects that nothing is left of the interrupted run, and that the next one finishes. */
async function expectCleanRestart(paced: Paced): Promise<void> {
  await expect.poll(paced.locks).toBe(0);
  expect(await paced.state()).toEqual(FIRST_APPLIED);
  await paced.speedUp();
  expect(await paced.evdb('migrate', 'up')).toMatchObject({ code: 0 });
  expect(await paced.state()).toEqual(ALL_APPLIED);
}

test.for(['SIGINT', 'SIGTERM'] as const)(
  'rolls back on %s, and lets go of the lock',
  async (signal, { paced }) => {
    const running = paced.start('migrate', 'up');
    await paced.isInTheMiddle();
    running.child.kill(signal);
    await expectInterrupted(running);
    expect(running.output.stdout).toMatch(/^applied {6}001_users/);
    await expectCleanRestart(paced);
  },
);

test.for(['SIGINT', 'SIGTERM'] as const)(
  'says in JSON that %s ended a command that had nothing to wind up',
  async (signal, { project }) => {
    const args = ['db', 'wait', '--url', 'postgres://127.0.0.1:1/x', '--timeout', '30s', '--json'];
    const running = startCli(args, { cwd: project.dir });
    await running.printed('waiting: ');
    running.child.kill(signal);
    await expectInterrupted(running);
    const document = parseJson(await running.result);
    expect(document).toMatchObject({ exitCode: 130, error: { code: 'INTERRUPTED' } });
  },
);

test('says in JSON that it was interrupted, and what was done before', async ({ paced }) => {
  const running = paced.start('migrate', 'up', '--json');
  await paced.isInTheMiddle();
  running.child.kill('SIGINT');
  await expectInterrupted(running);
  expect(JSON.parse(running.output.stdout)).toMatchObject({
    ok: false,
    error: { code: 'INTERRUPTED', details: { completed: [{ label: '001' }] } },
  });
});

test('ends while it waits for another runner, who goes on', async ({ paced }) => {
  const first = paced.start('migrate', 'up');
  const pid = await paced.isInTheMiddle();
  const second = paced.start('migrate', 'up');
  await second.printed('waiting for pid');
  second.child.kill('SIGINT');
  await expectInterrupted(second);
  expect(await paced.isInTheMiddle()).toBe(pid);
  first.child.kill('SIGINT');
  await expectInterrupted(first);
});

test('ends between two tries to get table locks', async ({ project, emptyDb }) => {
  await project.migration('001_users', 'create table users (id integer);');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  expect(await startCli(['migrate', 'up'], options).result).toMatchObject({ code: 0 });
  await project.migration('002_name', 'alter table users add name text;');
  const holder = await emptyDb.sql.reserve();
  await holder`begin`;
  await holder`lock table users in access share mode`;
  const running = startCli(['migrate', 'up'], options);
  await running.printed('002_name could not acquire its locks (try 1 of');
  running.child.kill('SIGINT');
  await expectInterrupted(running);
  await holder`rollback`;
  holder.release();
  expect(await emptyDb.sql`select label from evdb.migration`).toEqual([{ label: '001' }]);
  expect(await startCli(['migrate', 'up'], options).result).toMatchObject({ code: 0 });
});

test('names who holds the table lock while it tries', async ({ project, emptyDb }) => {
  await project.migration('001_name', 'alter table users add name text;');
  await emptyDb.sql`create table users (id integer)`;
  const holder = await emptyDb.sql.reserve();
  await holder`begin`;
  const [row] = await holder`select pg_backend_pid() as pid from users`;
  const [own] = await holder`select pg_backend_pid() as pid`;
  await holder`lock table users in access share mode`;
  expect(row).toBeUndefined();
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const running = startCli(['migrate', 'up'], options);
  await running.printed(`001_name waits for pid ${own?.pid} (evdb-test, `);
  await holder`commit`;
  holder.release();
  expect(await running.result).toMatchObject({ code: 0 });
});

test('ends at once at the second Ctrl-C where the server does not answer', async ({
  paced,
  onTestFinished,
}) => {
  const proxy = await startProxy(paced.db.url);
  onTestFinished(proxy.close);
  const options = { cwd: paced.dir, env: { EVDB_URL: proxy.url } };
  const running = startCli(['migrate', 'up'], options);
  await paced.isInTheMiddle();
  proxy.silence();
  running.child.kill('SIGINT');
  await running.printed('interrupted: rolling back');
  // npm passes on a Ctrl-C a second time, so one that follows at once does not count.
  await sleep(1100);
  running.child.kill('SIGINT');
  expect(await running.result).toMatchObject({ code: null, signal: 'SIGINT' });
});

test('takes the Ctrl-C that npm passes on for the same one', async ({ paced }) => {
  const running = paced.start('migrate', 'up');
  await paced.isInTheMiddle();
  running.child.kill('SIGINT');
  running.child.kill('SIGINT');
  await expectInterrupted(running);
});
