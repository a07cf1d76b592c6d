import { describe, expect, it } from 'vitest';
import { createStatementCache } from '../../src/pool/statement-cache.ts';

const look = (text: string) => createStatementCache()(text);

const CONTROL = [
  'begin',
  'BEGIN ISOLATION LEVEL SERIALIZABLE',
  'start transaction',
  'START\n\tTRANSACTION read only',
  'commit',
  'commit and chain',
  'COMMIT;',
  'end',
  'rollback',
  'rollback to savepoint a',
  'abort',
  'savepoint a',
  'release savepoint a',
  'release a',
  `prepare transaction 'x'`,
];

const BEFORE = [
  ['nothing', ''],
  ['white space', ' \t\r\n\f\v'],
  ['a semicolon', ';'],
  ['empty statements', ' ; ;\n;'],
  ['a comment', '/* a */'],
  ['nested comments', '/* a /* b /* c */ */ */'],
  ['a comment that looks nested', '/* a /*/ b */ */'],
  ['a comment of stars', '/***/'],
  ['a line comment', '-- a\n'],
  ['a line comment that ends with a carriage return', '-- a\r'],
  ['line comments in comments', '/* -- */ -- */ /*\n'],
  ['all of them', ' ;-- a\n/* ; -- */;\n'],
] as const;

describe('the statement cache', () => {
  it.each(BEFORE)('sees transaction control behind %s', (_, before) => {
    for (const text of CONTROL) {
      expect(look(`${before}${text}`).isTransactionControl, text).toBe(true);
      expect(look(`${before}${text.toUpperCase()}`).isTransactionControl, text).toBe(true);
    }
  });

  it.each([
    'select 1',
    `select 'commit'`,
    '/* commit */ select 1',
    '-- commit\nselect 1',
    '-- commit',
    '/* commit',
    'beginning',
    `commit prepared 'x'`,
    `ROLLBACK\n  PREPARED 'x'`,
    'insert into commits values (1)',
    'table "commit"',
    'endpoint',
    'start_something()',
    'release_it',
    'prepare x as select 1',
    'create procedure p() begin atomic select 1; end',
    'do $$ begin commit; end $$',
    '',
  ])('does not see it in %j', (text) => {
    expect(look(text).isTransactionControl).toBe(false);
  });

  it('sees what turns a connection into a stream', () => {
    for (const text of [
      'copy t from stdin',
      'COPY t (a, b)\nFROM STDIN (format csv)',
      '/* x */ ; copy (select 1) to stdout',
      'copy t to STDOUT',
    ]) {
      expect(look(text).isCopy, text).toBe(true);
    }
    for (const text of [
      `copy t from '/tmp/file'`,
      `copy t to program 'cat'`,
      `select 'copy t from stdin'`,
      'select copy from stdin',
      'select * from copy_from_stdin',
    ]) {
      expect(look(text).isCopy, text).toBe(false);
    }
  });

  it.each([
    `select set_config('a.b', 'c', false)`,
    `select pg_catalog.SET_CONFIG($1, $2, $3)`,
    `select set_config('a.b', 'c', true), set_config('a.c', 'd', false)`,
    `select set_config('a.b', f('c', true), false)`,
    'select pg_advisory_lock(1)',
    'select pg_try_advisory_lock_shared(1)',
    'select 1 into temp t',
    'select * into pg_temp.t from x',
    'SELECT 1 INTO TEMPORARY t',
    'select 1 into "pg_temp".t',
    'insert into pg_temp_3.t values (1)',
  ])('sees that %j may leave something', (text) => {
    expect(look(text).leavesTraces).toBe(true);
  });

  it.each([
    'select 1',
    'insert into settings values ($1)',
    `select set_config('a.b', 'c', true)`,
    `select set_config ( 'a.b' , $1 , TRUE )`,
    'update t set config = 1',
    'select count from login_attempts',
    'select temperature, template from contemporary',
  ])('sees that %j leaves nothing', (text) => {
    expect(look(text).leavesTraces).toBe(false);
  });

  it('counts how often a text was asked for, and tells texts apart', () => {
    const cache = createStatementCache();
    expect([1, 2, 3].map(() => cache('select 1').uses)).toEqual([1, 2, 3]);
    expect(cache('select  1').uses).toBe(1);
  });

  it('forgets the oldest texts', () => {
    const cache = createStatementCache(3);
    for (const text of ['a', 'b', 'c', 'a', 'd']) cache(text);
    expect(['d', 'c', 'b'].map((text) => cache(text).uses)).toEqual([2, 2, 2]);
    expect(cache('a').uses).toBe(1);
  });

  it('remembers no long text, and looks at each all the same', () => {
    const cache = createStatementCache();
    const long = `commit /* ${'x'.repeat(30_000)} */`;
    expect([cache(long), cache(long)]).toMatchObject([
      { uses: 1, isTransactionControl: true },
      { uses: 1, isTransactionControl: true },
    ]);
  });

  it('reads a megabyte of comments, open or closed', () => {
    const million = 1_000_000;
    expect(look(`${'/* */'.repeat(million / 5)} commit`).isTransactionControl).toBe(true);
    expect(look(`${'-- a\n'.repeat(million / 50)} commit`).isTransactionControl).toBe(true);
    expect(look('/*'.repeat(million / 2)).isTransactionControl).toBe(false);
  });
});
