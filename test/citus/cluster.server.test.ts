import { randomBytes } from 'node:crypto';
import { describe, expect } from 'vitest';
import { type MigrateOptions, migrateDown, migrateUp } from '../../src/index.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import { connectionTo } from '../support/sessions.ts';

const url = process.env.EVDB_TEST_CITUS_URL ?? '';

/*
 * On a real cluster, by the URL of its coordinator in EVDB_TEST_CITUS_URL: skipped without it, because no
 * package registry carries Citus. Each test has a schema and a ledger of its own.
 */
interface Cluster {
  sql: ReturnType<typeof openSql>;
  schema: string;
  options: MigrateOptions;
  migration(name: string, up: string, down?: string): Promise<void>;
}

const test = base.extend<{ $test: { cluster: Cluster } }>({
  cluster: async ({ project }, use) => {
    const sql = openSql(url, 4);
    const schema = `evdb_citus_${randomBytes(4).toString('hex')}`;
    const ledgerSchema = `${schema}_ledger`;
    await use({
      ...{ sql, schema },
      options: {
        connection: await connectionTo(url),
        directory: `${project.dir}/migrations`,
        ...{ env: {}, schema, ledgerSchema },
      },
      migration: async (name, up, down) => {
        await project.write(`migrations/${name}.sql`, up);
        if (down !== undefined) await project.write(`migrations/${name}.down.sql`, down);
      },
    });
    await sql.unsafe(`drop schema if exists ${schema} cascade`);
    await sql.unsafe(`drop schema if exists ${ledgerSchema} cascade`);
    await closeSql(sql);
  },
});

const ORDERS = `create table orders (tenant_id bigint not null, id bigint not null, primary key (tenant_id, id));
select create_distributed_table('orders', 'tenant_id');
insert into orders select i % 100, i from generate_series(1, 20000) as i;`;

describe.skipIf(url === '')('on a Citus cluster (EVDB_TEST_CITUS_URL)', () => {
  test('migrations go up and down', async ({ cluster }) => {
    await cluster.migration('001_orders', ORDERS, 'drop table orders;');
    await cluster.migration(
      '002_note',
      'alter table orders add column note text;\ncomment on column orders.note is $$what for$$;',
      'alter table orders drop column note;',
    );
    expect((await migrateUp(cluster.options)).steps).toHaveLength(2);
    expect((await migrateDown({ ...cluster.options, steps: 2 })).steps).toHaveLength(2);
  });

  test('a lock that a reader holds on a worker is retried, and ends with LOCK_TIMEOUT', async ({
    cluster,
  }) => {
    await cluster.migration('001_orders', ORDERS);
    await migrateUp(cluster.options);
    await cluster.migration('002_note', 'alter table orders add column note text;');
    const [worker] = await cluster.sql`
      select nodename, nodeport from pg_dist_node where groupid <> 0 and isactive limit 1`;
    const workerUrl = new URL(url);
    workerUrl.hostname = worker?.nodename;
    workerUrl.port = String(worker?.nodeport);
    const reader = openSql(workerUrl.href, 1);
    try {
      await reader.unsafe(`begin; select count(*) from ${cluster.schema}.orders`).simple();
      const run = migrateUp({ ...cluster.options, lockTimeoutMs: 300, lockWaitBudgetMs: 300 });
      await expect(run).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
      await reader.unsafe('rollback');
      expect((await migrateUp(cluster.options)).steps).toHaveLength(1);
    } finally {
      await closeSql(reader);
    }
  });

  test('the ledger does not become a tenant, and the target does', async ({ cluster }) => {
    const tenants = new URL(url);
    tenants.searchParams.set('options', '-c citus.enable_schema_based_sharding=on');
    await cluster.migration('001_orders', 'create table orders (id bigint primary key);');
    const connection = await connectionTo(tenants.href);
    await migrateUp({ ...cluster.options, connection });
    const rows =
      await cluster.sql`select schemaid::regnamespace::text as schema from pg_dist_schema`;
    const schemas = rows.map((row) => row.schema);
    expect(schemas).toContain(cluster.schema);
    expect(schemas).not.toContain(cluster.options.ledgerSchema);
  });
});
