import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test as plainTest } from 'vitest';
import { readIndexAdvice } from '../../../src/stats/advise/advise.ts';
import { closeSql, openSql } from '../../support/databases.ts';
import { type SpecialServer, specialServers } from '../../support/own-server.ts';
import { inspect, test } from '../../support/sessions.ts';
import { until } from '../../support/waiting.ts';

const SHOP = `
create table customers (id integer primary key, email text);
create table orders (
  id serial primary key,
  customer_id integer references customers,
  status text,
  created_at timestamptz,
  "order" integer
);
insert into customers select i, 'c' || i from generate_series(1, 2000) i;
insert into orders (customer_id, status, created_at, "order")
  select 1 + i % 2000, (array['new', 'paid', 'done'])[1 + i % 3], now() - i * interval '1 minute', i % 5000
  from generate_series(1, 30000) i;
create index orders_order on orders ("order");
create table few (id integer);
insert into few values (1);
analyze`;

const WORK = [
  `select count(*) from orders where status = 'new' and created_at > now() - interval '7 days'`,
  `select * from orders where "order" = 5 and created_at > now() limit 5`,
  `update orders set status = 'paid' where customer_id = 7`,
  'select * from few where id = 1',
  'select * from orders where id = 7',
];

test('advises on foreign keys where no statements are counted, and says so', async ({
  emptyDb,
}) => {
  await emptyDb.sql.unsafe(SHOP);
  const advice = await inspect(emptyDb.url, (session) => readIndexAdvice(session));
  expect(advice).toMatchObject({ method: 'scans', planned: 0, notPlanned: [] });
  expect(advice.rows).toEqual([
    expect.objectContaining({
      table: 'orders',
      columns: ['customer_id'],
      basis: 'foreignKey',
      gain: null,
      createSql: 'create index concurrently orders_customer_id_idx on public.orders (customer_id);',
      dropSql: 'drop index concurrently public.orders_customer_id_idx;',
    }),
  ]);
  expect(advice.notes.map(({ text }) => text)).toEqual([
    expect.stringContaining('pg_stat_statements is not installed'),
    expect.stringContaining('hypopg is not installed in this database'),
  ]);
});

describe('where pg_stat_statements counts', () => {
  const servers = specialServers();
  let server: SpecialServer;
  let sql: postgres.Sql;
  let hasHypopg = false;

  beforeAll(async () => {
    server = await servers.start({ shared_preload_libraries: 'pg_stat_statements' });
    sql = openSql(server.url, 1);
    await sql`create extension pg_stat_statements`;
    await sql.unsafe(SHOP);
    await sql`select pg_stat_statements_reset()`;
    for (const statement of WORK) await sql.unsafe(statement);
    // Counters arrive a moment after the statements.
    await until(async () => {
      const [row] = await sql`select n_tup_ins from pg_stat_user_tables where relname = 'orders'`;
      return Number(row?.n_tup_ins) >= 30_000;
    });
    const available = await sql`select from pg_available_extensions where name = 'hypopg'`;
    hasHypopg = available.length > 0;
  });
  afterAll(async () => {
    await closeSql(sql);
    await servers.remove();
  });

  const advise = (schema?: string) =>
    inspect(server.url, (session) => readIndexAdvice(session, { schema }));

  plainTest('calls what whole tables are read for candidates, without hypopg', async () => {
    const { method, rows, planned, notes } = await advise();
    expect(method).toBe('scans');
    // The primary key finds the row of the last one already.
    expect(planned).toBe(4);
    const found = rows.map(({ columns, basis, gain }) => ({ columns, basis, gain }));
    expect(found).toHaveLength(2);
    expect(found).toContainEqual({ columns: ['status', 'created_at'], basis: 'scan', gain: null });
    expect(found).toContainEqual({ columns: ['customer_id'], basis: 'scan', gain: null });
    const [first] = rows.filter(({ columns }) => columns[0] === 'status');
    expect(first).toMatchObject({ estimatedBytes: null, tableRows: 30_000, columnUpdates: 1 });
    expect(first?.tableWrites).toBeGreaterThanOrEqual(30_000);
    expect(first?.statements).toMatchObject([{ calls: 1, costAfter: null }]);
    expect(first?.statements[0]?.costBefore).toBeGreaterThan(100);
    expect(notes.map(({ text }) => text).join('\n')).toContain('these are candidates');
  });

  plainTest(
    'measures by plans what hypothetical indexes gain, and makes none',
    async ({ skip }) => {
      skip(!hasHypopg, 'this server has no hypopg');
      await sql`create schema "Hypo"`;
      await sql`create extension hypopg schema "Hypo"`;
      const { method, rows, notes } = await advise();
      await sql`drop extension hypopg`;
      expect(method).toBe('hypotheticalIndexes');
      const [combined] = rows.filter(({ columns }) => columns.join() === 'status,created_at');
      expect(combined).toMatchObject({ basis: 'plans', indexName: 'orders_status_created_at_idx' });
      expect(combined?.gain).toBeGreaterThan(0.1);
      expect(combined?.estimatedBytes).toBeGreaterThan(100_000);
      const [statement] = combined?.statements ?? [];
      expect(statement?.costAfter).toBeLessThan(statement?.costBefore ?? 0);
      const updated = rows.find(({ columns }) => columns[0] === 'customer_id');
      expect(updated).toMatchObject({ basis: 'plans', columnUpdates: 0 });
      expect(updated?.gain).toBeGreaterThan(0.5);
      expect(notes.map(({ text }) => text).join('\n')).toContain(
        'the planner estimates, not in time',
      );
      const built =
        await sql`select from pg_indexes where indexname = 'orders_status_created_at_idx'`;
      expect(built).toEqual([]);
      // What it foretold is what the planner does with the real one.
      await sql.unsafe(combined?.createSql ?? '');
      expect((await advise()).rows.map(({ columns }) => columns.join())).toEqual(['customer_id']);
      await sql.unsafe(combined?.dropSql ?? '');
    },
  );

  plainTest('names the index that a longer one makes redundant', async ({ skip }) => {
    skip(!hasHypopg, 'this server has no hypopg');
    await sql`create extension hypopg`;
    await sql`create index orders_status on orders (status)`;
    const { rows, notes } = await advise();
    await sql`drop index orders_status`;
    await sql`drop extension hypopg`;
    const row = rows.find(({ columns }) => columns[0] === 'status');
    expect(row?.redundantIndexes).toEqual(['orders_status']);
    expect(notes.map(({ text }) => text)).toContainEqual(
      expect.stringMatching(/orders_status.* would become redundant: a new index begins/),
    );
  });

  plainTest('keeps to one schema, and refuses one that is not there', async () => {
    await sql`create schema other`;
    expect((await advise('other')).rows).toEqual([]);
    await expect(advise('nowhere')).rejects.toMatchObject({ code: 'USAGE' });
  });

  plainTest('plans nothing that would call what belongs to another role', async () => {
    await sql.unsafe(`
      create role mallory; grant create on schema public to mallory; set role mallory;
      create function public.trap() returns text immutable language plpgsql as
        $$ begin raise exception 'planned as %', current_user; end $$;
      reset role`);
    await sql`select from orders where status = public.trap()`.catch(() => undefined);
    // A refused statement is counted as well only where it has run once.
    await sql.unsafe(`create or replace function public.trap() returns text immutable language sql
      as $$ select 'new' $$`);
    await sql`select from orders where status = public.trap()`;
    const { notPlanned } = await advise();
    await sql.unsafe('drop function public.trap(); revoke create on schema public from mallory');
    expect(notPlanned).toContainEqual({
      reason: 'they use functions, operators or views of other roles',
      count: 1,
    });
  });

  plainTest('counts statements that cannot be planned, and says why', async () => {
    await sql`select pg_stat_statements_reset()`;
    await sql`create table gone as select 1 as id`;
    await sql`select from orders join gone using (id) where status = 'x'`;
    await sql`drop table gone`;
    const { notPlanned, notes } = await advise();
    expect(notPlanned).toContainEqual({
      reason: 'the server cannot plan them without their values or their search_path',
      count: 1,
    });
    expect(notes.map(({ text }) => text)).toContainEqual(
      expect.stringMatching(/^1 statement was not planned: the server cannot/),
    );
  });

  plainTest('runs nothing: neither rows nor sequences change', async () => {
    await sql`insert into orders (status) select 'new' from orders where status = 'none'`;
    const look = () =>
      sql`select last_value, (select count(*) from orders where status = 'new') as new from orders_id_seq`;
    const before = await look();
    await advise();
    expect(await look()).toEqual(before);
  });
});
