import { describe, expect } from 'vitest';
import { migrateUp } from '../../src/index.ts';
import { test } from './kit.ts';

/** What a coordinator says where a worker could not acquire a lock, in its words and SQLSTATEs. */
const failing = (times: number) => `
do $$
begin
    if nextval('public.tries') <= ${times} then
        raise warning 'canceling statement due to lock timeout' using errcode = '55P03';
        raise exception 'failure on connection marked as essential: worker1:5432' using errcode = 'XX000';
    end if;
end
$$;`;

describe('a migration on a coordinator', () => {
  test('is tried again where a warning before XX000 says that a lock was not available', async ({
    cluster,
  }) => {
    await cluster.sql`create sequence public.tries`;
    await cluster.migration('001_add', failing(1));
    await migrateUp(cluster.options);
    expect(await cluster.ledger()).toEqual(['001 applied']);
    expect(cluster.heard.filter(({ kind }) => kind === 'retry')).toHaveLength(1);
  });

  test('is tried again statement by statement', async ({ cluster }) => {
    await cluster.sql`create sequence public.tries`;
    await cluster.migration('001_add', `-- evdb: no-transaction\n${failing(1)}`);
    await migrateUp(cluster.options);
    expect(await cluster.ledger()).toEqual(['001 applied']);
  });

  test('ends with LOCK_TIMEOUT that names the worker where the tries are used up', async ({
    cluster,
  }) => {
    await cluster.sql`create sequence public.tries`;
    await cluster.migration('001_add', failing(99));
    const run = migrateUp({ ...cluster.options, lockWaitBudgetMs: 1 });
    await expect(run).rejects.toMatchObject({
      code: 'LOCK_TIMEOUT',
      server: { sqlstate: '55P03', detail: expect.stringContaining('worker1:5432') },
    });
  });

  test('fails at once for any other XX000', async ({ cluster }) => {
    await cluster.migration(
      '001_add',
      `do $$ begin raise exception 'unrecognized RTE kind: 7' using errcode = 'XX000'; end $$;`,
    );
    await expect(migrateUp(cluster.options)).rejects.toMatchObject({ code: 'MIGRATION_FAILED' });
    expect(cluster.heard.filter(({ kind }) => kind === 'retry')).toEqual([]);
  });

  test('gives its lock timeout to the workers while its statements run', async ({ cluster }) => {
    await cluster.migration(
      '001_seen',
      `create table seen as select current_setting('citus.propagate_set_commands') as propagated,
           current_setting('lock_timeout') as "limit", current_query() as message;`,
    );
    await migrateUp({ ...cluster.options, lockTimeoutMs: 700 });
    const [seen] = await cluster.sql`select * from public.seen`;
    expect(seen).toMatchObject({ propagated: 'local', limit: '700ms' });
    expect(seen?.message).toMatch(/^create table seen/);
  });

  test('is refused on a worker', async ({ cluster }) => {
    await cluster.sql`update pg_dist_local_group set groupid = 2`;
    await cluster.migration('001_add', 'create table a (id integer);');
    await expect(migrateUp(cluster.options)).rejects.toMatchObject({ code: 'NOT_COORDINATOR' });
    expect(await cluster.relations()).toEqual([]);
  });

  test('keeps its ledger out of the schemas of tenants', async ({ cluster }) => {
    // The stand-in has no hook, so an event trigger says how the setting stood.
    await cluster.sql
      .unsafe(`set citus.enable_schema_based_sharding = on;
        create table public.made (name text, setting text);
        create function public.note() returns event_trigger language plpgsql as $$
        begin
            insert into public.made
            select object_identity, current_setting('citus.enable_schema_based_sharding', true)
            from pg_event_trigger_ddl_commands();
        end $$;
        create event trigger note on ddl_command_end when tag in ('CREATE SCHEMA') execute function public.note();`)
      .simple();
    await cluster.migration('001_add', 'create table a (id integer);');
    await migrateUp({ ...cluster.options, schema: 'tenant_1' });
    const made = await cluster.sql`select name, coalesce(setting, '') as setting from public.made`;
    expect(Object.fromEntries(made.map(({ name, setting }) => [name, setting]))).toEqual({
      evdb: 'off',
      tenant_1: '',
    });
  });
});
