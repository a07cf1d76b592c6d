import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';

interface DuplicateIndex {
  indexname: string;
  kept_index: string;
  kind: string;
  reason: string;
  index_size: string;
}

async function findDuplicates(sql: postgres.Sql): Promise<[string, string, string][]> {
  const rows = await sql<DuplicateIndex[]>`
    select * from get_duplicate_indexes() where tablename ~ '^things' order by indexname`;
  return rows.map((row) => [row.indexname, row.kept_index, row.kind]);
}

const createThings = `
  create table things (
    id int constraint things_pkey primary key, a int, b int, c text, d varchar(10), e text, tags int[]
  );`;

describe('get_duplicate_indexes', () => {
  test('finds none in the event schema', async ({ db }) => {
    expect([...(await db.sql`select * from get_duplicate_indexes()`)]).toEqual([]);
  });

  test('names the later of two that are the same, and the shorter of two that begin alike', async ({
    db,
  }) => {
    const { sql } = db;
    await sql.unsafe(`${createThings}
      create index things_a on things (a);
      create index things_a_again on things (a);
      create index things_b on things (b);
      create index things_b_c on things (b, c);
      create index things_b_c_d on things (b, c, d);
      create index things_lower on things (lower(c));
      create index things_lower_upper on things (lower(c), upper(e), a);
      create index things_partial on things (c) where (a > 0);
      create index things_partial_again on things (c)   where a > 0;
      create index things_varchar on things (d varchar_ops);
      create index things_text on things (d text_ops);
      create index things_included on things (e) include (a);
      create index things_included_more on things (e) include (b, a);
      create index things_gin on things using gin (tags);
      create index things_gin_again on things using gin (tags);`);
    expect(await findDuplicates(sql)).toEqual([
      ['things_a_again', 'things_a', 'duplicate'],
      ['things_b', 'things_b_c_d', 'prefix'],
      ['things_b_c', 'things_b_c_d', 'prefix'],
      ['things_gin_again', 'things_gin', 'duplicate'],
      ['things_included', 'things_included_more', 'prefix'],
      ['things_lower', 'things_lower_upper', 'prefix'],
      ['things_partial_again', 'things_partial', 'duplicate'],
      ['things_text', 'things_varchar', 'duplicate'],
    ]);
  });

  test('takes what differs in anything that matters for different', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`${createThings}
      create index things_asc on things (a);
      create index things_desc on things (a desc);
      create index things_nulls_first on things (a nulls first);
      create index things_a_b on things (a desc nulls last, b);
      create index things_hash on things using hash (a);
      create index things_brin on things using brin (a);
      create index things_brin_fine on things using brin (a) with (pages_per_range = 1);
      create index things_c on things (c);
      create index things_c_collated on things (c collate "C");
      create index things_c_pattern on things (c text_pattern_ops);
      create index things_c_partial on things (c) where a > 0;
      create index things_c_partial_other on things (c) where a > 1;
      create index things_lower on things (lower(c));
      create index things_upper_lower on things (upper(c), lower(c));
      create index things_lowered_longer on things (lower(c || 'x'), b);
      create index things_b_a on things (b, a);
      create index things_b_includes on things (b) include (c);
      create index things_gin on things using gin (tags);
      create index things_gin_slow on things using gin (tags) with (fastupdate = off);`);
    expect(await findDuplicates(sql)).toEqual([]);
  });

  test('never names what a constraint, a foreign key or replication needs', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`${createThings}
      create unique index things_id_again on things (id);
      create index things_id_plain on things (id);
      alter table things add constraint things_a_b_key unique (a, b), alter b set not null, alter c set not null;
      create index things_a on things (a);
      create unique index things_b_unique on things (b);
      create index things_b_plain on things (b);
      create table others (thing_b int references things (b));
      create unique index things_c_identity on things (c);
      create unique index things_c_unique on things (c);
      alter table things replica identity using index things_c_identity;
      alter table things add constraint things_d_e_key unique (d, e) deferrable;
      create unique index things_d_e_unique on things (d, e);`);
    // things_d_e_unique is checked at once, things_d_e_key is not: neither replaces the other.
    expect(await findDuplicates(sql)).toEqual([
      ['things_a', 'things_a_b_key', 'prefix'],
      ['things_b_plain', 'things_b_unique', 'duplicate'],
      ['things_c_unique', 'things_c_identity', 'duplicate'],
      ['things_id_again', 'things_pkey', 'duplicate'],
      ['things_id_plain', 'things_pkey', 'duplicate'],
    ]);
    const [row] = await sql<DuplicateIndex[]>`
      select * from get_duplicate_indexes() where indexname = 'things_id_plain'`;
    expect(row).toMatchObject({
      index_size: '8192 bytes',
      reason: 'things_pkey has the same columns in the same order, and a constraint needs it',
    });
  });

  test('never lets a unique index go for one that is less strict', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`${createThings}
      create unique index things_a_unique on things (a);
      create index things_a_b on things (a, b);
      create unique index things_a_b_c_unique on things (a, b, c);
      create unique index things_e_unique on things (e);
      create unique index things_e_partial on things (e) where b > 0;`);
    expect(await findDuplicates(sql)).toEqual([['things_a_b', 'things_a_b_c_unique', 'prefix']]);
  });

  test('everything named can go at once, and of two equals one names the other', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`${createThings}
      create index things_1 on things (a);
      create index things_2 on things (a);
      create index things_3 on things (a, b);
      create index things_4 on things (a, b);
      create index things_5 on things (a, b) include (c);
      create index things_6 on things (a, b) include (c);`);
    const duplicates = await findDuplicates(sql);
    expect(duplicates).toEqual([
      ['things_1', 'things_5', 'prefix'],
      ['things_2', 'things_1', 'duplicate'],
      ['things_3', 'things_5', 'prefix'],
      ['things_4', 'things_3', 'duplicate'],
      ['things_6', 'things_5', 'duplicate'],
    ]);
    for (const [name] of duplicates) await sql`drop index ${sql(name)}`;
    expect(await findDuplicates(sql)).toEqual([]);
  });

  test('looks past invalid indexes, and names no part of a partitioned one', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`
      create table things (id int, a int) partition by range (id);
      create table things_1 partition of things for values from (0) to (10);
      create index things_a on things (a);
      create index things_a_again on things (a);
      create index things_1_own on things_1 (a);
      create index things_1_invalid on things_1 (id);
      create index things_1_valid on things_1 (id);
      update pg_index set indisvalid = false where indexrelid = 'things_1_invalid'::regclass;`);
    expect(await findDuplicates(sql)).toEqual([
      ['things_1_own', 'things_1_a_idx', 'duplicate'],
      ['things_a_again', 'things_a', 'duplicate'],
    ]);
  });

  test('sees whether a unique index takes nulls for equal', async ({ db, skip }) => {
    const { sql } = db;
    const [version] =
      await sql`select current_setting('server_version_num')::int >= 150000 as is_known`;
    if (!version?.is_known) return skip('nulls not distinct came with PostgreSQL 15');
    await sql.unsafe(`${createThings}
      create unique index things_a_unique on things (a);
      create unique index things_a_strict on things (a) nulls not distinct;`);
    expect(await findDuplicates(sql)).toEqual([]);
  });
});
