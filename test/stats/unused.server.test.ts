import { expect } from 'vitest';
import { readUnusedIndexes } from '../../src/stats/unused.ts';
import { useInOwnSession } from '../event-schema/index-usage-kit.ts';
import { test as eventTest } from '../support/fixture.ts';
import { inspect, test } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

/** Judges counters of any age: those of a test are always young. */
const judge = (url: string) =>
  inspect(url, (session) => readUnusedIndexes(session, { minimumAgeMs: 0 }));

test('names what nobody scans, with the statements to drop it and to make it again', async ({
  emptyDb,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create schema "A ""b"""; set search_path = "A ""b""";
    create table "T x" (id int primary key, "Col y" text, other int);
    create index "Idle 'i'" on "T x" ("Col y" desc) where other > 0;
    create index used on "T x" (other)`);
  // Counters reach the views when a session ends.
  await useInOwnSession(url, [
    'insert into "A ""b"""."T x" select n, n, n from generate_series(1, 1000) n',
    'analyze "A ""b"""."T x"',
    'set enable_seqscan = off; set enable_bitmapscan = off',
    'select * from "A ""b"""."T x" where other = 7',
  ]);
  const report = await eventually(async () => {
    const found = await judge(url);
    return found.rows.length === 1 && found.rows[0]?.tableWrites === 1000 ? found : undefined;
  });
  expect(report.rows).toMatchObject([
    {
      schema: 'A "b"',
      table: 'T x',
      index: "Idle 'i'",
      isSizeEstimated: false,
      caveat: null,
      tableWrites: 1000,
    },
  ]);
  expect(report.countedSince).toBeInstanceOf(Date);
  const [row] = report.rows;
  const definitions = async () =>
    sql`select indexname, indexdef from pg_indexes where schemaname = 'A "b"' order by 1`;
  const before = [...(await definitions())];
  await sql.unsafe(row?.dropSql ?? '');
  expect((await definitions()).length).toBe(before.length - 1);
  expect((await judge(url)).rows).toEqual([]);
  await sql.unsafe(row?.revertSql ?? '');
  expect([...(await definitions())]).toEqual(before);
});

test('keeps out what is needed without being scanned, and says so', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table parent (id int primary key);
    create table child (id int not null, parent_id int references parent, name text, during int4range);
    create unique index child_unique on child (name);
    create unique index child_identity on child (id);
    alter table child replica identity using index child_identity;
    alter table child add exclude using gist (during with &&);
    create index child_fk on child (parent_id, id);
    create index child_ordered on child (during);
    cluster child using child_ordered;
    create index child_expression on child (lower(name));
    create table of_extension (id int);
    create index of_extension_idx on of_extension (id);
    alter extension plpgsql add table of_extension;
    create index child_idle on child (id, name)`);
  const { rows, notes } = await judge(url);
  expect(rows.map(({ index }) => index)).toEqual(['child_idle']);
  expect(notes.find(({ level }) => level === 'info')?.text).toBe(
    'left out, though never scanned: 4 enforce uniqueness or a constraint; 1 supports a foreign key; 1 orders its table for CLUSTER; 1 has expressions, whose statistics the planner uses',
  );
  await sql.unsafe(`alter table child drop constraint child_parent_id_fkey;
    alter table child set without cluster`);
  const later = await judge(url);
  expect(later.rows.map(({ index }) => index).sort()).toEqual([
    'child_fk',
    'child_idle',
    'child_ordered',
  ]);
  await sql.unsafe('alter extension plpgsql drop table of_extension');
});

test('judges a partitioned index as a whole', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table log (id int, at date) partition by range (at);
    create table log_1 partition of log for values from ('2026-01-01') to ('2026-02-01');
    create table log_2 partition of log for values from ('2026-02-01') to ('2026-03-01');
    create index log_id_idx on log (id);
    create index log_at_idx on log (at);
    insert into log select n, '2026-01-05' from generate_series(1, 1000) n;
    analyze log`);
  await useInOwnSession(url, [
    'set enable_seqscan = off; set enable_bitmapscan = off',
    `select * from log_1 where id = 7`,
  ]);
  const [row, ...more] = await eventually(async () => {
    const { rows } = await judge(url);
    return rows.length === 1 ? rows : undefined;
  });
  expect(more).toEqual([]);
  expect(row).toMatchObject({
    index: 'log_at_idx',
    partitions: 2,
    dropSql: 'drop index public.log_at_idx;',
    revertSql: 'CREATE INDEX log_at_idx ON public.log USING btree (at);',
  });
  await sql.unsafe(row?.dropSql ?? '');
  await sql.unsafe(row?.revertSql ?? '');
  const [made] = await sql`select count(*)::int as indexes, bool_and(indisvalid) as "areValid"
    from pg_index i join pg_class c on c.oid = indexrelid where c.relname like 'log%at_idx'`;
  expect(made).toEqual({ indexes: 3, areValid: true });
});

test('refuses to judge counters that are younger than a week', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table t (id int); create index t_idle on t (id)');
  const { rows, notes } = await inspect(url, (session) => readUnusedIndexes(session));
  expect(rows).toEqual([]);
  expect(notes).toMatchObject([
    {
      level: 'unknown',
      text: expect.stringMatching(
        /^nothing is judged: .* \d+ minutes?, and less than 7 days proves/,
      ),
    },
  ]);
  expect((await judge(url)).rows).toMatchObject([
    { index: 't_idle', caveat: 'the table was never read either: this proves nothing yet' },
  ]);
});

test('takes a database that is younger than its server for as young as it is', async ({
  emptyDb,
  live,
}) => {
  // Up to 14 a database has a time of its own from its first session on, which a process of its own notes
  // a little later.
  const facts = await eventually(async () => {
    const [row] = await emptyDb.sql`
      select d.stats_reset as own, b.stats_reset as server,
        (pg_stat_file('base/' || d.datid || '/PG_VERSION')).modification as born,
        current_setting('server_version_num')::int >= 150000 as "isNew"
      from pg_stat_database d, pg_stat_bgwriter b where d.datname = current_database()`;
    return row?.isNew || row?.own ? row : undefined;
  });
  expect(facts.born.getTime()).toBeGreaterThan(facts.server.getTime());
  const asOwner = await judge(emptyDb.url);
  expect(asOwner.countedSince).toEqual(facts.own ?? facts.born);
  // Who may not look at files knows only the server.
  const asPlain = await judge(live.plainUrl);
  expect(asPlain.countedSince).toEqual(facts.own ?? facts.server);
});

test('estimates what is locked and leaves its definition out', async ({ emptyDb, sessions }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table held (id int); create index held_idx on held (id)');
  const holder = sessions.open(url);
  await holder.unsafe('begin; truncate held');
  const { rows, notes } = await judge(url);
  expect(rows).toMatchObject([
    { index: 'held_idx', isSizeEstimated: true, definition: null, revertSql: null },
  ]);
  expect(notes.some(({ text }) => text.includes('is an estimate'))).toBe(true);
  await holder.unsafe('rollback');
  expect((await judge(url)).rows).toMatchObject([{ isSizeEstimated: false }]);
});

eventTest('agrees with the function of the event schema on what it judges too', async ({ db }) => {
  await db.sql.unsafe('create index idle on events (title, location)');
  const { rows } = await judge(db.url);
  const functionRows = await db.sql<{ indexname: string }[]>`
    select indexname from get_unused_indexes() u
    where coalesce(caveat, '') !~ 'expressions|cluster' order by indexname`;
  expect(rows.map(({ index }) => index).sort()).toEqual(
    functionRows.map(({ indexname }) => indexname).sort(),
  );
  expect(rows.map(({ index }) => index)).toContain('idle');
});
