import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { differencesOn } from '../support/impact-corpus/differences.ts';

test('says that a type change builds the indexes of partitions that belong to a partitioned one', async ({
  emptyDb,
}) => {
  await emptyDb.sql
    .unsafe(`
      create table ev (id int not null, name varchar(20), g text, unique (id, name))
        partition by range (id);
      create table ev1 partition of ev for values from (0) to (1000000);
      create table ev2 partition of ev for values from (1000000) to (2000000) partition by range (id);
      create table ev2a partition of ev2 for values from (1000000) to (2000000);
      create index ev_name on ev (name);
      create index ev_g on ev (g);
      create index ev_only on only ev (name);
      create index ev1_own on ev1 (name);
      create index ev2_own on ev2 (name);
      insert into ev select i * 10000, 'a', 'g' from generate_series(1, 150) i;
      create table lone (id int not null, name varchar(20)) partition by range (id);
      create table lone1 partition of lone for values from (0) to (1000000);
      create index lone1_own on lone1 (name);
      insert into lone select i, 'a' from generate_series(1, 100) i;
      create table plain (id int, name varchar(20), unique (id, name));
      insert into plain select i, 'a' from generate_series(1, 100) i;
      analyze`)
    .simple();
  const { found, judged } = await differencesOn(emptyDb.url, [
    'alter table ev alter column name type varchar(40)',
    'alter table ev alter column name type text',
    'alter table ev alter column name type varchar(20)',
    'alter table ev alter column name type varchar(10)',
    'alter table ev alter column g type varchar',
    // An index that only the partition has is taken over, as is that of a plain table.
    'alter table lone alter column name type varchar(40)',
    'alter table lone alter column name type varchar(10)',
    'alter table plain alter column name type varchar(40)',
  ]);
  expect(found).toEqual({});
  expect(judged).toBe(8);
});
