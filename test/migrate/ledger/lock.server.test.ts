import { describe, expect, vi } from 'vitest';
import { type MigrationProgress, migrateDown, migrateUp } from '../../../src/index.ts';
import { holdRunnerLock, type MigrateStage, test, untilHeard } from '../../support/migrate-kit.ts';
import { POLL } from '../../support/waiting.ts';

/** A table that another session holds locked. */
async function blockTable(stage: MigrateStage, mode: string) {
  await stage.sql`create table busy (id int primary key, n int)`;
  await stage.sql`insert into busy values (1, 0)`;
  const blocker = stage.openOther();
  const [row] = await blocker`select pg_backend_pid() as pid`;
  await blocker.unsafe('begin');
  await blocker.unsafe(mode);
  return { pid: row?.pid as number, release: () => blocker.unsafe('rollback') };
}

const WAITS_FOR_42 = 'select pg_advisory_xact_lock(42); create table waited ();';

describe('a runner', () => {
  test('waits for the one who is at work, then finds nothing left to do', async ({ stage }) => {
    await stage.migration('001_a', WAITS_FOR_42);
    const other = stage.openOther();
    await other`select pg_advisory_lock(42)`;
    const first = migrateUp(stage.options);
    await untilHeard(stage.heard, 'step-started');

    const heard: MigrationProgress[] = [];
    const second = migrateUp({ ...stage.options, onProgress: (progress) => heard.push(progress) });
    const { holders } = await untilHeard(heard, 'lock-wait');
    expect(holders).toMatchObject([{ application: 'evdb', user: stage.options.connection.user }]);
    await other`select pg_advisory_unlock(42)`;

    expect((await first).steps).toMatchObject([{ label: '001' }]);
    expect((await second).steps).toEqual([]);
    expect(heard.map(({ kind }) => kind)).not.toContain('step-started');
    expect(await stage.history()).toEqual(['up 001']);
  });

  test('gives up after its patience, and names the holder', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    const holder = await holdRunnerLock(stage);
    const [row] = await holder`select pg_backend_pid() as pid`;
    const failure = migrateUp({ ...stage.options, lockWaitMs: 100 });
    await expect(failure).rejects.toMatchObject({
      code: 'LOCKED',
      message: expect.stringMatching(
        new RegExp(`another runner is at work: pid ${row?.pid} \\(evdb-test, \\w+@.*, idle for `),
      ),
      hint: expect.stringContaining('pg_terminate_backend'),
      details: { holders: [{ pid: row?.pid, application: 'evdb-test', state: 'idle' }] },
    });
    expect(await stage.sql`select to_regnamespace('evdb') as evdb`).toEqual([{ evdb: null }]);
  });

  test('is one of many that start at once: everything is applied exactly once', async ({
    stage,
  }) => {
    await stage.sql`create table counted (n int)`;
    for (let n = 1; n <= 5; n++) {
      await stage.migration(`${n}_t`, `create table t${n} (); insert into counted values (${n});`);
    }
    const results = await Promise.all(Array.from({ length: 8 }, () => migrateUp(stage.options)));
    expect(results.flatMap(({ steps }) => steps)).toHaveLength(5);
    expect(await stage.sql`select n from counted order by n`.values()).toEqual([
      [1],
      [2],
      [3],
      [4],
      [5],
    ]);
    expect(await stage.history()).toEqual(['up 1', 'up 2', 'up 3', 'up 4', 'up 5']);
  });

  test('does not block create index concurrently of the one it waits for', async ({ stage }) => {
    await stage.sql`create table busy (id int)`;
    await stage.migration(
      '001_a',
      '-- evdb: no-transaction\ncreate index concurrently busy_id_idx on busy (id);',
    );
    const old = stage.openOther();
    await old.unsafe('begin isolation level repeatable read');
    await old`select count(*) from busy`;
    const first = migrateUp(stage.options);
    await untilHeard(stage.heard, 'step-started');
    const heard: MigrationProgress[] = [];
    const second = migrateUp({ ...stage.options, onProgress: (progress) => heard.push(progress) });
    await untilHeard(heard, 'lock-wait');
    await old.unsafe('rollback');
    await Promise.all([first, second]);
    expect(await stage.ledger()).toEqual(['001 applied']);
  });

  test('lets go of its lock when it is done, and when it failed', async ({ stage }) => {
    await stage.migration('001_a', 'select pg_advisory_lock(42); create table a ();');
    await stage.migration('002_b', 'select 1/0;');
    await expect(migrateUp({ ...stage.options, lockWaitMs: 0 })).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
    });
    await stage.migration('002_b', 'create table b ();', 'drop table b;');
    await migrateUp({ ...stage.options, lockWaitMs: 0 });
    await migrateDown({ ...stage.options, lockWaitMs: 0 });
    expect(
      await stage.sql`
        select from pg_locks
        where locktype = 'advisory'
          and database = (select oid from pg_database where datname = current_database())`,
    ).toEqual([]);
  });
});

describe('a migration that releases all locks', () => {
  test('is applied exactly once, and so are the ones behind it', async ({ stage }) => {
    await stage.sql`create table counted (n int)`;
    for (let n = 1; n <= 4; n++) {
      await stage.migration(
        `${n}_t`,
        `insert into counted values (${n}); select pg_advisory_unlock_all(); create table t${n} ();`,
      );
    }
    const runs = Array.from({ length: 4 }, () => migrateUp(stage.options));
    await Promise.allSettled(runs);
    await migrateUp(stage.options);
    expect(await stage.sql`select n from counted order by n`.values()).toEqual([
      [1],
      [2],
      [3],
      [4],
    ]);
    expect(await stage.ledger()).toEqual(['1 applied', '2 applied', '3 applied', '4 applied']);
    expect((await stage.history()).filter((entry) => entry.startsWith('up'))).toHaveLength(4);
  });

  test('is rolled back where another runner has taken the lock meanwhile', async ({ stage }) => {
    await stage.migration('001_a', `select pg_advisory_unlock_all(); ${WAITS_FOR_42}`);
    const other = stage.openOther();
    await other`select pg_advisory_lock(42)`;
    const run = migrateUp(stage.options);
    run.catch(() => undefined);
    await untilHeard(stage.heard, 'statement');
    await holdRunnerLock(stage);
    await other`select pg_advisory_unlock(42)`;
    await expect(run).rejects.toMatchObject({
      code: 'LOCKED',
      message: expect.stringContaining("001_a released the runner's lock"),
    });
    expect(await stage.relations()).toEqual([]);
    expect(await stage.history()).toEqual(['failed 001']);
  });
});

describe('a table lock that somebody else holds', () => {
  test('is waited for in short tries, the blocker is named, and the migration succeeds', async ({
    stage,
  }) => {
    const blocker = await blockTable(stage, 'lock table busy in access exclusive mode');
    await stage.migration('001_a', 'create table a (); alter table busy add column more int;');
    const run = migrateUp(stage.options);
    const { blockers } = await untilHeard(stage.heard, 'blocked');
    expect(blockers).toMatchObject([
      {
        pid: blocker.pid,
        application: 'evdb-test',
        state: 'idle in transaction',
        query: 'lock table busy in access exclusive mode',
      },
    ]);
    expect(await untilHeard(stage.heard, 'retry')).toMatchObject({
      step: { label: '001' },
      attempt: 1,
      attempts: 10,
    });
    await blocker.release();
    await run;
    expect(await stage.relations()).toEqual(['a', 'busy', 'busy_pkey']);
    expect(await stage.history()).toEqual(['up 001']);
  });

  test('is waited for outside a transaction too', async ({ stage }) => {
    const blocker = await blockTable(stage, 'lock table busy in access exclusive mode');
    await stage.migration(
      '001_a',
      '-- evdb: no-transaction\ncreate table a ();\nalter table busy add column more int;',
    );
    const run = migrateUp(stage.options);
    await untilHeard(stage.heard, 'blocked');
    await untilHeard(stage.heard, 'retry');
    await blocker.release();
    await run;
    expect(await stage.ledger()).toEqual(['001 applied']);
    expect(await stage.history()).toEqual(['up 001']);
  });

  test('stops a reset no longer than it is held', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    const blocker = await blockTable(stage, 'select * from busy');
    const { resetSchema } = await import('../../../src/index.ts');
    const run = resetSchema({ ...stage.options, confirm: true });
    await vi.waitUntil(async () => {
      const waiting = await stage.sql`
        select from pg_stat_activity where ${blocker.pid}::int = any (pg_blocking_pids(pid))`;
      return waiting.length > 0;
    }, POLL);
    await blocker.release();
    await run;
    expect(await stage.relations()).toEqual(['a']);
  });
});

describe('the timeouts', () => {
  const NOTE =
    "insert into noted select current_setting('lock_timeout'), current_setting('statement_timeout')";
  const NOTE_AS_DDL =
    "create table noted as select current_setting('lock_timeout') as locks, current_setting('statement_timeout') as run";

  test.for([
    ['of the ladder', '', {}, ['200ms', '10s'], '0'],
    [
      'of the directives',
      '-- evdb: lock-timeout 3s\n-- evdb: statement-timeout 7min\n',
      {},
      ['3s', '10s'],
      '7min',
    ],
    [
      'of the options',
      '',
      { lockTimeoutMs: 4000, dataLockTimeoutMs: 20_000, statementTimeoutMs: 90_000 },
      ['4s', '20s'],
      '90s',
    ],
    [
      'of the directives before the options',
      '-- evdb: lock-timeout 30s\n-- evdb: statement-timeout 2s\n',
      { lockTimeoutMs: 4000, statementTimeoutMs: 90_000 },
      ['30s', '30s'],
      '2s',
    ],
  ] as const)(
    '%s are in force: short for tables, longer for rows',
    async ([, header, options, locks, run], { stage }) => {
      for (const transaction of ['', '-- evdb: no-transaction\n']) {
        const name = transaction ? '002_b' : '001_a';
        const text = `${transaction}${header}drop table if exists noted;\n${NOTE_AS_DDL};\n${NOTE};`;
        await stage.migration(name, text);
        await migrateUp({ ...stage.options, ...options });
        expect(await stage.sql`select * from noted`).toEqual([
          { locks: locks[0], run },
          { locks: locks[1], run },
        ]);
      }
    },
  );

  test('end a statement that runs too long', async ({ stage }) => {
    await stage.migration('001_a', '-- evdb: statement-timeout 50ms\nselect pg_sleep(60);');
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      server: { sqlstate: '57014' },
      location: { line: 2 },
    });
    expect(await stage.history()).toEqual(['failed 001']);
  });

  test('of rows let a data statement wait where a table lock would be given up', async ({
    stage,
  }) => {
    const blocker = await blockTable(stage, 'update busy set n = 1');
    await stage.migration('001_a', 'update busy set n = n + 10;');
    const run = migrateUp({ ...stage.options, lockTimeoutMs: 20 });
    await untilHeard(stage.heard, 'blocked');
    await blocker.release();
    await run;
    expect(stage.heard.map(({ kind }) => kind)).not.toContain('retry');
    expect(await stage.sql`select n from busy`).toEqual([{ n: 10 }]);
  });
});

describe('an interrupt', () => {
  test('rolls back what is under way and lets go of the lock', async ({ stage }) => {
    await stage.migration('001_a', 'create table a (); select 1; select pg_sleep(60);');
    const controller = new AbortController();
    const run = migrateUp({ ...stage.options, signal: controller.signal });
    run.catch(() => undefined);
    await vi.waitUntil(
      () => stage.heard.filter(({ kind }) => kind === 'statement').length === 2,
      POLL,
    );
    controller.abort(new Error('stopped by hand'));
    await expect(run).rejects.toThrow('stopped by hand');
    expect(await stage.relations()).toEqual([]);
    expect(await stage.history()).toEqual(['failed 001']);

    await stage.migration('001_a', 'create table a ();');
    await migrateUp({ ...stage.options, lockWaitMs: 0 });
  });

  test('between the statements of a long script does not wait for its end', async ({ stage }) => {
    const inserts = Array.from({ length: 1000 }, (_, n) => `insert into a values (${n});`);
    await stage.migration('001_a', `create table a (n int);\n${inserts.join('\n')}`);
    const controller = new AbortController();
    const done: MigrationProgress[] = [];
    const onProgress = (progress: MigrationProgress) => {
      if (progress.kind !== 'statement') return;
      done.push(progress);
      controller.abort(new Error('stopped by hand'));
    };
    const run = migrateUp({ ...stage.options, onProgress, signal: controller.signal });
    await expect(run).rejects.toThrow('stopped by hand');
    expect(done.length).toBeLessThan(200);
    expect(await stage.relations()).toEqual([]);
  });

  test('ends the wait for another runner', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await holdRunnerLock(stage);
    const controller = new AbortController();
    const run = migrateUp({ ...stage.options, signal: controller.signal });
    run.catch(() => undefined);
    await untilHeard(stage.heard, 'lock-wait');
    controller.abort(new Error('stopped by hand'));
    await expect(run).rejects.toThrow('stopped by hand');
  });

  test('ends the pause between two tries', async ({ stage }) => {
    await blockTable(stage, 'lock table busy in access exclusive mode');
    await stage.migration('001_a', 'alter table busy add column more int;');
    const controller = new AbortController();
    const run = migrateUp({ ...stage.options, signal: controller.signal });
    run.catch(() => undefined);
    await untilHeard(stage.heard, 'retry');
    controller.abort(new Error('stopped by hand'));
    await expect(run).rejects.toThrow('stopped by hand');
    expect(await stage.history()).toEqual(['failed 001']);
  });

  test('before anything began changes nothing', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    const run = migrateUp({ ...stage.options, signal: AbortSignal.abort(new Error('too late')) });
    await expect(run).rejects.toThrow('too late');
    expect(await stage.sql`select to_regnamespace('evdb') as evdb`).toEqual([{ evdb: null }]);
  });
});
