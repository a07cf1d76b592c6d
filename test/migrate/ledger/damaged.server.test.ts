import { describe, expect } from 'vitest';
import { migrateDown, migrateUp, readStatus } from '../../../src/index.ts';
import { test } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

const ALONE = '-- evdb: no-transaction\n';

describe('a ledger that somebody changed by hand', () => {
  for (const table of ['ledger_format', 'migration', 'migration_text', 'history']) {
    test(`is refused by status and up alike without its ${table}`, async ({ stage }) => {
      await stage.migration('001_a', 'create table a ();', 'drop table a;');
      await migrateUp(stage.options);
      await stage.migration('002_b', 'create table b ();');
      await stage.sql.unsafe(`drop table evdb.${table}`);
      for (const command of [readStatus, migrateUp, migrateDown]) {
        expect(await failureOf<Error & { hint: string }>(command(stage.options))).toMatchObject({
          code: 'LEDGER_DAMAGED',
          message: `the ledger lacks evdb.${table}`,
          hint: expect.stringContaining('migrate baseline'),
        });
      }
      expect(await stage.relations()).toEqual(['a']);
    });
  }

  for (const header of ['', ALONE]) {
    test(`applies a migration again whose row was deleted${header && ', without a transaction'}`, async ({
      stage,
    }) => {
      const up = `${header}create table if not exists a ();`;
      await stage.migration('001_a', up, `${header}drop table a;`);
      await migrateUp(stage.options);
      await stage.sql`delete from evdb.migration`;
      await migrateUp(stage.options);
      expect(await stage.ledger()).toEqual(['001 applied']);
      const texts = await stage.sql`select up_text from evdb.migration_text`;
      expect(texts).toEqual([{ up_text: up }]);
    });

    test(`is an error where a trigger swallows its writes${header && ', without a transaction'}`, async ({
      stage,
    }) => {
      await stage.migration('001_a', `${header}create table a ();`, `${header}drop table a;`);
      await migrateUp(stage.options);
      await stage.sql.unsafe(`
        create function swallow() returns trigger language plpgsql as $$ begin return null; end $$;
        create trigger swallow before insert or delete on evdb.migration
          for each row execute function swallow()`);
      const isRefused = { code: 'LEDGER_DAMAGED', hint: expect.stringContaining('trigger') };
      await stage.migration('002_b', `${header}create table b ();`);
      expect(await failureOf(migrateUp(stage.options))).toMatchObject(isRefused);
      expect(await stage.relations()).not.toContain('b');
      expect(await failureOf(migrateDown(stage.options))).toMatchObject(isRefused);
    });
  }

  test('is not called a fault of the script where it refuses a row', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(stage.options);
    await stage.sql`alter table evdb.migration add constraint no_b check (name <> 'b')`;
    await stage.migration('002_b', 'create table b ();');
    expect(await failureOf(migrateUp(stage.options))).toMatchObject({
      code: 'LEDGER_DAMAGED',
      message: expect.stringContaining('the ledger refuses what is to be written of 002_b'),
    });
    expect(await stage.relations()).toEqual(['a']);
  });
});
