import { describe, expect, it } from 'vitest';
import { lint, script, verdicts } from '../lint-kit.ts';

describe('unbatched-dml', () => {
  const only = ['unbatched-dml'];

  it.each(['update t set a = 1', 'delete from t'])(
    'refuses %s, which changes every row',
    (text) => {
      expect(verdicts(lint(text, { only }))).toEqual(['unbatched-dml error']);
    },
  );

  it.each([
    'update t set a = 1 where a is null',
    'delete from t where a < 5',
    'insert into t select * from u',
    'insert into t select generate_series(1, 10) from generate_series(1, 10)',
    'update t set a = u.a from u where u.id = t.id',
    'merge into t using u on t.id = u.id when matched then update set a = u.a',
    'with gone as (delete from t where a < 5 returning *) select count(*) from gone',
  ])('warns of %s', (text) => {
    expect(verdicts(lint(text, { only }))).toEqual(['unbatched-dml warning']);
  });

  it.each([
    ["create procedure p() language sql as 'update t set a = 1'"],
    ['create procedure p() language plpgsql as $$ begin update t set a = 1; end $$'],
    ['create procedure p() begin atomic update t set a = 1; select 1; end'],
    ['create function p() returns bigint begin atomic delete from t; select 1; end'],
  ])('looks into what is called: %s', (routine) => {
    const call = routine.includes('procedure') ? 'call p()' : 'select p()';
    const { findings } = lint(call, { before: `create table t (a int); ${routine};`, only });
    expect(findings.map(({ severity }) => severity)).toEqual(['error']);
    expect(findings[0]?.message).toContain('in public.p(): ');
  });

  it.each([
    'update t set a = 1 where id = any (array[1, 2])',
    "delete from t where id = any ('{1,2}'::int[])",
    'update t set a = 1 where id in (1, 2)',
  ])('allows rows that are named by their key: %s', (text) => {
    expect(verdicts(lint(text, { before: 'create table t (id int primary key);', only }))).toEqual(
      [],
    );
  });

  it('warns where the list of keys is a query', () => {
    const text = 'update t set a = 1 where id = any (array(select id from u))';
    expect(verdicts(lint(text, { before: 'create table t (id int primary key);', only }))).toEqual([
      'unbatched-dml warning',
    ]);
  });

  it.each([
    'insert into t values (1), (2)',
    'insert into t select 1, 2',
    'insert into t select * from u limit 100',
    'update t set a = 1 where id in (select id from t where a is null limit 1000)',
    'delete from t where ctid = any (array(select ctid from t limit 1000))',
    'with batch as (select id from t limit 1000) update t set a = 1 from batch where batch.id = t.id',
    'update t set a = 1 from (select id from t limit 1000) as batch where batch.id = t.id',
    'with gone as (delete from t where id in (select id from t limit 9) returning *) insert into u select * from gone',
    'merge into t using (values (1)) as v (id) on t.id = v.id when matched then delete',
    'create table n (a int); update n set a = 1; insert into n select * from t',
    'create temp table n (a int); delete from n',
  ])('allows %s', (text) => {
    expect(verdicts(lint(text, { only }))).toEqual([]);
  });

  it('only warns in a down script', () => {
    const down = script('delete from t;', { direction: 'down' });
    expect(verdicts(lint(down, { only }))).toEqual(['unbatched-dml warning']);
  });
});
