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

test('knows the foreign keys to what a partition belongs to, on every level', async ({
  emptyDb,
}) => {
  await emptyDb.sql
    .unsafe(`
      create table m (ts date, id int, primary key (ts, id)) partition by range (ts);
      create table m1 partition of m for values from ('2024-01-01') to ('2024-02-01');
      create table m2 partition of m for values from ('2024-02-01') to ('2024-03-01')
        partition by list (id);
      create table m2a partition of m2 for values in (1);
      create table m2c partition of m2 for values in (3);
      create table md partition of m default;
      create table cand (ts date not null, id int not null);
      create table mref (ts date, id int, foreign key (ts, id) references m);
      create table mleaf (ts date, id int, foreign key (ts, id) references m1);
      create table pr (k int, ts date, id int, foreign key (ts, id) references m)
        partition by list (k);
      create table pr1 partition of pr for values in (1);
      create table self (id int primary key, up int references self) partition by list (id);
      create table self1 partition of self for values in (1) partition by list (id);
      create table self1a partition of self1 for values in (1);
      analyze`)
    .simple();
  const { found, judged } = await differencesOn(
    emptyDb.url,
    [
      'alter table m2 detach partition m2a',
      'alter table self1 detach partition self1a',
      'create table m2b partition of m2 for values in (2)',
      'alter table m2 attach partition cand for values in (2)',
      "create table m3 partition of m for values from ('2025-02-01') to ('2025-03-01')",
      ...['m2a', 'm2', 'm1', 'md', 'm', 'self1a'].map((name) => `drop table ${name} cascade`),
      ...['m2a', 'm2', 'm1', 'm', 'self1', 'self1a'].map((name) => `truncate ${name}`),
      ...['m2a', 'm1', 'm'].map((name) => `truncate ${name} cascade`),
      ...['m, mref, mleaf, pr', 'm2a, mref, pr', 'm2a, mref, pr1', 'self'].map(
        (names) => `truncate ${names}`,
      ),
      'alter table m drop constraint m_pkey cascade',
    ],
    { withRefusals: true },
  );
  expect(found).toEqual({});
  expect(judged).toBe(25);
});

test('knows that a table is emptied with all that it is partitioned into', async ({ emptyDb }) => {
  await emptyDb.sql
    .unsafe(`
      create table customers (id int primary key);
      create table orders (region int, ts date, customer int references customers)
        partition by list (region);
      create table orders_eu partition of orders for values in (1) partition by range (ts);
      create table orders_eu_1 partition of orders_eu
        for values from ('2024-01-01') to ('2025-01-01')`)
    .simple();
  const { found } = await differencesOn(
    emptyDb.url,
    [
      'truncate customers, orders',
      'truncate customers, orders_eu',
      'truncate customers',
      'truncate customers cascade',
    ],
    { withRefusals: true },
  );
  expect(found).toEqual({});
});

test('knows that a unique index needs the partition keys of all levels', async ({ emptyDb }) => {
  await emptyDb.sql
    .unsafe(`
      create table u (ts date, id int not null) partition by range (ts);
      create table u1 partition of u for values from ('2024-02-01') to ('2024-03-01')
        partition by list (id);
      create table u1a partition of u1 for values in (1)`)
    .simple();
  const { found } = await differencesOn(
    emptyDb.url,
    [
      'create unique index on u (ts)',
      'create unique index on u (ts, id)',
      'create unique index on only u (ts)',
      'alter table u add constraint uu unique (ts)',
      'alter table u add primary key (ts)',
      'alter table only u add constraint uu unique (ts)',
    ],
    { withRefusals: true },
  );
  expect(found).toEqual({});
});
