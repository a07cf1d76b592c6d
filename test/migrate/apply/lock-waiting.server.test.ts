import { setTimeout as sleep } from 'node:timers/promises';
import type postgres from 'postgres';
import { describe, expect, vi } from 'vitest';
import { createSeenBlockers } from '../../../src/connection/blockers.ts';
import { openSession } from '../../../src/connection/session.ts';
import { migrateUp } from '../../../src/index.ts';
import { createPreflight, pauseWhileBlocked } from '../../../src/migrate/apply/observations.ts';
import { splitStatements } from '../../../src/sql/statements.ts';
import { type MigrateStage, test, untilHeard } from '../../support/migrate-kit.ts';

/** A session in the middle of a long select on a table. */
async function select(stage: MigrateStage, from = 'busy'): Promise<postgres.Sql> {
  const other = stage.openOther();
  await other.unsafe(`begin; select * from ${from}`);
  return other;
}

const NOBODY = {
  user: null,
  application: null,
  client: null,
  state: null,
  sinceMs: null,
  query: null,
};

/** Reads the table until it is stopped; whoever waits too long for its lock fails. */
function keepReading(stage: MigrateStage, lockTimeoutMs: number) {
  let isStopped = false;
  const read = async () => {
    const reader = stage.openOther();
    await reader.unsafe(`set lock_timeout = ${lockTimeoutMs}`);
    let count = 0;
    for (; !isStopped; count++) await reader`select count(*) from busy`;
    return count;
  };
  const readers = Promise.all([read(), read(), read()]);
  readers.catch(() => undefined);
  return {
    stop: () => {
      isStopped = true;
      return readers;
    },
  };
}

describe('while a migration waits for a table that a long select holds', () => {
  test('names the blocker without the passwords of its statement', async ({ stage }) => {
    await stage.sql`create table busy as select 1 as id`;
    const blocker = await select(stage);
    await blocker.unsafe(
      `select id as password, 'password=hidden1', 'postgres://me:hidden2@there/db' from busy`,
    );
    await stage.migration('001_a', 'alter table busy add column n int;');
    const failed = await migrateUp({ ...stage.options, lockWaitBudgetMs: 300 }).catch(String);
    await blocker.unsafe('commit');
    expect(failed).toContain("password, 'password=***', 'postgres://me:***@there/db'");
    expect(JSON.stringify(stage.heard)).not.toContain('hidden');
  });

  test('ends its pause when an old transaction that was in the way has ended', async ({
    stage,
  }) => {
    await stage.sql`create table busy as select 1 as id`;
    const blocker = await select(stage);
    const session = await openSession(stage.options.connection);
    const observer = { run: vi.fn(session.run) };
    const [own] = await blocker`select pg_backend_pid() as pid`;
    const seen = createSeenBlockers();
    seen.note([{ ...NOBODY, pid: own?.pid, sinceMs: 60_000 }]);
    let isResting = true;
    const rested = pauseWhileBlocked(
      (signal) => sleep(3_600_000, undefined, { signal: signal as AbortSignal }).catch(() => {}),
      { observer, seen },
    ).finally(() => {
      isResting = false;
    });
    await expect.poll(() => observer.run.mock.calls.length, { timeout: 30_000 }).toBe(2);
    expect(isResting).toBe(true);
    // the session goes on with another transaction
    await blocker.unsafe('commit; begin; select * from busy');
    await rested;
    await session.close();
  });

  test.for([
    ['inside a transaction', ''],
    ['outside one', '-- evdb: no-transaction\n'],
  ])('nobody waits behind it for longer than a try takes, %s', async ([, header], { stage }) => {
    await stage.sql`create table busy as select 1 as id`;
    const blocker = await select(stage);
    await stage.migration('001_a', `${header}alter table busy add column n int;`);
    // Ten times what a try may take: it fails where a try has no end, not where a machine is slow.
    const reading = keepReading(stage, 2000);
    const run = migrateUp({ ...stage.options, lockTimeoutMs: 200 });
    await expect
      .poll(() => stage.heard.filter(({ kind }) => kind === 'retry').length, { timeout: 30_000 })
      .toBe(3);
    await blocker.unsafe('commit');
    await run;
    const counts = await reading.stop();
    expect(Math.min(...counts)).toBeGreaterThan(3);

    const blocked = stage.heard.filter((told) => told.kind === 'blocked');
    expect(blocked[0]).toMatchObject({
      step: { label: '001' },
      blockers: [
        { application: 'evdb-test', query: expect.stringContaining('select * from busy') },
      ],
    });
    const victims = blocked.flatMap((told) => (told.kind === 'blocked' ? [told.victims] : []));
    expect(victims).toContainEqual({
      count: expect.toSatisfy((count: number) => count >= 1 && count <= 3),
      longestMs: expect.any(Number),
    });
    expect(await stage.ledger()).toEqual(['001 applied']);
  });
});

describe('a budget for waiting', () => {
  test.for([
    ['inside a transaction', ''],
    ['outside one', '-- evdb: no-transaction\n'],
  ])(
    'ends the tries early, and says who was in the way how often, %s',
    async ([, header], { stage }) => {
      await stage.sql`create table busy (id int)`;
      const blocker = await select(stage);
      const [row] = await blocker`select pg_backend_pid() as pid`;
      await stage.migration('001_a', `${header}alter table busy add column n int;`);
      const options = { ...stage.options, lockTimeoutMs: 1000, lockWaitBudgetMs: 1200 };
      await expect(migrateUp(options)).rejects.toMatchObject({
        code: 'LOCK_TIMEOUT',
        message: expect.stringMatching(
          new RegExp(
            `^001_a could not acquire its locks: pid ${row?.pid} .* \\(seen (?:once|in 2 tries), first at [\\d:]+ UTC\\)$`,
          ),
        ),
        hint: expect.stringContaining('--lock-wait-budget'),
        details: { blockers: [{ pid: row?.pid, firstSeenAt: expect.any(String) }] },
      });
      expect(stage.heard.filter(({ kind }) => kind === 'retry')).toMatchObject([
        { attempt: 1, attempts: null, waitedMs: 1000, pauseMs: 200 },
      ]);
    },
  );

  test('of nothing allows one try', async ({ stage }) => {
    await stage.sql`create table busy (id int)`;
    await select(stage);
    await stage.migration('001_a', 'alter table busy add column n int;');
    const options = { ...stage.options, lockWaitBudgetMs: 0 };
    await expect(migrateUp(options)).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    expect(stage.heard.map(({ kind }) => kind)).not.toContain('retry');
  });
});

describe('before the first try', () => {
  async function lookFor(stage: MigrateStage, script: string) {
    const observer = await openSession(stage.options.connection);
    const own = [observer.facts.pid];
    const preflight = createPreflight(observer, { own: () => own, schemas: ['public'], oldMs: 0 });
    const holders = await preflight.look(splitStatements(script));
    await observer.close();
    return holders.map(({ tables, query }) => [...tables.sort(), query]);
  }

  test.for([
    ['alter table busy add column n int', true],
    ['alter table public.busy add column n int', true],
    ['create table t (id int); drop table if exists other, busy', true],
    ['truncate busy', true],
    ['alter table busy rename to idle', true],
    ['alter table other add column n int', false],
    ['alter table elsewhere.busy add column n int', false],
    ['create index on busy (id)', false],
    ['alter table other add foreign key (id) references busy', true],
    ['update busy set id = 1', false],
    ['create view v as select * from busy', false],
  ] as const)(
    'a long select on a table is named, where it matters to: %s',
    async ([script, isNamed], { stage }) => {
      await stage.sql`create table busy (id int primary key)`;
      await stage.sql`create table other (id int)`;
      await stage.sql`create schema elsewhere`;
      await select(stage);
      const query = 'begin; select * from busy';
      expect(await lookFor(stage, script)).toEqual(isNamed ? [['public.busy', query]] : []);
    },
  );

  test('a writer is named where only writers are in the way', async ({ stage }) => {
    await stage.sql`create table busy (id int)`;
    const writer = stage.openOther();
    await writer.unsafe('begin; insert into busy values (1)');
    expect(await lookFor(stage, 'create index on busy (id)')).toHaveLength(1);
  });

  test('a transaction is told of that has been open for long', async ({ stage }) => {
    await stage.sql`create table busy (id int)`;
    const blocker = await select(stage);
    await expect
      .poll(
        () => stage.sql`
          select from pg_stat_activity
          where datname = current_database() and query = 'begin; select * from busy'
            and now() - xact_start > interval '5 s'`,
        { timeout: 20_000 },
      )
      .toHaveLength(1);
    await stage.migration('001_a', 'alter table busy add column n int;');
    const run = migrateUp(stage.options);
    await untilHeard(stage.heard, 'retry');
    await blocker.unsafe('commit');
    await run;
    const kinds = stage.heard.map(({ kind }) => kind);
    expect(kinds.indexOf('in-the-way')).toBeLessThan(kinds.indexOf('blocked'));
    expect(stage.heard.find(({ kind }) => kind === 'in-the-way')).toMatchObject({
      step: { label: '001' },
      holders: [
        { tables: ['public.busy'], application: 'evdb-test', state: 'idle in transaction' },
      ],
    });
  });
});
