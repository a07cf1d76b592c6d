import { describe, expect } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import {
  type TraceOptions,
  type TraceSession,
  traceSessionOf,
  traceStatements,
} from '../../src/trace/trace-statements.ts';
import { test as base, type MigrateStage } from '../support/migrate-kit.ts';

const test = base.extend<{ $test: { tracer: TraceSession } }>({
  tracer: async ({ stage }, use) => {
    await stage.sql.unsafe(`
      create table a (id int primary key, n int);
      insert into a select i, i from generate_series(1, 100) as i;
      create index a_n on a (n);
      create table b (id int, a_id int);
      create table p (id int) partition by range (id);
      create table p1 partition of p for values from (0) to (10);`);
    const tracer = traceSessionOf(await openSession(stage.options.connection));
    await use(tracer);
    await tracer.session.close();
  },
});

const trace = (tracer: TraceSession, script: string, options?: TraceOptions) =>
  traceStatements(tracer, splitStatements(script), options);

const columnsOf = async (stage: MigrateStage, table: string) =>
  (
    await stage.sql`select attname from pg_attribute
      where attrelid = ${table}::regclass and attnum > 0 order by attnum`
  ).map(({ attname }) => attname);

describe('a trace', () => {
  test('leaves nothing behind', async ({ stage, tracer }) => {
    await trace(tracer, 'alter table a add column x int; create table c (); delete from a');
    expect(await columnsOf(stage, 'a')).toEqual(['id', 'n']);
    expect(await stage.relations()).not.toContain('c');
    expect(await stage.sql`select count(*)::int from a`).toEqual([{ count: 100 }]);
    const { pid } = tracer.session.facts;
    expect(
      await stage.sql`select from pg_locks where pid = ${pid} and locktype = 'relation'`,
    ).toEqual([]);
  });

  test('keeps what the statements did where that is asked for', async ({ stage, tracer }) => {
    await trace(tracer, 'alter table a add column x int', { end: 'commit' });
    expect(await columnsOf(stage, 'a')).toEqual(['id', 'n', 'x']);
  });

  test('tells which locks are new and which the transaction holds', async ({ tracer }) => {
    const [first, second, third] = await trace(
      tracer,
      `alter table a add column x int;
      create index on a (x);
      alter table a add column y int`,
    );
    const held = { relation: 'public.a', mode: 'AccessExclusive', reason: 'target' };
    expect(first?.held).toEqual([]);
    expect(second).toMatchObject({ held: [held], impact: { locks: [{ mode: 'Share' }] } });
    expect(third).toMatchObject({ held: [held], impact: { locks: [] } });
  });

  test('leaves out what the transaction made itself', async ({ tracer }) => {
    const traces = await trace(
      tracer,
      'create table c (id int); create index on c (id); insert into c select id from a; drop table c',
    );
    expect(traces.flatMap(({ impact }) => impact.locks)).toEqual([]);
    expect(traces.flatMap(({ impact }) => impact.builds)).toEqual([]);
    expect(traces[2]?.reads).toEqual([{ relation: 'public.a', scans: 1, rows: 100 }]);
  });

  test('counts the building of an index once', async ({ tracer }) => {
    const traces = await trace(
      tracer,
      'create index on a (n); comment on table a is $$x$$; alter table a alter column n type bigint',
    );
    expect(traces.map(({ impact }) => impact.builds.length)).toEqual([1, 0, 3]);
  });

  test('names a relation as it was called before', async ({ tracer }) => {
    const traces = await trace(tracer, 'alter table a rename to a2; drop table a2');
    expect(traces[0]?.impact.locks).toMatchObject([{ relation: 'public.a' }]);
    expect(traces[1]?.held).toMatchObject([{ relation: 'public.a' }]);
    expect(traces[1]?.impact.locks).toMatchObject([
      { relation: 'public.a_n', mode: 'AccessExclusive', reason: 'index' },
      { relation: 'public.a_pkey' },
    ]);
  });

  test('sees through a block of code', async ({ tracer }) => {
    const [only] = await trace(
      tracer,
      `do $$ begin execute format('alter table %I alter column n type %s', 'a', 'bigint'); end $$`,
    );
    expect(only?.impact).toMatchObject({
      locks: expect.arrayContaining([
        { relation: 'public.a', mode: 'AccessExclusive', reason: 'target' },
      ]),
      rewrites: [{ relation: 'public.a', reason: 'traced', isCertain: true }],
      builds: [
        { relation: 'public.a', subject: 'public.a_pkey', reason: 'rewrite' },
        { relation: 'public.a', subject: 'public.a_n', reason: 'rewrite' },
      ],
    });
  });

  test.for([
    ['create unique index concurrently u on a (n)', { 'public.a': 'ShareUpdateExclusive' }],
    [
      'drop index concurrently a_n',
      { 'public.a': 'ShareUpdateExclusive', 'public.a_n': 'ShareUpdateExclusive' },
    ],
    [
      'reindex (verbose, concurrently) index a_n',
      { 'public.a': 'ShareUpdateExclusive', 'public.a_n': 'ShareUpdateExclusive' },
    ],
    [
      'alter table p detach partition p1 concurrently',
      { 'public.p1': 'AccessExclusive', 'public.p': 'ShareUpdateExclusive' },
    ],
  ] as const)(
    'tries the plain form of %s and tells the weak locks',
    async ([sql, locks], { tracer }) => {
      const [only] = await trace(tracer, sql);
      expect(only?.outcome).toBe('simulated');
      expect(
        Object.fromEntries(
          (only?.impact.locks ?? []).map(({ relation, mode }) => [relation, mode]),
        ),
      ).toEqual(locks);
    },
  );

  test('finds that a concurrent statement is wrong', async ({ tracer }) => {
    const [only] = await trace(tracer, 'create index concurrently on a (nothing)');
    expect(only).toMatchObject({
      outcome: 'failed',
      reason: 'column "nothing" does not exist (42703)',
    });
  });

  test.for([
    ['create index concurrently on a (n)', 'create index concurrently cannot be tried'],
    ['vacuum a', 'vacuum cannot run inside a transaction'],
    ['commit', 'it would end the transaction of the trace'],
    ['copy b from stdin;\n1\t2\n\\.\n', 'its rows are not sent'],
  ] as const)('skips %s on a database that others use', async ([sql, reason], { tracer }) => {
    const [only] = await trace(tracer, sql, { isTarget: true });
    expect(only).toMatchObject({ outcome: 'skipped', reason: expect.stringContaining(reason) });
  });

  test('goes no further than a statement that fails', async ({ stage, tracer }) => {
    const traces = await trace(
      tracer,
      'alter table a add column x int; select 1 / 0; alter table a add column y int',
      { end: 'commit' },
    );
    expect(traces.map(({ outcome }) => outcome)).toEqual(['traced', 'failed', 'skipped']);
    expect(traces[2]?.reason).toBe('a statement before it failed');
    expect(await columnsOf(stage, 'a')).toEqual(['id', 'n']);
  });

  test('needs no privilege but those of the statements', async ({ stage }) => {
    const role = await stage.createRole();
    await stage.sql.unsafe(`create table own (id int); alter table own owner to ${role.name}`);
    const { connection } = await stage.optionsFor(role.url);
    const tracer = traceSessionOf(await openSession(connection));
    const [only] = await trace(tracer, 'alter table own add check (id > 0)');
    await tracer.session.close();
    expect(only?.impact).toMatchObject({
      locks: [{ relation: 'public.own', mode: 'AccessExclusive' }],
      scans: [{ relation: 'public.own' }],
    });
  });

  test('leaves nothing behind where its connection is cut', async ({ stage, tracer }) => {
    const { pid } = tracer.session.facts;
    const traced = trace(tracer, 'alter table a add column x int; select pg_sleep(60)');
    const isLost = expect(traced).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    const other = stage.openOther();
    await expect
      .poll(
        () => other`select from pg_stat_activity where pid = ${pid} and query like '%pg_sleep%'`,
        { timeout: 30_000 },
      )
      .toHaveLength(1);
    await other`select pg_terminate_backend(${pid}, 10000)`;
    await isLost;
    expect(await columnsOf(stage, 'a')).toEqual(['id', 'n']);
  });
});
