import { describe, expect, it } from 'vitest';
import { classifyStatement, isTransactionControl } from '../../src/sql/kind.ts';
import { splitStatements } from '../../src/sql/statements.ts';

function kindOf(script: string) {
  const [statement] = splitStatements(script);
  if (statement === undefined) throw new Error(`no statement in ${script}`);
  const kind = classifyStatement(statement);
  expect(isTransactionControl(statement)).toBe(kind.isTransactionControl);
  return kind;
}

describe('transaction control', () => {
  it.each([
    'begin',
    'BEGIN isolation level serializable',
    'start transaction',
    'commit',
    'commit work and chain',
    'end',
    'end transaction',
    'rollback',
    'rollback work and no chain',
    'abort',
    "prepare transaction 'a'",
    "commit prepared 'a'",
    "rollback prepared 'a'",
  ])('is what %j does', (script) => {
    expect(kindOf(script).isTransactionControl).toBe(true);
  });

  it.each([
    'savepoint a',
    'release savepoint a',
    'rollback to savepoint a',
    'rollback work to a',
    'prepare a as select 1',
    'set transaction isolation level serializable',
    'create function f() returns int begin atomic select 1; end',
    'do $$ begin commit; end $$',
    'call p()',
    'select "begin"',
  ])('is not what %j does', (script) => {
    expect(kindOf(script).isTransactionControl).toBe(false);
  });
});

describe('statements that PostgreSQL refuses inside a transaction', () => {
  it.each([
    ['create index concurrently i on t (a)', 'create index concurrently'],
    [
      'CREATE UNIQUE INDEX\n-- now\nCONCURRENTLY IF NOT EXISTS i ON t (a)',
      'create index concurrently',
    ],
    ['drop index concurrently i', 'drop index concurrently'],
    ['drop index concurrently if exists i', 'drop index concurrently'],
    ['reindex index concurrently i', 'reindex concurrently'],
    ['reindex (concurrently) table t', 'reindex concurrently'],
    ['reindex (verbose, concurrently true) table t', 'reindex concurrently'],
    ['reindex schema concurrently s', 'reindex schema concurrently'],
    ['reindex database d', 'reindex database'],
    ['reindex (verbose) system d', 'reindex system'],
    ['vacuum', 'vacuum'],
    ['vacuum (analyze) t', 'vacuum'],
    ['create database d', 'create database'],
    ['drop database if exists d', 'drop database'],
    ["create tablespace s location '/x'", 'create tablespace'],
    ['drop tablespace s', 'drop tablespace'],
    ["alter system set work_mem = '4MB'", 'alter system'],
    ['alter database d set tablespace s', 'alter database … set tablespace'],
    [
      'alter table if exists only p detach partition q concurrently',
      'alter table … detach partition concurrently',
    ],
    ['cluster', 'cluster'],
    ['cluster (verbose)', 'cluster'],
    ['discard all', 'discard all'],
    ["create subscription s connection 'c' publication p", 'create subscription'],
    [
      "create subscription s connection 'c' publication p with (enabled = false)",
      'create subscription',
    ],
    ['alter subscription s refresh publication', 'alter subscription'],
    ['alter subscription s set publication p', 'alter subscription'],
  ])('include %j', (script, label) => {
    expect(kindOf(script)).toMatchObject({ needsNoTransaction: true, label });
  });

  it.each([
    'create index i on t (a)',
    'create index "concurrently" on t (a)',
    'create index i on concurrently (a)',
    'drop index i, concurrently',
    'reindex table t',
    'reindex (concurrently false) table t',
    'reindex (concurrently off, verbose) table t',
    'refresh materialized view concurrently v',
    'analyze t',
    'alter table p detach partition q',
    'alter table p detach partition q finalize',
    'alter table t add column concurrently int',
    'cluster t using i',
    'cluster verbose t',
    'cluster "t"',
    'discard temp',
    'alter database d set search_path to tablespace',
    "alter type e add value 'x'",
    "create subscription s connection 'c' publication p with (create_slot = false)",
    "create subscription s connection 'c' publication p with (connect=off, slot_name = none)",
    'alter subscription s set publication p with (refresh = false)',
    'alter subscription s disable',
    'drop subscription s',
    'create publication p for table t',
    "insert into t values ('vacuum; create index concurrently')",
    'do $$ begin execute $e$ vacuum $e$; end $$',
  ])('do not include %j', (script) => {
    expect(kindOf(script).needsNoTransaction).toBe(false);
  });
});

describe('the word concurrently', () => {
  it.each([
    ['create index concurrently i on t (a)', true],
    ['refresh materialized view concurrently v', true],
    ['reindex table concurrently t', true],
    ['refresh materialized view v', false],
    ["comment on index i is 'concurrently'", false],
  ])('in %j counts: %s', (script, expected) => {
    expect(kindOf(script).isConcurrently).toBe(expected);
  });
});

describe('the class of locks', () => {
  it.each([
    'select 1',
    '(select 1)',
    'insert into t values (1)',
    'update t set a = 1',
    'delete from t',
    'merge into t using s on true when matched then do nothing',
    'with a as (select 1) update t set a = 1',
    'values (1)',
    'table t',
    'copy t to stdout',
    'call p()',
    'explain analyze select 1',
    'do $$ begin update t set a = 1; end $$',
    "do 'begin update t set a = 1; end'",
    'do language plpgsql $$ begin perform created_at, dropped, lock_version from t; end $$',
  ])('of %j is data', (script) => {
    expect(kindOf(script).lockClass).toBe('data');
  });

  it.each([
    'create table t as select 1',
    'alter table t add a int',
    'drop table t',
    'truncate t',
    'lock table t in share mode',
    'create index concurrently i on t (a)',
    'refresh materialized view v',
    'vacuum t',
    "comment on table t is 'x'",
    'grant select on t to a',
    'set search_path to a',
    'do $$ begin ALTER TABLE t ADD a int; end $$',
    "do $x$ begin execute 'select 1'; end $x$",
    'do language plpython3u $$ run() $$',
    '"select" 1',
  ])('of %j is ddl', (script) => {
    expect(kindOf(script).lockClass).toBe('ddl');
  });
});
