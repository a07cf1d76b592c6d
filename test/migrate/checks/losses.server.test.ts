import { expect } from 'vitest';
import { migrateUp, readLosses } from '../../../src/index.ts';
import { renderLosses } from '../../../src/migrate/checks/report.ts';
import { PLAIN } from '../../../src/report/table.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';

async function say(stage: MigrateStage, options: Partial<Parameters<typeof readLosses>[0]> = {}) {
  const losses = await readLosses({ ...stage.options, command: 'down', ...options });
  return renderLosses(losses, { style: PLAIN, isDryRun: true }).split('\n').slice(1);
}

const UP = `
  create table people (id integer primary key, email text, phone text);
  create table "Odd Table" (a integer);
  create table parted (id integer) partition by range (id);
  create table parted_1 partition of parted for values from (0) to (100);
  insert into people select n, case when n <= 3 then 'x' end from generate_series(1, 1234) as n;
  insert into "Odd Table" values (1);
  insert into parted select generate_series(1, 7);`;

test('counts the rows of tables and the values of columns that go', async ({ stage }) => {
  await stage.migration(
    '001_all',
    UP,
    `alter table people drop email; drop table "Odd Table"; drop table parted; delete from people; drop table gone`,
  );
  await migrateUp(stage.options);
  expect(await say(stage)).toEqual([
    '  column   public.people.email  3 values',
    '  table    public."Odd Table"  1 row',
    '  table    public.parted  7 rows',
    '  rows of  public.people  1,234 rows',
  ]);
});

test('says a table once, and not its columns beside it', async ({ stage }) => {
  await stage.migration(
    '001_all',
    UP,
    'truncate people; alter table people drop email; drop table people',
  );
  await migrateUp(stage.options);
  expect(await say(stage)).toEqual(['  table    public.people  1,234 rows']);
});

test('estimates where there is no time, and says so', async ({ stage }) => {
  await stage.migration(
    '001_all',
    UP,
    'drop table people; drop table parted; drop table "Odd Table"',
  );
  await migrateUp(stage.options);
  await stage.sql.unsafe('analyze people; analyze parted');
  expect(await say(stage, { countBudgetMs: 0 })).toEqual([
    '  table    public.people  about 1,234 rows',
    '  table    public.parted  about 7 rows',
    '  table    public."Odd Table"  an unknown number of rows',
  ]);
});

test('waits for nobody who holds a lock', async ({ stage }) => {
  await stage.migration('001_all', UP, 'drop table people');
  await migrateUp(stage.options);
  await stage.sql.unsafe('analyze people');
  const other = stage.openOther();
  await other.unsafe('begin; lock table people');
  expect(await say(stage)).toEqual(['  table    public.people  about 1,234 rows']);
  await other.unsafe('rollback');
});

test('says what it cannot know', async ({ stage }) => {
  await stage.migration('001_all', UP, 'do $$ begin drop table people; end $$');
  await migrateUp(stage.options);
  const [line] = await say(stage);
  expect(line).toMatch(
    /^ {2}unknown {2}a do block that drops or deletes something \(.*001_all\.down\.sql:1\)$/,
  );
});

test('takes nothing away, and says nothing where nothing is lost', async ({ stage }) => {
  await stage.migration('001_all', UP, 'drop table people');
  await stage.migration('002_view', 'create view v as select 1 as one', 'drop view v');
  await migrateUp(stage.options);
  expect(await say(stage)).toEqual([]);
  expect(await say(stage, { to: '0' })).toEqual(['  table    public.people  1,234 rows']);
  expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
});
