import { beforeAll, describe, expect, it } from 'vitest';
import { createCatalog } from '../../src/catalog/catalog.ts';
import { replayStatement } from '../../src/catalog/replay/replay.ts';
import type { Impact } from '../../src/impact/impact.ts';
import { impactOf } from '../../src/impact/impact-of.ts';
import { loadSqlParser, type SqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});

function impact(text: string, before = '', isComplete = false): Impact {
  const catalog = createCatalog();
  for (const statement of splitStatements(before)) {
    const tree = parser.parse(statement.text);
    if (tree) replayStatement(catalog, tree, statement.text);
  }
  catalog.isComplete = isComplete;
  const tree = parser.parse(text);
  if (tree === null) throw new Error(`does not parse: ${text}`);
  return impactOf({ tree, text, catalog, serverVersion: 180_000 });
}

const T = 'create table t (a integer, b varchar(10), c timestamp); create index t_b on t (b);';

describe('rewrites', () => {
  it.each([
    [
      'add column x uuid not null default\n gen_random_uuid ( )  unique',
      'volatile default',
      'x',
      'default gen_random_uuid ( )',
    ],
    ['add column x bigserial', 'serial', 'x', 'bigserial'],
    ['alter b type varchar(5)', 'type change', 'b', 'varchar(10) to varchar(5)'],
    ['alter a type bigint', 'type change', 'a', 'integer to bigint'],
    [
      'alter b type interval year to month using null',
      'type change',
      'b',
      'varchar(10) to interval year to month',
    ],
    ['set unlogged', 'set logged', undefined, 'unlogged'],
  ])('say why, of what and in which words: %s', (command, reason, subject, detail) => {
    const [found] = impact(`alter table t ${command}`, T).rewrites;
    expect(found).toMatchObject({ relation: 'public.t', reason, detail, isCertain: true });
    expect(found?.subject).toBe(subject);
  });

  it('are not certain where a function, a type or the time zone is not known', () => {
    const uncertain = [
      'add column x uuid default uuid_generate_v4()',
      'add column x somewhere.kind',
      'alter c type timestamptz',
    ];
    for (const command of uncertain) {
      const { rewrites } = impact(`alter table t ${command}`, T);
      expect(rewrites, command).toMatchObject([{ isCertain: false }]);
    }
    expect(impact('alter table unknown alter a type text').rewrites).toMatchObject([
      { isCertain: false, detail: 'to text' },
    ]);
  });

  it('take the indexes of the table along', () => {
    expect(impact('alter table t add column x serial', T).builds).toMatchObject([
      { relation: 'public.t', reason: 'rewrite', subject: 'public.t_b', isConcurrent: false },
    ]);
  });
});

describe('scans', () => {
  it('point at their subcommand, or at their constraint, past characters of several bytes', () => {
    const text =
      "alter table t /* é😀 */ add column x text default 'é', alter a set not null, add check (a > 0)";
    const { scans } = impact(text, T);
    expect(
      scans.map(({ command, offset = 0 }) => [command, text.slice(offset, offset + 8)]),
    ).toEqual([
      [1, 'alter a '],
      [2, 'check (a'],
    ]);
  });

  it('name constraints as PostgreSQL will', () => {
    const text = 'alter table t add check (a > 0), add column x integer check (x > a)';
    expect(impact(text, T).scans.map(({ subject }) => subject)).toEqual(['t_a_check', 't_check']);
  });

  it('are none where a validated check proves what is asked', () => {
    const proof = `${T} alter table t add constraint p check (a is not null) not valid;`;
    expect(impact('alter table t alter a set not null', proof).scans).toHaveLength(1);
    const valid = `${proof} alter table t validate constraint p;`;
    expect(impact('alter table t alter a set not null', valid).scans).toEqual([]);
    const both = 'alter table t drop constraint p, alter a set not null';
    expect(impact(both, valid).scans).toHaveLength(1);
  });
});

describe('locks of children', () => {
  const tree =
    'create table p (a int, constraint k check (a > 0)); create table c () inherits (p); alter table p add constraint n check (a > 1) not valid;';
  const tablesOf = (text: string) => impact(text, tree).locks.map(({ relation }) => relation);

  it('are taken to validate a constraint, and not where it is valid already', () => {
    expect(tablesOf('alter table p validate constraint n')).toEqual(['public.p', 'public.c']);
    expect(tablesOf('alter table p validate constraint k')).toEqual(['public.p']);
  });

  it('are not taken to drop an index, unless they are partitions', () => {
    const index = 'create index i on p (a);';
    const locked = (setup: string) =>
      impact('drop index i', setup + index).locks.map(({ relation }) => relation);
    expect(locked('create table p (a int); create table c () inherits (p);')).not.toContain(
      'public.c',
    );
    const parts =
      'create table p (a int) partition by list (a); create table c partition of p default;';
    expect(locked(parts)).toContain('public.c');
  });
});

describe('concurrent forms', () => {
  it.each([
    ['create index concurrently i on t (a)', 'public.t', 'ShareUpdateExclusive'],
    ['drop index concurrently t_b', 'public.t', 'ShareUpdateExclusive'],
    ['reindex index concurrently t_b', 'public.t', 'ShareUpdateExclusive'],
    ['vacuum t', 'public.t', 'ShareUpdateExclusive'],
    ['vacuum full t', 'public.t', 'AccessExclusive'],
  ])('%s', (text, relation, mode) => {
    const { locks, builds } = impact(text, T);
    expect(locks).toContainEqual({ relation, mode, reason: 'target' });
    if (text.includes('concurrently')) expect(builds.every((one) => one.isConcurrent)).toBe(true);
  });
});

describe('what the catalog does not know', () => {
  it('is locked all the same, and told', () => {
    const { locks, unknowns } = impact('drop table other.t');
    expect(locks).toEqual([{ relation: 'other.t', mode: 'AccessExclusive', reason: 'target' }]);
    expect(unknowns).toEqual(['other.t is made by no migration']);
  });

  it('is not there where the catalog is complete', () => {
    expect(impact('drop table if exists other.t', '', true).locks).toEqual([]);
  });
});
