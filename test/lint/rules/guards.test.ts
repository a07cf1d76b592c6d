import { describe, expect, test } from 'vitest';
import { lint, verdicts } from '../lint-kit.ts';

const BEFORE = `
  create table r (id int primary key);
  create table t (id int primary key, a int references r, b text not null);
  create table lone (id int primary key);
  create index t_a on t (a, b);
  create unique index t_b on t (b);`;

/** `rule severity` of what one rule says, the database being what `before` made. */
function verdictsOf(rule: string, text: string, before = BEFORE): string[] {
  return verdicts(lint(text, { before, only: [rule] })).map((one) => one.replace(`${rule} `, ''));
}

const messageOf = (rule: string, text: string, before = BEFORE) =>
  lint(text, { before, only: [rule] }).findings[0]?.message;

describe('disabled-trigger', () => {
  const rule = 'disabled-trigger';

  test.each([
    ['error', 'alter table t disable trigger all'],
    ['error', 'alter table r disable trigger all'],
    ['error', 'alter table elsewhere disable trigger all'],
    ['warning', 'alter table lone disable trigger all'],
    ['warning', 'alter table t disable trigger user'],
    ['warning', 'alter table t disable trigger audit'],
    ['warning', 'alter table t enable replica trigger audit'],
    ['warning', 'alter table t disable rule quiet'],
    ['warning', 'alter event trigger guard disable'],
    ['info', 'alter table t disable trigger user; alter table t enable trigger user'],
    ['error', 'set session_replication_role = replica'],
    ['error', "set local session_replication_role to 'replica'"],
    ['error', 'alter role loader set session_replication_role = replica'],
    ['error', "select set_config('session_replication_role', 'replica', true)"],
    ['error', "do $$ begin set local session_replication_role = 'replica'; end $$"],
    [
      'error',
      "create function f() returns int language sql set session_replication_role = replica as 'select 1'",
    ],
  ])('gives %s for %s', (severity, text) => {
    expect(verdictsOf(rule, text)).toEqual([severity]);
  });

  test('tells the lock, and what happens to the foreign keys', () => {
    expect(messageOf(rule, 'alter table t disable trigger all')).toBe(
      'switches all triggers, those of the foreign keys among them, of public.t off under SHARE ROW EXCLUSIVE: no one can write to it meanwhile, and the lock stays until the transaction ends; rows without the row that they reference go in, and the foreign key counts as valid',
    );
  });

  test.each([
    'alter table t enable trigger all',
    'alter table t enable always trigger audit',
    'set session_replication_role = default',
    'set session_replication_role = origin',
    'reset session_replication_role',
    'create table n (id int); alter table n disable trigger all',
  ])('says nothing of %s', (text) => {
    expect(verdictsOf(rule, text)).toEqual([]);
  });
});

describe('row-security', () => {
  const rule = 'row-security';
  const secured = `${BEFORE} create policy p on t using (true); alter table t enable row level security;`;

  test.each([
    ['error', 'alter table t enable row level security', BEFORE],
    ['warning', 'alter table elsewhere enable row level security', BEFORE],
    ['warning', 'alter table t disable row level security', secured],
    ['error', 'drop policy p on t', secured],
    ['warning', 'drop policy p on t', `${secured} create policy q on t using (true);`],
    ['warning', 'drop policy p on elsewhere', BEFORE],
  ])('gives %s for %s', (severity, text, before) => {
    expect(verdictsOf(rule, text, before)).toEqual([severity]);
  });

  test.each([
    ['alter table t enable row level security; create policy p on t using (true)', BEFORE],
    ['create policy p on t using (true); alter table t enable row level security', BEFORE],
    ['alter table t enable row level security', secured],
    ['drop policy p on t; create policy p on t using (a > 0)', secured],
    ['drop policy if exists q on t; create policy q on t using (a > 0)', secured],
    ['drop policy if exists q on t', secured],
    ['alter policy p on t using (a > 0)', secured],
    ['create table n (id int); alter table n enable row level security', BEFORE],
  ])('says nothing of %s', (text, before) => {
    expect(verdictsOf(rule, text, before)).toEqual([]);
  });
});

describe('replica-identity', () => {
  const rule = 'replica-identity';
  const published = `${BEFORE} create publication pub for table t;`;
  const byIndex = `${published} alter table t replica identity using index t_b;`;

  test.each([
    ['error', 'alter table t drop constraint t_pkey', published],
    ['error', 'alter table t drop column id', published],
    ['error', 'alter table t replica identity nothing', published],
    [
      'error',
      'alter table t drop constraint t_pkey',
      `${BEFORE} create publication pub for all tables;`,
    ],
    [
      'error',
      'alter table t drop constraint t_pkey',
      `${BEFORE} create publication pub for tables in schema public;`,
    ],
    ['error', 'drop index t_b', byIndex],
    ['error', 'alter table t drop column b', byIndex],
    ['error', 'create publication pub for table bare', `${BEFORE} create table bare (a int);`],
    ['error', 'create publication pub for all tables', 'create table bare (a int);'],
    ['warning', 'alter table t replica identity nothing', BEFORE],
  ])('gives %s for %s', (severity, text, before) => {
    expect(verdictsOf(rule, text, before)).toEqual([severity]);
  });

  test.each([
    ['alter table t drop constraint t_pkey', BEFORE],
    ['alter table t drop constraint t_pkey', byIndex],
    ['alter table t drop column a', published],
    ['drop index t_a', published],
    ['alter table t drop constraint t_pkey', `${published} alter table t replica identity full;`],
    [
      'alter table t drop constraint t_pkey',
      `${BEFORE} create publication pub for table t with (publish = 'insert');`,
    ],
    ['alter table t drop constraint t_pkey', `${published} drop publication pub;`],
    [
      'alter table t drop constraint t_pkey, add constraint t_key primary key using index t_b',
      published,
    ],
    [
      "create publication pub for table bare with (publish = 'insert')",
      'create table bare (a int);',
    ],
    ['create publication pub for table t, lone', BEFORE],
  ])('says nothing of %s', (text, before) => {
    expect(verdictsOf(rule, text, before)).toEqual([]);
  });
});

describe('publication-change', () => {
  const rule = 'publication-change';
  const published = `${BEFORE} create publication pub for table t, r;`;

  test.each([
    'drop publication pub',
    'drop publication if exists elsewhere',
    'alter publication pub drop table t',
    'alter publication pub set table t',
    "alter publication pub set (publish = 'insert')",
    'alter publication pub rename to other',
  ])('warns of %s', (text) => {
    expect(verdictsOf(rule, text, published)).toEqual(['warning']);
  });

  test.each([
    'alter publication pub add table lone',
    'alter publication pub set table t, r, lone',
    "alter publication pub set (publish = 'insert, update, delete')",
    'alter publication pub owner to somebody',
    'create publication own for table t; drop publication own',
  ])('says nothing of %s', (text) => {
    expect(verdictsOf(rule, text, published)).toEqual([]);
  });

  test('names what is lost', () => {
    expect(messageOf(rule, 'alter publication pub set table t', published)).toContain(
      'takes public.r out of publication pub',
    );
  });
});

describe('lock-table', () => {
  const rule = 'lock-table';

  test.each([
    'lock table t',
    'lock table t in share mode',
    'lock table only t in exclusive mode nowait',
    'do $$ begin lock table t in share row exclusive mode; end $$',
  ])('warns of %s', (text) => {
    expect(verdictsOf(rule, text)).toEqual(['warning']);
  });

  test('tells who waits', () => {
    expect(messageOf(rule, 'lock table t in share mode')).toBe(
      'locks public.t under SHARE: no one can write to it meanwhile, and the lock stays until the transaction ends',
    );
  });

  test.each([
    'lock table t in share update exclusive mode',
    'lock table t in row exclusive mode',
    'create table n (id int); lock table n',
  ])('says nothing of %s', (text) => {
    expect(verdictsOf(rule, text)).toEqual([]);
  });
});

describe('settings of a table', () => {
  test.each([
    ['unlogged-table', 'create unlogged table n (id int)'],
    ['unlogged-table', 'create unlogged table n as select 1 as a'],
    ['unlogged-table', 'alter table t set unlogged'],
    ['autovacuum-disabled', 'alter table t set (autovacuum_enabled = false)'],
    ['autovacuum-disabled', 'alter table t set (fillfactor = 90, autovacuum_enabled = off)'],
    ['autovacuum-disabled', 'alter table t set (toast.autovacuum_enabled = 0)'],
    ['autovacuum-disabled', 'create table n (id int) with (autovacuum_enabled = no)'],
  ])('%s tells of %s', (rule, text) => {
    expect(verdictsOf(rule, text)).toEqual(['info']);
  });

  test.each([
    ['unlogged-table', 'create table n (id int)'],
    ['unlogged-table', 'create temporary table n (id int)'],
    ['unlogged-table', 'alter table t set logged'],
    ['autovacuum-disabled', 'alter table t set (autovacuum_enabled)'],
    ['autovacuum-disabled', 'alter table t set (autovacuum_enabled = true)'],
    ['autovacuum-disabled', 'alter table t reset (autovacuum_enabled)'],
  ])('%s says nothing of %s', (rule, text) => {
    expect(verdictsOf(rule, text)).toEqual([]);
  });
});

describe('redundant-index', () => {
  const rule = 'redundant-index';

  test.each([
    ['create index i on t (a)', 'i is not needed: public.t_a begins with the same columns'],
    ['create index i on t (id)', 'i is not needed: public.t_pkey begins with the same columns'],
    ['create index i on t (a, b, id)', 'public.t_a is not needed beside i'],
    ['create unique index i on t (b)', 'i is not needed: public.t_b'],
  ])('finds %s', (text, message) => {
    expect(messageOf(rule, text)).toContain(message);
  });

  test.each([
    'create index i on t (b, a)',
    'create index i on t using hash (a)',
    'create index i on t (a) where b is null',
    'create index i on t (a desc)',
    'create index i on t (a) include (id)',
    'create index i on t (lower(b))',
    'create index i on t (b text_pattern_ops)',
    'create unique index i on t (a)',
    'create index i on t (id, a)',
  ])('says nothing of %s', (text) => {
    expect(verdictsOf(rule, text)).toEqual([]);
  });
});

describe('destructive-change', () => {
  const rule = 'destructive-change';

  test('tells that a dropped unique index kept a rule', () => {
    expect(verdictsOf(rule, 'drop index concurrently t_b')).toEqual(['info']);
    expect(messageOf(rule, 'drop index t_b')).toContain('(b) of public.t is no longer kept unique');
  });

  test('tells that a foreign key is no longer enforced', () => {
    const text = 'alter table t alter constraint t_a_fkey not enforced';
    expect(verdictsOf(rule, text)).toEqual(['info']);
  });

  test.each([
    'drop index t_a',
    'create unique index other on t (b); drop index t_b',
    'drop index t_b; create unique index t_b on t (b)',
  ])('says nothing of %s', (text) => {
    expect(verdictsOf(rule, text)).toEqual([]);
  });
});

describe('security-definer', () => {
  const rule = 'security-definer';
  const body = "as 'select 1'";

  test.each([
    `create function f() returns int language sql security definer ${body}`,
    'alter function f() security definer',
  ])('finds %s', (text) => {
    expect(verdictsOf(rule, text)).toEqual(['warning']);
  });

  test.each([
    `create function f() returns int language sql ${body}`,
    `create function f() returns int language sql security invoker ${body}`,
    `create function f() returns int language sql security definer set search_path from current ${body}`,
    `create function f() returns int language sql security definer set search_path = app, pg_temp ${body}`,
  ])('says nothing of %s', (text) => {
    expect(verdictsOf(rule, text)).toEqual([]);
  });

  test('is off unless it is asked for', () => {
    const text = `create function f() returns int language sql security definer ${body}`;
    expect(verdicts(lint(text))).toEqual([]);
  });
});

describe('a table of the file that becomes a partition of a live one', () => {
  const before = `create table p (id int, a int) partition by range (id);
    create table d partition of p default;`;
  const made =
    'create table n (id int, a int); insert into n select * from generate_series(1, 9) as a(id), generate_series(1, 9) as b(a);';
  const attach = 'alter table p attach partition n for values from (0) to (9);';

  test.each([
    ['index-not-concurrent', 'error', 'create index i on n (a)'],
    ['set-not-null', 'error', 'alter table n alter a set not null'],
    ['work-under-strong-lock', 'warning', 'create index i on n (a)'],
  ])("is everybody's to %s from then on", (rule, severity, text) => {
    expect(verdictsOf(rule, `${made} ${attach} ${text}`, before)).toEqual([severity]);
    expect(verdictsOf(rule, `${made} ${text}; ${attach}`, before)).toEqual([]);
  });

  test("stays nobody's where it is empty, or its parent is of the file too", () => {
    const index = 'create index i on n (a)';
    const empty = `create table n (id int, a int); ${attach} ${index}`;
    expect(verdictsOf('index-not-concurrent', empty, before)).toEqual([]);
    const own = `create table p (id int, a int) partition by range (id); ${made} ${attach} ${index}`;
    expect(verdictsOf('index-not-concurrent', own, 'select 1')).toEqual([]);
  });
});

describe('domains, tablespaces and keys', () => {
  test.each([
    ['check-validated warning', 'alter domain elsewhere add constraint c check (value > 0)'],
    ['set-not-null warning', 'alter domain elsewhere set not null'],
    ['rewrite-command error', 'alter index t_a set tablespace fast'],
    ['rewrite-command error', 'alter table all in tablespace slow set tablespace fast'],
    ['rewrite-command error', 'alter index all in tablespace slow set tablespace fast'],
    ['fk-validated error', 'alter table t alter constraint t_a_fkey enforced'],
  ])('%s of %s', (verdict, text) => {
    const unenforced = `${BEFORE} alter table t alter constraint t_a_fkey not enforced;`;
    const found = verdicts(lint(text, { before: unenforced }));
    expect(found).toContain(verdict);
  });

  test.each([
    'alter domain elsewhere add constraint c check (value > 0) not valid',
    'alter index t_a set tablespace pg_default',
  ])('says nothing of %s', (text) => {
    expect(verdicts(lint(text, { before: BEFORE }))).toEqual([]);
  });

  test('tells who waits for an index that is moved', () => {
    expect(messageOf('rewrite-command', 'alter index t_a set tablespace fast')).toBe(
      'moving index public.t_a to tablespace fast copies it under ACCESS EXCLUSIVE: no one can read or write public.t meanwhile',
    );
  });
});
