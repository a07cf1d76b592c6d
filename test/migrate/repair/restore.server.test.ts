import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import {
  migrateUp,
  planMigrateRestore,
  readStatus,
  restoreMigrations,
} from '../../../src/index.ts';
import { test as base, type MigrateStage } from '../../support/migrate-kit.ts';

const UP = {
  '001_a': 'create table a (id integer);\n',
  '002_b': "-- why\ncreate table b (note text default 'größer');\n",
  '003_c': 'create table c (id integer);\n',
};

/** `applied`: three migrations, of which the second has a down script. */
const test = base.extend<{ applied: MigrateStage }>({
  applied: async ({ stage }, use) => {
    await stage.migration('001_a', UP['001_a']);
    await stage.migration('002_b', UP['002_b'], 'drop table b;\n');
    await stage.migration('003_c', UP['003_c']);
    await migrateUp(stage.options);
    await use(stage);
  },
});

const pathOf = ({ options }: MigrateStage, name: string) => join(options.directory, name);
const list = async ({ options }: MigrateStage) => (await readdir(options.directory)).sort();
const textOf = (stage: MigrateStage, name: string) => readFile(pathOf(stage, name), 'utf8');

test('writes lost files again, as they were applied', async ({ applied }) => {
  await applied.remove('002_b');
  const result = await restoreMigrations({ ...applied.options, versions: ['2'] });
  expect(result).toEqual({
    schema: 'public',
    migrations: [
      {
        ...{ version: '2', label: '002', name: 'b' },
        files: [
          { path: pathOf(applied, '002_b.sql'), direction: 'up', outcome: 'written' },
          { path: pathOf(applied, '002_b.down.sql'), direction: 'down', outcome: 'written' },
        ],
      },
    ],
  });
  expect(await textOf(applied, '002_b.sql')).toBe(UP['002_b']);
  expect((await readStatus(applied.options)).counts).toMatchObject({ applied: 3 });
  expect(await textOf(applied, '002_b.down.sql')).toBe('drop table b;\n');
});

test('restores several, and a folder that is gone', async ({ applied }) => {
  await rm(applied.options.directory, { recursive: true });
  await restoreMigrations({ ...applied.options, versions: ['003', '001', '1'] });
  expect(await list(applied)).toEqual(['001_a.sql', '003_c.sql']);
});

test('restores an up whose down alone is left', async ({ applied }) => {
  await rm(pathOf(applied, '002_b.sql'));
  const { migrations } = await restoreMigrations({ ...applied.options, versions: ['002'] });
  expect(migrations[0]?.files.map(({ outcome }) => outcome)).toEqual(['written', 'kept']);
  expect(await textOf(applied, '002_b.sql')).toBe(UP['002_b']);
});

test('says what it would do, and writes nothing', async ({ applied }) => {
  await applied.remove('001_a');
  const { migrations } = await planMigrateRestore({ ...applied.options, versions: ['001'] });
  expect(migrations[0]?.files).toMatchObject([{ direction: 'up', outcome: 'written' }]);
  expect(await list(applied)).toEqual(['002_b.down.sql', '002_b.sql', '003_c.sql']);
});

test('never replaces a file, and then writes none at all', async ({ applied }) => {
  await applied.remove('001_a');
  await applied.migration('003_c', 'create table c (id bigint);');
  const failing = restoreMigrations({ ...applied.options, versions: ['001', '003'] });
  await expect(failing).rejects.toMatchObject({ code: 'FILE_EXISTS' });
  expect(await list(applied)).toEqual(['002_b.down.sql', '002_b.sql', '003_c.sql']);
  expect(await textOf(applied, '003_c.sql')).toBe('create table c (id bigint);');
});

test('refuses beside a file of the same version with another name', async ({ applied }) => {
  await applied.remove('001_a');
  await applied.migration('1_other', 'select 1;');
  const failing = restoreMigrations({ ...applied.options, versions: ['001'] });
  await expect(failing).rejects.toMatchObject({
    code: 'FILE_EXISTS',
    message: expect.stringContaining('1_other.sql'),
  });
});

test('says which version is not applied, and which is none', async ({ applied }) => {
  for (const [version, code] of [
    ['004', 'UNKNOWN_VERSION'],
    ['x', 'USAGE'],
  ] as const) {
    const failing = restoreMigrations({ ...applied.options, versions: [version] });
    await expect(failing).rejects.toMatchObject({ code });
  }
});

test('says where the ledger kept no text', async ({ applied }) => {
  await applied.migration('004_d', `-- ${'x'.repeat(100)}\ncreate table d ();`);
  await migrateUp({ ...applied.options, storedTextLimitBytes: 50 });
  await applied.remove('004_d');
  const failing = restoreMigrations({ ...applied.options, versions: ['004'] });
  await expect(failing).rejects.toMatchObject({ code: 'MISSING_MIGRATION' });
  expect(await list(applied)).not.toContain('004_d.sql');
});

test('never leaves the folder, whatever name the ledger holds', async ({ applied }) => {
  await applied.sql`update evdb.migration set name = '../../out' where version = 1`;
  const failing = restoreMigrations({ ...applied.options, versions: ['001'] });
  await expect(failing).rejects.toMatchObject({ code: 'INVALID_NAME' });
});

test('tells a role that may not read the texts', async ({ applied }) => {
  const reader = await applied.createRole();
  await applied.sql.unsafe(
    `grant usage on schema evdb to ${reader.name}; grant select on evdb.ledger_format, evdb.migration, evdb.history to ${reader.name}`,
  );
  const options = await applied.optionsFor(reader.url);
  const failing = restoreMigrations({ ...options, versions: ['001'] });
  await expect(failing).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
});
