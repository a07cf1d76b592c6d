import { expect } from 'vitest';
import { migrateUp, planMigrateRepair, readStatus, repairMigrations } from '../../../src/index.ts';
import { test as base, holdRunnerLock, type MigrateStage } from '../../support/migrate-kit.ts';

const SCRIPT = `-- evdb: no-transaction
create table a (id integer);
call fill();
create table b ();
`;

/** `stopped`: its second statement, of which nobody can know, was started and is not known to be done. */
const test = base.extend<{ stopped: MigrateStage }>({
  stopped: async ({ stage }, use) => {
    await stage.migration('001_a', SCRIPT, 'drop table if exists a, b;');
    await expect(migrateUp(stage.options)).rejects.toMatchObject({ code: 'MIGRATION_FAILED' });
    await stage.sql.unsafe(`
      create procedure fill() language plpgsql
        as $$ begin insert into a values (1); commit; end $$;`);
    // as a runner leaves it that is killed while the statement is under way
    await stage.sql`update evdb.migration set statement_started = 2, statement_started_at = now()`;
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'INCOMPLETE_MIGRATION',
      hint: expect.stringContaining('evdb migrate repair 001 --as done'),
    });
    await use(stage);
  },
});

test('lists every way on, with the commands', async ({ stopped }) => {
  const { decisions } = await repairMigrations(stopped.options);
  expect(decisions).toMatchObject([
    { label: '001', state: 'incomplete', message: 'applying 001_a stopped at statement 2 of 3' },
  ]);
  expect(decisions[0]?.choices.map(({ command }) => command)).toEqual([
    'evdb migrate up',
    'evdb migrate repair 001 --as done',
    'evdb migrate repair 001 --as not-done',
    'evdb migrate down',
    'evdb migrate repair 001 --forget --confirm',
  ]);
  const repair = repairMigrations({ ...stopped.options, version: '001' });
  await expect(repair).rejects.toMatchObject({
    code: 'INCOMPLETE_MIGRATION',
    hint: expect.stringContaining('evdb migrate repair 001 --as not-done'),
  });
});

test.for([
  ['done', 0],
  ['not-done', 1],
] as const)('settles that the statement is %s, and up goes on', async ([as, rows], { stopped }) => {
  const options = { ...stopped.options, version: '001', as, reason: 'looked' };
  expect((await planMigrateRepair(options)).repairs).toMatchObject([
    { action: 'settle', settled: { statement: 2, as }, risk: null },
  ]);
  expect(await repairMigrations(options)).toMatchObject({ repairs: [{ action: 'settle' }] });
  await migrateUp(stopped.options);
  expect(await stopped.sql`select * from a`).toHaveLength(rows);
  expect(await stopped.relations()).toEqual(['a', 'b']);
  expect(await stopped.history()).toContain('repaired 001');
});

test('forgets it with consent, and leaves what it made', async ({ stopped }) => {
  const options = { ...stopped.options, version: '001', forget: true };
  await expect(repairMigrations(options)).rejects.toMatchObject({ code: 'CONFIRM_REQUIRED' });
  await repairMigrations({ ...options, confirm: true });
  expect(await stopped.ledger()).toEqual([]);
  expect(await stopped.relations()).toEqual(['a']);
  expect((await readStatus(stopped.options)).counts).toMatchObject({ pending: 1, incomplete: 0 });
});

test('does not list what another runner is at work on', async ({ stopped }) => {
  await holdRunnerLock(stopped);
  expect(await repairMigrations(stopped.options)).toMatchObject({ repairs: [], decisions: [] });
});

test.for(['done', 'not-done'] as const)(
  'refuses --as %s where nothing is in doubt',
  async (as, { stage }) => {
    await stage.migration('001_a', 'select 1;');
    await migrateUp(stage.options);
    const options = { ...stage.options, version: '001', as };
    await expect(repairMigrations(options)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(repairMigrations({ ...options, forget: true })).rejects.toMatchObject({
      message: '--forget and --as cannot be used together',
    });
    const { version, ...all } = options;
    await expect(repairMigrations(all)).rejects.toMatchObject({ code: 'USAGE' });
  },
);
