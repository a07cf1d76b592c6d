import { describe, expect, test } from 'vitest';
import { destructiveChange } from '../../../src/lint/rules/destructive-change.ts';
import {
  checkScript,
  findingsOf,
  type RuleSurroundings,
  severitiesOf,
  verdictsOf,
} from '../lint-kit.ts';

const check = (script: string, around?: RuleSurroundings) =>
  checkScript(destructiveChange, script, around);

const severities = async (script: string, around?: RuleSurroundings) =>
  severitiesOf(destructiveChange, await check(script, around));

describe('destructive-change', () => {
  test.each([
    ['drop table account', 'drops table public.account: its rows are gone'],
    ['drop table if exists "App"."T" cascade', 'drops table "App"."T"'],
    ['drop materialized view daily', 'drops materialized view public.daily'],
    ['drop view v', 'drops view public.v'],
    ['drop sequence s', 'drops sequence public.s'],
    ['drop schema app cascade', 'drops schema app: everything in it is gone, with all rows'],
    ['drop type mood cascade', 'drops type mood: every column of that type is gone'],
    ['drop domain app.email', 'drops domain app.email'],
    ['drop function app.f(int)', 'drops function app.f'],
    ['drop extension hstore cascade', 'drops extension hstore'],
    ['drop database shop', 'drops the database shop'],
    ['drop owned by app', 'drops everything that the role owns'],
    ['truncate app.a', 'deletes all rows of app.a'],
    ['truncate a cascade', 'and those of every table that references it'],
    ['alter table t drop column "Old Name"', 'drops column "Old Name" of public.t'],
    ['alter type address drop attribute zip', 'drops attribute zip of type public.address'],
  ])('finds %s', async (script, message) => {
    const [finding, ...others] = await check(script);
    expect(finding?.message).toContain(message);
    expect(await severities(script)).toEqual(['error']);
    expect(others).toEqual([]);
  });

  test.each([
    'alter table t alter column a drop not null',
    'alter table t drop constraint t_check',
    'alter domain email drop constraint email_check',
    'alter domain email drop not null',
  ])('takes %s for information', async (script) => {
    expect(await severities(script)).toEqual(['info']);
  });

  test.each([
    'drop index i',
    'drop trigger g on t',
    'drop policy p on t',
    'alter table t drop column a',
    'alter table t alter column a drop default',
  ])('says nothing of what %s takes from nobody', async (script) => {
    const file = { fresh: new Set(['public.t']) };
    expect(await check(script, { file })).toEqual([]);
  });

  test('points at each object and subcommand', async () => {
    const script =
      'drop table a,\n  b;\nalter table t add x int,\n  drop column y;\ntruncate c,\n  d';
    expect((await check(script)).map(({ at }) => at)).toEqual([
      'drop table a,',
      'b',
      'drop column y',
      'c,',
      'd',
    ]);
  });

  test('says nothing of what the file made', async () => {
    const file = { fresh: new Set(['public.a', 'app.v']), freshTypes: new Set(['public.mood']) };
    const script = 'drop table a; drop view app.v; truncate a; drop type mood; drop table b';
    expect((await check(script, { file })).map(({ at }) => at)).toEqual(['drop table b']);
  });

  test('says nothing of a view or a function that the file makes again', async () => {
    expect(await check('drop view v; create or replace view v as select 1')).toEqual([]);
    expect(
      await check('drop function f(int); create function f(int, int) returns int return 1'),
    ).toEqual([]);
    expect(
      await check('drop function f(int); create function g() returns int return 1'),
    ).toHaveLength(1);
  });

  test('says nothing of a schema that the file made before, but of one that it makes again', async () => {
    expect(await check('create schema app; drop schema app cascade')).toEqual([]);
    expect(await check('drop schema app cascade; create schema app')).toHaveLength(1);
  });

  test('says nothing of "if exists" where no migration made it', async () => {
    const setup = 'create table t (id int); create view v as select id from t;';
    const script = 'drop table if exists nothing; drop view if exists nothing_either';
    expect(await verdictsOf('destructive-change', script, { setup })).toEqual([]);
    expect(
      await verdictsOf('destructive-change', 'drop table if exists t cascade', { setup }),
    ).toHaveLength(1);
    expect(await verdictsOf('destructive-change', 'drop table nothing', { setup })).toHaveLength(1);
  });

  test('says of a table that no migration creates that this is so', async () => {
    const around = { setup: 'create table t (id int);' };
    const messagesOf = async (script: string, situation: typeof around) =>
      (await findingsOf('destructive-change', script, situation)).map(({ message }) => message);
    expect(await messagesOf('drop table nothing', around)).toEqual([
      expect.stringContaining('drops table public.nothing, which no migration creates: '),
    ]);
    expect(await messagesOf('truncate nothing', around)).toEqual([
      'deletes all rows of public.nothing; no migration creates it',
    ]);
    expect(await messagesOf('drop table t', around)).toEqual([
      expect.not.stringContaining('no migration creates'),
    ]);
  });

  test('says nothing of a check that stood in for not null', async () => {
    const setup = `
      create table t (a int, constraint a_there check (a is not null), constraint k check (a > 0));
      alter table t alter a set not null;`;
    const script = 'alter table t drop constraint a_there, drop constraint k';
    expect(await verdictsOf('destructive-change', script, { setup })).toEqual([
      'info: drop constraint k',
    ]);
  });
});
