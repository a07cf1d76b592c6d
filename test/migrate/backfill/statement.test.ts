import { describe, expect, it } from 'vitest';
import { readBackfill } from '../../../src/migrate/backfill/statement.ts';
import { loadSqlParser } from '../../../src/sql/parser.ts';
import { splitStatements } from '../../../src/sql/statements.ts';

const parser = await loadSqlParser();

function read(text: string, table = 'events') {
  const [statement] = splitStatements(text);
  if (!statement) throw new Error('no statement');
  return readBackfill({ table: { schema: undefined, name: table }, by: [] }, statement, parser);
}

function good(text: string) {
  const got = read(text);
  if ('problem' in got) throw new Error(got.problem.message);
  return got.backfill;
}

/** The statement of a batch, with one word for its range. */
function batch(text: string): string {
  const { before, after } = good(text).template;
  return `${before}RANGE${after}`;
}

describe('the range of a batch', () => {
  it.each([
    [
      'after a condition',
      'update events set a = 1 where a is null',
      'update events set a = 1 where a is null and RANGE',
    ],
    ['where there is none', 'delete from events', 'delete from events where RANGE'],
    [
      'after brackets around an or',
      'update events set a = 1 where a is null or b',
      'update events set a = 1 where (a is null or b) and RANGE',
    ],
    [
      'before a comment at the end of the condition',
      'update events set a = 1 where a is null -- those\n  or b -- and these\n',
      'update events set a = 1 where (a is null -- those\n  or b) and RANGE',
    ],
    [
      'after a comment in front of the condition',
      'update events set a = 1 where /* all */ a is null',
      'update events set a = 1 where /* all */ a is null and RANGE',
    ],
    [
      'outside of what stands in with',
      'with v as (select 1 as b where true) update events set a = v.b from v',
      'with v as (select 1 as b where true) update events set a = v.b from v where RANGE',
    ],
    [
      'outside of sub-queries',
      'update events e set a = (select b from t where t.id = e.id) where e.id in (select id from u where c)',
      'update events e set a = (select b from t where t.id = e.id) where e.id in (select id from u where c) and RANGE',
    ],
    [
      'in spite of the word in a string and in a name',
      `update events set a = 'where', "where" = 1 from t where events.c = t.where`,
      `update events set a = 'where', "where" = 1 from t where events.c = t.where and RANGE`,
    ],
    [
      'before the order of a select',
      'insert into t select id from events where a order by id on conflict do nothing',
      'insert into t select id from events where a and RANGE order by id on conflict do nothing',
    ],
    [
      'inside the brackets around a select',
      'insert into t (select id as where from events)',
      'insert into t (select id as where from events where RANGE)',
    ],
    [
      'not in the condition of an on conflict',
      'insert into t select id from events where a on conflict (id) where x do update set b = 1 where t.c',
      'insert into t select id from events where a and RANGE on conflict (id) where x do update set b = 1 where t.c',
    ],
    [
      'with characters beyond ASCII before it',
      `update events set a = 'äöü 🙂' where b = '🙂'`,
      `update events set a = 'äöü 🙂' where b = '🙂' and RANGE`,
    ],
  ])('stands %s', (_, text, wanted) => {
    expect(batch(text)).toBe(wanted);
  });

  it.each([
    ['update events set a = 1', 'events'],
    ['update app.events set a = 1', 'events'],
    ['update only events as e set a = 1', 'e'],
    ['insert into t select * from u join events e on true', 'e'],
  ])('is of the table as the statement calls it: %s', (text, alias) => {
    expect(good(text).alias).toBe(alias);
  });
});

describe('what still matches is counted', () => {
  it.each([
    [
      'update events set a = 1 where a is null',
      'select pg_catalog.count(*)::float8 as "matching" from events where a is null',
    ],
    [
      'update events e set a = b is distinct from c from t where e.a is null and t.id = e.id -- x',
      'select pg_catalog.count(*)::float8 as "matching" from events e, t where e.a is null and t.id = e.id',
    ],
    [
      'with q as (select 1 as z) delete from only events -- gone\n using t where t.id = events.id',
      'with q as (select 1 as z) select pg_catalog.count(*)::float8 as "matching" from only events, t where t.id = events.id',
    ],
    ['delete from events', 'select pg_catalog.count(*)::float8 as "matching" from events'],
    [
      'insert into t select id from events where not exists (select from t where t.id = events.id) on conflict do nothing',
      'select pg_catalog.count(*)::float8 as "matching" from (select id from events where not exists (select from t where t.id = events.id)\n) as "evdb"',
    ],
  ])('of %s', (text, wanted) => {
    expect(good(text).countQuery).toBe(wanted);
  });

  it.each([
    'update events set n = n + 1',
    'update events set n = 1 where active',
    'update events set n = 1 where id in (select n from t)',
    'insert into t select id from events',
  ])('unless the statement does not change whether a row matches: %s', (text) => {
    expect(good(text).countQuery).toBeUndefined();
  });

  it('is said where a second change of a row would not be the same as one', () => {
    expect(good('update events set n = n + 1 where n < 5').isRepeatable).toBe(false);
    expect(good('update events set n = events.* is null where n < 5').isRepeatable).toBe(false);
    expect(good('update events set n = m + 1 where n is null').isRepeatable).toBe(true);
    expect(good('delete from events where n < 5').isRepeatable).toBe(true);
  });
});

describe('a statement is refused', () => {
  it.each([
    ['update events set a = 1 returning id', /return rows/],
    ['insert into t select id from events returning id', /return rows/],
    ['update users set a = 1', /updates users, and the directive names events/],
    ['update "Events" set a = 1', /updates Events/],
    ['delete from users using events', /deletes from users/],
    ['insert into t values (1)', /reads no rows of events/],
    ['insert into t select 1', /reads no rows of events/],
    ['insert into t select id from users', /does not read from events/],
    ['insert into t select id from (select id from events) as e', /does not read from events/],
    ['insert into t select a.id from events a, events b', /reads events twice/],
    ['insert into events select * from events', /inserts into events, which it walks/],
    ['insert into t select id from users left join events on true', /outer join/],
    ['insert into t select id from events full join users on true', /outer join/],
    ['insert into t select x from events as e (x)', /have other names/],
    ['insert into t select id from events limit 5', /limit/],
    ['insert into t select id from events offset 5', /limit/],
    ['insert into t select id from events fetch first row only', /limit/],
    ['insert into t select distinct id from events', /distinct/],
    ['insert into t select a from events group by a', /group by/],
    ['insert into t select id from events union select id from users', /union/],
    ['insert into t select row_number() over () from events', /window function/],
    ['insert into t select id from events window w as (order by id)', /window function/],
    [
      'update events set a = 1 where id in (select id from events limit 9)',
      /limited number of rows/,
    ],
    ['with d as (delete from users returning id) update events set a = 1', /several tables/],
    ['update events set a = 1 where current of c', /cursor/],
    ['update events set a = $1', /parameters/],
    ['merge into events using t on true when matched then delete', /one update, delete or insert/],
    ['truncate events', /one update, delete or insert/],
  ])('%s', (text, why) => {
    const got = read(text);
    expect(got).toMatchObject({ problem: { message: expect.stringMatching(why) } });
  });

  it('at its place in the file', () => {
    expect(read("update users set a = 'ü'")).toMatchObject({ problem: { offset: 7 } });
  });

  it('not for a limit on another table', () => {
    const text =
      'update events e set a = (select b from t where t.e = e.id order by c limit 1) where a is null';
    expect(batch(text)).toBe(`${text} and RANGE`);
  });

  it('where it is nested too deep to be looked into', () => {
    const deep = `update events set a = ${'('.repeat(3000)}1${' + 1)'.repeat(3000)}`;
    expect(read(deep)).toMatchObject({ problem: { message: expect.any(String) } });
  });
});
