import { describe, expect, test } from 'vitest';
import { createCatalog, type Relation } from '../../../src/catalog/catalog.ts';
import { addRequiredColumn } from '../../../src/lint/rules/add-required-column.ts';
import { checkScript, lint, type RuleSurroundings, severitiesOf, verdicts } from '../lint-kit.ts';

const check = (script: string, around?: RuleSurroundings) =>
  checkScript(addRequiredColumn, script, around);

describe('add-required-column', () => {
  test.each([
    'alter table t add column x int not null',
    'alter table t add x int not null unique',
    'alter table t add x int constraint present not null',
    'alter table t add x int primary key',
    'alter table t add x int not null default null',
    'alter table t add if not exists x int not null',
  ])('finds %s', async (script) => {
    const findings = await check(script);
    expect(findings.map(({ message }) => message).join()).toContain(
      'it fails as soon as the table has a row',
    );
    expect(severitiesOf(addRequiredColumn, findings)).toEqual(['error']);
  });

  test.each([
    'alter table t add x int',
    'alter table t add x int not null default 0',
    'alter table t add x bigserial primary key',
    'alter table t add x int not null generated always as identity',
    'alter table t add x int not null generated always as (1) stored',
    'create table t (x int not null)',
  ])('says nothing of %s', async (script) => {
    expect(await check(script)).toEqual([]);
  });

  test('points at the constraint of each column', async () => {
    const script = 'alter table "ä" add a int,\n add b int not null,\n add c int primary key';
    expect((await check(script)).map(({ at, tables }) => [at, ...tables])).toEqual([
      ['not null,', 'public."ä"'],
      ['primary key', 'public."ä"'],
    ]);
  });

  test('says nothing of a table that the file made', async () => {
    const file = { fresh: new Set(['app.t']) };
    expect(await check('alter table app.t add x int not null', { file })).toEqual([]);
  });

  test('only warns where the table is empty', async () => {
    const catalog = createCatalog();
    catalog.relations.set('public.t', { ...emptyTable, rows: 0 });
    const findings = await check('alter table t add x int not null', { catalog });
    expect(severitiesOf(addRequiredColumn, findings)).toEqual(['warning']);
  });
});

const emptyTable: Relation = {
  key: 'public.t',
  kind: 'table',
  columns: new Map(),
  constraints: new Map(),
  indexes: new Set(),
  children: new Set(),
  dependents: new Set(),
  isUnlogged: false,
  isTemporary: false,
};

describe('a constraint on a column that the migration adds', () => {
  const only = ['add-required-column'];
  const before = 'create table t (id int primary key);';

  test.each([
    'alter table t add x int, add constraint c check (x is not null) not valid',
    'alter table t add x int; alter table t add constraint c check (x is not null and x > 0) not valid',
    'alter table t add x int, add constraint c not null x not valid',
  ])('fails inserts that do not know it: %s', (text) => {
    const { findings } = lint(text, { before, only });
    expect(findings.map(({ severity }) => severity)).toEqual(['error']);
    expect(findings[0]?.message).toContain('every insert of an application that does not know it');
  });

  test.each([
    'alter table t add x int default 0, add constraint c check (x is not null) not valid',
    'alter table t add x int, add constraint c check (x > 0) not valid',
    'alter table t add x int; alter table t alter x set default 1; alter table t add constraint c check (x is not null) not valid',
    'alter table t add constraint c check (id is not null) not valid',
  ])('says nothing of %s', (text) => {
    expect(verdicts(lint(text, { before, only }))).toEqual([]);
  });

  test.each(['truncate t', 'delete from t'])('knows that the file emptied it by %s', (emptied) => {
    const text = `${emptied}; alter table t add x int not null`;
    expect(verdicts(lint(text, { before, only }))).toEqual([]);
    const filled = `${emptied}; insert into t values (1); alter table t add x int not null`;
    expect(verdicts(lint(filled, { before, only }))).toEqual(['add-required-column error']);
  });
});
