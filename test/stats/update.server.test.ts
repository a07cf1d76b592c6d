import { expect } from 'vitest';
import { type UpdateStatisticsRow, updateStatistics } from '../../src/stats/update.ts';
import { test as eventTest } from '../support/fixture.ts';
import { connectionTo, test } from '../support/sessions.ts';

const outcomes = (rows: UpdateStatisticsRow[]) =>
  Object.fromEntries(rows.map(({ table, outcome }) => [table, outcome]));

test('analyzes every table, and tells of each as it goes', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(
    `
    create schema "S ""x"""; create table "S ""x"""."T y" (a int);
    create table "S ""x".log (at date) partition by range (at);`.replace(
      '"S ""x".log',
      '"S ""x""".log',
    ) +
      `
    create table "S ""x""".log_1 partition of "S ""x""".log for values from ('2026-01-01') to ('2026-02-01');
    create materialized view mv as select 1 as one;
    insert into "S ""x"""."T y" select generate_series(1, 100);
    insert into "S ""x""".log select '2026-01-05' from generate_series(1, 100)`,
  );
  const seen: string[] = [];
  const { rows } = await updateStatistics(await connectionTo(url), {
    onProgress: (row, done, total) => seen.push(`${row.table} ${done}/${total}`),
  });
  expect(outcomes(rows)).toEqual({ 'T y': 'analyzed', log: 'analyzed', mv: 'analyzed' });
  expect(seen.at(-1)).toMatch(/ 3\/3$/);
  expect(seen).toHaveLength(3);
  const [counts] = await sql`
    select (select reltuples::int from pg_class where relname = 'T y') as plain,
      (select reltuples::int from pg_class where relname = 'log') as whole,
      (select reltuples::int from pg_class where relname = 'log_1') as part`;
  expect(counts).toEqual({ plain: 100, whole: 100, part: 100 });
  const limited = await updateStatistics(await connectionTo(url), { schema: 'public' });
  expect(outcomes(limited.rows)).toEqual({ mv: 'analyzed' });
  await expect(
    updateStatistics(await connectionTo(url), { schema: 'nowhere' }),
  ).rejects.toMatchObject({ code: 'USAGE' });
});

test('skips what the role may not analyze', async ({ emptyDb, live }) => {
  await emptyDb.sql.unsafe(`create table theirs (a int); create table mine (a int);
    alter table mine owner to ${live.plainName}`);
  const { rows } = await updateStatistics(await connectionTo(live.plainUrl));
  expect(outcomes(rows)).toEqual({ mine: 'analyzed', theirs: 'skippedNoPrivilege' });
  expect(rows.find(({ table }) => table === 'theirs')?.reason).toBe(
    `${live.plainName} owns neither the table nor the database`,
  );
});

test('skips what is locked, as a whole or in a part, and names who locks it', async ({
  emptyDb,
  sessions,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table "held T" (a int); create table free (a int);
    create table log (at date) partition by range (at);
    create table log_1 partition of log for values from ('2026-01-01') to ('2026-02-01')`);
  const holder = sessions.open(url);
  const [{ pid } = { pid: 0 }] = await holder`select pg_backend_pid() as pid`;
  await holder.unsafe(
    'begin; lock table "held T" in share update exclusive mode; lock table log_1 in access exclusive mode',
  );
  const { rows } = await updateStatistics(await connectionTo(url));
  expect(outcomes(rows)).toEqual({
    free: 'analyzed',
    'held T': 'skippedLocked',
    log: 'skippedLocked',
  });
  expect(rows.find(({ table }) => table === 'held T')?.reason).toBe(
    `process ${pid} holds or wants a ShareUpdateExclusiveLock on public."held T"`,
  );
  expect(rows.find(({ table }) => table === 'log')?.reason).toContain('public.log_1');
  await holder.unsafe('rollback');
  expect(outcomes((await updateStatistics(await connectionTo(url))).rows)).toEqual({
    free: 'analyzed',
    'held T': 'analyzed',
    log: 'analyzed',
  });
});

test('goes on after a table that cannot be analyzed, and says why', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create function divide(i int) returns int language plpgsql immutable as 'begin return 1 / i; end';
    create table broken (i int); create index on broken (divide(i)); insert into broken values (1);
    create or replace function divide(i int) returns int language plpgsql immutable as 'begin return i / 0; end';
    create table sound (i int)`);
  const { rows } = await updateStatistics(await connectionTo(url));
  expect(outcomes(rows)).toEqual({ broken: 'failed', sound: 'analyzed' });
  expect(rows[0]?.reason).toBe('division by zero (22012)');
});

test('stops when it is told to', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table a (i int); create table b (i int)');
  const controller = new AbortController();
  const reason = new Error('enough');
  await expect(
    updateStatistics(await connectionTo(url), {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    }),
  ).rejects.toBe(reason);
  const [analyzed] = await sql`
    select count(*)::int as tables from pg_class where relname in ('a', 'b') and reltuples >= 0`;
  expect(analyzed?.tables).toBe(1);
});

eventTest('reports the same tables as the function of the event schema', async ({ db }) => {
  const { rows } = await updateStatistics(await connectionTo(db.url));
  const own = await db.sql`select tablename, outcome from update_table_statistics()`;
  expect(outcomes(rows)).toEqual(
    Object.fromEntries(own.map(({ tablename, outcome }) => [tablename, outcome])),
  );
});
