-- evdb: ignore index-not-concurrent, work-under-strong-lock: the schema is installed while its tables are small
-- Purpose: the waiting list. A seat that becomes free goes to whoever has waited longest.
-- Locks: share on registrations while the index is built, share row exclusive on users and events while the
--     triggers are made.
-- Reversible: yes; whoever waits stays in the queue and is promoted when this migration comes back.
--
-- 004_race_condition_prevention calls promote_waitlist() wherever seats become free, with the event's row
-- locked. What frees seats without touching registrations, a change of an event or a user, has triggers here.
-- The order of locks: docs/event-schema-internals.md.

-- Waiters: where event_id = ? and status = 'waitlist' order by registered_at, id limit ?.
-- squawk-ignore require-concurrent-index-creation
create index registrations_waitlist_idx on registrations (event_id, registered_at, id)
where status = 'waitlist';

comment on index registrations_waitlist_idx is 'Serves the promotion of waiters and their positions, in their order.';

create or replace function promote_waitlist(p_event_id integer)
returns integer
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
declare
    v_free_seats integer;
    v_ids integer[];
begin
    select e.capacity - e.current_registrations - e.held_seats into v_free_seats
    from events e
    where e.id = p_event_id
        and e.is_active
        and e.date_time > statement_timestamp();

    if v_free_seats > 0 then
        -- A waiter whom somebody else is changing is passed over, because waiting here could deadlock; the
        -- next call for the event looks again. The user is locked lest he be deactivated in between.
        v_ids := array(
            select r.id
            from registrations r
            join users u on u.id = r.user_id
            where r.event_id = p_event_id
                and r.status = 'waitlist'
                and u.is_active
            order by r.registered_at, r.id
            limit v_free_seats
            for no key update of r skip locked
            for share of u skip locked
        );
    end if;

    -- An update of nothing would still run every trigger.
    if cardinality(v_ids) > 0 then
        update registrations r
        set status = 'confirmed'
        where r.id = any (v_ids);
    end if;
    return coalesce(cardinality(v_ids), 0);
end
$$;

comment on function promote_waitlist(integer) is
    'Confirms waiters of an event, first come first served, as far as seats are free, and returns how many. Inactive users stay in the queue and are passed over. The caller has locked the event''s row.';

create or replace function get_waitlist_position(p_user_id integer, p_event_id integer)
returns integer
language sql
stable
set search_path from current
as $$
    select (
        select count(*)::integer
        from registrations w
        where w.event_id = p_event_id
            and w.status = 'waitlist'
            and (w.registered_at, w.id) <= (r.registered_at, r.id)
    )
    from registrations r
    where r.user_id = p_user_id
        and r.event_id = p_event_id
        and r.status = 'waitlist'
$$;

comment on function get_waitlist_position(integer, integer) is
    'Place of a user in the queue for an event, 1 for whoever is next; null for who does not wait.';

--
-- Seats that changes of events and users free
--

-- Security definer, because whoever may change events or users need not be allowed to change registrations.
create function prepare_to_fill()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
declare
    v_ignored boolean;
begin
    v_ignored := enter_gate();
    -- What filling seats will lock anyway, but before the event rows: a truncate could stand in between.
    lock table registrations in row exclusive mode;
    return null;
end
$$;

comment on function prepare_to_fill() is
    'Trigger: takes what filling seats will need before the rows of events and users are locked. Runs as the owner of the schema, because whoever may change events or users need not be allowed to change registrations.';

create trigger events_00_gate_update
before update of capacity, is_active, date_time on events
for each statement
execute function prepare_to_fill();

create trigger users_00_gate_update
before update of is_active on users
for each statement
execute function prepare_to_fill();

comment on trigger events_00_gate_update on events is 'Takes the locks of events_30_fill in their order.';
comment on trigger users_00_gate_update on users is 'Takes the locks of users_30_fill in their order.';

-- Security definer, because whoever may change an event need not be allowed to change registrations.
create function fill_changed_event()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
    if new.is_active
        and (new.capacity > old.capacity or not old.is_active or new.date_time > old.date_time)
        and expire_holds(new.id) = 0
    then
        perform promote_waitlist(new.id);
    end if;
    return null;
end
$$;

comment on function fill_changed_event() is
    'Trigger: gives the seats of an event that grew, opened again or was put off to the first waiters. Runs as the owner of the schema, because whoever may change events need not be allowed to change registrations.';

create trigger events_30_fill
after update of capacity, is_active, date_time on events
for each row
execute function fill_changed_event();

comment on trigger events_30_fill on events is 'Gives new seats to waiters.';

-- Security definer, as above.
create function fill_events_of_user()
returns trigger
language plpgsql
security definer
set search_path from current
set enable_seqscan to off
as $$
declare
    v_event_id integer;
begin
    if new.is_active and not old.is_active then
        for v_event_id in
            select r.event_id
            from registrations r
            where r.user_id = new.id and r.status = 'waitlist'
            order by r.event_id
        loop
            -- Whoever is busy with an event settles it anyway; waiting here, with others locked, could deadlock.
            perform 1 from events e where e.id = v_event_id for no key update skip locked;
            if found then
                perform promote_waitlist(v_event_id);
            end if;
        end loop;
    end if;
    return null;
end
$$;

comment on function fill_events_of_user() is
    'Trigger: a user who is active again gets the seats that he was passed over for and that are free. Runs as the owner of the schema, because whoever may change users need not be allowed to change registrations.';

create trigger users_30_fill
after update of is_active on users
for each row
execute function fill_events_of_user();

comment on trigger users_30_fill on users is 'Gives free seats to a waiter who is active again.';

revoke execute on function prepare_to_fill() from public;
revoke execute on function fill_changed_event() from public;
revoke execute on function fill_events_of_user() from public;
