import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect, vi } from 'vitest';
import { openSession } from '../../../src/connection/session.ts';
import {
  baselineMigrations,
  migrateDown,
  migrateUp,
  type OnMigrationProgress,
  readBackfills,
  readStatus,
  repairMigrations,
} from '../../../src/index.ts';
import { LEDGER_FORMAT } from '../../../src/migrate/ledger/ledger.ts';
import { createLedger } from '../../../src/migrate/ledger/ledger-schema.ts';
import { readCatalog } from '../../support/catalog.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';
import { failureOf, POLL } from '../../support/waiting.ts';

const FORMAT_1 = new URL('../../support/ledger-format-1.sql', import.meta.url);

/** A database where an evdb of ledger format 1 has applied 001, beside a folder with 002 too. */
async function applyWithFormat1(stage: MigrateStage): Promise<void> {
  await stage.sql.unsafe(await readFile(FORMAT_1, 'utf8'));
  await stage.migration('001_a', 'create table a (id int);\n', 'drop table a;\n');
  await stage.sql.unsafe('create table a (id int)');
  const text = 'create table a (id int);\n';
  const checksum = createHash('sha256').update(text).digest('hex');
  await stage.sql`
    select evdb.record_up('public', 1, '001', 'a', ${checksum}, 'tokens', 1, ${text},
      ${'drop table a;\n'}, 'me', 'here', '0.1.0', null, null)`;
  await stage.migration('002_b', 'create table b ();\n', 'drop table b;\n');
}

function formatOf(stage: MigrateStage) {
  return stage.sql`select format from evdb.ledger_format`;
}

test('a ledger of format 1 is read as it is by what only reads', async ({ stage }) => {
  await applyWithFormat1(stage);
  const before = await readCatalog(stage.sql, 'evdb');
  expect(await readStatus(stage.options)).toMatchObject({ counts: { applied: 1, pending: 1 } });
  expect(await migrateUp({ ...stage.options, to: '1' })).toMatchObject({ steps: [] });
  expect(await readCatalog(stage.sql, 'evdb')).toEqual(before);
  expect(await formatOf(stage)).toEqual([{ format: 1 }]);
});

test('a ledger of format 1 is upgraded by what writes, and everything goes on', async ({
  stage,
}) => {
  await applyWithFormat1(stage);
  await migrateUp(stage.options);
  expect(await formatOf(stage)).toEqual([{ format: LEDGER_FORMAT }]);
  expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
  await migrateDown({ ...stage.options, to: '0' });
  expect(await stage.history()).toEqual(['up 001', 'up 002', 'down 002', 'down 001']);
  expect(await stage.relations()).toEqual([]);
});

test('an upgraded ledger is the same as a new one', async ({ stage }) => {
  await applyWithFormat1(stage);
  await migrateUp(stage.options);
  const upgraded = await readCatalog(stage.sql, 'evdb');
  await stage.sql`drop schema evdb cascade`;
  const session = await openSession(stage.options.connection);
  await createLedger(session, 'evdb', { schemaExists: false });
  await session.close();
  expect(upgraded).toEqual(await readCatalog(stage.sql, 'evdb'));
});

test('a ledger of format 2 is upgraded, so that it can hold a version 0', async ({ stage }) => {
  await applyWithFormat1(stage);
  await migrateUp(stage.options);
  await stage.sql.unsafe(`
    alter table evdb.migration
      drop constraint migration_version_is_natural,
      add constraint migration_version_is_positive check (version > 0);
    update evdb.ledger_format set format = 2`);
  await stage.migration('000_z', 'create table z ();\n', 'drop table z;\n');
  await migrateUp({ ...stage.options, outOfOrder: true });
  expect(await stage.ledger()).toEqual(['000 applied', '001 applied', '002 applied']);
  expect(await formatOf(stage)).toEqual([{ format: LEDGER_FORMAT }]);
});

test('two that want to upgrade a ledger at once do it once', async ({ stage }) => {
  await applyWithFormat1(stage);
  const holder = stage.openOther();
  await holder.unsafe('begin; lock table evdb.migration in access share mode');
  await stage.sql`create schema two`;
  const runs = ['public', 'two'].map((schema) => migrateUp({ ...stage.options, schema }));
  await vi.waitUntil(async () => {
    const waiting = await stage.sql`
      select from pg_stat_activity
      where datname = current_database()
        and (query like '%alter table "evdb".migration%' or query like '%pg_try_advisory_lock%')
        and pid <> pg_backend_pid()`;
    return waiting.length === 2;
  }, POLL);
  await holder.unsafe('rollback');
  await Promise.all(runs);
  expect(await formatOf(stage)).toEqual([{ format: LEDGER_FORMAT }]);
  expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
  expect(await stage.ledger('two')).toEqual(['001 applied', '002 applied']);
});

test('a role that may not upgrade the ledger is told what its owner has to run', async ({
  stage,
}) => {
  await applyWithFormat1(stage);
  const { name, url } = await stage.createRole();
  await stage.sql.unsafe(`
    grant usage on schema evdb to ${name};
    grant select, insert, update, delete on all tables in schema evdb to ${name};
    grant create, usage on schema public to ${name};`);
  const options = await stage.optionsFor(url);
  const refused = await migrateUp(options).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    code: 'PERMISSION_DENIED',
    message: `the ledger in schema "evdb" was made by an older evdb, and user "${name}" may not bring it up to date`,
  });
  expect(await formatOf(stage)).toEqual([{ format: 1 }]);
  const statements = / or: (.*)$/.exec((refused as { hint: string }).hint)?.[1];
  await stage.openOther().unsafe(statements ?? 'the hint names no statement');
  await migrateUp(options);
  expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
});

test('a role that may not read a ledger of format 1 is told so', async ({ stage }) => {
  await applyWithFormat1(stage);
  const { name, url } = await stage.createRole();
  await stage.sql.unsafe(`grant usage on schema evdb to ${name}`);
  await expect(readStatus(await stage.optionsFor(url))).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    message: `user "${name}" may not read the ledger in schema "evdb"`,
  });
});

test('what stopped half way in format 1 can only be rolled back', async ({ stage }) => {
  await applyWithFormat1(stage);
  await stage.sql`update evdb.migration set state = 'applying', statements_done = 0`;
  await stage.migration('001_a', '-- evdb: no-transaction\nselect 1;\n', 'drop table a;\n');
  await expect(migrateUp(stage.options)).rejects.toMatchObject({
    code: 'INCOMPLETE_MIGRATION',
    message: '001_a stopped half way with an older evdb, which did not write down what had run',
  });
  await migrateDown(stage.options);
  await migrateUp(stage.options);
  expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
});

test('a ledger of format 1 is upgraded by a repair and by a baseline too', async ({ stage }) => {
  await applyWithFormat1(stage);
  await stage.remove('001_a');
  await repairMigrations({ ...stage.options, version: '1', confirm: true });
  expect(await formatOf(stage)).toEqual([{ format: LEDGER_FORMAT }]);
  await baselineMigrations({ ...stage.options, version: '2', confirm: true });
  expect(await stage.history()).toEqual(['up 001', 'repaired 001', 'baseline 002']);
});

test('a ledger of format 9 with a backfill under way is read, upgraded, and continued by workers', async ({
  stage,
}) => {
  await stage.sql.unsafe(`
    create table events (id int primary key, n int not null default 0);
    insert into events (id) select generate_series(1, 200)`);
  await stage.migration(
    '001_n',
    '-- evdb: backfill events\n-- evdb: batch-rows 5\n-- evdb: batch-time 10min\nupdate events set n = n + 1;',
  );
  const stop = new AbortController();
  const onProgress: OnMigrationProgress = ({ kind }) => {
    if (kind === 'backfill') stop.abort(new Error('stopped'));
  };
  await failureOf(migrateUp({ ...stage.options, onProgress, signal: stop.signal }));
  await stage.sql.unsafe(`
    drop table evdb.backfill_segment;
    alter table evdb.backfill drop column segments, drop column workers;
    update evdb.ledger_format set format = 9`);
  expect(await readBackfills(stage.options)).toMatchObject({
    backfills: [{ state: 'stopped', rowsChanged: 5, cursor: { id: '5' } }],
  });
  expect(await formatOf(stage)).toEqual([{ format: 9 }]);
  const reader = await stage.createRole();
  await stage.sql.unsafe(`
    grant usage on schema evdb to ${reader.name};
    grant select on evdb.backfill, evdb.migration to ${reader.name}`);
  const reading = await stage.optionsFor(reader.url);
  let seen: unknown;
  await migrateUp({
    ...stage.options,
    backfill: { workers: 3 },
    onProgress: ({ kind }) => {
      if (kind === 'backfill') seen ??= readBackfills(reading);
    },
  });
  expect(await seen).toMatchObject({ schema: 'public' });
  expect(await stage.sql`select distinct n from events`).toEqual([{ n: 1 }]);
  expect(await formatOf(stage)).toEqual([{ format: LEDGER_FORMAT }]);
});

test('a ledger of format 8 is upgraded, and who may read or write it may do so with repeatables', async ({
  stage,
}) => {
  await stage.migration('001_a', 'create table a (id int);', 'drop table a;');
  await migrateUp(stage.options);
  await stage.sql.unsafe(`
    drop table evdb.repeatable, evdb.repeatable_text;
    update evdb.ledger_format set format = 8`);
  const reader = await stage.createRole();
  const writer = await stage.createRole();
  await stage.sql.unsafe(`
    grant usage on schema evdb to ${reader.name}, ${writer.name};
    grant create, usage on schema public to ${writer.name};
    grant select on evdb.ledger_format, evdb.migration, evdb.history to ${reader.name};
    grant select, insert, update, delete on all tables in schema evdb to ${writer.name}`);
  const reading = await stage.optionsFor(reader.url);
  expect(await readStatus(reading)).toMatchObject({ counts: { applied: 1 } });
  await stage.migration('repeatable/one', 'create or replace view one as select 1 as one;');
  await migrateUp(stage.options);
  expect(await readStatus(reading)).toMatchObject({ repeatables: [{ state: 'applied' }] });
  const texts = stage.openOther(reader.url)`select from evdb.repeatable_text`;
  await expect(texts).rejects.toMatchObject({ code: '42501' });
  await stage.migration('repeatable/two', 'create or replace view two as select 2 as two;');
  expect(await migrateUp(await stage.optionsFor(writer.url))).toMatchObject({
    repeatables: [{ name: 'two' }],
  });
  expect(await formatOf(stage)).toEqual([{ format: LEDGER_FORMAT }]);
});
