import { readFileSync } from 'node:fs';
import { type Statement, splitStatements } from '../../../src/sql/statements.ts';

/** A script of the corpus: `base` makes what `statements` work on. */
export function corpusText(name: 'base' | 'statements'): string {
  return readFileSync(new URL(`./${name}.sql`, import.meta.url), 'utf8');
}

/** At least one statement of every kind that the grammar knows. */
export function corpusStatements(): Statement[] {
  return splitStatements(corpusText('statements'));
}

/** Statements that PostgreSQL takes however deep they are nested, each of another shape. */
export function deepStatements(depth: number): Record<string, string> {
  const times = (count: number, part: string) => part.repeat(count);
  const joined = (count: number, part: string, by: string) => Array(count).fill(part).join(by);
  return {
    unions: `insert into t ${joined(depth, 'select 1', ' union all ')}`,
    parentheses: `select ${times(depth / 4, '(')}1${times(depth / 4, ')')} from t`,
    calls: `update t set a = ${times(depth / 4, 'abs(')}1${times(depth / 4, ')')}`,
    chain: `update t set b = ${joined(depth, "'a'", ' || ')}`,
    ands: `delete from t where ${joined(depth, 'a > 1', ' and ')}`,
    'nested ands': `delete from t where ${times(depth / 4, '(a > 1 and ')}true${times(depth / 4, ')')}`,
    nots: `delete from t where ${times(depth, 'not ')}true`,
    cases: `update t set a = ${times(depth / 8, 'case when a > 1 then 1 else ')}2${times(depth / 8, ' end')}`,
    casts: `select 1${times(depth, '::int')} from t`,
    joins: `create view deep as select t0.id from t t0 ${Array.from({ length: depth / 4 }, (_, i) => `join t t${i + 1} on true`).join(' ')}`,
    subqueries: `create view deep as select * from ${times(depth / 8, '(select * from ')}t${times(depth / 8, ') x')}`,
    check: `alter table t add constraint deep check (${joined(depth, 'a is not null', ' and ')})`,
    type: `alter table t alter column a type int using a${times(depth, '::int')}`,
    index: `create index on t ((${times(depth / 4, 'abs(')}a${times(depth / 4, ')')}))`,
    names: `create materialized view deep as select ${times(depth / 8, 'case when true then 1 else ')}2${times(depth / 8, ' end')} from t`,
    block: `do $do$ begin ${times(depth / 20, 'if true then ')}update t set a = 1; ${times(depth / 20, 'end if; ')}end $do$`,
    bodies: `do $do$ begin ${joined(depth / 20, 'update t set a = 1;', ' ')} end $do$`,
  };
}
