import { expect } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { createSessionKeeper } from '../../src/connection/session-keeper.ts';
import { test } from '../support/fixture.ts';
import { connectionTo } from '../support/sessions.ts';
import { failureOf, POLL } from '../support/waiting.ts';

/** What a user could leave behind for the next one. */
const STATE = `select
    current_user as "user",
    pg_catalog.current_setting('search_path') as "searchPath",
    pg_catalog.current_setting('lock_timeout') as "lockTimeout",
    pg_catalog.current_setting('default_transaction_read_only') as "readOnly",
    pg_catalog.to_regclass('pg_temp.left') as "temporary",
    (select count(*)::int from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid()) as "locks",
    (select count(*)::int from pg_catalog.pg_cursors) as "cursors",
    pg_catalog.current_setting('idle_session_timeout') as "idle"`;

test('gives the next user the same session, and nothing of the one before', async ({ emptyDb }) => {
  const keeper = createSessionKeeper();
  const connection = { ...(await connectionTo(emptyDb.url)), keeper };
  const heard: string[] = [];
  const onNotice = ({ message }: { message: string }) => heard.push(message);
  const first = await openSession(connection, { onNotice });
  const [clean] = await first.run(STATE);
  await first.run(`create temp table "left" (id int); select pg_advisory_lock(1, 2);
    set search_path = pg_catalog; set lock_timeout = '7s'; set default_transaction_read_only = on;
    set role pg_read_all_data`);
  await first.run('begin; declare c cursor with hold for select 1; commit');
  await expect(first.run('no such statement')).rejects.toThrow();
  const { pid } = first.facts;
  await first.close();
  expect(first.isClosed).toBe(true);
  const second = await openSession(connection);
  expect(second.facts.pid).toBe(pid);
  expect(await second.run(STATE)).toEqual([clean]);
  await second.run("do $$ begin raise warning 'not for the first'; end $$");
  expect(heard).toEqual([]);
  await second.close();
  await keeper.release();
  await expect
    .poll(() => emptyDb.sql`select pid from pg_stat_activity where pid = ${pid}`, POLL)
    .toEqual([]);
});

test.for(['begin', 'begin; select 1 / 0'])(
  'keeps no session with an open transaction: %s',
  async (left, { emptyDb }) => {
    const keeper = createSessionKeeper();
    const connection = { ...(await connectionTo(emptyDb.url)), keeper };
    const first = await openSession(connection);
    const { pid } = first.facts;
    await first.run(left).catch(() => undefined);
    await first.close();
    const second = await openSession(connection);
    expect(second.facts.pid).not.toBe(pid);
    expect(await second.run('select 1 as one')).toEqual([{ one: 1 }]);
    await second.close();
    await keeper.release();
  },
);

test('keeps no session that died, and none of another database', async ({ emptyDb, db }) => {
  const keeper = createSessionKeeper();
  const here = { ...(await connectionTo(emptyDb.url)), keeper };
  const there = { ...(await connectionTo(db.url)), keeper };
  const first = await openSession(here);
  const { pid } = first.facts;
  await first.close();
  await emptyDb.sql`select pg_terminate_backend(${pid}, 5000)`;
  const second = await openSession(here);
  expect(second.facts.pid).not.toBe(pid);
  expect(await second.run('select 1 as one')).toEqual([{ one: 1 }]);
  await second.close();
  const other = await openSession(there);
  expect(await other.run('select current_database() as "name"')).toEqual([{ name: db.name }]);
  // The one that was kept has ended for it: no more than two sessions a worker.
  await expect
    .poll(() => emptyDb.sql`select pid from pg_stat_activity where pid = ${second.facts.pid}`, POLL)
    .toEqual([]);
  await other.close();
  await keeper.release();
});

test('ends what runs when it is destroyed', async ({ emptyDb }) => {
  const keeper = createSessionKeeper();
  const session = await openSession({ ...(await connectionTo(emptyDb.url)), keeper });
  const { pid } = session.facts;
  const sleeping = failureOf(session.run('select pg_sleep(60)'));
  const atWork = () => emptyDb.sql`
    select pid from pg_stat_activity where pid = ${pid} and wait_event = 'PgSleep'`;
  // The request to cancel would come too early for a statement that has not begun.
  await expect.poll(atWork, POLL).toHaveLength(1);
  keeper.destroy();
  await sleeping;
  await expect
    .poll(() => emptyDb.sql`select pid from pg_stat_activity where pid = ${pid}`, POLL)
    .toEqual([]);
});
