import { expect } from 'vitest';
import { lintMigrations } from '../../../src/index.lint.ts';
import { compareStructures } from '../../../src/index.ops.ts';
import { migrateUp, readDrift, validateMigrations } from '../../../src/index.ts';
import { createRepeatable } from '../../../src/migrate/files/create.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

const USERS = 'create table users (id int primary key, name text, active boolean);';
const ACTIVE = 'create or replace view active_users as select id from users where active;\n';
const COUNT = `create or replace function count_active() returns bigint language sql
  as $$ select count(*) from active_users $$;\n`;

async function writeViews(stage: MigrateStage): Promise<void> {
  await stage.migration('001_users', USERS, 'drop table users;');
  await stage.migration('repeatable/a_count', COUNT);
  await stage.migration('repeatable/active_users', ACTIVE);
}

async function findings(stage: MigrateStage, options = {}): Promise<string[]> {
  const result = await validateMigrations({ ...stage.options, ...options });
  return result.findings
    .filter(({ code, severity }) => severity !== 'info' && code === code.toUpperCase())
    .map(
      ({ code, location }) =>
        `${code} ${location?.file.split('/').at(-1) ?? ''}:${location?.line ?? ''}`,
    );
}

test('drift and comparisons know what repeatables made', async ({ stage }) => {
  await writeViews(stage);
  await migrateUp(stage.options);
  // What is applied counts, and not what the file says now.
  await stage.migration('repeatable/active_users', ACTIVE.replace('select id', 'select id, name'));
  expect(await readDrift(stage.options)).toMatchObject({ differences: [] });
  const changed = { from: { kind: 'migrations' as const }, to: { kind: 'live' as const } };
  expect(await compareStructures({ ...stage.options, ...changed })).toMatchObject({
    differences: [{ object: 'public.active_users' }],
  });
  await stage.sql`create or replace function count_active() returns bigint language sql as 'select 1::bigint'`;
  expect(await readDrift(stage.options)).toMatchObject({
    differences: [{ object: 'public.count_active()' }],
  });
});

test('validate finds what is wrong with each, and between them', async ({ stage }) => {
  await writeViews(stage);
  expect(await findings(stage)).toEqual([]);
  await stage.migration(
    'repeatable/b',
    'create view b as select 1 as one;\ncreate table c (id int);',
  );
  expect(await findings(stage)).toEqual([
    'REPEATABLE_REFUSED b.sql:1',
    'REPEATABLE_REFUSED b.sql:2',
  ]);
  await stage.migration('repeatable/b', 'create or replace view b as\nselect from from users;');
  expect(await findings(stage, { connection: undefined })).toEqual(['SYNTAX_ERROR b.sql:2']);
  await stage.migration('repeatable/b', ACTIVE);
  expect(await findings(stage)).toEqual(['DUPLICATE_REPEATABLE :']);
  await stage.migration('repeatable/b', '-- evdb: backfill users\nselect 1;');
  expect(await findings(stage)).toEqual(['DIRECTIVE_INVALID b.sql:']);
  await stage.remove('repeatable/b');
  await stage.migration('repeatable/b.down', 'select 1;');
  expect(await findings(stage)).toEqual(['INVALID_NAME b.down.sql:']);
  await stage.remove('repeatable/b.down');
  await migrateUp(stage.options);
  await stage.remove('repeatable/a_count');
  expect(await findings(stage)).toEqual(['REPEATABLE_MISSING :']);
});

test('validate --shadow runs them twice, behind the migrations', async ({ stage }) => {
  await writeViews(stage);
  const shadow = { shadow: { all: true } };
  expect(await findings(stage, shadow)).toEqual([]);
  await migrateUp(stage.options);
  expect(await findings(stage, { shadow: {} })).toEqual([]);
  await stage.migration(
    'repeatable/b',
    'create or replace view b as select nix from active_users;',
  );
  expect(await findings(stage, shadow)).toEqual(['REPLAY_FAILED b.sql:1']);
  expect(await findings(stage, { shadow: {} })).toEqual(['REPLAY_FAILED b.sql:1']);
});

test('lint judges them behind the migrations, together and one by one', async ({ stage }) => {
  await writeViews(stage);
  await stage.migration('repeatable/b', 'alter table users enable row level security;');
  const { directory } = stage.options;
  const found = async (paths?: string[]) =>
    (await lintMigrations({ directory, paths })).findings.map(({ code }) => code);
  expect(await found()).toEqual(['row-security']);
  expect(await found([`${directory}/repeatable/b.sql`])).toEqual(['row-security']);
  expect(await found([`${directory}/repeatable/active_users.sql`])).toEqual([]);
  // The view of a repeatable is no reason why the table of 001 could not be dropped by its down script.
  expect(await found([`${directory}/001_users.down.sql`])).toEqual([]);
});

test('create writes the skeleton of one, and overwrites nothing', async ({ stage }) => {
  await writeViews(stage);
  const { directory } = stage.options;
  const { files } = createRepeatable({ directory, name: 'user names' });
  expect(files).toEqual([expect.stringMatching(/repeatable\/user_names\.sql$/)]);
  expect(
    await failureOf((async () => createRepeatable({ directory, name: 'user names' }))()),
  ).toMatchObject({
    code: 'FILE_EXISTS',
  });
  expect(await findings(stage)).toEqual(['EMPTY_FILE user_names.sql:1']);
});
