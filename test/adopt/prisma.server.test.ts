import { hash, randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { migrateUp, readDrift } from '../../src/index.ts';
import { type AdoptStage, test as base } from './adopt-kit.ts';

const INIT = '-- CreateTable\nCREATE TABLE "User" (id integer);\n';
const NEXT = 'ALTER TABLE "User" ADD COLUMN name text;\n';

/** `migrated`: a baseline and one more, both applied, and the table as Prisma makes it. */
const test = base.extend<{ migrated: AdoptStage }>({
  migrated: async ({ adoption }, use) => {
    const { sql, write } = adoption;
    await sql`
      create table _prisma_migrations (
        id varchar(36) primary key,
        checksum varchar(64) not null,
        finished_at timestamptz,
        migration_name varchar(255) not null,
        logs text,
        rolled_back_at timestamptz,
        started_at timestamptz not null default now(),
        applied_steps_count integer not null default 0
      )`;
    await write('prisma/migrations/migration_lock.toml', 'provider = "postgresql"\n');
    await write('prisma/migrations/0_init/migration.sql', INIT);
    await write('prisma/migrations/20240102000000_next/migration.sql', NEXT);
    await record(adoption, '0_init', INIT);
    await record(adoption, '20240102000000_next', NEXT);
    await sql`create table "User" (id integer, name text)`;
    await use(adoption);
  },
});

async function record(
  { sql }: AdoptStage,
  name: string,
  text: string,
  { isDone = true, isRolledBack = false } = {},
): Promise<void> {
  const checksum = hash('sha256', text, 'hex');
  await sql`
    insert into _prisma_migrations (id, checksum, finished_at, migration_name, rolled_back_at, started_at)
    values (
      ${randomUUID()}, ${checksum}, ${isDone ? '2024-01-01 12:00:02Z' : null}, ${name},
      ${isRolledBack ? '2024-01-01 13:00Z' : null}, '2024-01-01 12:00Z'
    )`;
}

test('takes over what its checksums verify, its 0_init too', async ({ migrated }) => {
  expect(await migrated.adopt('prisma')).toMatchObject({
    adopted: [
      { label: '0', name: 'init', key: '0_init', verifiedBy: 'checksum' },
      { label: '20240102000000', name: 'next', appliedAt: '2024-01-01T12:00:02.000Z' },
    ],
    findings: [],
  });
  expect(await migrated.files()).toEqual({ '0_init.sql': INIT, '20240102000000_next.sql': NEXT });
  expect(await migrated.sql`select distinct duration_ms from evdb.migration`).toEqual([
    { duration_ms: 2000 },
  ]);
  expect(await migrateUp(migrated.options)).toMatchObject({ steps: [] });
});

test.for(['\r\n', '\n'])(
  'takes a checkout with other line ends than %j',
  async (eol, { migrated }) => {
    const other = eol === '\n' ? '\r\n' : '\n';
    const path = 'prisma/migrations/20240103000000_eol/migration.sql';
    await migrated.write(path, `select 1;${other}select 2;${other}`);
    await record(migrated, '20240103000000_eol', `select 1;${eol}select 2;${eol}`);
    const { adopted, findings } = await migrated.adopt('prisma');
    expect(adopted.at(-1)).toMatchObject({ name: 'eol', verifiedBy: 'checksum' });
    expect(findings).toMatchObject([{ severity: 'info' }]);
  },
);

test('refuses what was started and has neither finished nor been rolled back', async ({
  migrated,
}) => {
  await migrated.write('prisma/migrations/20240103000000_bad/migration.sql', 'select 1/0;');
  await record(migrated, '20240103000000_bad', 'select 1/0;', { isDone: false });
  await expect(migrated.adopt('prisma')).rejects.toMatchObject({
    details: {
      findings: [
        {
          message: expect.stringContaining('20240103000000_bad was started'),
          hint: expect.stringContaining('prisma migrate resolve --rolled-back'),
        },
      ],
    },
  });
});

test('counts what was rolled back as pending, and what was tried again as applied', async ({
  migrated,
}) => {
  for (const name of ['20240103000000_later', '20240104000000_again']) {
    await migrated.write(`prisma/migrations/${name}/migration.sql`, 'select 1;');
    await record(migrated, name, 'select 1/0;', { isDone: false, isRolledBack: true });
  }
  await record(migrated, '20240104000000_again', 'select 1;');
  expect(await migrated.adopt('prisma')).toMatchObject({
    adopted: [{}, {}, { name: 'again' }],
    pending: [{ name: 'later' }],
  });
});

test('refuses an edited file, and one for another database', async ({ migrated }) => {
  await migrated.write('prisma/migrations/20240102000000_next/migration.sql', 'select 1;');
  await migrated.write('prisma/migrations/migration_lock.toml', 'provider = "mysql"\n');
  await expect(migrated.adopt('prisma')).rejects.toMatchObject({
    details: {
      findings: [
        { message: 'these migrations are not for PostgreSQL' },
        { message: expect.stringMatching(/^it is not what prisma applied/) },
      ],
    },
  });
});

test('keeps the order of Prisma, which sorts by text, and tells folders of one time apart', async ({
  migrated,
}) => {
  const names = ['20240101000000_a', '20240101000000_b', '20240615_add_b', '20240701000000_c'];
  for (const name of names) {
    const text = `create table ${name.replace(/^\d+_/, 't_')} ();\n`;
    await migrated.write(`prisma/migrations/${name}/migration.sql`, text);
    await record(migrated, name, text);
  }
  const { adopted } = await migrated.adopt('prisma');
  expect(adopted.map(({ label, key }) => `${label} ${key}`)).toEqual([
    '0 0_init',
    '20240101000000 20240101000000_a',
    '20240101000001 20240101000000_b',
    '20240102000000 20240102000000_next',
    '20240102000001 20240615_add_b',
    '20240701000000 20240701000000_c',
  ]);
  expect(await migrateUp(migrated.options)).toMatchObject({ steps: [] });
});

test('takes begin and commit out, so that new databases and drift work', async ({ migrated }) => {
  const text = `BEGIN;
CREATE TYPE "C_new" AS ENUM ('R');
ALTER TYPE "C_new" RENAME TO "C";
COMMIT;

-- AlterTable
ALTER TABLE "User" DROP COLUMN name;
`;
  await migrated.write('prisma/migrations/20240201000000_enum/migration.sql', text);
  await record(migrated, '20240201000000_enum', text);
  await migrated.sql.unsafe(`create type "C" as enum ('R'); alter table "User" drop column name`);
  const { findings } = await migrated.adopt('prisma');
  expect(findings).toMatchObject([
    { message: expect.stringContaining('evdb runs it as one transaction') },
  ]);
  await migrateUp({ ...migrated.options, schema: 'copy' });
  const { differences } = await readDrift(migrated.options);
  const ours = differences.filter((one) => !JSON.stringify(one).includes('_prisma_migrations'));
  expect(ours).toEqual([]);
});

test('takes a file whose transactions somebody took out by hand for the same', async ({
  migrated,
}) => {
  const text = 'BEGIN;\nBEGIN;\ncreate table x ();\nCOMMIT;\n';
  const name = '20240201000000_by_hand';
  await migrated.write(`prisma/migrations/${name}/migration.sql`, text);
  await record(migrated, name, text);
  const { findings } = await migrated.adopt('prisma');
  expect(findings).toMatchObject([
    { severity: 'warning', hint: expect.stringContaining('repair') },
  ]);
  await migrated.write(`db/evdb/${name}.sql`, text.replaceAll(/BEGIN;\n|COMMIT;\n/g, ''));
  expect(await migrateUp(migrated.options)).toMatchObject({
    steps: [],
    warnings: [{ code: 'REWORDED' }],
  });
});
