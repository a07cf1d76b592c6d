import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import {
  migrateDown,
  migrateUp,
  planSquash,
  readStatus,
  type SquashOptions,
  validateMigrations,
  writeSquash,
} from '../../../src/index.ts';
import { readStructure } from '../../../src/structure/read/structure.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';
import { inspect } from '../../support/sessions.ts';
import { failureOf } from '../../support/waiting.ts';

async function writeFour(stage: MigrateStage): Promise<void> {
  await stage.migration(
    '001_plans',
    'create table plans (id int generated always as identity primary key, name text not null);',
    'drop table plans;',
  );
  await stage.migration('002_seats', 'alter table plans add seats int;');
  await stage.migration(
    '003_index',
    '-- evdb: no-transaction\ncreate index concurrently plans_by_name on plans (name);',
  );
  await stage.migration('004_later', 'create table later ();');
}

const squash = (stage: MigrateStage, options: Partial<SquashOptions> & { to: string }) =>
  writeSquash({ ...stage.options, ...options });

/** Everything in a schema, without its name. */
async function contentsOf({ url }: MigrateStage, schema: string): Promise<string> {
  const structure = await inspect(url, (session) => readStructure(session, { schemas: [schema] }));
  return JSON.stringify(structure.objects, null, 1).replaceAll(schema, 'target');
}

describe('evdb migrate squash', () => {
  test('names file, line and column of what does not run in a scratch database', async ({
    stage,
  }) => {
    await stage.sql.unsafe(
      'create schema elsewhere; create table elsewhere.o (id int primary key)',
    );
    await stage.migration('001_t', 'create table t (id int);');
    await stage.migration('002_o', 'create table u (id int);\nselect id from elsewhere.o;');
    await migrateUp(stage.options);
    const error = await failureOf(squash(stage, { to: '2' }));
    expect(error).toMatchObject({
      code: 'REPLAY_FAILED',
      location: { line: 2, column: 16 },
      server: { sqlstate: '42P01' },
      details: { line: 2, column: 16, sqlstate: '42P01' },
    });
    expect(error).toHaveProperty('location.file', expect.stringMatching(/002_o\.sql$/));
    expect(error).toHaveProperty('excerpt', expect.stringContaining('select id from elsewhere.o;'));
  });

  test('makes one file of the event schema, equal in any schema', async ({ stage }) => {
    await cp('migrations', stage.options.directory, {
      recursive: true,
      filter: (source) => !source.endsWith('structure.sql'),
    });
    await migrateUp({ ...stage.options, schema: 'by_files' });
    const made = await squash(stage, { to: '16' });
    expect(made).toMatchObject({ replaces: '001-016', isRelocatable: true, rows: [] });
    expect(await readdir(stage.options.directory)).toEqual(['016_baseline.sql', 'squashed']);
    expect(await readdir(join(stage.options.directory, 'squashed', '016'))).toHaveLength(32);

    const { steps } = await migrateUp({ ...stage.options, schema: 'by_baseline' });
    expect(steps.map(({ name }) => name)).toEqual(['baseline']);
    const [files, baseline] = [
      await contentsOf(stage, 'by_files'),
      await contentsOf(stage, 'by_baseline'),
    ];
    expect(baseline.length).toBeGreaterThan(100_000);
    expect(withoutPartitionComments(baseline)).toBe(withoutPartitionComments(files));

    const counted = await migrateUp({ ...stage.options, schema: 'by_files' });
    expect(counted).toMatchObject({ steps: [], counted: [{ label: '016', name: 'baseline' }] });
    const { findings } = await validateMigrations({ ...stage.options, schema: 'by_files' });
    expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
  });

  test('counts as applied where all that it replaces is, and leaves those rows', async ({
    stage,
  }) => {
    await writeFour(stage);
    await migrateUp({ ...stage.options, to: '3' });
    await squash(stage, { to: '3' });
    const status = await readStatus(stage.options);
    expect(status.migrations).toMatchObject([
      { label: '003', name: 'baseline', state: 'applied', replaces: '001-003' },
      { label: '004', state: 'pending' },
    ]);
    const ran = await migrateUp(stage.options);
    expect(ran).toMatchObject({ steps: [{ label: '004' }], counted: [{ label: '003' }] });
    expect(ran.warnings.map(({ code }) => code)).toContain('REPLACED');
    expect(await stage.ledger()).toEqual([
      '001 applied',
      '002 applied',
      '003 applied',
      '004 applied',
    ]);
    expect((await stage.history()).slice(-2)).toEqual(['baseline 003', 'up 004']);
    const [kept] = await stage.sql`select up_text from evdb.migration_text where version = 3`;
    expect(kept?.up_text).toContain('concurrently plans_by_name');
    const again = await migrateUp(stage.options);
    expect(again.counted).toBeUndefined();
    expect(await stage.history()).toHaveLength(5);
    // A build with the old files goes on as before.
    const old = { ...stage.options, directory: join(stage.options.directory, 'squashed', '003') };
    expect((await migrateUp(old)).warnings.map(({ code }) => code)).toEqual(['LEDGER_AHEAD']);
  });

  test('is refused where only some of it is applied, until the old files have run', async ({
    stage,
  }) => {
    await writeFour(stage);
    await migrateUp({ ...stage.options, to: '2' });
    await squash(stage, { to: '3' });
    const { migrations } = await readStatus(stage.options);
    expect(migrations[0]).toMatchObject({ state: 'partial', lacking: ['3'], appliedAt: null });
    const failure = await failureOf(migrateUp(stage.options));
    expect(failure).toMatchObject({
      code: 'PARTIAL_BASELINE',
      message: '003_baseline replaces 001-003, and this database has only 001-002 of that',
    });
    const folder = join(stage.options.directory, 'squashed', '003');
    expect(failure).toHaveProperty('hint', expect.stringContaining('squashed/003'));
    expect(await failureOf(migrateDown(stage.options))).toMatchObject({ code: 'PARTIAL_BASELINE' });
    const { findings } = await validateMigrations(stage.options);
    expect(findings.map(({ code }) => code)).toContain('PARTIAL_BASELINE');

    await migrateUp({ ...stage.options, directory: folder });
    expect(await migrateUp(stage.options)).toMatchObject({
      counted: [{ label: '003' }],
      steps: [{ label: '004' }],
    });
  });

  test('is not rolled back without a down script, and with one takes all rows along', async ({
    stage,
  }) => {
    await writeFour(stage);
    await migrateUp({ ...stage.options, to: '3' });
    const { baseline } = await squash(stage, { to: '3' });
    expect(await failureOf(migrateDown(stage.options))).toMatchObject({ code: 'IRREVERSIBLE' });
    expect(await failureOf(migrateDown({ ...stage.options, fromLedger: true }))).toMatchObject({
      code: 'MISSING_DOWN',
      hint: expect.stringContaining('squashed/003'),
    });
    await writeFile(baseline.path, baseline.text.replace(/^-- evdb: irreversible.*\n/m, ''));
    await writeFile(baseline.path.replace(/sql$/, 'down.sql'), 'drop table plans;');
    await migrateDown(stage.options);
    expect(await stage.ledger()).toEqual([]);
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['003 applied', '004 applied']);
    await migrateDown({ ...stage.options, to: '0' }).catch(() => undefined);
  });

  test('can itself be replaced, wherever a database began', async ({ stage }) => {
    await writeFour(stage);
    await migrateUp({ ...stage.options, schema: 'old' });
    await squash(stage, { to: '3' });
    await migrateUp({ ...stage.options, schema: 'young' });
    const { replaces } = await squash(stage, { to: '4', name: 'second' });
    expect(replaces).toBe('003-004');
    for (const schema of ['old', 'young']) {
      const options = { ...stage.options, schema };
      expect(await migrateUp(options)).toMatchObject({ steps: [], counted: [{ label: '004' }] });
      expect((await readStatus(options)).migrations).toMatchObject([{ state: 'applied' }]);
    }
    await migrateUp({ ...stage.options, schema: 'fresh' });
    expect(await stage.ledger('fresh')).toEqual(['004 applied']);
    expect(await contentsOf(stage, 'fresh')).toBe(await contentsOf(stage, 'old'));
    await stage.sql`delete from evdb.migration where target_schema = 'old' and version = 1`;
    const { migrations } = await readStatus({ ...stage.options, schema: 'old' });
    expect(migrations).toMatchObject([{ state: 'partial', lacking: ['1'] }]);
  });

  test('opens gates of later migrations that name what it replaces', async ({ stage }) => {
    await stage.migration('001_plans', 'create table plans (id int primary key, seats int);');
    await stage.migration(
      '002_fill',
      '-- evdb: backfill plans\nupdate plans set seats = 1 where seats is null;',
    );
    await stage.migration(
      '003_drop',
      '-- evdb: contract\n-- evdb: after backfill 001\n-- evdb: after backfill 2\nalter table plans drop seats;',
    );
    await squash(stage, { to: '2' });
    expect(await migrateUp(stage.options)).toMatchObject({
      steps: [{ label: '002' }, { label: '003' }],
    });
  });

  test('keeps rows that are the same each time, and the sequences behind them', async ({
    stage,
  }) => {
    await writeFour(stage);
    await stage.migration(
      '005_rows',
      `create table seats (plan int references plans, "Row" text, made_at timestamptz default now(), note text);
create function refuse() returns trigger language plpgsql as $$ begin raise 'no more'; end $$;
insert into plans (name, seats) values ('it''s', 1), (E'a\\\\b\\n', null);
insert into seats (plan, "Row") values (2, 'B'), (1, 'A');
create trigger no_more before insert on seats for each row execute function refuse();
create materialized view names as select name from plans;`,
    );
    const { rows, leftToDefault, baseline } = await squash(stage, { to: '5' });
    expect(rows).toEqual([
      { table: 'plans', rows: 2 },
      { table: 'seats', rows: 2 },
    ]);
    expect(leftToDefault).toEqual([{ table: 'seats', column: 'made_at' }]);
    expect(baseline.text).toContain('overriding system value values');
    await migrateUp(stage.options);
    const { sql } = stage;
    expect([...(await sql`select * from plans order by id`)]).toEqual([
      { id: 1, name: "it's", seats: 1 },
      { id: 2, name: 'a\\b\n', seats: null },
    ]);
    expect(await sql`select from seats where made_at > now() - interval '1 hour'`).toHaveLength(2);
    expect(await sql`select from names`).toHaveLength(2);
    const [next] = await sql`insert into plans (name) values ('next') returning id`;
    expect(next?.id).toBe(3);
  });

  test('names rows that a file cannot hold, and leaves them out where that is said', async ({
    stage,
  }) => {
    await stage.migration('001_a', 'create table keys (id uuid, n int);');
    await stage.migration('002_b', 'insert into keys select gen_random_uuid(), 1;');
    const options = { ...stage.options, to: '2' };
    expect(await failureOf(planSquash(options))).toMatchObject({
      code: 'SQUASH_REFUSED',
      message: expect.stringMatching(/differ each time they run: public\.keys\.id$/),
      hint: expect.stringContaining('--without-rows'),
    });
    await stage.migration('003_c', 'insert into keys select null, generate_series(1, 2000);');
    expect(await failureOf(planSquash({ ...options, to: '3' }))).toMatchObject({
      code: 'SQUASH_REFUSED',
      message: expect.stringMatching(/ public\.keys \(2.?001 rows\)/),
    });
    for (const table of ['keys', 'public.keys']) {
      const { rows } = await planSquash({ ...options, to: '3', withoutRows: [table] });
      expect(rows).toEqual([]);
    }
    expect(await failureOf(planSquash({ ...options, withoutRows: ['nowhere'] }))).toMatchObject({
      code: 'USAGE',
    });
  });

  test('keeps the schema in the text where the migrations name it', async ({ stage }) => {
    await stage.migration(
      '001_a',
      `create table public.a (id serial primary key);
comment on schema public is 'ours';
grant usage on schema public to public;`,
    );
    await stage.migration('002_b', 'insert into a default values; select setval($$a_id_seq$$, 7);');
    const { isRelocatable, baseline } = await squash(stage, { to: '2' });
    expect(isRelocatable).toBe(false);
    expect(baseline.text).toContain('create table public.a');
    await migrateUp(stage.options);
    const [row] = await stage.sql`insert into a default values returning id`;
    expect(row?.id).toBe(8);
  });

  test('keeps privileges that came by naming the schema, without the name of a table', async ({
    stage,
  }) => {
    await stage.migration(
      '001_defaults',
      'alter default privileges in schema public grant select on tables to public;',
    );
    await stage.migration('002_c', 'create table c (id int); create sequence s;');
    await stage.migration('003_all', 'grant usage on all sequences in schema public to public;');
    for (const to of ['2', '3']) {
      const { isRelocatable, baseline } = await planSquash({ ...stage.options, to });
      expect(isRelocatable).toBe(false);
      expect(baseline.text).toContain('grant select on table public.c to public;');
    }
    await migrateUp(stage.options);
    const before = await contentsOf(stage, 'public');
    await stage.sql`drop table c; drop sequence s`.simple();
    await stage.sql`alter default privileges in schema public revoke select on tables from public`;
    await stage.sql`delete from evdb.migration where target_schema = 'public'`;
    await squash(stage, { to: '3' });
    await migrateUp(stage.options);
    expect(await contentsOf(stage, 'public')).toBe(before);
  });

  test('keeps statements on the whole server, owners, and refuses a role that is missing', async ({
    stage,
  }) => {
    const { name } = await stage.createRole();
    const role = `do $$ begin if not exists (select from pg_roles where rolname = '${name}') then create role ${name}; end if; end $$;`;
    await stage.migration('001_role', role);
    await stage.migration(
      '002_grant',
      `create table a (); create table b (); grant select on a to ${name}; alter table b owner to ${name};`,
    );
    const { baseline } = await squash(stage, { to: '2' });
    expect(baseline.text).toContain(role);
    await migrateUp(stage.options);
    const [found] = await stage.sql`
      select has_table_privilege(${name}, 'a', 'select') as granted, pg_get_userbyid(relowner) as owner
      from pg_class where oid = 'b'::regclass`;
    expect(found).toMatchObject({ granted: true, owner: name });

    await stage.migration('003_other', 'create role evdb_nobody_has_this;');
    expect(await failureOf(planSquash({ ...stage.options, to: '3' }))).toMatchObject({
      code: 'SQUASH_REFUSED',
      details: { roles: ['evdb_nobody_has_this'] },
    });
  });

  test('refuses what differs between environments or each time, and writes nothing', async ({
    stage,
  }) => {
    await writeFour(stage);
    const before = await readdir(stage.options.directory);
    const refusal = async (to: string, more: object = {}) =>
      failureOf(writeSquash({ ...stage.options, to, ...more }));
    expect(await refusal('1')).toMatchObject({ code: 'SQUASH_REFUSED' });
    expect(await refusal('9')).toMatchObject({ code: 'UNKNOWN_VERSION' });
    expect(await refusal('3', { name: 'index' })).toMatchObject({ code: 'USAGE' });
    expect(await readdir(stage.options.directory)).toEqual(before);
    await stage.migration(
      '005_chance',
      "do $$ begin execute format('create table t_%s ()', md5(random()::text)); end $$;",
    );
    expect(await refusal('5')).toMatchObject({
      code: 'SQUASH_REFUSED',
      message: expect.stringContaining('something else each time'),
    });
    await stage.migration('005_chance', "-- evdb: variables role\nselect :'role';");
    expect(await refusal('5', { variables: { role: 'x' } })).toMatchObject({
      code: 'SQUASH_REFUSED',
      message: expect.stringContaining('005_chance.sql (role)'),
    });
    await mkdir(join(stage.options.directory, 'squashed', '002'), { recursive: true });
    await writeFile(join(stage.options.directory, 'squashed', '002', '001_plans.sql'), '');
    expect(await refusal('2')).toMatchObject({ code: 'FILE_EXISTS' });
  });

  test('says where a file and the baseline that replaces it are both there', async ({ stage }) => {
    await writeFour(stage);
    await squash(stage, { to: '3' });
    await stage.migration('002_seats', 'alter table plans add seats int;');
    expect(await failureOf(migrateUp(stage.options))).toMatchObject({
      code: 'REPLACED_MIGRATION',
      message: '002_seats is still here, and 003_baseline replaces it',
    });
    const { connection: _, ...files } = stage.options;
    const { findings } = await validateMigrations(files);
    expect(findings.map(({ code }) => code)).toContain('REPLACED_MIGRATION');
    await stage.remove('002_seats');
    const path = join(stage.options.directory, '003_baseline.sql');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('replaces 001-003', 'replaces 001-002'));
    expect(await failureOf(migrateUp(stage.options))).toMatchObject({ code: 'DIRECTIVE_INVALID' });
  });
});

/** Partitions take over the comments that their table has when they are made. */
function withoutPartitionComments(contents: string): string {
  return contents.replaceAll(/"comment": "INSERT, UPDATE, DELETE[^"]*"/g, '"comment": ""');
}
