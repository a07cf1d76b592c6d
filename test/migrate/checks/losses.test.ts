import { expect, it } from 'vitest';
import { findLosses } from '../../../src/migrate/checks/losses.ts';
import { loadSqlParser } from '../../../src/sql/parser.ts';
import { splitStatements } from '../../../src/sql/statements.ts';

async function find(text: string): Promise<string[]> {
  const targets = findLosses(splitStatements(text), await loadSqlParser());
  return targets.map((target) => {
    switch (target.kind) {
      case 'schema':
        return `schema ${target.schema}`;
      case 'unknown':
        return `unknown in line ${target.line}`;
      default: {
        const name = [target.name.schema, target.name.name].filter(Boolean).join('.');
        return target.kind === 'column'
          ? `column ${name} ${target.column}`
          : `${target.how} ${name}`;
      }
    }
  });
}

for (const [sql, found] of [
  ['drop table a, "B c".d cascade', ['drop a', 'drop B c.d']],
  ['drop table if exists a', ['drop a']],
  ['drop materialized view m', ['drop m']],
  ['drop schema s, t cascade', ['schema s', 'schema t']],
  ['alter table a drop column b, drop if exists c, add d integer', ['column a b', 'column a c']],
  ['alter table only s.a drop b', ['column s.a b']],
  ['truncate a, b', ['truncate a', 'truncate b']],
  ['delete from a where true', ['delete a']],
  ['with old as (select 1) delete from a using old', ['delete a']],
  ['drop type mood cascade', ['unknown in line 1']],
  ['do $$ begin drop table x; end $$', ['unknown in line 1']],
  ['drop index i; drop view v; drop function f(); alter table a drop constraint c', []],
  ['drop type mood', []],
  [`select 'drop table x'`, []],
] as const) {
  it(`finds in "${sql}" ${found.length === 0 ? 'nothing' : found.join(' and ')}`, async () => {
    expect(await find(sql)).toEqual(found);
  });
}
