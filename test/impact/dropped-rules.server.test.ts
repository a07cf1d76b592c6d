import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { differencesOn } from '../support/impact-corpus/differences.ts';

test('knows the policies and rules of other tables that go away with what they read', async ({
  emptyDb,
}) => {
  await emptyDb.sql
    .unsafe(`
      create table acc (id int primary key, v int);
      create view seen as select * from acc;
      create table plain (id int);
      create table direct (id int);
      create policy p on direct using (exists (select from acc));
      create table through (id int);
      create policy p on through using (id in (select id from seen));
      create table parted (id int, k int) partition by list (k);
      create table parted1 partition of parted for values in (1);
      create policy p on parted using (exists (select v from acc));
      create table ruled (id int, x int);
      create rule reads as on insert to ruled do also select count(*) from acc;
      create rule writes as on update to ruled where new.x > 0 do also delete from plain;
      create policy own on acc using (v > 0)`)
    .simple();
  const { found, judged } = await differencesOn(emptyDb.url, [
    'drop table acc cascade',
    'drop view seen cascade',
    'drop table plain cascade',
    'drop table direct cascade',
    'alter table acc drop column id cascade',
  ]);
  expect(found).toEqual({});
  expect(judged).toBe(5);
});
