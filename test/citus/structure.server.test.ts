import { readFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { compareStructures, readDatabaseStructure, renderStructure } from '../../src/index.ops.ts';
import { migrateUp } from '../../src/index.ts';
import { readDrift } from '../../src/migrate/checks/drift.ts';
import { withEmptyDatabase } from '../support/databases.ts';
import { connectionTo } from '../support/sessions.ts';
import { test } from './kit.ts';

const TABLES = `
create table countries (code text primary key, name text);
create table accounts (tenant_id bigint primary key, name text, country text references countries);
create table orders (
    tenant_id bigint not null references accounts, id bigserial, note text, primary key (tenant_id, id)
);
create table lines (tenant_id bigint, id bigint, primary key (tenant_id, id));
create function note() returns trigger language plpgsql as $$ begin return new; end $$;
select create_reference_table('countries');
select create_distributed_table('accounts', 'tenant_id', shard_count => 2);
select create_distributed_table('orders', 'tenant_id', colocate_with => 'accounts');
select create_distributed_table('lines', 'tenant_id', colocate_with => 'none', shard_count => 3);
create trigger note before insert on orders for each row execute function note();`;

describe('the structure of a cluster', () => {
  test('says how tables are distributed, and loads back with it', async ({ cluster }) => {
    await cluster.sql.unsafe(TABLES).simple();
    const read = async (connection: typeof cluster.options.connection) =>
      renderStructure(await readDatabaseStructure(connection, { schemas: ['public'] }));
    const text = await read(cluster.options.connection);
    const calls = text.split('\n').filter((line) => /^select create_|unsafe_triggers/.test(line));
    expect(calls).toEqual([
      'set citus.enable_unsafe_triggers = on;',
      "select create_reference_table('public.countries');",
      "select create_distributed_table('public.accounts', 'tenant_id', colocate_with => 'none', shard_count => 2);",
      "select create_distributed_table('public.lines', 'tenant_id', colocate_with => 'none', shard_count => 3);",
      "select create_distributed_table('public.orders', 'tenant_id', colocate_with => 'public.accounts');",
    ]);
    // Citus refuses some tables that have foreign keys, and all triggers without the setting.
    expect(text.indexOf('create_reference_table')).toBeLessThan(text.search(/foreign key/i));
    expect(text.indexOf("'public.orders'")).toBeLessThan(text.search(/create trigger/i));
    await withEmptyDatabase(cluster.url, async (sql, url) => {
      await sql.unsafe(readFileSync('test/support/citus-stand-in.sql', 'utf8')).simple();
      await sql.unsafe(text).simple();
      expect(await read(await connectionTo(url))).toBe(text);
    });
  });

  test('is compared with the migrations in a scratch database without the extension', async ({
    cluster,
  }) => {
    await cluster.migration('001_tables', TABLES);
    await migrateUp(cluster.options);
    expect((await readDrift(cluster.options)).differences).toEqual([]);
    await cluster.sql`delete from pg_dist_partition where logicalrelid = 'lines'::regclass`;
    expect((await readDrift(cluster.options)).differences).toEqual([
      {
        ...{ kind: 'table', object: 'public.lines', change: 'changed' },
        parts: [{ part: 'distribution', before: 'hash (tenant_id), 3 shards' }],
      },
    ]);
  });

  test('is compared with a dump of it', async ({ cluster, project }) => {
    await cluster.sql.unsafe(TABLES).simple();
    const structure = await readDatabaseStructure(cluster.options.connection, {
      schemas: ['public'],
    });
    await project.write(
      'structure.sql',
      `create extension if not exists citus;\n${renderStructure(structure)}`,
    );
    const { differences } = await compareStructures({
      ...cluster.options,
      from: { kind: 'file', path: `${project.dir}/structure.sql` },
      to: { kind: 'live' },
    });
    expect(differences).toEqual([]);
  });

  test('says which schemas are those of tenants, and nothing of their tables', async ({
    cluster,
  }) => {
    await cluster.sql
      .unsafe(`create schema tenant_1; create table tenant_1.orders (id bigint primary key);
        select citus_schema_distribute('tenant_1');`)
      .simple();
    const { objects } = await readDatabaseStructure(cluster.options.connection, {
      schemas: ['tenant_1'],
    });
    const said = objects.filter(({ parts }) => parts.distribution !== undefined);
    expect(said.map(({ kind, name, parts }) => [kind, name, parts.distribution])).toEqual([
      ['schema', 'tenant_1', 'tenant'],
    ]);
    expect(
      renderStructure({ ...{ serverVersion: 0, schemas: [], searchPath: [] }, objects }),
    ).toMatch(/create table tenant_1\.orders[\s\S]*select citus_schema_distribute\('tenant_1'\);/);
  });
});
