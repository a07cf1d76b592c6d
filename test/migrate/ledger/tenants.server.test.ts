import { describe, expect, vi } from 'vitest';
import { openSession } from '../../../src/connection/session.ts';
import { migrateDown, migrateUp, readStatus } from '../../../src/index.ts';
import { createLedger } from '../../../src/migrate/ledger/ledger-schema.ts';
import { ledgerLock } from '../../../src/migrate/ledger/lock.ts';
import { holdRunnerLock, test, untilHeard } from '../../support/migrate-kit.ts';
import { POLL } from '../../support/waiting.ts';

describe('two tenants of a database', () => {
  test('have a ledger of their own in the one ledger schema', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();', 'drop table a;');
    await stage.migration('002_b', 'create table b ();', 'drop table b;');
    await migrateUp({ ...stage.options, schema: 'one' });
    await migrateUp({ ...stage.options, schema: 'two', to: '1' });
    expect(await stage.ledger('one')).toEqual(['001 applied', '002 applied']);
    expect(await stage.ledger('two')).toEqual(['001 applied']);

    await migrateDown({ ...stage.options, schema: 'one', to: '0' });
    expect(await stage.relations('one')).toEqual([]);
    expect(await stage.relations('two')).toEqual(['a']);
    expect(await stage.ledger('two')).toEqual(['001 applied']);
    expect(await stage.history('one')).toEqual(['up 001', 'up 002', 'down 002', 'down 001']);
    expect(await stage.history('two')).toEqual(['up 001']);
    const status = await readStatus({ ...stage.options, schema: 'two' });
    expect(status).toMatchObject({ schema: 'two', counts: { applied: 1, pending: 1 } });
    expect(await readStatus(stage.options)).toMatchObject({ counts: { pending: 2 } });
  });

  test('migrate at the same time: none waits for the other', async ({ stage }) => {
    await stage.sql`create table public.switches (tenant text primary key, number int)`;
    await stage.sql`insert into public.switches values ('one', 42), ('two', 43)`;
    await stage.migration(
      '001_a',
      `select pg_advisory_xact_lock(number) from public.switches where tenant = current_schema();
create table a ();`,
    );
    const other = stage.openOther();
    await other`select pg_advisory_lock(42)`;
    const one = migrateUp({ ...stage.options, schema: 'one' });
    await untilHeard(stage.heard, 'step-started');
    await migrateUp({ ...stage.options, schema: 'two' });
    expect(await stage.ledger('two')).toEqual(['001 applied']);
    expect(await stage.ledger('one')).toEqual([]);
    await other`select pg_advisory_unlock(42)`;
    await one;
    expect(await stage.ledger('one')).toEqual(['001 applied']);
  });

  test('hold locks of their own', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await holdRunnerLock(stage, 'one');
    await migrateUp({ ...stage.options, schema: 'two', lockWaitMs: 0 });
    await expect(
      migrateUp({ ...stage.options, schema: 'one', lockWaitMs: 0 }),
    ).rejects.toMatchObject({ code: 'LOCKED' });
  });

  test('may be many that create the ledger at once', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    const schemas = ['t1', 't2', 't3', 't4', 't5', 't6'];
    await Promise.all(schemas.map((schema) => migrateUp({ ...stage.options, schema })));
    for (const schema of schemas) expect(await stage.history(schema)).toEqual(['up 001']);
  });

  test('do not wait for each other to create the ledger', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    const { connection } = stage.options;
    const [classId, objectId] = ledgerLock({ ledgerSchema: 'evdb', targetSchema: 'one' });
    const other = stage.openOther();
    await other`select pg_advisory_lock(${classId}::int, ${objectId}::int)`;
    const two = migrateUp({ ...stage.options, schema: 'two' });
    await vi.waitUntil(async () => {
      const asking = await stage.sql`
        select from pg_stat_activity
        where datname = current_database() and query like ${`%${classId}, ${objectId})%`}`;
      return asking.length > 0;
    }, POLL);
    // Meanwhile the first tenant has created it, and holds a row of a migration under way.
    const one = await openSession(connection);
    await createLedger(one, 'evdb', { schemaExists: false });
    await one.run(
      "begin; insert into evdb.history (target_schema, action, tool_version) values ('one', 'up', '0')",
    );
    await other`select pg_advisory_unlock(${classId}::int, ${objectId}::int)`;
    await two;
    await one.close();
    expect(await stage.ledger('two')).toEqual(['001 applied']);
  });
});
