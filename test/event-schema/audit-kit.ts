// What tests of the audit log share.

import type postgres from 'postgres';
import { only } from './event-schema-kit.ts';

/** Audit entries since the last call, in order, as table, operation and row. */
export function followEntries(sql: postgres.Sql): () => Promise<string[]> {
  let seen = '0';
  return async () => {
    const rows = await sql<{ id: string; entry: string }[]>`
      select id, concat_ws(' ', table_name, operation, row_id) as entry
      from audit_log_entries where id > ${seen} order by id`;
    seen = rows.at(-1)?.id ?? seen;
    return rows.map((row) => row.entry);
  };
}

/** Adds `count` entries that are `days` days and an hour old, with the partition that they need. */
export async function addOldEntries(sql: postgres.Sql, days: number, count: number): Promise<void> {
  await sql.begin(async (transaction) => {
    const [row] = await transaction<{ at: string }[]>`
      select (now() - make_interval(hours => 24 * ${days}::int + 1))::text as at`;
    const { at } = only(row);
    await transaction`select create_audit_partition((${at}::timestamptz at time zone 'UTC')::date)`;
    await transaction`
      insert into audit_logs (created_at, table_name, operation)
      select ${at}::timestamptz, 'users', 'TRUNCATE' from generate_series(1, ${count}::int)`;
  });
}

/** The age in days of every entry, youngest first. */
export async function readAges(sql: postgres.Sql): Promise<number[]> {
  const rows = await sql<{ days: number }[]>`
    select extract(day from now() - created_at)::int as days from audit_log_entries order by 1`;
  return rows.map((row) => row.days);
}

/** Name of the partition of the month that is `monthsAhead` after this one. */
export async function partitionName(sql: postgres.Sql, monthsAhead = 0): Promise<string> {
  const [row] = await sql<{ name: string }[]>`
    select to_char(date_trunc('month', now() at time zone 'UTC') + make_interval(months => ${monthsAhead}::int),
      '"audit_logs_"YYYY_MM') as name`;
  return only(row).name;
}

export async function listPartitions(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ partition_name: string }[]>`
    select partition_name from list_audit_partitions()`;
  return rows.map((row) => row.partition_name);
}

/** In which table each entry lies, in order of writing. */
export async function listPlaces(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ place: string }[]>`
    select id, tableoid::regclass::text as place from audit_logs
    union all select id, tableoid::regclass::text from audit_logs_overflow order by id`;
  return rows.map((row) => row.place);
}

export async function cleanUp(sql: postgres.ISql, days: number | null): Promise<unknown> {
  const [row] = await sql`select cleanup_audit_logs(${days}::int) as removed`;
  return row?.removed;
}

/**
 * Where the audit log does not tell the story of the registrations: each entry of a row has to begin
 * with what the one before ended with, and the last one with what the table holds.
 */
export async function listAuditGaps(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await sql`
      with entries as (
        select a.id, a.row_id, a.operation, a.old_values ->> 'status' as before, a.new_values ->> 'status' as after,
          lag(a.new_values ->> 'status') over history as expected,
          lead(a.id) over history is null as is_last
        from audit_logs a
        where a.table_name = 'registrations'
          and a.operation <> 'TRUNCATE'
          and a.id > coalesce((
            select max(t.id) from audit_logs t where t.table_name = 'registrations' and t.operation = 'TRUNCATE'), 0)
        window history as (partition by a.row_id order by a.id)
      )
      select coalesce(n.row_id, r.id) as row_id, n.operation, n.before, n.expected, n.after, r.status
      from (select * from entries where is_last or before is distinct from expected) n
      full join registrations r on r.id = n.row_id
      where n.before is distinct from n.expected
        or (coalesce(n.is_last, true) and n.after is distinct from r.status)
      limit 10`),
  ];
}
