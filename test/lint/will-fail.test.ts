import { describe, expect, test } from 'vitest';
import { createCatalog } from '../../src/catalog/catalog.ts';
import { replayStatement } from '../../src/catalog/replay/replay.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import { lint, script, verdicts } from './lint-kit.ts';

const BEFORE = `create table part (id int, a int) partition by range (id);
create table part_1 partition of part for values from (1) to (9);
create index part_a on part (a);
create table t (id int primary key, a int);`;
const ALONE = '-- evdb: no-transaction\n';

describe('what PostgreSQL always refuses', () => {
  test('is the only thing that lint says of it besides what it loses', () => {
    const text = `${ALONE}create index concurrently on part (id);`;
    expect(verdicts(lint(text, { before: BEFORE }))).toEqual(['will-fail error']);
    const dropped = verdicts(lint('drop index t_pkey;', { before: BEFORE }));
    expect(dropped).toContain('will-fail error');
    expect(dropped).not.toContain('index-drop-reindex-blocking warning');
  });

  test('depends on the transaction where PostgreSQL does', () => {
    expect(verdicts(lint('reindex table part;', { before: BEFORE }))).toContain('will-fail error');
    expect(verdicts(lint(`${ALONE}reindex table part;`, { before: BEFORE }))).not.toContain(
      'will-fail error',
    );
  });

  test('depends on what the same statement has dropped by then', () => {
    const only = ['will-fail'];
    const [drop, free] = ['drop constraint t_pkey', 'alter column id drop not null'];
    expect(lint(`alter table t ${drop}, ${free};`, { before: BEFORE, only }).findings).toEqual([]);
    expect(verdicts(lint(`alter table t ${free}, ${drop};`, { before: BEFORE, only }))).toEqual([
      'will-fail error',
    ]);
  });

  test('is a warning in a block, which may catch it or never come to it', () => {
    const text = 'do $$ begin truncate t; exception when others then null; end $$;';
    const before = `${BEFORE} create table r (t_id int references t);`;
    expect(verdicts(lint(text, { before, only: ['will-fail'] }))).toEqual(['will-fail warning']);
  });

  test('is a warning where it only leaves undone what it asks for', () => {
    const only = ['will-fail'];
    const { findings } = lint('create table if not exists t (id int, b int, c int);', {
      before: BEFORE,
      only,
    });
    expect(findings).toMatchObject([
      { severity: 'warning', message: expect.stringContaining('without column b and 1 more') },
    ]);
    for (const text of [
      'create table if not exists t (id int);',
      'create table if not exists unknown (b int);',
    ]) {
      expect(lint(text, { before: BEFORE, only }).findings).toEqual([]);
    }
  });

  test.each([
    ['drop table t;', 'drop table r, t;'],
    ['drop table part;', 'drop view v; drop table part;'],
    [
      'alter table t drop constraint t_pkey;',
      'drop table r; alter table t drop constraint t_pkey;',
    ],
    ['alter table t add primary key (a);', 'alter table part_1 add primary key (a);'],
    ['alter table t add column a int;', 'alter table t add column if not exists a int;'],
  ])('is known of what others need and what is there: %s', (text, fits) => {
    const before = `${BEFORE} create table r (t_id int references t); create view v as select id from part;`;
    const only = ['will-fail'];
    expect(verdicts(lint(text, { before, only }))).toEqual(['will-fail error']);
    expect(lint(fits, { before, only }).findings).toEqual([]);
  });

  test('is not claimed of what no migration makes', () => {
    const text = `${ALONE}create index concurrently on unknown (a); drop index concurrently u; truncate unknown;`;
    expect(lint(text, { only: ['will-fail'] }).findings).toEqual([]);
  });
});

describe('work under a strong lock', () => {
  const only = ['work-under-strong-lock'];
  const many = `alter table t add column b int;\n${'update t set a = 1 where id = 1;\n'.repeat(500)}`;

  test('is told once for each transaction, at its first statement', () => {
    const { findings } = lint(many, { before: BEFORE, only });
    expect(findings).toMatchObject([
      {
        line: 2,
        message: expect.stringContaining('(and 499 more statements of this transaction)'),
      },
    ]);
  });

  test('is told of the next statement where the first one is meant', () => {
    const meant = many.replace(
      'update',
      '-- evdb: ignore work-under-strong-lock: a few rows\nupdate',
    );
    const report = lint(meant, { before: BEFORE, only });
    expect(report.suppressed).toHaveLength(1);
    expect(report.findings).toMatchObject([
      { line: 4, message: expect.stringContaining('498 more statements') },
    ]);
  });
});

describe('a column in a view', () => {
  test.each([
    ['select t.a from t join v on t.a = v.id', ['a']],
    ['select x.a from t x join v on true', ['a']],
    ['select a, v.id from t, v', ['a']],
    ['select t.* from t, v', ['id', 'a']],
    ['select v.* from t, v', []],
    ['select t from t', ['id', 'a']],
    ['select 1 from t join v using (id)', ['id']],
    ['select 1 from t natural join v', ['id', 'a']],
    ['select count(*) from t', []],
  ])('belongs to the relation that it is prefixed with: %s', async (query, used) => {
    const parser = await loadSqlParser();
    const catalog = createCatalog();
    const made = `create table t (id int, a int); create table v (id int, z int); create view w as ${query}`;
    for (const { text } of splitStatements(made)) {
      const tree = parser.parse(text);
      if (tree) replayStatement(catalog, tree, text);
    }
    const reads = catalog.relations.get('public.w')?.reads?.get('public.t');
    expect([...(reads ?? [])]).toEqual(used);
  });
});

test('an index that the file itself builds on an unknown table is not called unknown', () => {
  const text =
    'create unique index i on unknown (a); alter table unknown add constraint k unique using index i;';
  expect(lint(text, { only: ['invalid-index-masked'] }).findings).toEqual([]);
});

test('rules about types look at a changed type too', () => {
  const text = 'alter table t alter column a type timestamp, alter column a type varchar(5);';
  const only = ['prefer-timestamptz', 'prefer-text'];
  expect(verdicts(lint(script(text), { before: BEFORE, only }))).toEqual([
    'prefer-timestamptz warning',
    'prefer-text warning',
  ]);
});

test('functions that call each other many times end as what cannot be read', () => {
  const levels = Array.from({ length: 7 }, (_, i) => i + 1);
  const calls = (i: number) => `select f${i + 1}(); `.repeat(20);
  const functions = levels.map(
    (i) => `create function f${i}() returns void language sql as '${calls(i)}';`,
  );
  const before = `create function f8() returns void language sql as 'update t set a = 1'; ${functions.join(' ')}`;
  const { findings } = lint('select f1();', { before: `${BEFORE} ${before}` });
  expect(findings.map(({ rule }) => rule)).toContain('opaque-sql');
  expect(findings.length).toBeLessThan(6000);
});
