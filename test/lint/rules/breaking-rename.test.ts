import { describe, expect, test } from 'vitest';
import { breakingRename } from '../../../src/lint/rules/breaking-rename.ts';
import { checkScript, type RuleSurroundings, severitiesOf } from '../lint-kit.ts';

const check = (script: string, around?: RuleSurroundings) =>
  checkScript(breakingRename, script, around);

describe('breaking-rename', () => {
  test.each([
    ['alter table t rename to u', 'renames public.t to u'],
    ['alter table app."T" rename to "U"', 'renames app."T" to "U"'],
    ['alter table t rename column a to "B"', 'renames column a of public.t to "B"'],
    ['alter view v rename to w', 'renames public.v to w'],
    ['alter view v rename column a to b', 'renames column a of public.v to b'],
    ['alter materialized view v rename to w', 'renames public.v to w'],
    ['alter schema app rename to shop', 'renames schema app to shop'],
    ['alter type mood rename to feeling', 'renames type public.mood to feeling'],
    ["alter type mood rename value 'a' to 'b'", "renames the value 'a' of public.mood to 'b'"],
    ['alter type address rename attribute a to b', 'renames attribute a of type public.address'],
    ['alter domain app.email rename to mail', 'renames type app.email to mail'],
    ['alter function f(int) rename to g', 'renames function f to g'],
    ['alter table t set schema app', 'moves public.t to schema app'],
    ['alter type mood set schema app', 'moves type public.mood to schema app'],
    ['alter function app.f(int) set schema shop', 'moves function app.f to schema shop'],
  ])('finds %s', async (script, message) => {
    const findings = await check(script);
    expect(findings.map((one) => one.message).join()).toContain(message);
    expect(severitiesOf(breakingRename, findings)).toEqual(['error']);
  });

  test.each([
    'alter table t rename constraint a to b',
    'alter index i rename to j',
    'alter sequence s rename to r',
    "alter type mood add value 'c'",
    'alter trigger a on t rename to b',
  ])('says nothing of %s', async (script) => {
    expect(await check(script)).toEqual([]);
  });

  test('says nothing of what the file made', async () => {
    const file = { fresh: new Set(['public.t']), freshTypes: new Set(['public.mood']) };
    const script = `
      alter table t rename to u; alter table t rename column a to b; alter type mood rename to m;
      alter type mood rename value 'a' to 'b'; alter table t set schema app;
      create schema app; alter schema app rename to shop;
      create function f() returns int return 1; alter function f() rename to g`;
    expect(await check(script, { file })).toEqual([]);
  });

  test('says nothing of a table whose name a view keeps in the same file', async () => {
    expect(await check('alter table t rename to u; create view t as select * from u')).toEqual([]);
    expect(
      await check('alter table app.t set schema shop; create view app.t as select * from shop.t'),
    ).toEqual([]);
    expect(
      await check('alter table app.t rename to u; create view shop.t as select * from app.u'),
    ).toHaveLength(1);
  });

  test('says nothing of a column behind a view that keeps the old one', async () => {
    const script = `
      alter table t rename to t_base;
      alter table t_base rename column a to b;
      create view t as select b as a, b from t_base;`;
    expect(await check(script)).toEqual([]);
  });

  test('says nothing of a function whose name another one keeps', async () => {
    const script = `
      alter function f(int) rename to g;
      create function f(a int) returns int return g(a);`;
    expect(await check(script)).toEqual([]);
  });
});
