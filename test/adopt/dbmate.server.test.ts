import { join } from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { migrateDown, migrateUp, planMigrateAdopt, undoAdoption } from '../../src/index.ts';
import { fetchNpmTool, run } from '../support/npm-tool.ts';
import { type AdoptStage, test } from './adopt-kit.ts';

let program = '';
beforeAll(async () => {
  const modules = await fetchNpmTool('dbmate', ['dbmate@2.36.0']);
  const platform = `${process.platform === 'win32' ? 'win32' : process.platform}-${process.arch}`;
  const extension = process.platform === 'win32' ? '.exe' : '';
  program = join(modules, '@dbmate', platform, 'bin', `dbmate${extension}`);
}, 120_000);

async function dbmate({ dir, url }: AdoptStage, ...args: string[]): Promise<void> {
  const address = new URL(url);
  address.searchParams.set('sslmode', 'disable');
  const env = { ...process.env, DATABASE_URL: address.href };
  const result = await run(program, ['--no-dump-schema', ...args], { cwd: dir, env });
  expect(result).toMatchObject({ code: 0 });
}

const FIRST = `-- the first table
-- migrate:up
create table a (id integer);
create table b (id integer);

-- migrate:down
drop table b;
drop table a;
`;
const INDEX = `-- migrate:up transaction:false
create index concurrently a_id on a (id);
-- migrate:down transaction:false
drop index concurrently a_id;
`;
const NEXT = '-- migrate:up\ncreate table c ();\n-- migrate:down\n';

/** Two files, both applied by dbmate itself. */
async function applyTwo(adoption: AdoptStage): Promise<void> {
  await adoption.write('db/migrations/20240101000000_first.sql', FIRST);
  await adoption.write('db/migrations/20240102000000_an-index.sql', INDEX);
  await dbmate(adoption, 'up');
}

test('takes over files and table, and runs nothing', async ({ adoption }) => {
  await applyTwo(adoption);
  const before = await adoption.contents();
  const result = await adoption.adopt('dbmate');
  expect(result).toMatchObject({
    tool: 'dbmate',
    table: 'public.schema_migrations',
    fromDirectory: join('db', 'migrations'),
    directory: join('db', 'evdb'),
    adopted: [
      { label: '20240101000000', name: 'first', verifiedBy: 'name', appliedAt: null },
      { label: '20240102000000', name: 'an-index', key: '20240102000000' },
    ],
    pending: [],
    findings: [],
  });
  expect(await adoption.files()).toEqual({
    '20240101000000_first.sql':
      '-- the first table\n\ncreate table a (id integer);\ncreate table b (id integer);\n',
    '20240101000000_first.down.sql': 'drop table b;\ndrop table a;\n',
    '20240102000000_an-index.sql':
      '-- evdb: no-transaction\ncreate index concurrently a_id on a (id);\n',
    '20240102000000_an-index.down.sql': '-- evdb: no-transaction\ndrop index concurrently a_id;\n',
  });
  expect(await adoption.contents()).toEqual(before);
  expect(await adoption.states()).toEqual(['20240101000000 applied', '20240102000000 applied']);
  expect(await adoption.sql`select distinct origin, applied_at from evdb.migration`).toEqual([
    { origin: 'adopted:dbmate', applied_at: null },
  ]);
});

test('lets evdb go on: nothing is pending, down works, a new file is applied', async ({
  adoption,
}) => {
  await applyTwo(adoption);
  await adoption.adopt('dbmate');
  expect(await migrateUp(adoption.options)).toMatchObject({ steps: [], warnings: [] });
  await migrateDown(adoption.options);
  expect(await adoption.relations()).not.toContain('a_id');
  await adoption.write('db/evdb/20250101000000_new.sql', 'create table fresh ();');
  await migrateUp(adoption.options);
  expect(await adoption.relations()).toEqual(expect.arrayContaining(['a_id', 'fresh']));
});

test('makes a new database the same way', async ({ adoption }) => {
  await applyTwo(adoption);
  await adoption.adopt('dbmate');
  await migrateUp({ ...adoption.options, schema: 'copy' });
  expect(await adoption.relations('copy')).toEqual(['a', 'a_id', 'b']);
});

test('keeps the order of dbmate, which sorts by text, with other numbers', async ({ adoption }) => {
  const cfg = 'create table cfg (k text primary key, v text);';
  const upsert = (v: string) =>
    `insert into cfg values ('a', '${v}') on conflict (k) do update set v = excluded.v;`;
  const write = (name: string, up: string) =>
    adoption.write(`db/migrations/${name}.sql`, `-- migrate:up\n${up}\n-- migrate:down\n`);
  await write('0001_cfg', cfg);
  await write('10_old', upsert('old'));
  await write('9_new', upsert('new'));
  await dbmate(adoption, 'up');
  expect(await adoption.sql`select v from cfg`).toEqual([{ v: 'new' }]);
  const { adopted, findings } = await adoption.adopt('dbmate');
  expect(adopted.map(({ label, key }) => `${label} ${key}`)).toEqual([
    '0001 0001',
    '10 10',
    '11 9',
  ]);
  expect(findings).toMatchObject([{ message: expect.stringContaining('it gets version 11') }]);
  await migrateUp({ ...adoption.options, schema: 'copy' });
  expect(await adoption.sql`select v from copy.cfg`).toEqual([{ v: 'new' }]);
  // another database, from the same checkout, and this one once more
  const elsewhere = await adoption.adopt('dbmate', { ledgerSchema: 'elsewhere' });
  expect(elsewhere).toMatchObject({ adopted: [{}, {}, { label: '11', key: '9' }], files: [] });
  await write('95_next', 'create table next ();');
  expect(await adoption.adopt('dbmate')).toMatchObject({
    ...{ known: 3, pending: [{ label: '95' }], files: ['95_next.sql'] },
  });
});

test('says that it is adopted already, and takes what dbmate has applied since', async ({
  adoption,
}) => {
  await applyTwo(adoption);
  await adoption.adopt('dbmate');
  expect(await adoption.adopt('dbmate')).toMatchObject({ adopted: [], known: 2, files: [] });
  await adoption.write('db/migrations/20240103000000_next.sql', NEXT);
  await dbmate(adoption, 'up');
  expect(await adoption.adopt('dbmate')).toMatchObject({
    adopted: [{ label: '20240103000000' }],
    known: 2,
    files: ['20240103000000_next.sql'],
  });
});

test('leaves what it took over to evdb, whatever becomes of the files', async ({ adoption }) => {
  await applyTwo(adoption);
  await adoption.write('db/migrations/20240103000000_next.sql', NEXT);
  await adoption.adopt('dbmate');
  await migrateUp(adoption.options);
  await adoption.write('db/evdb/20240101000000_first.sql', 'select 1;');
  await adoption.write('db/migrations/20240102000000_an-index.sql', 'no marker');
  expect(await adoption.adopt('dbmate')).toMatchObject({
    ...{ adopted: [], known: 3, pending: [], files: [], findings: [] },
  });
});

test('takes pending files along, and tells one that is out of order', async ({ adoption }) => {
  await applyTwo(adoption);
  await adoption.write('db/migrations/20240101120000_late.sql', NEXT);
  await adoption.write('db/migrations/20240103000000_next.sql', NEXT);
  const { pending, findings } = await adoption.adopt('dbmate');
  expect(pending.map(({ label }) => label)).toEqual(['20240101120000', '20240103000000']);
  expect(findings).toMatchObject([
    {
      severity: 'warning',
      location: { file: expect.stringContaining('20240101120000_late.sql') },
    },
  ]);
  expect(await adoption.states()).toEqual([
    '20240101000000 applied',
    '20240101120000 outOfOrder',
    '20240102000000 applied',
    '20240103000000 pending',
  ]);
});

test('leaves out what has no file any more, and says so', async ({ adoption }) => {
  await applyTwo(adoption);
  await adoption.sql`insert into schema_migrations values ('20230101000000')`;
  const { adopted, findings } = await adoption.adopt('dbmate');
  expect(adopted).toHaveLength(2);
  expect(findings).toMatchObject([
    { severity: 'warning', message: expect.stringContaining('applied 20230101000000') },
  ]);
});

describe('undoing', () => {
  test('removes rows and files, and leaves the rest as it was', async ({ adoption }) => {
    await applyTwo(adoption);
    await adoption.write('db/migrations/20240103000000_next.sql', NEXT);
    const before = await adoption.contents();
    await adoption.adopt('dbmate');
    const undone = await undoAdoption(adoption.options);
    expect(undone).toMatchObject({
      forgotten: [{ name: 'first' }, { name: 'an-index' }],
      kept: [],
    });
    expect(undone.removed).toHaveLength(5);
    expect(await adoption.files()).toEqual({});
    expect(await adoption.ledger()).toEqual([]);
    expect(await adoption.contents()).toEqual(before);
    await dbmate(adoption, 'up');
    expect(await adoption.adopt('dbmate')).toMatchObject({ known: 0, adopted: [{}, {}, {}] });
    expect(await undoAdoption(adoption.options)).toMatchObject({ forgotten: [{}, {}, {}] });
    expect(await undoAdoption(adoption.options)).toMatchObject({ forgotten: [], removed: [] });
  });

  test('keeps a file that somebody changed', async ({ adoption }) => {
    await applyTwo(adoption);
    await adoption.adopt('dbmate');
    await adoption.write('db/evdb/20240101000000_first.sql', 'create table a ();');
    expect(await undoAdoption(adoption.options)).toMatchObject({
      kept: ['20240101000000_first.sql'],
    });
    expect(Object.keys(await adoption.files())).toEqual(['20240101000000_first.sql']);
  });

  test('asks for consent where evdb has migrated since', async ({ adoption }) => {
    await applyTwo(adoption);
    await adoption.write('db/migrations/20240103000000_next.sql', NEXT);
    await adoption.adopt('dbmate');
    await migrateUp(adoption.options);
    await expect(undoAdoption(adoption.options)).rejects.toMatchObject({
      code: 'CONFIRM_REQUIRED',
    });
    const { forgotten } = await undoAdoption({ ...adoption.options, confirm: true });
    expect(forgotten).toHaveLength(2);
    expect(await adoption.states()).toEqual(['20240103000000 applied']);
  });

  test('lists what stays because evdb has applied it since', async ({ adoption }) => {
    await applyTwo(adoption);
    await adoption.write('db/migrations/20240103000000_next.sql', NEXT);
    await adoption.adopt('dbmate');
    await migrateUp(adoption.options);
    const { removed, kept, applied } = await undoAdoption({ ...adoption.options, confirm: true });
    const left = Object.keys(await adoption.files());
    expect(applied).toEqual([
      { version: '20240103000000', label: '20240103000000', name: 'next', files: left },
    ]);
    expect(left.length).toBeGreaterThan(0);
    expect({ removed: removed.length + left.length, kept }).toEqual({ removed: 5, kept: [] });
  });

  test('removes nothing that an adoption of another database wrote', async ({ adoption }) => {
    await applyTwo(adoption);
    await adoption.adopt('dbmate', { ledgerSchema: 'elsewhere' });
    expect(await adoption.adopt('dbmate')).toMatchObject({ adopted: [{}, {}], files: [] });
    expect(await undoAdoption(adoption.options)).toMatchObject({
      forgotten: [{}, {}],
      removed: [],
    });
    expect(Object.keys(await adoption.files())).toHaveLength(4);
  });
});

describe('refuses', () => {
  test('another folder that is not empty where a file would be another', async ({ adoption }) => {
    await applyTwo(adoption);
    await adoption.write('db/evdb/20240101000000_first.sql', 'create table other ();');
    await expect(adoption.adopt('dbmate')).rejects.toMatchObject({
      code: 'ADOPTION_REFUSED',
      details: {
        findings: [{ message: '20240101000000_first.sql already exists with different SQL' }],
      },
    });
    expect(Object.keys(await adoption.files())).toEqual(['20240101000000_first.sql']);
  });

  test('a folder without a file of dbmate, or none at all', async ({ adoption }) => {
    await expect(adoption.adopt('dbmate')).rejects.toMatchObject({
      code: 'MIGRATIONS_DIR_MISSING',
      hint: 'Name it with --from-dir.',
    });
    await adoption.write('db/migrations/.hidden/001_a.sql', FIRST);
    await adoption.write('db/migrations/readme.md', 'none');
    await expect(adoption.adopt('dbmate')).rejects.toMatchObject({ code: 'MIGRATIONS_DIR_EMPTY' });
  });

  test("dbmate's own folder for evdb's files", async ({ adoption }) => {
    await applyTwo(adoption);
    const directory = join(adoption.dir, 'db/migrations');
    await expect(adoption.adopt('dbmate', { directory })).rejects.toMatchObject({
      code: 'USAGE',
      hint: expect.stringContaining('--write-to'),
    });
  });

  test('a table of golang-migrate or Rails, which has the same name', async ({ adoption }) => {
    await adoption.write('db/migrations/1_a.sql', FIRST);
    await adoption.sql`create table schema_migrations (version bigint primary key, dirty boolean)`;
    const refused = { code: 'ADOPTION_REFUSED', message: expect.stringContaining('no table') };
    await expect(adoption.adopt('dbmate')).rejects.toMatchObject(refused);
    await adoption.sql`alter table schema_migrations drop column dirty`;
    await adoption.sql`create table ar_internal_metadata ()`;
    await expect(adoption.adopt('dbmate')).rejects.toMatchObject(refused);
  });

  test('to choose between two tables, unless one is named or in the target', async ({
    adoption,
  }) => {
    await applyTwo(adoption);
    await adoption.sql`create schema app`;
    await adoption.sql`create table app.schema_migrations (version varchar primary key)`;
    const plan = (more: object) => planMigrateAdopt(adoption.adoptOptions('dbmate', more));
    expect(await plan({})).toMatchObject({ table: 'public.schema_migrations', adopted: [{}, {}] });
    expect(await plan({ schema: 'app' })).toMatchObject({
      table: 'app.schema_migrations',
      adopted: [],
    });
    await expect(plan({ schema: 'other' })).rejects.toMatchObject({ code: 'USAGE' });
    expect(await plan({ schema: 'other', table: 'public.schema_migrations' })).toMatchObject({
      adopted: [{}, {}],
    });
  });
});

test('writes nothing for a plan, not even the ledger', async ({ adoption }) => {
  await applyTwo(adoption);
  expect((await planMigrateAdopt(adoption.adoptOptions('dbmate'))).files).toHaveLength(4);
  expect(await adoption.files()).toEqual({});
  expect(await adoption.sql`select to_regnamespace('evdb') as ledger`).toEqual([{ ledger: null }]);
});

test('leaves no file behind where the ledger cannot be written', async ({ adoption }) => {
  await applyTwo(adoption);
  await migrateUp({ ...adoption.options, directory: await seed(adoption), schema: 'seed' });
  await adoption.sql.unsafe(`
    create function evdb.refuse() returns trigger language plpgsql
      as $$ begin raise exception 'no'; end $$;
    create trigger refuse before insert on evdb.history
      for each row when (new.action = 'adopted') execute function evdb.refuse();`);
  await expect(adoption.adopt('dbmate')).rejects.toThrow('no');
  expect(await adoption.files()).toEqual({});
  expect(await adoption.ledger()).toEqual([]);
});

/** A folder with one migration, for a ledger that is there already. */
async function seed(adoption: AdoptStage): Promise<string> {
  await adoption.write('seed/001_a.sql', 'select 1;');
  return join(adoption.dir, 'seed');
}
