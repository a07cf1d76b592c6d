import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { lint, verdicts } from './lint-kit.ts';

const BEFORE = `create type en as enum ('a', 'b');
create table t (id int, e en, es en[], name text);`;
const ADDED = "alter type en add value if not exists 'c'";

const SCRIPTS = [
  ...['select enum_range(null::en)', 'select enum_last(null::en)', 'select enum_first(null::en)'],
  ...["select enum_range('a'::en, 'b'::en)", "select enum_range('b'::en, null::en)"],
  'select enum_range(e) from t',
  'select unnest(enum_range(null::en))',
  'delete from t where e <> all (enum_range(null::en))',
  'alter table t add z en[] default enum_range(null::en)',
  'alter table t add check (e = any (enum_range(null::en)))',
  'alter table t add check (e = any (enum_range(null::en))) not valid',
  'create view v as select enum_range(null::en)',
  'create table q as select enum_range(null::en)',
  'create table q as select enum_range(null::en) with no data',
  "create function f() returns en language sql as $$ select 'c'::en $$",
  "create function f() returns text language sql as $$ select 'c' $$",
  "create function f() returns en language sql return 'c'::en",
  "create function f() returns en language sql begin atomic select 'c'::en; end",
  "create function f() returns setof t language sql as ' select * from t where e = ''c'' '",
  "create function f() returns bigint language sql as $$ select count(*) from t where name = 'a' $$",
  "create procedure f() language sql as $$ select 1; insert into t (e) values ('c') $$",
  'create function f() returns en[] language sql as $$ select enum_range(null::en) $$',
  "create function f() returns en language plpgsql as $$ begin return 'c'; end $$",
  "set local check_function_bodies = off; create function f() returns en language sql as $$ select 'c'::en $$",
  `insert into t (es) values ('{a, "c"}')`,
  "insert into t (es) values ('{a}')",
  "alter type en rename value 'c' to 'd'; select 'd'::en",
  "alter type en rename value 'a' to 'd'; select 'd'::en",
  "create type fresh as enum ('x'); alter type fresh add value 'y'; select 'y'::fresh",
];

describe('enum-value-same-tx', () => {
  test.for(SCRIPTS)('says what the server says of: %s', async (script, { emptyDb }) => {
    await emptyDb.sql.unsafe(`${BEFORE} insert into t (id, e) values (1, 'a')`).simple();
    const [row] = await emptyDb.sql`select current_setting('server_version_num') as version`;
    const text = `${ADDED}; ${script};`;
    const answer = emptyDb.sql.begin((tx) => tx.unsafe(text).simple());
    const code = await answer.then(
      () => undefined,
      (error: { code: string }) => error.code,
    );
    const settings = { serverVersion: Number(row?.version) };
    const told = lint(text, { before: BEFORE, only: ['enum-value-same-tx'], settings });
    expect(verdicts(told)).toEqual(code === '55P04' ? ['enum-value-same-tx error'] : []);
    expect([undefined, '55P04']).toContain(code);
  });

  test('takes a value that is there already for no new one', async ({ emptyDb }) => {
    const text = "alter type en add value if not exists 'b'; select 'b'::en, enum_range(null::en);";
    await emptyDb.sql.unsafe(BEFORE).simple();
    await emptyDb.sql.begin((tx) => tx.unsafe(text).simple());
    expect(verdicts(lint(text, { before: BEFORE, only: ['enum-value-same-tx'] }))).toEqual([]);
  });

  test('points into the body of a function', () => {
    const text = `${ADDED};\ncreate function f() returns en language sql as $$\n  select 'c'::en $$;`;
    const { findings } = lint(text, { before: BEFORE, only: ['enum-value-same-tx'] });
    expect(findings).toMatchObject([{ line: 3, column: 10 }]);
  });
});
