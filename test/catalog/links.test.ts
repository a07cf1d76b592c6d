import { describe, expect, it } from 'vitest';
import { type Catalog, createCatalog } from '../../src/catalog/catalog.ts';
import { replayStatement } from '../../src/catalog/replay/replay.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';

describe('what is kept of the relations that have to do with another', async () => {
  const parser = await loadSqlParser();

  function replay(steps: readonly string[], forget: boolean): Catalog {
    const catalog = createCatalog();
    for (const { text } of steps.flatMap((step) => splitStatements(step))) {
      const tree = parser.parse(text);
      if (tree) replayStatement(catalog, tree, text);
      // Without what is kept, every relation is asked.
      if (forget) for (const one of catalog.relations.values()) delete one.everLinked;
    }
    for (const one of catalog.relations.values()) delete one.everLinked;
    return catalog;
  }

  const MADE = `
    create table a (id serial primary key, name text, status text);
    create table b (id int generated always as identity, a_id int references a);
    create table c () inherits (a);
    create type kind as (x int);
    create table d of kind;
    create table p (id int) partition by list (id);
    create table p1 partition of p for values in (1);
    create sequence s owned by b.a_id;
    create view v as select id, name from a;
    create view w as select * from v join b on true;
    create materialized view m as select id from w;
    create or replace view v as select id, name, 1 as more from a;`;

  it.each([
    'drop view v cascade',
    'drop table a cascade',
    'drop table b cascade; create table b (id int); create view w as select id from b',
    'drop table c; drop table p1; drop table d',
    'drop table p',
    'alter table a drop column name',
    'alter table b drop column a_id',
    'alter table b alter id drop identity',
    'alter table a rename column id to n; alter table a drop column n cascade',
    'alter table a rename to z; alter view v rename to y; drop view y cascade; drop table z cascade',
    'alter sequence s owned by a.id; drop table b cascade; drop table a cascade',
    'alter sequence s owned by none; drop table b cascade',
    'alter table c no inherit a; drop table a cascade',
    'alter table d not of; drop type kind',
    'alter table p detach partition p1; drop table p; drop table p1',
    'drop sequence s; create table s (id int); drop table b cascade',
    'drop materialized view m; drop view w; drop view v',
  ])('makes no difference to what is there after "%s"', (change) => {
    expect(replay([MADE, change], false)).toEqual(replay([MADE, change], true));
  });
});
