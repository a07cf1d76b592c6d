import { describe, expect } from 'vitest';
import { migrateDown, migrateRedo, migrateUp, planMigrateDown } from '../../../src/index.ts';
import { isSuperuser, type MigrateStage, test, writeThree } from '../../support/migrate-kit.ts';

/** Applies three migrations, each of which needs the one before. */
async function applyThree(stage: MigrateStage): Promise<void> {
  await writeThree(stage);
  await migrateUp(stage.options);
}

describe('down', () => {
  test('rolls the newest one back', async ({ stage }) => {
    await applyThree(stage);
    const { steps } = await migrateDown(stage.options);
    expect(steps).toMatchObject([{ direction: 'down', version: '10', label: '10', name: 'ten' }]);
    expect(await stage.relations()).toEqual(['two']);
    expect(await stage.ledger()).toEqual(['001 applied', '2 applied']);
    expect(await stage.history()).toEqual(['up 001', 'up 2', 'up 10', 'down 10']);
    expect(await stage.sql`select count(*)::int as kept from evdb.migration_text`).toEqual([
      { kept: 2 },
    ]);
  });

  test.for([
    [{ steps: 2 }, ['001 applied']],
    [{ steps: 9 }, []],
    [{ to: '1' }, ['001 applied']],
    [{ to: '10' }, ['001 applied', '2 applied', '10 applied']],
    [{ to: '0' }, []],
  ] as const)('with %o leaves %o', async ([wanted, left], { stage }) => {
    await applyThree(stage);
    await migrateDown({ ...stage.options, ...wanted });
    expect(await stage.ledger()).toEqual(left);
    expect(await stage.relations()).toEqual([['one', 'two', 'ten'][left.length - 1] ?? []].flat());
  });

  test('can be followed by up again', async ({ stage }) => {
    await applyThree(stage);
    await migrateDown({ ...stage.options, to: '0' });
    await migrateUp(stage.options);
    expect(await stage.relations()).toEqual(['ten']);
    expect(await stage.ledger()).toEqual(['001 applied', '2 applied', '10 applied']);
  });

  test('has nothing to do on an empty database', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();', 'drop table a;');
    expect(await migrateDown(stage.options)).toMatchObject({ steps: [] });
    expect(await stage.sql`select to_regnamespace('evdb') as evdb`).toEqual([{ evdb: null }]);
  });

  test('refuses a version that is not applied', async ({ stage }) => {
    await applyThree(stage);
    await migrateDown(stage.options);
    await expect(migrateDown({ ...stage.options, to: '10' })).rejects.toMatchObject({
      code: 'UNKNOWN_VERSION',
      message: 'version 10 is not applied',
    });
  });

  test('plans without running', async ({ stage }) => {
    await applyThree(stage);
    const plan = await planMigrateDown({ ...stage.options, to: '1' });
    expect(plan.steps).toMatchObject([
      { direction: 'down', label: '10', script: { text: 'alter table ten rename to two;' } },
      { direction: 'down', label: '2' },
    ]);
    expect(await stage.relations()).toEqual(['ten']);
    expect(await stage.history()).toHaveLength(3);
  });

  test('that fails leaves everything as it was', async ({ stage }) => {
    await applyThree(stage);
    await stage.migration(
      '10_ten',
      'alter table two rename to ten;',
      'alter table ten rename to two;\nselect 1/0;',
    );
    await expect(migrateDown(stage.options)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      location: { file: expect.stringMatching(/10_ten\.down\.sql$/), line: 2, column: 1 },
      hint: expect.stringContaining('Nothing of 10_ten was rolled back'),
    });
    expect(await stage.relations()).toEqual(['ten']);
    expect(await stage.ledger()).toHaveLength(3);
    expect(await stage.history()).toEqual(['up 001', 'up 2', 'up 10', 'failed 10']);
  });

  test('checks every script before the first one runs', async ({ stage }) => {
    await applyThree(stage);
    await stage.migration('001_one', 'create table one (id int);', 'drop tabel one;');
    await expect(migrateDown({ ...stage.options, to: '0' })).rejects.toMatchObject({
      code: 'SYNTAX_ERROR',
    });
    expect(await stage.relations()).toEqual(['ten']);
  });

  test('refuses a migration without a down script, before the newer ones go', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await stage.migration('002_b', 'create table b ();', 'drop table b;');
    await migrateUp(stage.options);
    await expect(migrateDown({ ...stage.options, to: '0' })).rejects.toMatchObject({
      code: 'MISSING_DOWN',
      message: '001_a has no down script',
      hint: expect.stringContaining('001_a.down.sql'),
    });
    expect(await stage.relations()).toEqual(['a', 'b']);
  });

  test('refuses an irreversible migration with its reason', async ({ stage }) => {
    const up = '-- evdb: irreversible the rows are merged\ncreate table a ();';
    await stage.migration('001_a', up, 'drop table a;');
    await migrateUp(stage.options);
    for (const fromLedger of [false, true]) {
      await expect(migrateDown({ ...stage.options, fromLedger })).rejects.toMatchObject({
        code: 'IRREVERSIBLE',
        message: '001_a cannot be rolled back: the rows are merged',
      });
    }
    expect(await stage.relations()).toEqual(['a']);
  });

  test('warns where the file changed since it was applied', async ({ stage }) => {
    await stage.migration('001_a', 'create table a (id int);', 'drop table a;');
    await migrateUp(stage.options);
    await stage.migration('001_a', 'create table a (id bigint);');
    const { warnings } = await migrateDown(stage.options);
    expect(warnings).toMatchObject([
      { code: 'CHANGED_MIGRATION', version: '1', diff: expect.stringContaining('bigint') },
    ]);
    expect(await stage.ledger()).toEqual([]);
  });

  test('leaves nothing behind where the script switches triggers off', async ({ stage, skip }) => {
    skip(!(await isSuperuser(stage.sql)), 'only superusers may');
    await stage.migration(
      '001_a',
      'create table a ();',
      'set session_replication_role = replica; drop table a;',
    );
    await migrateUp(stage.options);
    await migrateDown(stage.options);
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['001 applied']);
  });
});

describe('down from the ledger', () => {
  test('runs the scripts as they were applied, without any file', async ({ stage }) => {
    await applyThree(stage);
    await stage.migration('10_ten', 'select 1;', 'select 1/0;');
    for (const name of ['001_one', '2_two', '10_ten']) await stage.remove(name);
    await expect(migrateDown(stage.options)).rejects.toMatchObject({
      code: 'MIGRATIONS_DIR_EMPTY',
    });
    await migrateDown({ ...stage.options, fromLedger: true, steps: 1 });
    expect(await stage.relations()).toEqual(['two']);
    const nowhere = { ...stage.options, directory: '/nowhere/at/all' };
    await migrateDown({ ...nowhere, fromLedger: true, to: '0' });
    expect(await stage.relations()).toEqual([]);
    expect(await stage.history()).toEqual([
      ...['up 001', 'up 2', 'up 10'],
      ...['down 10', 'down 2', 'down 001'],
    ]);
  });

  test('rolls back what a newer build applied, from an older one', async ({ stage }) => {
    await applyThree(stage);
    await stage.remove('10_ten');
    await expect(migrateDown(stage.options)).rejects.toMatchObject({
      code: 'MISSING_DOWN',
      hint: expect.stringContaining('--from-ledger'),
    });
    await migrateDown({ ...stage.options, fromLedger: true });
    expect(await stage.ledger()).toEqual(['001 applied', '2 applied']);
  });

  test('honours the directives of the stored script', async ({ stage }) => {
    await stage.migration(
      '001_a',
      'create table a (id int); create index a_idx on a (id);',
      '-- evdb: no-transaction\ndrop index concurrently a_idx;\ndrop table a;',
    );
    await migrateUp(stage.options);
    await stage.remove('001_a');
    await migrateDown({ ...stage.options, fromLedger: true });
    expect(await stage.relations()).toEqual([]);
  });

  test('names the stored script where it fails', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();', 'drop table a;\ndrop table b;');
    await migrateUp(stage.options);
    await expect(migrateDown({ ...stage.options, fromLedger: true })).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      location: { file: 'ledger:001_a.down.sql', line: 2, column: 1 },
    });
  });

  test('says so where the ledger kept no script', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();', `drop table a; -- ${'x'.repeat(100)}`);
    await stage.migration('002_b', 'create table b ();');
    await migrateUp({ ...stage.options, storedTextLimitBytes: 50 });
    await expect(migrateDown({ ...stage.options, fromLedger: true })).rejects.toMatchObject({
      code: 'MISSING_DOWN',
      message: 'the ledger keeps no down script of 002_b',
    });
    await expect(
      migrateDown({ ...stage.options, fromLedger: true, to: '0' }),
    ).rejects.toMatchObject({
      code: 'MISSING_DOWN',
    });
    expect(await stage.relations()).toEqual(['a', 'b']);
  });
});

describe('redo', () => {
  test('rolls the newest one back and applies its file again', async ({ stage }) => {
    await applyThree(stage);
    await stage.migration(
      '10_ten',
      'alter table two rename to ten; alter table ten add n int;',
      'alter table ten rename to two;',
    );
    const { steps } = await migrateRedo(stage.options);
    expect(steps).toMatchObject([
      { direction: 'down', label: '10' },
      { direction: 'up', label: '10' },
    ]);
    expect(await stage.sql`select * from ten`).toMatchObject({
      columns: [{ name: 'id' }, { name: 'n' }],
    });
    expect((await stage.history()).slice(3)).toEqual(['down 10', 'up 10']);
    expect(await migrateUp(stage.options)).toMatchObject({ steps: [], warnings: [] });
  });

  test('rolls nothing back where the file cannot be applied', async ({ stage }) => {
    await applyThree(stage);
    await stage.migration('10_ten', 'create tabel x;', 'alter table ten rename to two;');
    await expect(migrateRedo(stage.options)).rejects.toMatchObject({ code: 'SYNTAX_ERROR' });
    expect(await stage.relations()).toEqual(['ten']);
  });

  test('has nothing to do where nothing is applied', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();', 'drop table a;');
    expect(await migrateRedo(stage.options)).toMatchObject({ steps: [] });
  });

  test('refuses where the file of the newest one is not here', async ({ stage }) => {
    await applyThree(stage);
    await stage.remove('10_ten');
    await expect(migrateRedo(stage.options)).rejects.toMatchObject({ code: 'MISSING_MIGRATION' });
  });
});
