import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import {
  lintMigrations,
  planLintFixes,
  withFixRefusals,
  writeLintFixes,
} from '../../src/index.lint.ts';
import { migrateDown, migrateUp, validateMigrations } from '../../src/index.ts';
import { renderValidation } from '../../src/migrate/checks/report.ts';
import { PLAIN } from '../../src/report/table.ts';
import { readCatalog } from '../support/catalog.ts';
import { type MigrateStage, test } from '../support/migrate-kit.ts';

/** Each of the certain fixes, with a down script that undoes it as people write it. */
async function writeMigrations({ migration }: MigrateStage): Promise<void> {
  const tables = `create table users (id bigint primary key, email text, name text not null);
create table orders (id bigint primary key, user_id bigint, amount integer);
create index orders_amount_idx on orders (amount);`;
  await migration('001_tables', tables, 'drop table orders;\ndrop table users;');
  await migration(
    '002_index',
    '-- Finds users by their address.\ncreate index users_email_idx on users (email);\n',
    'drop index users_email_idx;\n',
  );
  await migration(
    '004_mixed',
    `-- Prices
alter table orders add column price integer; -- in cents

-- for the list of a user
create index orders_user_idx on orders (user_id); -- often asked

alter table users add column locale text;
`,
    'alter table users drop column locale;\ndrop index orders_user_idx;\nalter table orders drop column price;\n',
  );
  await migration(
    '010_checks',
    `alter table orders
    add constraint orders_amount_check check (amount > 0), -- never free
    add constraint orders_user_fkey foreign key (user_id) references users (id);
alter table users alter column email set not null;
`,
    `alter table users alter column email drop not null;
alter table orders drop constraint orders_user_fkey, drop constraint orders_amount_check;
`,
  );
  await migration(
    '020_drop',
    'drop index orders_amount_idx;\n',
    'create index orders_amount_idx on orders (amount);\n',
  );
}

/** What a schema holds, with its name taken out. */
async function contents({ sql }: MigrateStage, schema: string): Promise<string[]> {
  const lines = await readCatalog(sql, schema);
  return lines.map((line) => line.replaceAll(`${schema}.`, '')).sort();
}

test('writes migrations that end where the original ones do, and come back to nothing', async ({
  stage,
}) => {
  await writeMigrations(stage);
  await migrateUp({ ...stage.options, schema: 'original' });
  const [row] = await stage.sql`show server_version_num`;
  const serverVersion = Number(row?.server_version_num);
  const lint = { directory: stage.options.directory, settings: { serverVersion } };
  const plan = await planLintFixes(lint);
  expect(plan.left).toEqual([]);
  writeLintFixes(plan.files);
  expect(
    (await readdir(stage.options.directory)).filter((name) => !name.includes('.down.')),
  ).toEqual([
    '001_tables.sql',
    '002_index.sql',
    '004_mixed.sql',
    '005_mixed_no_transaction.sql',
    '010_checks.sql',
    '011_checks_validate.sql',
    '020_drop.sql',
  ]);
  const { findings } = await lintMigrations(lint);
  // Before PostgreSQL 18 no single statement does it.
  const byHand = serverVersion < 180_000 ? ['set-not-null'] : [];
  const errors = findings.filter(({ severity }) => severity === 'error');
  expect(errors.map(({ code }) => code)).toEqual(byHand);
  await migrateUp({ ...stage.options, schema: 'mended' });
  expect(await contents(stage, 'mended')).toEqual(await contents(stage, 'original'));
  await stage.sql`create schema empty`;
  await migrateDown({ ...stage.options, schema: 'mended', to: '0' });
  expect(await contents(stage, 'mended')).toEqual(await contents(stage, 'empty'));
});

test('keeps comments, order and everything that it does not mend', async ({ stage }) => {
  await writeMigrations(stage);
  const { directory } = stage.options;
  writeLintFixes((await planLintFixes({ directory, settings: { serverVersion: 180_000 } })).files);
  const read = (name: string) => readFile(join(directory, name), 'utf8');
  expect(await read('002_index.sql')).toBe(
    '-- evdb: no-transaction\n-- Finds users by their address.\ncreate index concurrently users_email_idx on users (email);\n',
  );
  expect(await read('004_mixed.sql')).toBe(`-- Prices
alter table orders add column price integer; -- in cents


alter table users add column locale text;
`);
  expect(await read('005_mixed_no_transaction.sql')).toBe(
    '-- evdb: no-transaction\n-- for the list of a user\ncreate index concurrently orders_user_idx on orders (user_id); -- often asked\n',
  );
  expect(await read('005_mixed_no_transaction.down.sql')).toBe(
    '-- evdb: no-transaction\ndrop index concurrently orders_user_idx;\n',
  );
  expect(await read('004_mixed.down.sql')).toBe(
    'alter table users drop column locale;\nalter table orders drop column price;\n',
  );
  expect(await read('010_checks.sql')).toBe(`alter table orders
    add constraint orders_amount_check check (amount > 0) not valid, -- never free
    add constraint orders_user_fkey foreign key (user_id) references users (id) not valid;
alter table users add constraint users_email_not_null not null email not valid;
`);
  expect(
    await read('011_checks_validate.sql'),
  ).toBe(`alter table orders validate constraint orders_amount_check;
alter table orders validate constraint orders_user_fkey;
alter table users validate constraint users_email_not_null;
`);
});

test('makes an update that is alone in its file a backfill, which up then runs in batches', async ({
  stage,
}) => {
  await stage.migration('001_users', 'create table users (id bigint primary key, email text);');
  await stage.migration(
    '002_lower',
    '-- As we compare them.\nupdate users set email = lower(email);\n',
  );
  await stage.migration('003_two', 'update users set email = null;\nselect 1;\n');
  await stage.migration('004_key', 'update users set id = id + 1;\n');
  const lint = { directory: stage.options.directory };
  const plan = await planLintFixes(lint);
  expect(plan.files.map(({ after }) => after)).toEqual([
    '-- evdb: backfill users\n-- As we compare them.\nupdate users set email = lower(email);\n',
  ]);
  writeLintFixes(plan.files);
  const { findings } = await lintMigrations(lint);
  const unbatched = findings.filter(({ code }) => code === 'unbatched-dml');
  expect(unbatched.map(({ location }) => location?.file.replace(/.*\//, ''))).toEqual([
    '003_two.sql',
    '004_key.sql',
  ]);
  await migrateUp({ ...stage.options, to: '2' });
  const details = await stage.sql`select detail from evdb.history where version = 2`;
  expect(details[0]?.detail).toContain('backfill of public.users');
});

test('never touches what is applied, or what is history', async ({ stage }) => {
  await writeMigrations(stage);
  const { directory } = stage.options;
  const applied = new Set(['1', '2', '4', '10', '20']);
  expect((await planLintFixes({ directory, applied })).files).toEqual([]);
  expect((await planLintFixes({ directory, startAfter: '020' })).files).toEqual([]);
});

test('leaves alone what is not certain, and says why', async ({ stage }) => {
  await stage.migration(
    '001_a',
    'create table t (id bigint primary key, a text, b text);',
    'drop table t;',
  );
  await stage.migration('002_b', 'create index t_a_idx on t (a);\nselect 1;\n', 'select 1;');
  await stage.migration(
    '003_c',
    'alter table t add column c text;\ncreate index t_b_idx on t (b);',
    'select 1;',
  );
  await stage.migration('004_d', 'select 1;', 'select 1;');
  const { files, left } = await planLintFixes({ directory: stage.options.directory });
  expect(files).toEqual([]);
  expect(left).toMatchObject([
    {
      ...{ code: 'index-not-concurrent', location: { line: 1 } },
      reason: expect.stringContaining('later statements'),
    },
    {
      ...{ code: 'index-not-concurrent', location: { line: 2 } },
      reason: expect.stringContaining('no free version'),
    },
  ]);
  const report = await lintMigrations(stage.options);
  expect(report.findings.map(({ fix }) => fix)).toContain(
    'build it concurrently, in a no-transaction migration',
  );
  const { findings } = await withFixRefusals(report, stage.options);
  expect(findings.filter(({ fix }) => fix !== undefined)).toEqual([]);
  expect(findings.flatMap(({ details }) => details.fixRefusal ?? [])).toEqual(
    left.map(({ reason }) => reason),
  );
});

test('validate offers only the fixes that lint --fix makes', async ({ stage }) => {
  await stage.migration(
    '001_t',
    'create table t (id bigint primary key, a text);',
    'drop table t;',
  );
  await stage.migration('002_applied', 'create index t_a_idx on t (a);', 'drop index t_a_idx;');
  await migrateUp(stage.options);
  await stage.migration(
    '003_pending',
    'create index t_a2_idx on t (a, id);',
    'drop index t_a2_idx;',
  );
  const { findings } = await validateMigrations(stage.options);
  const told = findings
    .filter(({ code }) => code === 'index-not-concurrent')
    .map(({ location, fix, details }) => [location?.file.slice(-15), fix, details?.fixRefusal]);
  const offered = 'build it concurrently, in a no-transaction migration';
  expect(told).toEqual([
    ['002_applied.sql', undefined, 'the migration is applied'],
    ['003_pending.sql', offered, undefined],
  ]);
  const text = renderValidation(await validateMigrations(stage.options), PLAIN);
  expect(text).toContain('evdb lint --fix leaves it: the migration is applied');
  expect(text).toContain(`evdb lint --fix can ${offered}`);
});

test('no fix is offered for what stands in a repeatable', async ({ stage }) => {
  await stage.migration(
    '001_t',
    'create table t (id bigint primary key, a text);',
    'drop table t;',
  );
  const folder = join(stage.options.directory, 'repeatable');
  await mkdir(folder);
  const text = 'alter table t add constraint positive check (id > 0);';
  await writeFile(join(folder, 'r.sql'), text);
  const report = await lintMigrations(stage.options);
  expect(report.findings.filter(({ fix }) => fix !== undefined)).toHaveLength(1);
  const { findings } = await withFixRefusals(report, stage.options);
  expect(findings.map(({ fix, details }) => [fix, details.fixRefusal])).toContainEqual([
    undefined,
    'it is not in a migration',
  ]);
});
