import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { addOldEntries, cleanUp, listPartitions, readAges } from './audit-kit.ts';
import { addUsers, only } from './event-schema-kit.ts';

/** An entry on either side of a bound that is `days` days ago, in one partition where it exists. */
async function addAroundBound(sql: postgres.Sql, days: number): Promise<void> {
  await addOldEntries(sql, days, 1);
  await sql`
    insert into audit_logs (created_at, table_name, operation)
    select now() - make_interval(hours => 24 * ${days}::int) + v.ahead, 'users', 'TRUNCATE'
    from (values (interval '-1 millisecond'), (interval '2 minutes')) v (ahead)
    where exists (
      select from list_audit_partitions() p
      where now() - make_interval(hours => 24 * ${days}::int) + v.ahead between p.starts_at and p.ends_at)`;
}

const previewOf = async (sql: postgres.Sql, days: number) => [
  ...(await sql<{ action: string; entries: string; freed_bytes: string }[]>`
    select action, entries, freed_bytes from preview_audit_cleanup(${days})`),
];

describe('cleanup_audit_logs', () => {
  test('removes what is older than 90 days and returns how much that was', async ({ db }) => {
    const { sql } = db;
    await addOldEntries(sql, 0, 1);
    await addOldEntries(sql, 89, 2);
    await addOldEntries(sql, 90, 3);
    await addOldEntries(sql, 400, 4);
    const [row] = await sql`select cleanup_audit_logs() as removed`;
    expect(row?.removed).toBe(7);
    expect(await readAges(sql)).toEqual([0, 89, 89]);
    expect(await cleanUp(sql, 90)).toBe(0);
  });

  test('keeps as many days as it is told, however many', async ({ db }) => {
    const { sql } = db;
    await addOldEntries(sql, 1, 1);
    await addOldEntries(sql, 40, 1);
    expect(await cleanUp(sql, 2_147_483_647)).toBe(0);
    expect(await cleanUp(sql, 30)).toBe(1);
    expect(await readAges(sql)).toEqual([1]);
  });

  test('removes with 0 days everything but what its own transaction wrote', async ({ db }) => {
    const { sql } = db;
    await addUsers(sql, 2);
    await addOldEntries(sql, 70, 3);
    await sql.begin(async (transaction) => {
      await transaction`update users set name = 'Ann' where id = 1`;
      expect(await cleanUp(transaction, 0)).toBe(5);
    });
    const left = await sql`select operation, new_values ->> 'name' as name from audit_log_entries`;
    expect([...left]).toEqual([{ operation: 'UPDATE', name: 'Ann' }]);
  });

  test.for([-1, -2_147_483_648, null])('refuses %s days', async (days, { db }) => {
    await addOldEntries(db.sql, 100, 1);
    const refusal = { code: '22023', hint: expect.any(String) };
    await expect(cleanUp(db.sql, days)).rejects.toMatchObject(refusal);
    await expect(db.sql`select * from preview_audit_cleanup(${days}::int)`).rejects.toMatchObject(
      refusal,
    );
    expect(await readAges(db.sql)).toEqual([100]);
  });

  test('drops whole months and gives their space back, and makes nothing it need not', async ({
    db,
  }) => {
    const { sql } = db;
    const before = await listPartitions(sql);
    await addOldEntries(sql, 200, 20_000);
    const size = async () =>
      Number(only((await sql`select pg_database_size(current_database()) as bytes`)[0]).bytes);
    const full = await size();
    const [drop] = await previewOf(sql, 90);
    expect(drop).toMatchObject({ action: 'drop', entries: '20000' });
    expect(await cleanUp(sql, 90)).toBe(20_000);
    expect(await listPartitions(sql)).toEqual(before);
    expect(full - (await size())).toBeGreaterThanOrEqual(0.9 * Number(drop?.freed_bytes));
  });

  test('removes from the overflow as well', async ({ db }) => {
    const { sql } = db;
    await sql`
      insert into audit_logs_overflow (created_at, table_name, operation)
      select now() - interval '1 day' * i + interval '1 hour', 'users', 'TRUNCATE' from generate_series(1, 100) i`;
    expect(await previewOf(sql, 40)).toEqual([
      { action: 'delete', entries: '60', freed_bytes: '0' },
    ]);
    expect(await cleanUp(sql, 40)).toBe(60);
    expect(await readAges(sql)).toHaveLength(40);
  });

  test.for([20, 31, 45, 90, 365])(
    'removes at %s days exactly what the preview says, to the millisecond',
    async (days, { db }) => {
      const { sql } = db;
      await addAroundBound(sql, days);
      await addOldEntries(sql, days + 32, 5);
      await addOldEntries(sql, days + 200, 7);
      // One transaction, because the bound moves with its start.
      await sql.begin(async (transaction) => {
        const [expired] = await transaction`
          select count(*)::int as count from audit_log_entries
          where created_at < now() - make_interval(hours => 24 * ${days}::int)`;
        expect(expired?.count).toBeGreaterThanOrEqual(13);
        const [preview] = await transaction`
          select sum(entries)::int as count from preview_audit_cleanup(${days})`;
        expect(preview?.count).toBe(expired?.count);
        expect(await cleanUp(transaction, days)).toBe(expired?.count);
        const left = await transaction`
          select from audit_log_entries where created_at < now() - make_interval(hours => 24 * ${days}::int)`;
        expect(left).toHaveLength(0);
      });
    },
  );
});

describe('a client that commits batch by batch', () => {
  test('deletes at most as many as it says, the oldest first, then drops month by month', async ({
    db,
  }) => {
    const { sql } = db;
    // The first days of a month are in no expired partition while the bound is in the same month.
    const [bound] = await sql<{ days: number }[]>`
      select extract(day from now() at time zone 'UTC')::int + 31 as days`;
    const days = only(bound).days;
    await sql`select create_audit_partition((now() - make_interval(days => ${days}::int + i))::date)
      from generate_series(0, 3) i`;
    await sql`
      insert into audit_logs_overflow (created_at, table_name, operation)
      select now() - make_interval(days => ${days}::int + 1), 'users', 'TRUNCATE' from generate_series(1, 25)`;
    await addOldEntries(sql, days + 70, 6);
    await addOldEntries(sql, days + 140, 7);
    const remove = async () =>
      Number(only((await sql`select delete_expired_audit_logs(${days}, 10) as n`)[0]).n);
    expect([await remove(), await remove(), await remove(), await remove()]).toEqual([
      10, 10, 5, 0,
    ]);
    const drop = async () => [
      ...(await sql`select removed_rows, freed_bytes::int > 0 as frees
        from drop_expired_audit_partitions(${days}, 1) where removed_rows > 0`),
    ];
    const dropped: unknown[] = [];
    for (let i = 0; i < 6; i++) dropped.push(...(await drop()));
    expect(dropped).toEqual([
      { removed_rows: '7', frees: true },
      { removed_rows: '6', frees: true },
    ]);
    expect(await cleanUp(sql, days)).toBe(0);
  });

  test('deletes the boundary month in batches, entries of one moment included', async ({ db }) => {
    const { sql } = db;
    await sql`
      insert into audit_logs (created_at, table_name, operation)
      select date_trunc('month', now() at time zone 'UTC') at time zone 'UTC', 'users', 'TRUNCATE'
      from generate_series(1, 25)`;
    const counts: number[] = [];
    for (let i = 0; i < 4; i++) {
      const [row] = await sql`select delete_expired_audit_logs(0, 10) as n`;
      counts.push(Number(row?.n));
    }
    expect(counts).toEqual([10, 10, 5, 0]);
  });

  test.for(['delete_expired_audit_logs', 'drop_expired_audit_partitions'])(
    '%s refuses a limit that is not above zero',
    async (name, { db }) => {
      for (const limit of [0, -1]) {
        await expect(db.sql`select ${db.sql(name)}(90, ${limit})`).rejects.toMatchObject({
          code: '22023',
        });
      }
    },
  );
});
