import type postgres from 'postgres';

/** Events whose counters are not the number of their rows, or are above the capacity. */
export async function listWrongSeats(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await sql`
      select 'counters' as broken, e.id, e.capacity, e.current_registrations, e.held_seats,
        count(r.id) filter (where r.status = 'confirmed')::int as confirmed,
        count(r.id) filter (where r.status = 'pending')::int as pending
      from events e
      left join registrations r on r.event_id = e.id
      group by e.id
      having e.current_registrations <> count(r.id) filter (where r.status = 'confirmed')
        or e.held_seats <> count(r.id) filter (where r.status = 'pending')
        or count(r.id) filter (where r.status in ('confirmed', 'pending')) > e.capacity`),
  ];
}

/** What must hold at every moment nobody is in the middle of a change, told by what breaks it. */
export async function listBrokenInvariants(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await listWrongSeats(sql)),
    ...(await sql`
      select 'hold' as broken, id, status, hold_expires_at
      from registrations
      where (status = 'pending') <> (hold_expires_at is not null)`),
    ...(await sql`
      select 'rule' as broken, rule_name, details, sample_ids
      from validate_business_rules()
      where severity = 'error'`),
  ];
}

/** Seats that are free although active users wait for them, and holds past their end. */
export async function listStrandedSeats(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await sql`
      select e.id, e.capacity, e.current_registrations, e.held_seats, count(*)::int as waiters
      from events e
      join registrations r on r.event_id = e.id and r.status = 'waitlist'
      join users u on u.id = r.user_id and u.is_active
      where e.is_active and e.date_time > now()
        and e.current_registrations + e.held_seats < e.capacity
      group by e.id`),
  ];
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
