import { hash } from 'node:crypto';
import { expect } from 'vitest';
import { migrateDown, migrateUp } from '../../src/index.ts';
import { type AdoptStage, test as base } from './adopt-kit.ts';

const FIRST = 'create table a (id integer);\n';
const INDEX = '-- no-transaction\ncreate index concurrently a_id on a (id);\n';

/** `migrated`: a pair and a single file, both applied, and the table as sqlx makes it. */
const test = base.extend<{ migrated: AdoptStage }>({
  migrated: async ({ adoption }, use) => {
    const { sql, write } = adoption;
    await sql`
      create table _sqlx_migrations (
        version bigint primary key,
        description text not null,
        installed_on timestamptz not null default now(),
        success boolean not null,
        checksum bytea not null,
        execution_time bigint not null
      )`;
    await write('migrations/20240101000000_first_table.up.sql', FIRST);
    await write('migrations/20240101000000_first_table.down.sql', 'drop table a;\n');
    await write('migrations/20240102000000_index.sql', INDEX);
    await record(adoption, { version: '20240101000000', text: FIRST, executionNs: 1_500_000 });
    await record(adoption, { version: '20240102000000', text: INDEX, executionNs: -1 });
    await sql`create table a (id integer)`;
    await use(adoption);
  },
});

async function record(
  { sql }: AdoptStage,
  row: { version: string; text: string; executionNs: number; success?: boolean },
): Promise<void> {
  const checksum = hash('sha384', row.text, 'buffer');
  const success = row.success ?? true;
  await sql`
    insert into _sqlx_migrations
    values (${row.version}, 'x', '2024-01-01 12:00Z', ${success}, ${checksum}, ${row.executionNs})`;
}

test('takes over what its checksums verify, with times and durations', async ({ migrated }) => {
  expect(await migrated.adopt('sqlx')).toMatchObject({
    adopted: [
      { name: 'first_table', verifiedBy: 'checksum', appliedAt: '2024-01-01T12:00:00.000Z' },
      { name: 'index', verifiedBy: 'checksum' },
    ],
    findings: [],
  });
  expect(await migrated.files()).toEqual({
    '20240101000000_first_table.down.sql': 'drop table a;\n',
    '20240101000000_first_table.sql': FIRST,
    '20240102000000_index.sql': `-- evdb: no-transaction\n${INDEX.split('\n')[1]}\n`,
  });
  expect(await migrated.sql`select duration_ms from evdb.migration order by version`).toEqual([
    { duration_ms: 1.5 },
    { duration_ms: null },
  ]);
  expect(await migrateUp(migrated.options)).toMatchObject({ steps: [] });
  await expect(migrateDown(migrated.options)).rejects.toMatchObject({ code: 'MISSING_DOWN' });
});

test('refuses a file that is not what was applied', async ({ migrated }) => {
  await migrated.write('migrations/20240102000000_index.sql', `${INDEX}-- a word more\n`);
  await expect(migrated.adopt('sqlx')).rejects.toMatchObject({
    details: { findings: [{ message: expect.stringMatching(/^it is not what sqlx applied/) }] },
  });
});

test('takes a checkout with other line ends, and says so', async ({ migrated }) => {
  const path = 'migrations/20240101000000_first_table.up.sql';
  await migrated.write(path, FIRST.replaceAll('\n', '\r\n'));
  const { adopted, findings } = await migrated.adopt('sqlx');
  expect(adopted[0]).toMatchObject({ verifiedBy: 'checksum' });
  expect(findings).toMatchObject([
    { severity: 'info', message: 'it matches what was applied only with other line ends' },
  ]);
});

test('refuses what failed', async ({ migrated }) => {
  const text = 'vacuum;\n';
  await migrated.write('migrations/20240103000000_vacuum.sql', text);
  await record(migrated, { version: '20240103000000', text, executionNs: -1, success: false });
  await expect(migrated.adopt('sqlx')).rejects.toMatchObject({
    details: { findings: [{ message: expect.stringContaining('20240103000000 failed') }] },
  });
});
