-- evdb: ignore index-not-concurrent: the schema is installed while its tables are small
-- Purpose: seats that are held for a while and given back when nobody confirms them.
-- Locks: share on registrations while the index is built.
-- Reversible: yes; holds then stay until they are confirmed or cancelled.
--
-- No job has to run: 004_race_condition_prevention calls expire_holds() wherever an expired hold could be in
-- the way of somebody, with the event's row locked. Which registrations may hold a seat and until when is in
-- 003_create_registrations_table.

-- Expired holds: where event_id = ? and status = 'pending' and hold_expires_at <= now().
-- squawk-ignore require-concurrent-index-creation
create index registrations_pending_idx on registrations (event_id, hold_expires_at)
where status = 'pending';

comment on index registrations_pending_idx is 'Serves the settling of expired holds.';

create or replace function expire_holds(p_event_id integer)
returns integer
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
declare
    v_ids integer[] := array(
        select r.id
        from registrations r
        where r.event_id = p_event_id
            and r.status = 'pending'
            and r.hold_expires_at <= clock_timestamp()
        for no key update skip locked
    );
begin
    if cardinality(v_ids) > 0 then
        update registrations r
        set status = 'cancelled'
        where r.id = any (v_ids);
    end if;
    return cardinality(v_ids);
end
$$;

comment on function expire_holds(integer) is
    'Cancels the expired holds of an event, which gives their seats to the first waiters, and returns how many there were. The caller has locked the event''s row.';

create function release_expired_holds()
returns integer
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
declare
    v_ignored boolean;
    v_event_id integer;
    v_expired integer := 0;
begin
    v_ignored := enter_gate();
    lock table registrations in row exclusive mode;
    for v_event_id in
        select distinct r.event_id
        from registrations r
        where r.status = 'pending' and r.hold_expires_at <= clock_timestamp()
        order by r.event_id
    loop
        if try_lock_event(v_event_id) then
            v_expired := v_expired + expire_holds(v_event_id);
        end if;
    end loop;
    return v_expired;
end
$$;

comment on function release_expired_holds() is
    'Gives the seats of expired holds of all events to their waiters, and returns how many holds had expired. Events that somebody is changing at the moment are left to them.';

revoke execute on function release_expired_holds() from public;
