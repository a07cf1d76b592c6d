-- Undoes 007_waiting_list: whoever waits stays in the queue and nobody is promoted.
-- Locks: access exclusive on users, events and registrations.

drop trigger users_30_fill on users;
drop function fill_events_of_user();
drop trigger events_30_fill on events;
drop function fill_changed_event();
drop trigger users_00_gate_update on users;
drop trigger events_00_gate_update on events;
drop function prepare_to_fill();

-- What 004_race_condition_prevention has in their place.
create or replace function promote_waitlist(p_event_id integer)
returns integer
language sql
set search_path from current
as $$
    select 0
$$;

comment on function promote_waitlist(integer) is
    'Confirms nobody: 007_waiting_list brings the waiting list.';

create or replace function get_waitlist_position(p_user_id integer, p_event_id integer)
returns integer
language sql
stable
set search_path from current
as $$
    select null::integer
$$;

comment on function get_waitlist_position(integer, integer) is
    'Nobody has a place in a queue: 007_waiting_list brings the waiting list.';

-- squawk-ignore require-concurrent-index-deletion
drop index registrations_waitlist_idx;
