import { describe, expect } from 'vitest';
import { openSession } from '../../../src/connection/session.ts';
import { migrateUp } from '../../../src/index.ts';
import { scriptFromText } from '../../../src/migrate/files/source.ts';
import { statementChecksum } from '../../../src/migrate/ledger/journal.ts';
import { readLedger } from '../../../src/migrate/ledger/ledger.ts';
import { readProvenance } from '../../../src/migrate/ledger/provenance.ts';
import { ledgerKey } from '../../../src/migrate/options.ts';
import { resolveInterrupted } from '../../../src/migrate/repair/repair.ts';
import type { Verdict } from '../../../src/migrate/repair/repair-plan.ts';
import { splitStatements } from '../../../src/sql/statements.ts';
import { isSuperuser, type MigrateStage, test } from '../../support/migrate-kit.ts';

const HEADER = '-- evdb: no-transaction\n';
const FIRST = 'create table seen (n int);\n';

/**
 * Leaves the ledger as a runner leaves it that is killed in the second of three statements: the
 * first is done, the second was begun. It is not run.
 */
async function killIn(stage: MigrateStage, statement: string): Promise<void> {
  await stage.migration('001_a', `${HEADER}${FIRST}select 1/0;`);
  await expect(migrateUp(stage.options)).rejects.toMatchObject({ code: 'MIGRATION_FAILED' });
  const text = `${HEADER}${FIRST}${statement};\ninsert into seen values (3);\n`;
  await stage.migration('001_a', text);
  const script = scriptFromText('001_a.sql', text);
  const checksums = splitStatements(text).map((one) => statementChecksum(script, one));
  await stage.sql`
    update evdb.migration
    set statement_started = 2, statements_total = 3, statement_checksums = ${checksums}`;
}

async function expectWhole(stage: MigrateStage): Promise<void> {
  await migrateUp(stage.options);
  expect(await stage.ledger()).toEqual(['001 applied']);
  expect(await stage.sql`select n from seen`).toEqual([{ n: 3 }]);
  expect(await stage.sql`select from pg_index where not indisvalid`).toEqual([]);
}

/** Which statements ran outside of the script's first and last. */
function ranAgain({ heard }: MigrateStage): boolean {
  const last = heard.findLastIndex(({ kind }) => kind === 'step-started');
  return heard.slice(last).some((told) => told.kind === 'statement' && told.line === 3);
}

/** Makes an index that is not valid, as an interrupted build leaves it. */
async function breakIndex(stage: MigrateStage, name: string): Promise<void> {
  await stage.sql`update pg_index set indisvalid = false where indexrelid = ${name}::regclass`;
}

describe('an interrupted create index concurrently', () => {
  test.for<[string, string]>([
    ['i', 'create index concurrently i on public.t using btree (lower(a) desc, b) where b > 0'],
    ['i', 'create unique index concurrently if not exists i on t (b) include (a)'],
    ['t_b_a_idx', 'create index concurrently on only t (b, a)'],
  ])(
    'is built where nothing of %s is there, and again where it is invalid: %s',
    async ([name, statement], { stage }) => {
      await stage.sql`create table t (dropped int, a text, b int)`;
      await stage.sql`alter table t drop column dropped`;
      await killIn(stage, statement);
      await expectWhole(stage);
      expect(ranAgain(stage)).toBe(true);
      expect(await stage.relations()).toEqual(['seen', 't', name].sort());
      if (!(await isSuperuser(stage.sql))) return;

      await stage.sql`drop table seen`;
      await stage.sql`delete from evdb.migration`;
      await stage.sql`delete from evdb.migration_text`;
      await breakIndex(stage, name);
      await killIn(stage, statement);
      await expectWhole(stage);
      expect(ranAgain(stage)).toBe(true);
      expect(await stage.relations()).toEqual(['seen', 't', name].sort());
    },
  );

  test.for([
    ['create index concurrently i on t (lower(a) desc, b) where b > 0'],
    ['create unique index concurrently i on t (b) include (a)'],
    ['create index concurrently on t using hash (a)'],
  ])('is done where it is there, valid and the same: %s', async ([statement], { stage }) => {
    await stage.sql`create table t (dropped int, a text, b int)`;
    await stage.sql`alter table t drop column dropped`;
    await stage.sql.unsafe(statement as string);
    const before = await stage.relations();
    await killIn(stage, statement as string);
    await expectWhole(stage);
    expect(ranAgain(stage)).toBe(false);
    expect(await stage.relations()).toEqual([...before, 'seen'].sort());
  });

  test.for([
    ['create index i on t (b)'],
    ['create index i on t (a desc)'],
    ['create unique index i on t (a)'],
    ['create index i on t (a) where b > 0'],
    ['create index i on t (a) include (b)'],
    ['create index i on t (a text_pattern_ops)'],
    ['create index i on t (a collate "C")'],
    ['create index i on t using hash (a)'],
    ['create index i on t (a) with (fillfactor = 50)'],
    ['create index i on t (lower(a))'],
  ])('is not taken for done where another one has its name: %s', async ([other], { stage }) => {
    await stage.sql`create table t (a text, b int)`;
    await stage.sql.unsafe(other as string);
    await killIn(stage, 'create index concurrently i on t (a)');
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      server: { sqlstate: '42P07' },
      location: { line: 3 },
    });
    expect(await stage.relations()).toContain('i');
  });

  test('leaves an index alone that another session is building', async ({ stage }) => {
    await stage.sql`create table t as select 1 as a`;
    await killIn(stage, 'create index concurrently i on t (a)');
    const old = stage.openOther();
    await old.unsafe('begin isolation level repeatable read; select * from t');
    const build = stage.openOther().unsafe('create index concurrently i on t (a)').execute();
    const building = () =>
      stage.sql`
        select from pg_stat_progress_create_index
        where datname = current_database() and phase like 'waiting%'`;
    await expect.poll(building).toHaveLength(1);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'LOCKED',
      message: expect.stringMatching(
        /^the index public\.i is not valid yet, and pid \d+ is building/,
      ),
    });
    await old.unsafe('rollback');
    await build;
    await expectWhole(stage);
    expect(ranAgain(stage)).toBe(false);
  });
});

describe('an interrupted', () => {
  test('drop index concurrently runs again until the index is gone', async ({ stage }) => {
    await stage.sql`create table t (a int)`;
    await stage.sql`create index i on t (a)`;
    await killIn(stage, 'drop index concurrently i');
    await expectWhole(stage);
    expect(await stage.relations()).toEqual(['seen', 't']);
  });

  test('drop index concurrently is done where the index is gone', async ({ stage }) => {
    await killIn(stage, 'drop index concurrently i');
    await expectWhole(stage);
    expect(ranAgain(stage)).toBe(false);
  });

  test.for([
    ['reindex index concurrently i'],
    ['reindex (concurrently) table t'],
    ['reindex schema concurrently public'],
  ])('%s drops what it left behind and runs again', async ([statement], { stage, skip }) => {
    if (!(await isSuperuser(stage.sql))) skip('only superusers make an index invalid');
    await stage.sql`create table t (a int)`;
    for (const name of ['i', 'i_ccnew', 'i_ccold1']) {
      await stage.sql`create index ${stage.sql(name)} on t (a)`;
      if (name !== 'i') await breakIndex(stage, name);
    }
    await killIn(stage, statement as string);
    await expectWhole(stage);
    expect(ranAgain(stage)).toBe(true);
    expect(await stage.relations()).toEqual(['i', 'seen', 't']);
  });

  test('detach concurrently runs where the partition is attached, and is done where not', async ({
    stage,
  }) => {
    await stage.sql`create table p (a int) partition by list (a)`;
    await stage.sql`create table p1 partition of p for values in (1)`;
    const statement = 'alter table p detach partition p1 concurrently';
    const attached = () => stage.sql`select from pg_inherits where inhparent = 'p'::regclass`;
    await killIn(stage, statement);
    await expectWhole(stage);
    expect(await attached()).toEqual([]);

    await stage.sql`drop table seen`;
    await stage.sql`truncate evdb.migration, evdb.migration_text`;
    await killIn(stage, statement);
    await expectWhole(stage);
    expect(ranAgain(stage)).toBe(false);
  });

  test('vacuum runs again', async ({ stage }) => {
    await killIn(stage, 'vacuum seen');
    await expectWhole(stage);
    expect(ranAgain(stage)).toBe(true);
  });

  test('create database is done where it is there, and runs where not', async ({ stage }) => {
    const [row] = await stage.sql`select current_database() || '_2' as name`;
    const name = row?.name as string;
    await killIn(stage, `create database ${name}`);
    await expectWhole(stage);
    expect(ranAgain(stage)).toBe(true);
    await stage.sql`drop table seen`;
    await stage.sql`truncate evdb.migration, evdb.migration_text`;
    await killIn(stage, `create database ${name}`);
    await expectWhole(stage);
    expect(ranAgain(stage)).toBe(false);
    await stage.sql`truncate evdb.migration, evdb.migration_text`;
    await stage.sql`drop table seen`;
    await killIn(stage, `drop database ${name}`);
    await expectWhole(stage);
    expect(ranAgain(stage)).toBe(true);
  });
});

describe('a statement of which nobody can know', () => {
  const BATCHES = `create procedure fill() language plpgsql as $$
begin
  insert into seen values (1);
  commit;
  insert into seen values (2);
  perform 1 / (select count(*) from seen where n = 0);
end $$`;

  async function resolve(stage: MigrateStage, as: Verdict): Promise<number> {
    const key = ledgerKey(stage.options);
    const observer = await openSession(stage.options.connection);
    const { rows } = await readLedger(observer, key);
    const provenance = readProvenance(stage.options.directory, {});
    const context = { observer, key, provenance };
    const row = rows[0];
    if (!row) throw new Error('the ledger is empty');
    return resolveInterrupted(context, row, { as, reason: 'looked' }).finally(() =>
      observer.close(),
    );
  }

  test('is refused with the ways out, and settled by whoever looks', async ({ stage }) => {
    await stage.sql.unsafe(BATCHES);
    await killIn(stage, 'call fill()');
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'INCOMPLETE_MIGRATION',
      message:
        '001_a stopped in its statement 2 of 3 (call), and whether that was done cannot be known',
      hint: expect.stringMatching(
        /^It commits on its own.* `evdb migrate repair 001 --as done`; .* --as not-done`; .*`evdb migrate down`/,
      ),
      details: { version: '1', line: 3, statement: 2 },
    });
    expect(await resolve(stage, 'done')).toBe(2);
    await expectWhole(stage);
    expect(ranAgain(stage)).toBe(false);
    expect(await stage.sql`select detail from evdb.history where action = 'repaired'`).toEqual([
      { detail: 'statement 2 of 3 is done: looked' },
    ]);
    await expect(resolve(stage, 'done')).rejects.toMatchObject({
      code: 'USAGE',
      message: '001_a is applied whole: none of its statements is in doubt',
    });
  });

  test('runs again where it is said not to be done', async ({ stage }) => {
    await stage.sql.unsafe(
      BATCHES.replace('perform 1 / (select count(*) from seen where n = 0);', ''),
    );
    await killIn(stage, 'call fill()');
    await resolve(stage, 'not-done');
    await migrateUp(stage.options);
    expect(await stage.sql`select n from seen order by n`).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  test('stays in doubt where it fails half way, since what it committed stays', async ({
    stage,
  }) => {
    await stage.sql.unsafe(BATCHES);
    await stage.migration('001_a', `${HEADER}${FIRST}call fill();`);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      hint: expect.stringMatching(
        /a part of it may be there\. .* settle it before you change the file: .*`evdb migrate repair 001 --as done`; .* --as not-done`\./,
      ),
      server: { sqlstate: '22012' },
    });
    expect(await stage.sql`select n from seen`).toEqual([{ n: 1 }]);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({ code: 'INCOMPLETE_MIGRATION' });
    await stage.migration('001_a', `${HEADER}${FIRST}select 1;`);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'CHANGED_MIGRATION',
      message: 'statement 2 of 001_a is a different one now, after it was begun',
      hint: expect.stringContaining('evdb migrate repair 001 --as not-done'),
    });
  });

  test('is not in doubt where it failed before it had committed anything', async ({ stage }) => {
    await stage.sql.unsafe(BATCHES);
    await stage.migration(
      '001_a',
      `${HEADER}${FIRST}alter table seen add check (n > 5);\ncall fill();`,
    );
    for (const _ of ['the first', 'the second']) {
      await expect(migrateUp(stage.options)).rejects.toMatchObject({
        code: 'MIGRATION_FAILED',
        server: { sqlstate: '23514' },
      });
    }
  });
});
