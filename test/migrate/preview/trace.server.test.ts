import { describe, expect } from 'vitest';
import { migrateUp, planImpact, type StatementImpact } from '../../../src/index.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';

/** Making a scratch database takes its time on a busy machine. */
const PATIENTLY = { timeout: 30_000 };

/** A role of the test's own, by which its scratch databases are known among those of other tests. */
async function asOwner(stage: MigrateStage) {
  const role = await stage.createRole('superuser');
  const { sql } = stage;
  return {
    options: await stage.optionsFor(role.url),
    scratchNames: () => sql`select datname from pg_database where datdba = ${role.name}::regrole`,
    sleepers: () =>
      sql`select pid from pg_stat_activity
        where usename = ${role.name} and query like 'select pg_sleep(60)%'`,
  };
}

/** The statements of the only step, with their effects alone. */
async function traced(
  stage: MigrateStage,
  where: 'beside' | 'target' = 'beside',
): Promise<StatementImpact[]> {
  const plan = await planImpact({ ...stage.options, trace: where });
  return plan.steps.at(-1)?.statements ?? [];
}

async function migrateBusyTables(stage: MigrateStage): Promise<void> {
  await stage.migration(
    '001_tables',
    `create table users (id int primary key, email text);
    create table events (id int primary key, owner int);
    create index events_owner_idx on events (owner);`,
  );
  await migrateUp(stage.options);
}

describe('a traced plan', () => {
  test.for(['beside', 'target'] as const)(
    'stands in for a role that the plan makes and the server lacks: %s',
    async (where, { stage }) => {
      const role = `evdb_lacks_${process.pid}_${Date.now() % 100_000}_${where}`;
      await migrateBusyTables(stage);
      await stage.migration(
        '002_role',
        `create role ${role}; grant select on events to ${role}; alter table users owner to ${role};`,
      );
      const outcomes = (await traced(stage, where)).map(({ trace }) => trace?.outcome);
      expect(outcomes).toEqual(['skipped', 'skipped', 'traced']);
      expect(await stage.sql`select from pg_roles where rolname = ${role}`).toHaveLength(0);
    },
  );

  test.for(['beside', 'target'] as const)(
    'takes down and makes again what a repeatable cannot replace in place, as up does: %s',
    PATIENTLY,
    async (where, { stage }) => {
      const total = (type: string) =>
        `create or replace function total() returns ${type} language sql as 'select 1::${type}';\n`;
      const big = (type: string) =>
        `create or replace view big as select total() as t, 1::${type} as one;\n`;
      await stage.migration('001_a', 'create table a ();');
      await stage.migration('repeatable/total', total('bigint'));
      await stage.migration('repeatable/big', big('bigint'));
      await migrateUp(stage.options);
      await stage.sql`create view more as select t from big`;
      await stage.migration('repeatable/total', total('int'));
      await stage.migration('repeatable/big', big('text'));
      const plan = await planImpact({ ...stage.options, trace: where });
      const traces = plan.steps.flatMap((step) => step.statements.map(({ trace }) => trace));
      expect(traces).toMatchObject([{ outcome: 'traced' }, { outcome: 'traced' }]);
      expect(traces[0]?.differences).toContain('takes ACCESS EXCLUSIVE on public.big');
      await migrateUp(stage.options);
      expect((await stage.sql`select t from more`)[0]).toEqual({ t: 1 });
    },
  );

  test('tells what a scratch database saw, and leaves none behind', async ({ stage }) => {
    await migrateBusyTables(stage);
    await stage.migration('002_city', 'alter table events add city uuid default gen_random_uuid()');
    const { options, scratchNames } = await asOwner(stage);
    const plan = await planImpact({ ...options, trace: 'beside' });
    expect(plan).toMatchObject({
      trace: { where: 'beside' },
      steps: [
        {
          label: '002',
          strongestLock: { mode: 'AccessExclusive', relations: ['public.events'] },
          statements: [
            {
              evidence: 'trace',
              trace: { outcome: 'traced' },
              locks: expect.arrayContaining([
                expect.objectContaining({
                  ...{ relation: 'public.events', mode: 'AccessExclusive' },
                  blocks: 'reads and writes',
                }),
              ]),
              rewrites: [{ relation: 'public.events' }],
            },
          ],
        },
      ],
      tables: { 'public.events': { indexes: 2, isNew: false } },
    });
    expect(await scratchNames()).toEqual([]);
    expect(await stage.relations()).not.toContain('city');
  });

  test('sees what a block of code does', async ({ stage }) => {
    await migrateBusyTables(stage);
    await stage.migration(
      '002_code',
      `do $$ begin execute 'alter table events alter column owner type bigint'; end $$;`,
    );
    expect(await traced(stage)).toMatchObject([
      { rewrites: [{ relation: 'public.events' }], unknowns: [] },
    ]);
  });

  test('builds each migration on those before it', async ({ stage }) => {
    await migrateBusyTables(stage);
    await stage.migration('002_venues', 'create table venues (id int)');
    await stage.migration('003_venues', 'alter table venues add check (id > 0)');
    expect(await traced(stage)).toMatchObject([
      { trace: { outcome: 'traced' }, scans: [{ relation: 'public.venues' }] },
    ]);
  });

  test('sees that an index is built again for a type that rewrites nothing', async ({ stage }) => {
    await stage.migration(
      '001_tables',
      `create table users (id int primary key, email varchar(50));
      create index users_email_idx on users (email);
      create index users_lower_idx on users (lower(email));`,
    );
    await migrateUp(stage.options);
    await stage.migration('002_wider', 'alter table users alter email type varchar(100)');
    const seen = [await traced(stage), (await planImpact(stage.options)).steps.at(-1)?.statements];
    for (const [statement] of seen.map((one) => one ?? [])) {
      expect(statement).toMatchObject({
        rewrites: [],
        builds: [{ relation: 'public.users', reason: 'type change' }],
      });
      expect(statement?.builds[0]?.subject).toBe('public.users_lower_idx');
    }
  });

  test('tells the weak locks of a concurrent statement', async ({ stage }) => {
    await migrateBusyTables(stage);
    await stage.migration(
      '002_index',
      '-- evdb: no-transaction\ncreate index concurrently on users (email)',
    );
    expect(await traced(stage)).toMatchObject([
      {
        trace: { outcome: 'simulated' },
        locks: [
          { relation: 'public.users', mode: 'ShareUpdateExclusive', blocks: 'schema changes' },
        ],
        builds: [{ relation: 'public.users', isConcurrent: true }],
      },
    ]);
  });

  test('tells which statement would fail, and goes on behind it', async ({ stage }) => {
    await migrateBusyTables(stage);
    await stage.migration(
      '002_wrong',
      'select 1; alter table nothing add a int; alter table users add a int',
    );
    expect(await traced(stage)).toMatchObject([
      { trace: { outcome: 'traced' } },
      { trace: { outcome: 'failed', reason: 'relation "nothing" does not exist (42P01)' } },
      { trace: { outcome: 'traced' }, locks: [{ relation: 'public.users' }] },
    ]);
  });

  test('changes nothing that all databases share', async ({ stage }) => {
    await stage.migration(
      '001_role',
      `create role evdb_trace_role;
      do $$ begin execute 'create role evdb_trace_other'; end $$`,
    );
    expect(await traced(stage)).toMatchObject([
      { trace: { outcome: 'skipped', reason: expect.stringContaining('whole server') } },
      { trace: { outcome: 'traced' } },
    ]);
    expect(await stage.sql`select from pg_roles where rolname like 'evdb_trace_%'`).toEqual([]);
  });

  test('knows what is on the target, whoever made it', async ({ stage }) => {
    await stage.sql`create schema other create table made_by_hand (id int primary key)`;
    await stage.migration('001_a', 'alter table other.made_by_hand add check (id > 0)');
    expect(await traced(stage)).toMatchObject([
      { trace: { outcome: 'traced' }, scans: [{ relation: 'other.made_by_hand' }] },
    ]);
  });

  test('works in a schema of its own', async ({ stage }) => {
    await stage.migration('001_a', 'create table a (id int)');
    const options = { ...stage.options, schema: 'tenant' };
    await migrateUp(options);
    await stage.migration('002_b', 'alter table a add b int');
    const plan = await planImpact({ ...options, trace: 'beside' });
    expect(plan.steps[0]?.statements[0]?.locks).toMatchObject([{ relation: 'tenant.a' }]);
  });

  test('says which privilege is missing where no database may be made', async ({ stage }) => {
    await migrateBusyTables(stage);
    await stage.migration('002_b', 'alter table users add b int');
    const role = await stage.createRole();
    await stage.sql.unsafe(
      `grant usage on schema evdb to ${role.name}; grant select on all tables in schema evdb to ${role.name}`,
    );
    const options = await stage.optionsFor(role.url);
    await expect(planImpact({ ...options, trace: 'beside' })).rejects.toMatchObject({
      code: 'SCRATCH_UNAVAILABLE',
      hint: `Let an administrator run: alter role "${role.name}" createdb;`,
    });
  });

  test('is given up, without a trace of it, when it is interrupted', async ({ stage }) => {
    await stage.migration('001_slow', 'select pg_sleep(60)');
    const controller = new AbortController();
    const { options, scratchNames, sleepers } = await asOwner(stage);
    const isInterrupted = expect(
      planImpact({ ...options, trace: 'beside', signal: controller.signal }),
    ).rejects.toThrow('interrupted');
    await expect.poll(sleepers, PATIENTLY).toHaveLength(1);
    controller.abort(new Error('interrupted'));
    await isInterrupted;
    expect(await scratchNames()).toEqual([]);
  });

  test('is an error, without a trace of it, when its backend is ended', async ({ stage }) => {
    await stage.migration('001_slow', 'select pg_sleep(60)');
    const { options, scratchNames, sleepers } = await asOwner(stage);
    const isLost = expect(planImpact({ ...options, trace: 'beside' })).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
    });
    await expect.poll(sleepers, PATIENTLY).toHaveLength(1);
    const [sleeper] = await sleepers();
    await stage.sql`select pg_terminate_backend(${sleeper?.pid}, 10000)`;
    await isLost;
    expect(await scratchNames()).toEqual([]);
  });
});

describe('a plan traced on the target', () => {
  test('is rolled back', async ({ stage }) => {
    await migrateBusyTables(stage);
    await stage.sql`insert into users select i, 'x' from generate_series(1, 50) as i`;
    await stage.migration('002_b', 'alter table users add check (id > 0); delete from users');
    const [check] = await traced(stage, 'target');
    expect(check).toMatchObject({ scans: [{ relation: 'public.users' }] });
    expect(await stage.sql`select count(*)::int from users`).toEqual([{ count: 50 }]);
    expect(await stage.history()).toEqual(['up 001']);
  });

  test('gives way at once where somebody holds a lock', async ({ stage }) => {
    await migrateBusyTables(stage);
    await stage.migration('002_b', 'alter table users add b int');
    const other = stage.openOther();
    await other.unsafe('begin; lock table users in access share mode');
    expect(await traced(stage, 'target')).toMatchObject([
      { trace: { outcome: 'failed', reason: expect.stringContaining('55P03') } },
    ]);
    await other.unsafe('rollback');
  });

  test('does not try the plain form of a concurrent statement', async ({ stage }) => {
    await migrateBusyTables(stage);
    await stage.migration(
      '002_index',
      '-- evdb: no-transaction\ncreate index concurrently on users (email)',
    );
    expect(await traced(stage, 'target')).toMatchObject([{ trace: { outcome: 'skipped' } }]);
  });

  test('writes nothing to a database without a ledger', async ({ stage }) => {
    await stage.migration('001_a', 'create table a (id int)');
    expect(await traced(stage, 'target')).toMatchObject([{ trace: { outcome: 'traced' } }]);
    expect(await stage.sql`select to_regnamespace('evdb') as evdb`).toEqual([{ evdb: null }]);
    expect(await stage.relations()).toEqual([]);
  });
});
