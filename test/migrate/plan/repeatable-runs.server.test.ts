import { expect } from 'vitest';
import {
  migrateDown,
  migrateUp,
  planImpact,
  planMigrateDown,
  planMigrateRedo,
  readStatus,
} from '../../../src/index.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

const USERS = 'create table users (id int primary key, name text, active boolean);';
const view = (columns: string) =>
  `create or replace view active_users as select ${columns} from users where active;\n`;

async function applyTwice(stage: MigrateStage): Promise<void> {
  await stage.migration('001_users', USERS, 'drop table users;');
  await stage.migration('repeatable/active_users', view('id'));
  await migrateUp(stage.options);
  await stage.migration(
    'repeatable/active_users',
    `${view('id, name')}create or replace view more as select 1 as one;`,
  );
  await migrateUp(stage.options);
}

const columnsOf = async ({ sql }: MigrateStage) =>
  (
    await sql`select attname from pg_attribute where attrelid = to_regclass('active_users') and attnum > 0`
  ).map(({ attname }) => attname);

test('brings the text before back, with what only the later one made gone', async ({ stage }) => {
  await applyTwice(stage);
  await stage.sql`create view mine as select id from active_users`;
  const options = { ...stage.options, repeatable: 'repeatable/active_users.sql' };
  expect(await planMigrateDown(options)).toMatchObject({
    steps: [],
    repeatables: [{ direction: 'down', name: 'active_users' }],
  });
  expect(await migrateDown(options)).toMatchObject({
    steps: [],
    repeatables: [
      { name: 'active_users', direction: 'down', file: 'ledger:repeatable/active_users.sql' },
    ],
  });
  expect(await columnsOf(stage)).toEqual(['id']);
  expect(await stage.relations()).toEqual(['active_users', 'mine', 'users', 'users_pkey']);
  expect(await readStatus(stage.options)).toMatchObject({ repeatables: [{ state: 'changed' }] });
  expect(await stage.sql`select generation from evdb.repeatable_text`).toEqual([{ generation: 1 }]);
  expect((await stage.history()).at(-1)).toBe('down repeatable');
});

test('drops what one made whose file is gone, or that was applied one time', async ({ stage }) => {
  await applyTwice(stage);
  await stage.remove('repeatable/active_users');
  const options = { ...stage.options, repeatable: 'active_users', fromLedger: true };
  await migrateDown(options);
  expect(await stage.relations()).toEqual(['users', 'users_pkey']);
  expect(
    await stage.sql`select from evdb.repeatable union all select from evdb.repeatable_text`,
  ).toEqual([]);
  expect(await failureOf(migrateDown(options))).toMatchObject({ code: 'UNKNOWN_VERSION' });
  await stage.migration('repeatable/active_users', view('id'));
  await migrateUp(stage.options);
  await migrateDown(options);
  expect(await stage.relations()).toEqual(['users', 'users_pkey']);
});

test('refuses where the ledger has no text, and where nothing was made', async ({ stage }) => {
  await stage.migration('repeatable/grants', 'grant usage on schema public to public;');
  await migrateUp({ ...stage.options, storedTextLimitBytes: 10 });
  const options = { ...stage.options, repeatable: 'grants' };
  expect(await failureOf(migrateDown(options))).toMatchObject({
    code: 'MISSING_DOWN',
    message: 'the ledger does not keep the text of repeatable/grants',
  });
  await stage.sql`update evdb.repeatable_text set up_text = 'grant usage on schema public to public'`;
  expect(await failureOf(migrateDown(options))).toMatchObject({
    message: 'repeatable/grants makes nothing that could be dropped',
  });
});

test('says which repeatables use what a down script takes away, before it fails', async ({
  stage,
}) => {
  await applyTwice(stage);
  const warning = {
    code: 'NEEDED_BY_REPEATABLE',
    message: expect.stringContaining('repeatable/active_users uses (users)'),
  };
  expect(await planMigrateDown(stage.options)).toMatchObject({ warnings: [warning] });
  expect(await failureOf(migrateDown(stage.options))).toMatchObject({ code: 'MIGRATION_FAILED' });
  expect(stage.heard).toContainEqual({
    kind: 'warning',
    warning: expect.objectContaining(warning),
  });
});

test('says of a redo what its down script takes away alone, not what its up script takes', async ({
  stage,
}) => {
  const name = 'alter table users add name text;';
  const noName = 'alter table users drop name;';
  await stage.migration('001_users', USERS, 'drop table users;');
  await stage.migration('002_no_name', noName, name);
  await stage.migration('repeatable/active_users', view('id'));
  await migrateUp(stage.options);
  expect(await planMigrateRedo(stage.options)).toMatchObject({ warnings: [] });
  await stage.migration('003_name', name, noName);
  await migrateUp(stage.options);
  expect(await planMigrateRedo(stage.options)).toMatchObject({
    warnings: [{ code: 'NEEDED_BY_REPEATABLE', version: '3' }],
  });
});

test('plans each with the locks that it takes, and says what waits', async ({ stage }) => {
  await applyTwice(stage);
  await stage.migration('repeatable/active_users', view('id, name'));
  await stage.migration(
    'repeatable/touch',
    `create or replace function touch() returns trigger language plpgsql as $$ begin return new; end $$;
    create or replace trigger touch before update on users for each row execute function touch();`,
  );
  const plan = await planImpact(stage.options);
  expect(plan.steps.map(({ label, name }) => `${label} ${name}`)).toEqual([
    ...['repeatable active_users', 'repeatable touch'],
  ]);
  expect(plan.steps.map(({ strongestLock }) => strongestLock)).toMatchObject([
    { mode: 'AccessExclusive' },
    { mode: 'ShareRowExclusive' },
  ]);
  await stage.migration('002_more', 'create table more2 (id int);');
  await stage.migration('003_more', 'create table more3 (id int);');
  expect(await planImpact({ ...stage.options, to: '2' })).toMatchObject({
    steps: [{ label: '002' }],
    held: { names: ['active_users', 'touch'], cause: 'pending' },
  });
});

test('applies them where only a backfill is left for later, and before a contract', async ({
  stage,
}) => {
  await stage.migration('001_users', USERS);
  await stage.migration(
    '002_fill',
    "-- evdb: backfill users\nupdate users set name = 'x' where name is null;",
  );
  await stage.migration('repeatable/active_users', view('id'));
  expect(await migrateUp({ ...stage.options, wait: false })).toMatchObject({
    postponed: [{ label: '002' }],
    repeatables: [{ name: 'active_users' }],
  });
  await stage.migration('003_drop', '-- evdb: contract\nalter table users drop column name;');
  await stage.migration('repeatable/active_users', view('id, active'));
  expect(await migrateUp({ ...stage.options, expand: true })).toMatchObject({
    waiting: { label: '003' },
    repeatables: [{ name: 'active_users' }],
  });
});

test('says what an earlier text made and no file makes any more', async ({ stage }) => {
  const label = (type: string) =>
    `create or replace function label(a ${type}) returns text language sql return a::text;\n`;
  await stage.migration(
    'repeatable/labels',
    `${label('int')}create or replace view one as select 1 as one;`,
  );
  await migrateUp(stage.options);
  // Another file has the view now.
  await stage.migration('repeatable/labels', label('bigint'));
  await stage.migration('repeatable/one', 'create or replace view one as select 1 as one;');
  expect(await migrateUp(stage.options)).toMatchObject({
    warnings: [
      {
        code: 'NO_LONGER_MADE',
        message: expect.stringMatching(
          /^repeatable\/labels no longer makes function label\(int4\).*: drop function if exists label\(int4\);$/,
        ),
      },
    ],
  });
  await stage.migration(
    'repeatable/labels',
    `drop function if exists label(int);\n${label('bigint')}`,
  );
  expect(await migrateUp(stage.options)).toMatchObject({ warnings: [] });
});
