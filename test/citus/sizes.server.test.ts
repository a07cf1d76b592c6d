import { describe, expect } from 'vitest';
import { withInspection } from '../../src/connection/inspection.ts';
import { readDatabaseSizes, readTables } from '../../src/index.ops.ts';
import { migrateUp, planImpact, readLosses } from '../../src/index.ts';
import { test } from './kit.ts';

/** Rows in the shards of the stand-in; the coordinator's table stays empty, as on a cluster. */
const ORDERS = `
create table orders (tenant_id bigint, id bigint, primary key (tenant_id, id));
select create_distributed_table('orders', 'tenant_id', shard_count => 2);
insert into citus_shards.orders_102008 select i, i from generate_series(1, 3000) as i;
insert into citus_shards.orders_102009 select i, i from generate_series(1, 2000) as i;
analyze citus_shards.orders_102008, citus_shards.orders_102009;`;

describe('how big a table of a cluster is', () => {
  test('is the sum of its shards in stats and sizes', async ({ cluster }) => {
    await cluster.sql.unsafe(ORDERS).simple();
    const { connection } = cluster.options;
    const tables = await withInspection(connection, (session) =>
      readTables(session, { schema: 'public' }),
    );
    expect(tables.rows[0]).toMatchObject({
      table: 'orders',
      rows: 5000,
      bloatUnknown: 'distributed',
    });
    expect(tables.rows[0]?.totalBytes).toBeGreaterThan(100_000);
    const sizes = await withInspection(connection, (session) => readDatabaseSizes(session));
    const orders = sizes.rows.find(({ name }) => name === 'orders');
    expect(orders?.totalBytes).toBe(tables.rows[0]?.totalBytes);
    expect(sizes.notes).toMatchObject([{ level: 'info' }]);
  });

  test('counts in a plan and its budget', async ({ cluster }) => {
    await cluster.sql.unsafe(ORDERS).simple();
    await cluster.migration(
      '001_note',
      'alter table orders add column note text default random()::text;',
    );
    const plan = await planImpact(cluster.options);
    expect(plan.tables['public.orders']).toMatchObject({ rows: 5000 });
    expect(plan.tables['public.orders']?.bytes).toBeGreaterThan(100_000);
  });

  test('is unknown, and not none, where a shard was never analyzed', async ({ cluster }) => {
    await cluster.sql.unsafe(ORDERS.replace(/analyze.*/, '')).simple();
    await cluster.migration(
      '001_note',
      'alter table orders add column note text default random()::text;',
    );
    const plan = await planImpact(cluster.options);
    expect(plan.tables['public.orders']).toMatchObject({ rows: null });
  });

  test('is what a rollback loses, where there is no time to count', async ({ cluster }) => {
    await cluster.migration('001_orders', ORDERS, 'drop table orders;');
    await migrateUp(cluster.options);
    const [loss] = await readLosses({ ...cluster.options, command: 'down', countBudgetMs: 0 });
    expect(loss).toMatchObject({ count: 5000, isExact: false });
  });
});
