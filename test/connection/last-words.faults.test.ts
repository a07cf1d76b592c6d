import { expect } from 'vitest';
import { openSession, type Session } from '../../src/connection/session.ts';
import { resolveConfig } from '../../src/index.ts';
import { test as base } from '../support/fixture.ts';
import { failureOf, POLL } from '../support/waiting.ts';

const test = base.extend<{ session: Session }>({
  session: async ({ emptyDb }, use) => {
    const config = await resolveConfig({ flags: { url: emptyDb.url }, env: {}, cwd: '/' });
    if (config.connection.kind !== 'server') throw new Error('a URL names a server');
    const session = await openSession(config.connection.options);
    await use(session);
    await session.close({ force: true });
  },
});

test('says why the server ended the connection amid a statement', async ({ session }) => {
  const wish = session.run('select pg_terminate_backend(pg_backend_pid())');
  const behind = session.run('select 1');
  expect(await failureOf(wish)).toMatchObject({
    severity: 'FATAL',
    code: '57P01',
    message: 'terminating connection due to administrator command',
  });
  expect(await failureOf(behind)).toMatchObject({ code: '57P01' });
});

test('says why the server ended the connection while nothing ran', async ({ session }) => {
  await session.run("set idle_session_timeout = '50ms'");
  await expect.poll(() => session.isClosed, POLL).toBe(true);
  expect(await failureOf(session.run('select 1'))).toMatchObject({
    code: 'CONNECTION_LOST',
    message: expect.stringContaining('terminating connection due to idle-session timeout'),
    cause: { code: '57P05' },
  });
});

test('says why the server ended the connection behind a large answer', async ({ session }) => {
  const rows = session.run(
    `select repeat('E', 200) as e from generate_series(1, 20000);
select pg_terminate_backend(pg_backend_pid())`,
  );
  expect(await failureOf(rows)).toMatchObject({ severity: 'FATAL', code: '57P01' });
});

test('says why the server ended a transaction that took too long', async ({ session, skip }) => {
  skip(session.facts.serverVersion < 170000, 'transaction_timeout comes with PostgreSQL 17');
  await session.run("begin; set local transaction_timeout = '50ms'");
  expect(await failureOf(session.run('select pg_sleep(60)'))).toMatchObject({
    code: '25P04',
    message: 'terminating connection due to transaction timeout',
  });
});
