import { describe, expect, test } from 'vitest';
import { findingsOf, verdictsOf } from '../lint-kit.ts';

const setup = `
  create table t (id bigint primary key, a integer, b text generated always as ('x') stored);
  create index t_a on t (a);
  create schema app;
  create table app."T" (a integer);
  create index "I" on app."T" (a);
  create table parted (id bigint, a integer) partition by range (id);
  create table parted_1 partition of parted for values from (0) to (100);
  create index parted_a on parted (a);
  create materialized view mv as select id, a from t;
  create materialized view keyed as select id, a from t;
  create unique index keyed_id on keyed (id);`;

describe('index-not-concurrent', () => {
  const rule = 'index-not-concurrent';

  test.each([
    ['create index i on t (a)', 'public.t'],
    ['create unique index on t (a) where a > 5', 'public.t'],
    ['create index if not exists i on app."T" (lower(a::text))', 'app."T"'],
    ['create index i on mv (id)', 'public.mv'],
  ])('finds %s', async (script, table) => {
    const findings = await findingsOf(rule, script, { setup });
    expect(findings.map(({ severity, tables, lock }) => ({ severity, tables, lock }))).toEqual([
      { severity: 'error', tables: [table], lock: 'Share' },
    ]);
  });

  test.each([
    'create index concurrently i on t (a)',
    'create index i on only parted (a)',
    'create table n (a int); create index on n (a)',
    'create temporary table n (a int); create index on n (a)',
    'create index if not exists t_a on t (a)',
  ])('says nothing of %s', async (script) => {
    expect(await verdictsOf(rule, script, { setup })).toEqual([]);
  });

  test('finds it on a partitioned table, with its partitions and another way', async () => {
    const [finding] = await findingsOf(rule, 'create index on parted (id)', { setup });
    expect(finding?.tables).toContain('public.parted_1');
    expect(finding?.hint).toContain('on only');
    expect(finding?.fix).toBeUndefined();
  });

  test('can be fixed where the table is surely a plain one', async () => {
    const fixOf = async (script: string) =>
      (await findingsOf(rule, script, { setup }))[0]?.fix !== undefined;
    expect(await fixOf('create unique index i on t (a)')).toBe(true);
    expect(await fixOf('do $$ begin create index i on t (a); end $$')).toBe(false);
    expect(await fixOf('create index i on elsewhere (a)')).toBe(false);
  });

  test('is information on a small table', async () => {
    const size = { rows: { 'public.t': 10 }, smallTableRows: 1000 };
    expect(await verdictsOf(rule, 'create index i on t (a)', { setup, ...size })).toEqual([
      'info: create index i on t (a)',
    ]);
  });
});

describe('index-drop-reindex-blocking', () => {
  const rule = 'index-drop-reindex-blocking';

  test.each([
    ['drop index t_a', ['public.t'], 'AccessExclusive'],
    ['drop index if exists app."I"', ['app."T"'], 'AccessExclusive'],
    ['drop index elsewhere', [], 'AccessExclusive'],
    ['reindex index t_a', ['public.t'], 'Share'],
    ['reindex table t', ['public.t'], 'Share'],
    ['reindex (concurrently off) table t', ['public.t'], 'Share'],
    ['reindex schema app', [], 'Share'],
    ['refresh materialized view mv', ['public.mv'], 'AccessExclusive'],
  ])('finds %s', async (script, tables, lock) => {
    expect(await findingsOf(rule, script, { setup })).toEqual([
      expect.objectContaining({ severity: 'warning', tables, lock }),
    ]);
  });

  test.each([
    'drop index concurrently t_a',
    'reindex table concurrently t',
    'reindex (verbose, concurrently) index t_a',
    'reindex system',
    'refresh materialized view concurrently keyed',
    'drop index parted_a',
    'create table n (a int); create index n_a on n (a); drop index n_a; reindex table n',
    'create materialized view n as select 1 as a; refresh materialized view n',
  ])('says nothing of %s', async (script) => {
    expect(await verdictsOf(rule, script, { setup })).toEqual([]);
  });

  test('points at each of several indexes', async () => {
    const script = 'drop index t_a,\n  app."I"';
    expect(await verdictsOf(rule, script, { setup })).toEqual([
      'warning: drop index t_a,',
      'warning: app."I"',
    ]);
  });

  test('asks for a unique index before a view is refreshed concurrently', async () => {
    const hintOf = async (view: string) =>
      (await findingsOf(rule, `refresh materialized view ${view}`, { setup }))[0]?.hint;
    expect(await hintOf('mv')).toContain('Create a unique index');
    expect(await hintOf('keyed')).not.toContain('Create a unique index');
  });
});

describe('rewrite-command', () => {
  const rule = 'rewrite-command';

  test.each([
    'vacuum full t',
    'vacuum (full, analyze) t',
    'vacuum full',
    'cluster t using t_pkey',
    'cluster',
    'alter table t set unlogged',
    'alter table app."T" set tablespace fast',
  ])('finds %s', async (script) => {
    const [finding, ...others] = await findingsOf(rule, script, {
      setup,
      isTransactional: false,
    });
    expect(finding).toMatchObject({ severity: 'error', lock: 'AccessExclusive' });
    expect(finding?.message).toContain('rewrites');
    expect(others).toEqual([]);
  });

  test('finds another expression of a stored column', async () => {
    const script = "alter table t alter column b set expression as ('y')";
    const [finding] = await findingsOf(rule, script, { setup, version: 17 });
    expect(finding?.message).toContain('changing the expression of the stored column b rewrites');
  });

  test('finds another access method', async () => {
    const script = 'alter table t set access method columnar';
    expect(await verdictsOf(rule, script, { setup, version: 15 })).toHaveLength(1);
  });

  test.each([
    'vacuum t',
    'vacuum (full off) t',
    'alter table t cluster on t_pkey',
    'alter table t set logged',
    'create table n (a int); alter table n set unlogged',
  ])('says nothing of %s', async (script) => {
    expect(await verdictsOf(rule, script, { setup, isTransactional: false })).toEqual([]);
  });
});
