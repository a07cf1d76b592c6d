import type postgres from 'postgres';

/**
 * Replays the audit log, transaction by transaction in the order of their commits, and gives the moments at
 * which more seats of an event were taken than it had, or fewer than none; then the events whose counters end
 * elsewhere than the history does. Nothing of evdb counts here.
 *
 * Whoever changes the seats of an event holds its row up to the commit, so that commits are in the order in
 * which the event saw them. Entries are not: an insert writes its own before it waits for the event.
 *
 * @param sql on a server that keeps the times of commits (`track_commit_timestamp`)
 */
export async function listWrongMoments(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await sql`
      with changes as (
        select id, transaction_id, (old_values ->> 'event_id')::int as event, -1 as seats, null::int as capacity
        from audit_log_entries
        where table_name = 'registrations' and old_values ->> 'status' in ('confirmed', 'pending')
        union all
        select id, transaction_id, (new_values ->> 'event_id')::int, 1, null
        from audit_log_entries
        where table_name = 'registrations' and new_values ->> 'status' in ('confirmed', 'pending')
        union all
        select id, transaction_id, row_id, 0, (new_values ->> 'capacity')::int
        from audit_log_entries
        where table_name = 'events' and operation <> 'DELETE'
      ),
      transactions as (
        select event, row(pg_xact_commit_timestamp(transaction_id::text::xid), max(id)) as at, max(id) as last_id,
          sum(seats) as seats,
          (array_agg(capacity order by id desc) filter (where capacity is not null))[1] as capacity
        from changes
        group by event, transaction_id
      ),
      capacities as (
        select *, count(capacity) over (partition by event order by at) as era
        from transactions
      ),
      history as (
        select event, at, last_id, sum(seats) over (partition by event order by at) as taken,
          max(capacity) over (partition by event, era) as capacity,
          lead(at) over (partition by event order by at) is null as is_last
        from capacities
      )
      select h.event, h.last_id::int, h.taken::int, h.capacity, (e.current_registrations + e.held_seats)::int as counted
      from history h
      left join events e on e.id = h.event
      where h.taken not between 0 and h.capacity
        or (h.is_last and h.taken <> e.current_registrations + e.held_seats)
      order by h.event, h.at
      limit 20`),
  ];
}
