import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { test } from '../support/fixture.ts';

const MAIN = resolve('examples/event-api/main.mjs');

/** What the shell of whoever runs the tests says about databases is none of the example's business. */
const CLEAN = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(EVDB|DATABASE|DB|PG|CI$)/.test(name)),
);

async function startExample(cwd: string, env: Record<string, string>) {
  const child = spawn(process.execPath, [MAIN], {
    cwd,
    env: { ...CLEAN, ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const url = await readUrl(child);
  const call = async (method: string, path: string, body?: object) => {
    const response = await fetch(`${url}${path}`, {
      method,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    return [response.status, text.startsWith('{') ? JSON.parse(text) : text] as const;
  };
  return { child, call };
}

function readUrl(child: ChildProcess): Promise<string> {
  return new Promise((found, failed) => {
    let said = '';
    const read = (chunk: Buffer) => {
      said += chunk.toString();
      const url = /listening on (\S+)/.exec(said)?.[1];
      if (url) found(url);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('exit', (code) => failed(new Error(`the example ended with ${code}: ${said}`)));
  });
}

async function addUsersAndEvent(
  call: Awaited<ReturnType<typeof startExample>>['call'],
  capacity: number,
) {
  for (const name of ['ann', 'bob', 'cleo']) {
    const [status] = await call('POST', '/users', { name, email: `${name}@example.org` });
    expect(status).toBe(201);
  }
  const event = { title: 'Concert', location: 'Hall', capacity, createdBy: 1 };
  const [status] = await call('POST', '/events', { ...event, dateTime: '2099-05-01T20:00:00Z' });
  expect(status).toBe(201);
}

test('the example sells what there is, once, to those who come at the same time', async ({
  emptyDb,
}) => {
  const { child, call } = await startExample(tmpdir(), { DATABASE_URL: emptyDb.url });
  await addUsersAndEvent(call, 2);
  const answers = await Promise.all(
    [1, 2, 3, 1].map((userId) => call('POST', '/events/1/registrations', { userId })),
  );
  expect(answers.map(([status]) => status).sort()).toEqual([201, 201, 409, 409]);
  expect(await call('GET', '/events/1')).toMatchObject([
    200,
    { currentRegistrations: 2, isFull: true },
  ]);
  const [{ actor }] = (await emptyDb.sql`
    select actor from audit_log_entries where table_name = 'events' order by id limit 1`) as [
    { actor: string },
  ];
  expect(actor).toBe('user 1');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('the example answers what cannot be done by status and reason', async ({ emptyDb }) => {
  const { call } = await startExample(tmpdir(), { DATABASE_URL: emptyDb.url });
  await addUsersAndEvent(call, 2);
  expect(await call('POST', '/events/9/registrations', { userId: 1 })).toMatchObject([
    404,
    { error: 'event-not-found' },
  ]);
  expect((await call('POST', '/events/1/registrations', { userId: 'x' }))[0]).toBe(400);
  expect((await call('POST', '/users', { name: 'dan', email: 'dan@' }))[0]).toBe(422);
  expect((await call('GET', '/events/9'))[0]).toBe(404);
  expect((await call('DELETE', '/events/1/registrations/1'))[0]).toBe(404);
  expect(await call('GET', '/health')).toMatchObject([200, { status: 'ok' }]);
  const [, metrics] = await call('GET', '/metrics');
  expect(metrics).toContain(
    'db_client_connection_max{db_client_connection_pool_name="event-api"} 10',
  );
});

test('the example needs no database but the embedded one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'evdb-example-'));
  onTestFinished(async () => {
    await stopEmbeddedServer({ directory: join(folder, '.evdb') });
    await rm(folder, { recursive: true, force: true });
  });
  const { child, call } = await startExample(folder, {});
  await addUsersAndEvent(call, 1);
  expect((await call('POST', '/events/1/registrations', { userId: 2 }))[0]).toBe(201);
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
