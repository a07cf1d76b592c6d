import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { differencesOn } from '../support/impact-corpus/differences.ts';

test('knows what an alter table drops before it does the rest', async ({ emptyDb }) => {
  await emptyDb.sql
    .unsafe(`
      create table codes (code text primary key, a int);
      create table big (
        id int primary key, n int not null, u int unique, constraint n_pos check (n > 0)
      );
      insert into big select i, i, i from generate_series(1, 100) as i;
      create index big_n_u on big (n, u);
      create table part (id int primary key, a int) partition by range (id);
      create table part1 partition of part for values from (0) to (1000);
      insert into part select i, i from generate_series(1, 100) as i;
      create table keyed (x text constraint keyed_fk references codes);
      insert into keyed values (null);
      analyze`)
    .simple();
  const { found, judged } = await differencesOn(
    emptyDb.url,
    [
      'alter table codes drop constraint codes_pkey cascade, alter column code drop not null',
      'alter table codes alter column code drop not null, drop constraint codes_pkey cascade',
      'alter table codes alter column code drop not null',
      'alter table big drop constraint if exists big_pkey, alter column id drop not null',
      'alter table big drop constraint big_pkey, alter column id drop not null, add primary key (u)',
      'alter table part drop constraint part_pkey, alter column id drop not null',
      // What is dropped is neither tried nor built again, wherever it stands.
      'alter table big alter column u type oid, drop constraint big_u_key',
      'alter table big alter column n type oid, drop constraint n_pos',
      'alter table big alter column n type oid, drop column u',
      'alter table big alter column n type bigint, drop column u',
      'alter table big add column s serial, drop constraint big_pkey',
      'alter table part add column s serial, drop constraint part_pkey',
      'alter table keyed alter column x type varchar(9), drop constraint keyed_fk',
    ],
    { withRefusals: true },
  );
  expect(found).toEqual({});
  expect(judged).toBe(13);
});
