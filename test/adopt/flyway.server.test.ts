import { crc32 } from 'node:zlib';
import { describe, expect } from 'vitest';
import { migrateDown, migrateUp } from '../../src/index.ts';
import { type AdoptStage, test as base } from './adopt-kit.ts';

const FIRST = 'create table a (id integer);\ncreate table b (id integer);\n';
const VIEW = 'create or replace view v as select id from a;\n';

const placeholder = (name: string) => `$`.concat(`{${name}}`);

interface Row {
  version: string | null;
  description: string;
  text?: string;
  type?: string;
  success?: boolean;
}

/** `migrated`: two versions, an undo and a repeatable, and the table as Flyway makes it. */
const test = base.extend<{ migrated: AdoptStage }>({
  migrated: async ({ adoption }, use) => {
    const { sql, write } = adoption;
    await sql`
      create table flyway_schema_history (
        installed_rank integer not null constraint flyway_schema_history_pk primary key,
        version varchar(50),
        description varchar(200) not null,
        type varchar(20) not null,
        script varchar(1000) not null,
        checksum integer,
        installed_by varchar(100) not null,
        installed_on timestamp not null default now(),
        execution_time integer not null,
        success boolean not null
      )`;
    await sql`create table a (id integer)`;
    await write('db/migration/V1__first_tables.sql', FIRST);
    await write('db/migration/U1__first_tables.sql', 'drop table b;\ndrop table a;\n');
    await write('db/migration/more/V2__c.sql', 'create table c ();\n');
    await write('db/migration/R__a_view.sql', VIEW);
    await record(adoption, {
      version: null,
      description: '<< Flyway Schema Creation >>',
      type: 'SCHEMA',
    });
    await record(adoption, { version: '1', description: 'first tables', text: FIRST });
    await record(adoption, { version: '2', description: 'c', text: 'create table c ();\n' });
    await record(adoption, { version: null, description: 'a view', text: VIEW });
    await use(adoption);
  },
});

async function record({ sql }: AdoptStage, row: Row): Promise<void> {
  const { version, description, text, type = 'SQL', success = true } = row;
  const checksum = text === undefined ? null : crc32(text.replaceAll(/[\r\n]/g, '')) | 0;
  await sql`
    insert into flyway_schema_history
    select coalesce(max(installed_rank), 0) + 1, ${version}, ${description}, ${type}, 'script.sql',
      ${checksum}, 'me', '2024-01-01 12:00', 7, ${success}
    from flyway_schema_history`;
}

test('takes over versions, undo files and repeatables', async ({ migrated }) => {
  expect(await migrated.adopt('flyway')).toMatchObject({
    adopted: [
      { label: '1', name: 'first_tables', verifiedBy: 'checksum' },
      { label: '2', name: 'c', file: expect.stringContaining('V2__c.sql'), verifiedBy: 'checksum' },
      { label: '3', name: 'a_view', key: 'R:a view', verifiedBy: 'checksum' },
    ],
    pending: [],
    findings: [],
  });
  expect(await migrated.files()).toEqual({
    '1_first_tables.down.sql': 'drop table b;\ndrop table a;\n',
    '1_first_tables.sql': FIRST,
    '2_c.sql': 'create table c ();\n',
    '3_a_view.sql': `-- adopted from flyway: R__a_view.sql\n${VIEW}`,
  });
  expect(await migrated.sql`select distinct duration_ms from evdb.migration`).toEqual([
    { duration_ms: 7 },
  ]);
  expect(await migrateUp(migrated.options)).toMatchObject({ steps: [] });
  await migrateUp({ ...migrated.options, schema: 'copy' });
  expect(await migrated.relations('copy')).toEqual(['a', 'b', 'c', 'v']);
  await expect(migrateDown(migrated.options)).rejects.toMatchObject({ code: 'MISSING_DOWN' });
});

test('makes whole numbers of dotted versions, in their order', async ({ migrated }) => {
  for (const [version, description] of [
    ['1.1', 'x'],
    ['1_10', 'y'],
    ['01.2.0', 'z'],
  ] as const) {
    await migrated.write(`db/migration/V${version}__${description}.sql`, 'select 1;');
  }
  await record(migrated, { version: '1.1', description: 'x', text: 'select 1;' });
  const { adopted, pending } = await migrated.adopt('flyway');
  expect(adopted.map(({ label, name }) => `${label} ${name}`)).toEqual([
    '1000 first_tables',
    '1001 x',
    '2000 c',
    '2001 a_view',
  ]);
  expect(pending.map(({ label, name }) => `${label} ${name}`)).toEqual(['1002 z', '1010 y']);
});

test('takes a checksum whatever the line ends are', async ({ migrated }) => {
  await migrated.write(
    'db/migration/V1__first_tables.sql',
    `\ufeff${FIRST.replaceAll('\n', '\r\n')}`,
  );
  const { adopted, findings } = await migrated.adopt('flyway');
  expect(adopted[0]).toMatchObject({ verifiedBy: 'checksum' });
  expect(findings).toEqual([]);
});

test('takes what a baseline covers as applied', async ({ migrated }) => {
  await migrated.sql`delete from flyway_schema_history where version is not null`;
  await record(migrated, { version: '1', description: '<< Flyway Baseline >>', type: 'BASELINE' });
  expect(await migrated.adopt('flyway')).toMatchObject({
    adopted: [{ label: '1', verifiedBy: 'name' }, { label: '3' }],
    pending: [{ label: '2' }],
  });
});

describe('a baseline file', () => {
  test('is left out where the files that it stands for are here', async ({ migrated }) => {
    await migrated.write('db/migration/B2__everything.sql', 'select 1;');
    const { adopted, findings } = await migrated.adopt('flyway');
    expect(adopted).toHaveLength(3);
    expect(findings).toMatchObject([
      { severity: 'info', message: expect.stringContaining('baseline of files') },
    ]);
  });

  test('becomes a migration where they are gone', async ({ adoption, migrated }) => {
    await migrated.sql`truncate flyway_schema_history`;
    await record(migrated, { version: '5', description: 'all', type: 'SQL_BASELINE' });
    await adoption.write('flyway/B5__all.sql', 'create table a ();');
    await adoption.write('flyway/V6__next.sql', 'create table b ();');
    expect(await adoption.adopt('flyway', { fromDirectory: 'flyway' })).toMatchObject({
      adopted: [{ label: '5', name: 'all' }],
      pending: [{ label: '6', name: 'next' }],
    });
  });
});

test('takes what was undone or deleted as pending', async ({ migrated }) => {
  await record(migrated, { version: '2', description: 'c', type: 'UNDO_SQL' });
  expect(await migrated.adopt('flyway')).toMatchObject({ pending: [{ label: '2', name: 'c' }] });
});

test('reads the sidecar of a file', async ({ migrated }) => {
  await migrated.write(
    'db/migration/V3__i.sql',
    `create index concurrently i on a (id); select '${placeholder('x')}';`,
  );
  const conf = 'executeInTransaction=false\nplaceholderReplacement=false\n';
  await migrated.write('db/migration/V3__i.sql.conf', conf);
  await migrated.adopt('flyway');
  expect((await migrated.files())['3_i.sql']).toMatch(/^-- evdb: no-transaction\n/);
});

describe('refuses', () => {
  test('what failed', async ({ migrated }) => {
    await record(migrated, { version: '3', description: 'bad', success: false });
    await expect(migrated.adopt('flyway')).rejects.toMatchObject({
      details: {
        findings: [
          {
            message: 'the table says that version 3 (bad) failed (success is false)',
            hint: expect.stringContaining('flyway repair'),
          },
        ],
      },
    });
  });

  test('an edited file, and a repeatable that would run again', async ({ migrated }) => {
    await migrated.write('db/migration/V1__first_tables.sql', 'create table a ();');
    await migrated.write('db/migration/R__a_view.sql', 'create or replace view v as select 1;');
    await expect(migrated.adopt('flyway')).rejects.toMatchObject({
      details: {
        findings: [
          {
            location: { file: expect.stringContaining('V1__') },
            message: expect.stringContaining('not what flyway applied'),
          },
          {
            location: { file: expect.stringContaining('R__') },
            message: expect.stringContaining('not what flyway applied'),
          },
        ],
      },
    });
  });

  test('placeholders and code', async ({ migrated }) => {
    await migrated.write('db/migration/V3__p.sql', `create schema ${placeholder('app_schema')};`);
    await migrated.write('db/migration/V4__Code.java', 'class V4__Code {}');
    await expect(migrated.adopt('flyway')).rejects.toMatchObject({
      details: {
        findings: [
          { message: 'it is code or a script, not SQL' },
          {
            message: `it uses the placeholder ${placeholder('app_schema')}; in evdb it is a variable, :"app_schema" or :'app_schema', behind the line -- evdb: variables app_schema`,
          },
        ],
      },
    });
  });
});

test('gives what would have too many digits, and what runs last, the next number', async ({
  migrated,
}) => {
  await migrated.write('db/migration/V20240101120000.1.1.1__long.sql', 'select 1;');
  const { adopted, pending } = await migrated.adopt('flyway');
  expect(pending).toMatchObject([{ label: '2000000001', name: 'long' }]);
  expect(adopted.at(-1)).toMatchObject({ label: '2000000002', name: 'a_view' });
  const files = await migrated.files();
  expect(files['2000000002_a_view.sql']).toContain('-- adopted from flyway: R__a_view.sql\n');
});

test('keeps the numbers that files got, when versions come in between', async ({ migrated }) => {
  await migrated.adopt('flyway');
  const before = Object.keys(await migrated.files());
  await migrated.write('db/migration/V1_5__between.sql', 'select 1;');
  await migrated.write('db/migration/V3__last.sql', 'select 3;');
  const { known, files, pending } = await migrated.adopt('flyway');
  expect({ known, files }).toEqual({ known: 3, files: ['1005_between.sql', '3000_last.sql'] });
  expect(pending).toHaveLength(2);
  expect(Object.keys(await migrated.files())).toEqual([...before, ...files].sort());
});

test.for([
  ['', '__', '.sql'],
  ['mig-', '-', '.psql.sql'],
] as const)(
  'finds files with the prefix %j, as the table calls them',
  async ([prefix, separator, suffix], { migrated }) => {
    const rename = (name: string) =>
      name.replace(/^V(.*?)__/, `${prefix}$1${separator}`).replace(/\.sql$/, suffix);
    await migrated.write(`other/${rename('V1__first_tables.sql')}`, 'create table a ();');
    await migrated.write(`other/${rename('V1_1__later.sql')}`, 'create table z ();');
    await migrated.sql.unsafe(`
    delete from flyway_schema_history;
    insert into flyway_schema_history
    values (1, '1', 'first tables', 'SQL', '${rename('V1__first_tables.sql')}', null, 'me', now(), 1, true)`);
    const result = await migrated.adopt('flyway', { fromDirectory: 'other' });
    expect(result.adopted).toMatchObject([{ key: '1', name: 'first_tables' }]);
    expect(result.pending).toMatchObject([{ key: '1.1', name: 'later' }]);
  },
);
