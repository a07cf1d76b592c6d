import { hash, randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { migrateUp } from '../../src/index.ts';
import { type AdoptStage, test as base } from '../support/adopt-stage.ts';

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

test('takes over what its checksums verify; its 0_init becomes 1', async ({ migrated }) => {
  expect(await migrated.adopt('prisma')).toMatchObject({
    adopted: [
      { label: '1', name: 'init', key: '0_init', verifiedBy: 'checksum' },
      { label: '20240102000000', name: 'next', appliedAt: '2024-01-01T12:00:02.000Z' },
    ],
    findings: [],
  });
  expect(await migrated.files()).toEqual({ '1_init.sql': INIT, '20240102000000_next.sql': NEXT });
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
    expect(findings).toMatchObject([{ severity: 'note' }]);
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

test('takes what was rolled back as pending, and what was tried again as applied', async ({
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
