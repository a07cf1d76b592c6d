-- Undoes 008_seat_holds: holds stay until they are confirmed or cancelled.
-- Locks: access exclusive on registrations.

drop function release_expired_holds();

-- What 004_race_condition_prevention has in its place.
create or replace function expire_holds(p_event_id integer)
returns integer
language sql
set search_path from current
as $$
    select 0
$$;

comment on function expire_holds(integer) is
    'Cancels nothing: 008_seat_holds brings holds that expire.';

-- squawk-ignore require-concurrent-index-deletion
drop index registrations_pending_idx;
