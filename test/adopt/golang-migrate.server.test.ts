import { join } from 'node:path';
import { expect } from 'vitest';
import { migrateDown, migrateUp } from '../../src/index.ts';
import { type AdoptStage, test as base } from './adopt-kit.ts';

/** `migrated`: two of three pairs, and the table as golang-migrate makes it. */
const test = base.extend<{ migrated: AdoptStage }>({
  migrated: async ({ adoption }, use) => {
    const { sql, write } = adoption;
    await sql`create table schema_migrations (version bigint not null primary key, dirty boolean not null)`;
    await sql`create table a (id integer)`;
    await write(
      'db/migrations/000001_a.up.sql',
      'BEGIN;\n\ncreate table a (id integer);\n\nCOMMIT;\n',
    );
    await write('db/migrations/000001_a.down.sql', 'drop table a;\n');
    await write('db/migrations/000002_index.up.sql', 'create index concurrently a_id on a (id);\n');
    await write('db/migrations/000003_c.up.sql', 'create table c ();\r\n');
    await write('db/migrations/000003_c.down.sql', '-- nothing to do\n');
    await use(adoption);
  },
});

async function setVersion({ sql }: AdoptStage, version: number, dirty = false): Promise<void> {
  await sql`truncate schema_migrations`;
  await sql`insert into schema_migrations values (${version}, ${dirty})`;
}

test('takes everything up to the one version that the table holds', async ({ migrated }) => {
  await setVersion(migrated, 2);
  const { adopted, pending, findings } = await migrated.adopt('golang-migrate');
  expect(adopted).toMatchObject([
    { label: '000001', name: 'a', verifiedBy: 'name', appliedAt: null },
    { label: '000002', name: 'index' },
  ]);
  expect(pending).toMatchObject([{ label: '000003', name: 'c' }]);
  expect(findings.map(({ message }) => message)).toEqual([
    expect.stringContaining('keeps only the newest version (2)'),
    'the begin and commit around it are left out',
    '"create index concurrently" needs no-transaction, so the directive is added',
  ]);
  expect(await migrated.files()).toEqual({
    '000001_a.down.sql': 'drop table a;\n',
    '000001_a.sql': 'create table a (id integer);\n',
    '000002_index.sql': '-- evdb: no-transaction\ncreate index concurrently a_id on a (id);\n',
    '000003_c.sql': 'create table c ();\n',
  });
});

test('goes on with evdb from there', async ({ migrated }) => {
  await setVersion(migrated, 1);
  await migrated.adopt('golang-migrate');
  await migrateUp(migrated.options);
  expect(await migrated.relations()).toEqual([
    'a',
    'a_id',
    'c',
    'schema_migrations',
    'schema_migrations_pkey',
  ]);
  await expect(migrateDown(migrated.options)).rejects.toMatchObject({ code: 'MISSING_DOWN' });
  expect(await migrated.sql`select * from schema_migrations`).toEqual([
    { version: '1', dirty: false },
  ]);
});

test('takes nothing as applied where the table is empty', async ({ migrated }) => {
  expect(await migrated.adopt('golang-migrate')).toMatchObject({
    adopted: [],
    pending: [{}, {}, {}],
  });
});

test.for([2, -1])('refuses version %s when it is dirty', async (version, { migrated }) => {
  await setVersion(migrated, version, true);
  await expect(migrated.adopt('golang-migrate')).rejects.toMatchObject({
    code: 'ADOPTION_REFUSED',
    details: {
      findings: expect.arrayContaining([
        expect.objectContaining({
          severity: 'error',
          message: expect.stringContaining(`version ${version} is dirty`),
          hint: expect.stringContaining('migrate force'),
        }),
      ]),
    },
  });
  expect(await migrated.files()).toEqual({});
});

test('tells of a version without a file', async ({ migrated }) => {
  await setVersion(migrated, 9);
  const { adopted, findings } = await migrated.adopt('golang-migrate');
  expect(adopted).toHaveLength(3);
  expect(findings).toContainEqual(
    expect.objectContaining({
      severity: 'warning',
      message: 'version 9 is applied and has no file',
    }),
  );
});

test('refuses two files of one version', async ({ migrated }) => {
  await setVersion(migrated, 1);
  await migrated.write('db/migrations/1_other.up.sql', 'select 1;');
  await expect(migrated.adopt('golang-migrate')).rejects.toMatchObject({
    details: {
      findings: expect.arrayContaining([
        expect.objectContaining({
          location: { file: join('db', 'migrations', '1_other.up.sql') },
          message: 'another file also has version 1, and golang-migrate refuses both',
        }),
      ]),
    },
  });
});

test('gives a version that evdb cannot hold the next number', async ({ migrated }) => {
  await setVersion(migrated, 1);
  await migrated.write('db/migrations/18446744073709551615_huge.up.sql', 'select 1;');
  const { pending, findings } = await migrated.adopt('golang-migrate');
  expect(pending.at(-1)).toMatchObject({ name: 'huge', key: '18446744073709551615' });
  expect(pending.at(-1)?.label.length).toBeLessThan(19);
  expect(findings).toContainEqual(
    expect.objectContaining({ message: expect.stringContaining('more than 18 digits') }),
  );
});

test('begins at 0 where the tool began there', async ({ adoption }) => {
  await adoption.sql`create table schema_migrations (version bigint primary key, dirty boolean)`;
  await setVersion(adoption, 0);
  await adoption.write('migrations/0000_init.up.sql', 'create table a ();');
  await adoption.write('migrations/0001_next.up.sql', 'create table b ();');
  expect(await adoption.adopt('golang-migrate')).toMatchObject({
    adopted: [{ label: '0000', name: 'init' }],
    pending: [{ label: '0001' }],
  });
  await migrateUp(adoption.options);
  expect(await adoption.states()).toEqual(['0000 applied', '0001 applied']);
});
