import { describe, expect } from 'vitest';
import { migrateUp, planImpact } from '../../../src/index.ts';
import { type MigrateStage, test, untilHeard } from '../../support/migrate-kit.ts';

const HEADER = '-- evdb: no-transaction\n';
const BUILD = 'create index concurrently a_id_idx on a (id);\n';

/** A table with a transaction that a concurrent build of an index on it has to wait for. */
async function holdBuilds(stage: MigrateStage, how: 'a writer' | 'a snapshot') {
  await stage.sql`create table a as select 1 as id`;
  const holder = stage.openOther();
  await holder.unsafe(
    how === 'a writer'
      ? 'begin; insert into a values (2)'
      : 'begin isolation level repeatable read; select * from a',
  );
  const [row] = await holder`select pg_backend_pid() as pid`;
  return { pid: row?.pid as number, release: () => holder.unsafe('rollback') };
}

function indexes(stage: MigrateStage) {
  return stage.sql`
    select indexrelid::regclass::text as name, indisvalid as valid from pg_index
    where indrelid = 'a'::regclass`;
}

const BUILT = [{ name: 'a_id_idx', valid: true }];

describe('the concurrent build of an index', () => {
  test('tells what it does, for whom it waits, and of the blocker', async ({ stage }) => {
    const holder = await holdBuilds(stage, 'a writer');
    await stage.migration('001_a', `${HEADER}${BUILD}`);
    const run = migrateUp(stage.options);
    expect(await untilHeard(stage.heard, 'index-build')).toEqual({
      kind: 'index-build',
      step: { version: '1', label: '001', name: 'a' },
      phase: 'waiting for writers before build',
      unit: 'transactions',
      done: 0,
      total: 1,
      lockerPid: holder.pid,
    });
    expect(await untilHeard(stage.heard, 'blocked')).toMatchObject({
      blockers: [{ pid: holder.pid, state: 'idle in transaction' }],
    });
    await holder.release();
    await run;
    expect(await indexes(stage)).toEqual(BUILT);
  });

  test('waits without timeouts, whatever was set for others', async ({ stage }) => {
    const holder = await holdBuilds(stage, 'a snapshot');
    const header = `${HEADER}-- evdb: statement-timeout 200ms\n-- evdb: lock-timeout 50ms\n`;
    await stage.migration(
      '001_a',
      `${header}${BUILD}create table b as select current_setting('statement_timeout') as t;`,
    );
    const run = migrateUp(stage.options);
    await untilHeard(stage.heard, 'blocked');
    await holder.release();
    await run;
    expect(await indexes(stage)).toEqual(BUILT);
    expect(await stage.sql`select t from b`).toEqual([{ t: '200ms' }]);
  });

  test('leaves the settings of its script as they were', async ({ stage }) => {
    await stage.sql`create table a (id int)`;
    const noting =
      "create procedure note() language plpgsql as $$ begin commit; insert into b select current_setting('lock_timeout'), current_setting('statement_timeout'); end $$";
    await stage.sql.unsafe(`create table b (l text, s text); ${noting}`).simple();
    await stage.migration('001_a', `${HEADER}set statement_timeout = '7s';\n${BUILD}call note();`);
    await migrateUp(stage.options);
    expect(await stage.sql`select * from b`).toEqual([{ l: '10s', s: '7s' }]);
  });

  test('that is interrupted is told of by the plan, and ends with the next up', async ({
    stage,
  }) => {
    const holder = await holdBuilds(stage, 'a snapshot');
    await stage.migration('001_a', `${HEADER}create table b ();\n${BUILD}create table c ();`);
    const stopping = new AbortController();
    const run = migrateUp({ ...stage.options, signal: stopping.signal });
    run.catch(() => undefined);
    await untilHeard(stage.heard, 'blocked');
    stopping.abort(new Error('stopped by hand'));
    await expect(run).rejects.toThrow('stopped by hand');
    await holder.release();
    // Whether it could be dropped at once is a matter of who was still reading.
    expect((await indexes(stage)).filter(({ valid }) => valid)).toEqual([]);
    const { steps } = await planImpact(stage.options);
    expect(steps).toMatchObject([
      { statementsDone: 1, statements: [{ command: 'create index' }, { command: 'create table' }] },
    ]);
    await migrateUp(stage.options);
    expect(await indexes(stage)).toEqual(BUILT);
    expect(await stage.relations()).toEqual(['a', 'a_id_idx', 'b', 'c']);
  });

  test('is never in a deadlock with runners that wait', async ({ stage }) => {
    const holder = await holdBuilds(stage, 'a writer');
    await stage.migration('001_a', `${HEADER}${BUILD}drop index concurrently a_id_idx;\n${BUILD}`);
    const first = migrateUp(stage.options);
    await untilHeard(stage.heard, 'index-build');
    const others = [1, 2, 3].map(() => migrateUp(stage.options));
    await expect
      .poll(() => stage.heard.filter(({ kind }) => kind === 'lock-wait').length, {
        timeout: 30_000,
      })
      .toBe(3);
    await holder.release();
    expect((await first).steps).toHaveLength(1);
    for (const other of others) expect((await other).steps).toEqual([]);
    expect(await indexes(stage)).toEqual(BUILT);
    expect(
      await stage.sql`
        select deadlocks::int from pg_stat_database where datname = current_database()`,
    ).toEqual([{ deadlocks: 0 }]);
    expect(await stage.history()).toEqual(['up 001']);
  });
});

describe('reindex table concurrently', () => {
  test('that was cut off leaves none of its indexes behind, nor those of the TOAST table', async ({
    stage,
  }) => {
    await stage.sql`create table a (id int primary key, long text)`;
    const holder = stage.openOther();
    await holder.unsafe('begin isolation level repeatable read; select * from a');
    await stage.migration('001_a', `${HEADER}reindex table concurrently a;\n`);
    const run = migrateUp(stage.options);
    run.catch(() => undefined);
    await untilHeard(stage.heard, 'blocked');
    await stage.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query like 'reindex%'`;
    await expect(run).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    const invalid = () => stage.sql`select from pg_index where not indisvalid`;
    expect((await invalid()).length).toBeGreaterThan(1);
    await holder.unsafe('rollback');
    await migrateUp(stage.options);
    expect(await invalid()).toEqual([]);
    expect(await stage.relations()).toEqual(['a', 'a_pkey']);
  });
});

describe('detach partition concurrently', () => {
  test('that was cut off between its halves is finalized', async ({ stage }) => {
    await stage.sql`create table a (id int) partition by list (id)`;
    await stage.sql`create table a1 partition of a for values in (1)`;
    const holder = stage.openOther();
    await holder.unsafe('begin isolation level repeatable read; select * from a');
    await stage.migration('001_a', `${HEADER}alter table a detach partition a1 concurrently;\n`);
    const run = migrateUp(stage.options);
    run.catch(() => undefined);
    await untilHeard(stage.heard, 'blocked');
    await stage.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query like 'alter table a detach%'`;
    await expect(run).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    expect(await stage.sql`select inhdetachpending as pending from pg_inherits`).toEqual([
      { pending: true },
    ]);
    await holder.unsafe('rollback');
    await migrateUp(stage.options);
    expect(await stage.sql`select from pg_inherits`).toEqual([]);
    expect(await stage.ledger()).toEqual(['001 applied']);
  });
});
