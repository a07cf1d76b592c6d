import { expect } from 'vitest';
import { migrateUp, readStatus, resetSchema } from '../../../src/index.ts';
import {
  failUp,
  holdRunnerLock,
  type MigrateStage,
  test,
  untilHeard,
} from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

const USERS = 'create table users (id int primary key, name text, active boolean);';
const ACTIVE = 'create or replace view active_users as select id, name from users where active;\n';
const COUNT = `create or replace function count_active() returns bigint language sql
  as $$ select count(*) from active_users $$;\n`;

async function writeViews(stage: MigrateStage): Promise<void> {
  await stage.migration('001_users', USERS, 'drop table users;');
  // By name the function comes first.
  await stage.migration('repeatable/a_count', COUNT);
  await stage.migration('repeatable/active_users', ACTIVE);
}

async function applied(stage: MigrateStage, options = {}): Promise<string[]> {
  const { steps, repeatables = [] } = await migrateUp({ ...stage.options, ...options });
  return [
    ...steps.map(({ label }) => label),
    ...repeatables.map(({ name, transaction }) => `${name} ${transaction}`),
  ];
}

const states = async (stage: MigrateStage) =>
  (await readStatus(stage.options)).repeatables?.map(({ name, state }) => `${name} ${state}`);

test('applies them behind the migrations, in the order of what they need, and once', async ({
  stage,
}) => {
  await writeViews(stage);
  expect(await states(stage)).toEqual(['a_count pending', 'active_users pending']);
  expect(await applied(stage)).toEqual(['001', 'active_users 1', 'a_count 1']);
  expect(await stage.sql`select count_active()::int as n`).toEqual([{ n: 0 }]);
  expect(await states(stage)).toEqual(['a_count applied', 'active_users applied']);
  expect(await applied(stage)).toEqual([]);
  expect(await stage.history()).toEqual(['up 001', 'up repeatable', 'up repeatable']);
  expect(await stage.ledger()).toEqual(['001 applied']);
});

test('applies one again where its SQL changed, and not where a comment did', async ({ stage }) => {
  await writeViews(stage);
  await migrateUp(stage.options);
  await stage.migration(
    'repeatable/active_users',
    `-- those who are here\n\n${ACTIVE.replaceAll(' ', '  ')}`,
  );
  expect(await states(stage)).toContain('active_users applied');
  expect(await applied(stage)).toEqual([]);
  await stage.migration(
    'repeatable/active_users',
    ACTIVE.replace('where active', 'where not active'),
  );
  expect(await states(stage)).toContain('active_users changed');
  expect(await applied(stage)).toEqual(['active_users 1']);
  await stage.migration('repeatable/active_users', ACTIVE);
  expect(await applied(stage)).toEqual(['active_users 1']);
  expect(await stage.sql`select name, generation from evdb.repeatable order by 1`).toEqual([
    { name: 'a_count', generation: 1 },
    { name: 'active_users', generation: 3 },
  ]);
  expect(
    await stage.sql`
    select generation, up_text like '%not active%' as other from evdb.repeatable_text
    where name = 'active_users' order by 1`,
  ).toEqual([
    ...[
      { generation: 1, other: false },
      { generation: 2, other: true },
    ],
    { generation: 3, other: false },
  ]);
});

test('leaves nothing of those that hang together where one fails, and the others stay', async ({
  stage,
}) => {
  await writeViews(stage);
  await stage.migration('repeatable/b_alone', 'create or replace view alone as select 1 as one;');
  await stage.migration(
    'repeatable/c_bad',
    'create or replace view fine as select * from active_users;\ncreate or replace view bad as\nselect nix from fine;',
  );
  const error = await failUp(stage.options);
  expect(error).toMatchObject({
    code: 'MIGRATION_FAILED',
    location: { line: 3, column: 8 },
    details: { completed: [{ label: '001' }] },
  });
  expect(error.location.file).toMatch(/repeatable\/c_bad\.sql$/);
  expect(error.excerpt).toContain('select nix from fine');
  expect(await stage.relations()).not.toContain('active_users');
  expect(await stage.sql`select name, action from evdb.history where version is null`).toEqual([
    { name: 'c_bad', action: 'failed' },
  ]);
  await stage.remove('repeatable/c_bad');
  expect(await applied(stage)).toEqual(['active_users 1', 'a_count 1', 'b_alone 2']);
});

test('refuses before anything runs what cannot be made again, a circle, and a name twice', async ({
  stage,
}) => {
  await stage.migration('001_users', USERS);
  await stage.migration('repeatable/a', `${ACTIVE}create table more (id int);`);
  expect(await failUp(stage.options)).toMatchObject({
    code: 'REPEATABLE_REFUSED',
    location: { line: 2, column: 1 },
  });
  await stage.migration('repeatable/a', ACTIVE);
  await stage.migration('repeatable/b', ACTIVE);
  expect(await failureOf(migrateUp(stage.options))).toMatchObject({ code: 'DUPLICATE_REPEATABLE' });
  await stage.migration('repeatable/a', 'create or replace view a as select * from b;');
  await stage.migration('repeatable/b', 'create or replace view b as select * from a;');
  expect(await failureOf(migrateUp(stage.options))).toMatchObject({ code: 'REPEATABLE_CYCLE' });
  await stage.migration('repeatable/b', '-- evdb: no-transaction\nselect 1;');
  expect(await failureOf(migrateUp(stage.options))).toMatchObject({ code: 'DIRECTIVE_INVALID' });
  await stage.migration('repeatable/b.down', 'select 1;');
  expect(await failureOf(migrateUp(stage.options))).toMatchObject({ code: 'INVALID_NAME' });
  expect(await stage.relations()).toEqual([]);
});

test('tells of a file that is gone, and leaves what it made', async ({ stage }) => {
  await writeViews(stage);
  await migrateUp(stage.options);
  await stage.remove('repeatable/a_count');
  expect(await migrateUp(stage.options)).toMatchObject({
    warnings: [
      { code: 'REPEATABLE_MISSING', message: expect.stringContaining('repeatable/a_count') },
    ],
  });
  expect(await states(stage)).toEqual(['a_count missing', 'active_users applied']);
  expect(await stage.sql`select count_active()::int as n`).toHaveLength(1);
});

test('leaves them while migrations are left out, and in an older checkout', async ({ stage }) => {
  await writeViews(stage);
  await stage.migration('002_more', 'create table more (id int);');
  const held = { names: ['a_count', 'active_users'], cause: 'pending' };
  expect(await migrateUp({ ...stage.options, to: '1' })).toMatchObject({ held });
  expect(await applied(stage)).toEqual(['002', 'active_users 1', 'a_count 1']);
  await stage.remove('002_more');
  await stage.migration('repeatable/active_users', ACTIVE.replace('where active', ''));
  expect(await migrateUp(stage.options)).toMatchObject({
    held: { names: ['active_users'], cause: 'ahead' },
  });
});

test('starts each file with the search_path of a script, and takes variables', async ({
  stage,
}) => {
  await stage.sql`create schema other`;
  await stage.migration(
    'repeatable/a',
    'set local search_path = other;\ncreate or replace view v as select 1 as one;',
  );
  await stage.migration(
    'repeatable/b',
    "-- evdb: variables who\ncreate or replace view w as select :'who'::text as who, one from other.v;",
  );
  await migrateUp({ ...stage.options, variables: { who: "o'neil" } });
  expect(await stage.relations('other')).toEqual(['v']);
  expect(await stage.sql`select who from public.w`).toEqual([{ who: "o'neil" }]);
});

test('applies once what two runners find at the same time', async ({ stage }) => {
  await writeViews(stage);
  const results = await Promise.all([migrateUp(stage.options), migrateUp(stage.options)]);
  const counts = results.map(({ repeatables = [] }) => repeatables.length).sort();
  expect(counts).toEqual([0, 2]);
  expect(await stage.sql`select max(generation) as n from evdb.repeatable`).toEqual([{ n: 1 }]);
});

test('reads the ledger again once another runner is done', async ({ stage }) => {
  await writeViews(stage);
  await migrateUp(stage.options);
  await stage.migration('repeatable/active_users', ACTIVE.replace('where active', ''));
  const holder = await holdRunnerLock(stage);
  const waiting = migrateUp(stage.options);
  await untilHeard(stage.heard, 'lock-wait');
  const [row] =
    await stage.sql`select checksum, token_checksum from evdb.repeatable where name = 'a_count'`;
  await stage.sql`update evdb.repeatable set token_checksum = 'other', checksum = 'other' where name = 'a_count'`;
  await holder`select pg_advisory_unlock_all()`;
  expect((await waiting).repeatables?.map(({ name }) => name)).toEqual(['active_users', 'a_count']);
  expect(
    await stage.sql`select checksum, token_checksum from evdb.repeatable where name = 'a_count'`,
  ).toEqual([row]);
});

test('waits for locks as a migration does', async ({ stage }) => {
  await writeViews(stage);
  await migrateUp(stage.options);
  await stage.migration('repeatable/active_users', ACTIVE.replace('where active', ''));
  const other = stage.openOther();
  await other.unsafe('begin; select * from active_users');
  const running = migrateUp({ ...stage.options, lockTimeoutMs: 100 });
  const { step } = await untilHeard(stage.heard, 'retry');
  expect(step).toMatchObject({ label: 'repeatable', name: 'active_users' });
  await other.unsafe('commit');
  expect((await running).repeatables).toMatchObject([{ name: 'active_users' }]);
});

test('reset applies them again', async ({ stage }) => {
  await writeViews(stage);
  await migrateUp(stage.options);
  const reset = await resetSchema({ ...stage.options, confirm: true });
  expect(reset.repeatables?.map(({ name }) => name)).toEqual(['active_users', 'a_count']);
  expect(await stage.sql`select generation from evdb.repeatable`).toEqual([
    ...[{ generation: 1 }, { generation: 1 }],
  ]);
});
