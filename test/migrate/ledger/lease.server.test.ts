import { describe, expect, vi } from 'vitest';
import {
  applySeeds,
  baselineMigrations,
  type MigrateOptions,
  type MigrationProgress,
  migrateDown,
  migrateUp,
  repairMigrations,
  resetSchema,
} from '../../../src/index.ts';
import { holdsLeaseSql, takeLeaseSql } from '../../../src/migrate/ledger/lease.ts';
import { holdRunnerLock, type MigrateStage, untilHeard } from '../../support/migrate-kit.ts';
import { failureOf, POLL } from '../../support/waiting.ts';
import { TOKEN, takeOver, test } from './lease-kit.ts';

/** A lease of a runner that is gone. */
async function leave({ sql }: MigrateStage, leftSeconds: number): Promise<void> {
  await sql`
    insert into evdb.lease (target_schema, token, process_id, os_user, host_name, expires_at)
    values ('public', ${TOKEN}, 4711, 'alice', 'build-3',
      clock_timestamp() + make_interval(secs => ${leftSeconds}))`;
}

/** Waits until a statement of a migration waits for the lock 42, which `gate` holds. */
async function closeGate(stage: MigrateStage) {
  const gate = stage.openOther();
  await gate`select pg_advisory_lock(42)`;
  return {
    isReached: () =>
      vi.waitUntil(async () => {
        const waiting = await stage.sql`
          select from pg_locks
          where locktype = 'advisory' and objid = 42 and not granted
            and database = (select oid from pg_database where datname = current_database())`;
        return waiting.length > 0;
      }, POLL),
    open: () => gate`select pg_advisory_unlock(42)`,
  };
}

const WAIT = 'select pg_advisory_xact_lock(42);';

describe('runners with a lease', () => {
  test('apply everything exactly once, however many start at once', async ({ stage, leased }) => {
    await stage.sql`create table counted (n int)`;
    for (let n = 1; n <= 4; n++) {
      await stage.migration(`${n}_t`, `create table t${n} (); insert into counted values (${n});`);
    }
    const results = await Promise.all(Array.from({ length: 6 }, () => migrateUp(leased)));
    expect(results.flatMap(({ steps }) => steps)).toHaveLength(4);
    expect(await stage.sql`select n from counted order by n`.values()).toEqual([
      [1],
      [2],
      [3],
      [4],
    ]);
    expect(await stage.history()).toEqual(['up 1', 'up 2', 'up 3', 'up 4']);
    expect(await stage.sql`select from evdb.lease`).toEqual([]);
  });

  test('release it when they are done, and when they failed', async ({ stage, leased }) => {
    await stage.migration('001_a', 'select 1/0;');
    await expect(migrateUp(leased)).rejects.toMatchObject({ code: 'MIGRATION_FAILED' });
    await stage.migration('001_a', 'create table a ();', 'drop table a;');
    await migrateUp({ ...leased, lockWaitMs: 0 });
    await migrateDown({ ...leased, lockWaitMs: 0 });
    expect(await stage.sql`select from evdb.lease`).toEqual([]);
    expect(await stage.history()).toEqual(['failed 001', 'up 001', 'down 001']);
  });

  test('say who holds it', async ({ stage, leased }) => {
    await stage.migration('001_a', `${WAIT} create table a ();`);
    const gate = await closeGate(stage);
    const first = migrateUp(leased);
    await gate.isReached();
    const heard: MigrationProgress[] = [];
    const failure = await failureOf(
      migrateUp({ ...leased, lockWaitMs: 100, onProgress: (progress) => heard.push(progress) }),
    );
    expect(failure).toMatchObject({
      code: 'LOCKED',
      message: expect.stringMatching(
        /another runner is at work: pid \d+ \(evdb, .*holding the lease for /,
      ),
      hint: expect.stringMatching(/lasts for another .* unless it renews it/),
    });
    await untilHeard(heard, 'lock-wait');
    await gate.open();
    await first;
  });

  test('take one over that has ended, and say so', async ({ stage, leased }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(leased);
    await stage.migration('002_b', 'create table b ();');
    await leave(stage, 60);
    expect(await failureOf(migrateUp({ ...leased, lockWaitMs: 0 }))).toMatchObject({
      code: 'LOCKED',
      message: expect.stringContaining('pid 4711 (evdb, alice@build-3, holding the lease'),
    });
    await stage.sql`update evdb.lease set expires_at = clock_timestamp() - interval '2 seconds'`;
    await migrateUp({ ...leased, lockWaitMs: 0 });
    expect(stage.heard).toContainEqual({
      kind: 'warning',
      warning: {
        code: 'LEASE_TAKEN_OVER',
        message: expect.stringMatching(
          /took over the lease of alice@build-3 \(pid 4711\), which ended 2/,
        ),
      },
    });
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
  });

  test('renew it for as long as they work', async ({ stage, leased }) => {
    await stage.migration('001_a', `${WAIT} create table a ();`);
    const gate = await closeGate(stage);
    const first = migrateUp({ ...leased, leaseMs: 1_500 });
    await gate.isReached();
    const endOf = async () =>
      (await stage.sql`select expires_at::text as "end" from evdb.lease`)[0]?.end as string;
    const before = await endOf();
    await vi.waitUntil(async () => (await endOf()) > before, POLL);
    await gate.open();
    await first;
    expect(await stage.ledger()).toEqual(['001 applied']);
  });

  test('have one for each target', async ({ stage, leased }) => {
    await stage.migration('001_a', `${WAIT} create table a ();`);
    const gate = await closeGate(stage);
    const runs = ['one', 'two'].map((schema) => migrateUp({ ...leased, schema }));
    await vi.waitUntil(
      async () => (await stage.sql`select from evdb.lease`.catch(() => [])).length === 2,
      POLL,
    );
    await gate.open();
    await Promise.all(runs);
  });

  test('and those with an advisory lock keep each other out', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(stage.options);
    await stage.migration('002_b', 'create table b ();');
    await leave(stage, 60);
    expect(await failureOf(migrateUp({ ...stage.options, lockWaitMs: 0 }))).toMatchObject({
      code: 'LOCKED',
      hint: expect.stringContaining("lock: 'lease'"),
    });
    await stage.sql`delete from evdb.lease`;
    const holder = await holdRunnerLock(stage);
    const options: MigrateOptions = { ...stage.options, lock: 'lease', lockWaitMs: 0 };
    expect(await failureOf(migrateUp(options))).toMatchObject({
      code: 'LOCKED',
      hint: expect.stringContaining('by an advisory lock'),
    });
    expect(await stage.sql`select from evdb.lease`).toEqual([]);
    await holder`select pg_advisory_unlock_all()`;
    await migrateUp(options);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
  });
});

describe('a runner that has lost its lease', () => {
  test.for<[string, string]>([
    ['quick statements', `${WAIT} create table a ();`],
    ['a function', `${WAIT} do $$ begin create table a (); end $$;`],
    [
      'a snapshot of its own',
      `set transaction isolation level repeatable read; ${WAIT} create table a ();`,
    ],
    ['no transaction', `-- evdb: no-transaction\n${WAIT} \ncreate table a ();`],
    [
      'no transaction, and statements that cannot have one',
      `-- evdb: no-transaction\nselect pg_advisory_lock(42);\nvacuum pg_class;\ncreate table a ();`,
    ],
  ])('commits nothing more of a script with %s', async ([, script], { stage, leased }) => {
    await stage.migration('000_first', 'create table first ();');
    await migrateUp(leased);
    await stage.migration('001_a', script);
    await stage.migration('002_b', 'create table b ();');
    const gate = await closeGate(stage);
    const run = failureOf(migrateUp(leased));
    await gate.isReached();
    await takeOver(stage);
    await gate.open();
    expect(await run).toMatchObject({
      code: 'LOCKED',
      message: expect.stringContaining('has lost its lease'),
    });
    expect(await stage.relations()).toEqual(['first']);
    // Nothing of the one that has it now was touched, nor the history written.
    expect(await stage.sql`select token::text from evdb.lease`).toEqual([{ token: TOKEN }]);
    expect(await stage.history()).toEqual(['up 000']);
  });

  test('commits with a snapshot of its own where the lease was renewed only', async ({
    stage,
    leased,
  }) => {
    const script = `set transaction isolation level repeatable read; ${WAIT} create table a ();`;
    await stage.migration('001_a', script);
    const gate = await closeGate(stage);
    const run = migrateUp(leased);
    await gate.isReached();
    await stage.sql`update evdb.lease set expires_at = expires_at + interval '1 second'`;
    await gate.open();
    await run;
    expect(await stage.ledger()).toEqual(['001 applied']);
  });

  test('rolls back, repairs, resets, seeds and sets baselines no more', async ({
    stage,
    leased,
    project,
  }) => {
    await stage.migration('001_a', 'create table a ();', 'drop table a;');
    await migrateUp(leased);
    await stage.migration('001_a', 'create table a (id int);', 'drop table a;');
    await stage.migration('002_b', 'create table b ();');
    await project.write('seeds/one.sql', 'create table seeded ();');
    const before = await stage.history();
    const losing = await loseAtOnce(stage, leased);
    const works: [string, () => Promise<unknown>][] = [
      ['down', () => migrateDown({ ...losing, fromLedger: true })],
      ['repair', () => repairMigrations({ ...losing, version: '1', confirm: true })],
      ['baseline', () => baselineMigrations({ ...losing, version: '2', confirm: true })],
      ['reset', () => resetSchema({ ...losing, confirm: true })],
      ['seed', () => applySeeds({ ...losing, directory: `${project.dir}/seeds` })],
    ];
    for (const [name, work] of works) {
      expect([name, (await failureOf(work())).code]).toEqual([name, 'LOCKED']);
      await stage.sql`delete from evdb.lease`;
    }
    expect(await stage.history()).toEqual(before);
    expect(await stage.relations()).toEqual(['a']);
  });
});

/** Options of runners whose lease another one takes as soon as they have it. */
async function loseAtOnce(stage: MigrateStage, leased: MigrateOptions): Promise<MigrateOptions> {
  await stage.sql.unsafe(`
    create schema test;
    create function test.lose() returns trigger language plpgsql as $$
    begin
      if new.target_schema <> '' then new.token := '${TOKEN}'; end if;
      return new;
    end $$;
    create trigger lose before insert on evdb.lease for each row execute function test.lose()`);
  return leased;
}

describe('the fence', () => {
  test('keeps the lease from being taken until its transaction has ended', async ({
    stage,
    leased,
  }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(leased);
    await leave(stage, -1);
    const key = { ledgerSchema: 'evdb', targetSchema: 'public', lease: TOKEN };
    const holder = stage.openOther();
    await holder.unsafe('begin');
    expect(await holder.unsafe(`select ${holdsLeaseSql(key)} as holds`)).toEqual([{ holds: true }]);
    const request = { leaseMs: 60_000, osUser: 'bob', hostName: 'build-4' };
    const other = stage.openOther();
    const take = () =>
      other.unsafe(takeLeaseSql(key, '00000000-0000-4000-8000-000000000002', request)).simple();
    // The lease has ended by the clock; its holder may still commit, and nobody else begins.
    expect(await failureOf(take())).toMatchObject({ code: '55P03' });
    await other.unsafe('rollback');
    await holder.unsafe('commit');
    await take();
    expect(await stage.sql`select os_user from evdb.lease`).toEqual([{ os_user: 'bob' }]);
    expect(await holder.unsafe(`select ${holdsLeaseSql(key)} as holds`)).toEqual([
      { holds: false },
    ]);
  });
});
