-- Purpose: registering without ever overselling. Counters on the event that every way of changing
--     registrations keeps right, the waiting list and holds, and the functions that register.
-- Locks: share row exclusive on users, events and registrations while the triggers and indexes are
--     made; rows of events whose counters have to be corrected.
-- Reversible: yes; the counters then stay as they are until this migration comes back and counts again.
--
-- Order of locks, the same everywhere:
--   1. the gate of this schema, shared; deleting events or users takes it exclusively
--   2. the user's row
--   3. the queue of the event: exclusive in functions, shared in inserts
--   4. the rows of registrations that the statement or call itself changes
--   5. event rows by id
--   6. new rows of registrations; rows of waiters and of expired holds, but only those nobody has locked
-- A statement has locked the rows it changes before any trigger can run, so the event row has to come
-- after them; and what a trigger changes on its own behalf (6) must not wait. A direct insert of a user
-- and event for whom a call is under way would hold the entry in the unique index and wait for the event
-- row, while the call holds the row and waits for the entry: hence the shared place in the queue. The
-- deletion of an event, or of a user, locks the event before its registrations and cannot do otherwise:
-- hence the gate. A transaction that makes several calls may be told 40P01, and then tries again.
--
-- Gate and queue are advisory locks. They keep a crowd on one event in one cheap queue instead of on the
-- row itself. Their class is the oid of this schema's events table: tenants in one database cannot meet
-- in it, and `select classid::regclass, objid from pg_locks where locktype = 'advisory'` names the table.
-- The key of a queue is the id of the event modulo 1024, so that a load of registrations for every event
-- does not fill the lock table; the gate is 1024.
--
-- Advisory locks are taken in assignments, because perform sets up a query. enable_seqscan is off in the
-- functions that everybody calls: a session that planned them while the tables were small would go on
-- reading whole tables in the first rush, until statistics catch up.

-- Waiters: where event_id = ? and status = 'waitlist' order by registered_at, id limit ?.
create index registrations_waitlist_idx on registrations (event_id, registered_at, id)
where status = 'waitlist';

-- Expired holds: where event_id = ? and status = 'pending' and hold_expires_at <= now().
create index registrations_pending_idx on registrations (event_id, hold_expires_at)
where status = 'pending';

comment on index registrations_waitlist_idx is 'Serves the promotion of waiters and their positions, in their order.';
comment on index registrations_pending_idx is 'Serves the settling of expired holds.';

--
-- Gate and queue
--

create function enter_registration_queue()
returns trigger
language plpgsql
set search_path from current
as $$
declare
    v_ignored boolean;
begin
    v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 1024) is null;
    if tg_level = 'ROW' then
        v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, new.event_id % 1024) is null;
        return new;
    end if;
    return null;
end
$$;

comment on function enter_registration_queue() is
    'Trigger: lets a statement on registrations wait for deletions of events and users, and a direct insert until calls for the same event are through, before they hold anything that these want.';

create trigger registrations_00_enter_queue_insert
before insert on registrations
for each row
execute function enter_registration_queue();

create trigger registrations_00_enter_queue_move
before update of user_id, event_id on registrations
for each row
when (old.user_id is distinct from new.user_id or old.event_id is distinct from new.event_id)
execute function enter_registration_queue();

create trigger registrations_00_enter_gate_update
before update on registrations
for each statement
execute function enter_registration_queue();

create trigger registrations_00_enter_gate_delete
before delete on registrations
for each statement
execute function enter_registration_queue();

comment on trigger registrations_00_enter_queue_insert on registrations is
    'Keeps direct inserts and calls for the same user and event from deadlocking.';
comment on trigger registrations_00_enter_queue_move on registrations is
    'A registration that moves to another user or event is like a new one.';
comment on trigger registrations_00_enter_gate_update on registrations is
    'Keeps direct updates and deletions of events and users from deadlocking.';
comment on trigger registrations_00_enter_gate_delete on registrations is
    'Keeps direct deletes and deletions of events and users from deadlocking.';

create function close_registration_gate()
returns trigger
language plpgsql
set search_path from current
set lock_timeout to '1s'
as $$
declare
    v_ignored boolean;
begin
    v_ignored := pg_advisory_xact_lock('events'::regclass::oid::integer, 1024) is null;
    return null;
exception
    -- Somebody keeps a transaction open that registered: rather than hold up everyone behind this
    -- deletion any longer, go on without the gate, and accept that a deadlock is possible.
    when lock_not_available then
        return null;
end
$$;

comment on function close_registration_gate() is
    'Trigger: a deletion of events or users waits, for a second at most, until nobody is changing registrations, and keeps others from it until its transaction ends.';

create trigger events_00_close_gate
before delete on events
for each statement
execute function close_registration_gate();

create trigger users_00_close_gate
before delete on users
for each statement
execute function close_registration_gate();

comment on trigger events_00_close_gate on events is 'Keeps the cascade to registrations from deadlocking.';
comment on trigger users_00_close_gate on users is 'Keeps the cascades to events and registrations from deadlocking.';

--
-- Waiters and holds of one event; the caller has locked the event's row
--

create function promote_waitlist(p_event_id integer)
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
        -- A waiter whose row somebody else is changing is passed over, because waiting for it here could
        -- deadlock; the next call for the event looks again.
        v_ids := array(
            select r.id
            from registrations r
            where r.event_id = p_event_id
                and r.status = 'waitlist'
                and (select u.is_active from users u where u.id = r.user_id)
            order by r.registered_at, r.id
            limit v_free_seats
            for no key update skip locked
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

create function expire_holds(p_event_id integer)
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

--
-- Counters
--

create function refuse_registrations(p_event_id integer, p_seats integer, p_users_are_active boolean)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_event record;
begin
    select e.date_time, e.is_active, e.capacity, e.current_registrations, e.held_seats into v_event
    from events e
    where e.id = p_event_id;

    if v_event.is_active is not true then
        raise exception using
            errcode = 'check_violation',
            message = format('Event %s is not active', p_event_id),
            hint = 'Only active events take registrations.',
            table = 'registrations',
            constraint = 'registrations_event_is_active';
    elsif v_event.date_time <= statement_timestamp() then
        raise exception using
            errcode = 'check_violation',
            message = format('Cannot register for past events: event %s began at %s', p_event_id, v_event.date_time),
            hint = 'Only events that have not begun take registrations.',
            table = 'registrations',
            constraint = 'registrations_event_is_upcoming';
    elsif p_users_are_active is not true then
        raise exception using
            errcode = 'check_violation',
            message = format('An inactive user cannot register for event %s', p_event_id),
            hint = 'Set users.is_active first, or leave the user out.',
            table = 'registrations',
            constraint = 'registrations_user_is_active';
    else
        raise exception using
            errcode = 'check_violation',
            message = format('Event %s is at maximum capacity: seats asked for %s, confirmed %s and held %s of %s',
                p_event_id, p_seats, v_event.current_registrations, v_event.held_seats, v_event.capacity),
            hint = 'Register fewer users, cancel registrations or raise the capacity.',
            table = 'registrations',
            constraint = 'registrations_event_has_seats';
    end if;
end
$$;

comment on function refuse_registrations(integer, integer, boolean) is
    'Raises what speaks against registrations that a statement on the table tried to make: 23514 with a constraint name that a program can match on.';

-- Security definer, because nobody but this trigger is granted the counters.
create function sync_registration_counts()
returns trigger
language plpgsql
security definer
set search_path from current
set enable_seqscan to off
as $$
declare
    v_changes refcursor;
    v_change record;
begin
    if tg_op = 'INSERT' then
        open v_changes for
            select n.event_id,
                (count(*) filter (where n.status = 'confirmed'))::integer as confirmed,
                (count(*) filter (where n.status = 'pending'))::integer as held,
                true as joins,
                bool_and((select u.is_active from users u where u.id = n.user_id)) as users_are_active
            from new_rows n
            where n.status <> 'cancelled'
            group by n.event_id
            order by n.event_id;
    elsif tg_op = 'UPDATE' then
        -- A full join, because the planner takes both tables for short, and anything but a hash or a
        -- merge would compare every row with every other. What moved to another user or event counts as
        -- one row gone and one new.
        open v_changes for
            select c.event_id,
                sum(c.confirmed)::integer as confirmed,
                sum(c.held)::integer as held,
                bool_or(c.joins) as joins,
                bool_and(not c.joins or (select u.is_active from users u where u.id = c.user_id)) as users_are_active
            from (
                select
                    coalesce(n.event_id, o.event_id) as event_id,
                    n.user_id,
                    coalesce((n.status = 'confirmed')::integer, 0) - coalesce((o.status = 'confirmed')::integer, 0)
                        as confirmed,
                    coalesce((n.status = 'pending')::integer, 0) - coalesce((o.status = 'pending')::integer, 0) as held,
                    n.status <> 'cancelled'
                        and coalesce(o.status, 'cancelled') not in ('confirmed', 'pending')
                        and n.status is distinct from o.status as joins
                from old_rows o
                full join new_rows n on n.id = o.id and n.user_id = o.user_id and n.event_id = o.event_id
            ) c
            group by c.event_id
            having bool_or(c.joins) or sum(c.confirmed) <> 0 or sum(c.held) <> 0
            order by c.event_id;
    else
        open v_changes for
            select o.event_id,
                -(count(*) filter (where o.status = 'confirmed'))::integer as confirmed,
                -(count(*) filter (where o.status = 'pending'))::integer as held,
                false as joins,
                true as users_are_active
            from old_rows o
            where o.status in ('confirmed', 'pending')
            group by o.event_id
            order by o.event_id;
    end if;

    -- One event row after the other, by id: two statements that touch the same events cannot deadlock.
    loop
        fetch v_changes into v_change;
        exit when not found;

        loop
            if v_change.confirmed = 0 and v_change.held = 0 then
                perform 1
                from events e
                where e.id = v_change.event_id
                    and e.is_active
                    and e.date_time > statement_timestamp()
                    and v_change.users_are_active;
            else
                -- The time of the statement, not of the clock: a call that has just found the event
                -- upcoming must not be contradicted here.
                update events e
                set current_registrations = e.current_registrations + v_change.confirmed,
                    held_seats = e.held_seats + v_change.held
                where e.id = v_change.event_id
                    and (
                        not v_change.joins
                        or (
                            e.is_active
                            and e.date_time > statement_timestamp()
                            and e.current_registrations + e.held_seats + v_change.confirmed + v_change.held
                                <= e.capacity
                            and v_change.users_are_active
                        )
                    );
            end if;
            exit when found or not v_change.joins;

            -- Expired holds may be in the way. The event's lock comes first, so that nobody else settles
            -- the same ones.
            perform 1 from events e where e.id = v_change.event_id for no key update;
            if expire_holds(v_change.event_id) = 0 then
                perform refuse_registrations(
                    v_change.event_id, v_change.confirmed + v_change.held, v_change.users_are_active
                );
            end if;
        end loop;

        if v_change.confirmed + v_change.held < 0 then
            perform promote_waitlist(v_change.event_id);
        end if;
    end loop;
    close v_changes;
    return null;
end
$$;

comment on function sync_registration_counts() is
    'Trigger: keeps events.current_registrations equal to the confirmed registrations and events.held_seats to the pending ones, one event row after the other by id; refuses registrations for inactive, past or full events and by inactive users; gives freed seats to waiters. Runs as the owner of the schema, because nobody else may write the counters.';

-- Security definer, as above.
create function reset_registration_counts()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
    perform 1 from events where current_registrations <> 0 or held_seats <> 0 order by id for no key update;
    update events set current_registrations = 0, held_seats = 0 where current_registrations <> 0 or held_seats <> 0;
    return null;
end
$$;

comment on function reset_registration_counts() is
    'Trigger: nobody is registered for anything after a truncate. Runs as the owner of the schema, because nobody else may write the counters.';

create trigger registrations_10_count_insert
after insert on registrations
referencing new table as new_rows
for each statement
execute function sync_registration_counts();

create trigger registrations_10_count_update
after update on registrations
referencing old table as old_rows new table as new_rows
for each statement
execute function sync_registration_counts();

create trigger registrations_10_count_delete
after delete on registrations
referencing old table as old_rows
for each statement
execute function sync_registration_counts();

create trigger registrations_10_count_truncate
after truncate on registrations
for each statement
execute function reset_registration_counts();

comment on trigger registrations_10_count_insert on registrations is 'Counts new registrations.';
comment on trigger registrations_10_count_update on registrations is 'Counts changes of status, user and event.';
comment on trigger registrations_10_count_delete on registrations is 'Gives seats back, also when a user or event is deleted.';
comment on trigger registrations_10_count_truncate on registrations is 'Gives every seat back.';

-- Rows that came before the triggers.
update events e
set current_registrations = c.confirmed,
    held_seats = c.held
from (
    select e2.id,
        (count(r.id) filter (where r.status = 'confirmed'))::integer as confirmed,
        (count(r.id) filter (where r.status = 'pending'))::integer as held
    from events e2
    left join registrations r on r.event_id = e2.id
    group by e2.id
) c
where c.id = e.id
    and (e.current_registrations, e.held_seats) is distinct from (c.confirmed, c.held);

-- Security definer, because whoever may change an event need not be allowed to change registrations.
create function fill_changed_event()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
declare
    v_ignored boolean;
begin
    if tg_level = 'STATEMENT' then
        -- Before the event rows are locked: afterwards, a truncate or a deletion could stand in between.
        v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 1024) is null;
        lock table registrations in row exclusive mode;
    elsif expire_holds(new.id) = 0 then
        perform promote_waitlist(new.id);
    end if;
    return null;
end
$$;

comment on function fill_changed_event() is
    'Trigger: gives the seats of an event that grew, opened again or was put off to the first waiters. Runs as the owner of the schema, because whoever may change events need not be allowed to change registrations.';

create trigger events_00_enter_gate
before update of capacity, is_active, date_time on events
for each statement
execute function fill_changed_event();

create trigger events_30_fill
after update of capacity, is_active, date_time on events
for each row
when (
    new.is_active
    and (new.capacity > old.capacity or not old.is_active or new.date_time > old.date_time)
)
execute function fill_changed_event();

comment on trigger events_00_enter_gate on events is 'Takes the locks of events_30_fill in their order.';
comment on trigger events_30_fill on events is 'Gives new seats to waiters.';

--
-- Calls
--

create function registration_refusal(p_error_code text)
returns text
language sql
immutable
parallel safe
set search_path from current
as $$
    select case p_error_code
        when 'P0001' then 'Event not found or inactive'
        when 'P0002' then 'Cannot register for past events'
        when 'P0003' then 'User is already registered for this event'
        when 'P0004' then 'Event is at maximum capacity'
        when 'P0005' then 'User is not registered for this event'
        when 'P0006' then 'User not found or inactive'
        when '55P03' then 'Another transaction is changing this registration: try again'
    end
$$;

comment on function registration_refusal(text) is
    'The words for an error code of the registration functions. Callers look for "past events", "maximum capacity" and "already registered".';

create function get_waitlist_position(p_user_id integer, p_event_id integer)
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

create function safe_event_registration(
    p_user_id integer,
    p_event_id integer,
    p_join_waitlist boolean default false,
    p_hold interval default null
)
returns json
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
declare
    v_ignored boolean;
    v_user_is_active boolean;
    v_event record;
    v_error_code text;
    v_status text;
    v_registration record;
begin
    if p_hold is not null and (p_hold <= interval '0' or p_hold > interval '1 day') then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('A seat cannot be held for %s', p_hold),
            hint = 'Give p_hold a positive interval of at most a day, such as ''15 minutes''.';
    end if;

    v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 1024) is null;

    -- Shared, because nobody may be deactivated in between; and before the queue, in which nobody should
    -- wait for somebody else's user.
    select u.is_active into v_user_is_active
    from users u
    where u.id = p_user_id
    for share;

    v_ignored := pg_advisory_xact_lock('events'::regclass::oid::integer, p_event_id % 1024) is null;

    for v_round in 1..2 loop
        -- One statement takes the locks in their order: the columns are worked out before the event row is
        -- locked. The event row needs its lock in spite of the queue, because a direct update must not win
        -- the seat in between.
        select
            (
                select r.status
                from registrations r
                where r.user_id = p_user_id and r.event_id = p_event_id
                for no key update
            ) as own_status,
            exists (
                select
                from registrations r
                where r.event_id = p_event_id and r.status = 'waitlist'
            ) as has_waiters,
            e.date_time > clock_timestamp() as is_upcoming,
            e.is_active,
            e.held_seats,
            e.capacity - e.current_registrations - e.held_seats as free_seats
        into v_event
        from events e
        where e.id = p_event_id
        for no key update of e;

        exit when v_round = 2
            or (v_event.is_active and v_event.is_upcoming) is not true
            or case
                when v_event.free_seats > 0 then not v_event.has_waiters and v_event.own_status is distinct from 'pending'
                else v_event.held_seats = 0
            end;

        -- Expired holds give way and waiters come first, and then all of it is looked at again.
        if expire_holds(p_event_id) = 0 then
            perform promote_waitlist(p_event_id);
        end if;
    end loop;

    v_status := case
        when v_event.free_seats <= 0 and v_event.own_status is distinct from 'pending' then 'waitlist'
        when p_hold is null then 'confirmed'
        else 'pending'
    end;
    v_error_code := case
        when v_event.is_active is not true then 'P0001'
        when not v_event.is_upcoming then 'P0002'
        when v_user_is_active is not true then 'P0006'
        when v_event.own_status = 'confirmed' or (v_event.own_status = 'pending' and v_status = 'pending') then 'P0003'
        when v_status = 'waitlist' and p_join_waitlist is not true then 'P0004'
    end;

    if v_error_code is not null then
        return json_build_object(
            'success', false,
            'error_code', v_error_code,
            'error_message', registration_refusal(v_error_code)
        );
    end if;

    -- The clock rather than the start of the transaction: the order of the queue is the order of arrival.
    if v_event.own_status is null then
        insert into registrations (user_id, event_id, registered_at, status, hold_expires_at)
        values (p_user_id, p_event_id, clock_timestamp(), v_status, clock_timestamp() + p_hold)
        returning id, registered_at, hold_expires_at into v_registration;
    elsif v_event.own_status = v_status then
        select r.id, r.registered_at, r.hold_expires_at into v_registration
        from registrations r
        where r.user_id = p_user_id and r.event_id = p_event_id;
    else
        -- Who comes back comes anew; who waited or held a seat has been here since then.
        update registrations r
        set status = v_status,
            registered_at = case when r.status = 'cancelled' then clock_timestamp() else r.registered_at end,
            hold_expires_at = clock_timestamp() + p_hold
        where r.user_id = p_user_id and r.event_id = p_event_id
        returning r.id, r.registered_at, r.hold_expires_at into v_registration;
    end if;

    if v_status = 'confirmed' then
        return json_build_object(
            'success', true,
            'registration_id', v_registration.id,
            'event_id', p_event_id,
            'user_id', p_user_id,
            'registered_at', v_registration.registered_at,
            'status', v_status,
            'message', 'Successfully registered for event'
        );
    elsif v_status = 'pending' then
        return json_build_object(
            'success', true,
            'registration_id', v_registration.id,
            'event_id', p_event_id,
            'user_id', p_user_id,
            'registered_at', v_registration.registered_at,
            'status', v_status,
            'hold_expires_at', v_registration.hold_expires_at,
            'message', 'Seat is held until it is confirmed'
        );
    end if;
    return json_build_object(
        'success', true,
        'registration_id', v_registration.id,
        'event_id', p_event_id,
        'user_id', p_user_id,
        'registered_at', v_registration.registered_at,
        'status', v_status,
        'waitlist_position', get_waitlist_position(p_user_id, p_event_id),
        'message', 'Event is full: added to the waitlist'
    );
end
$$;

comment on function safe_event_registration(integer, integer, boolean, interval) is
    'Registers a user for an event, confirms a held seat, or brings a cancelled registration back. p_join_waitlist: wait where no seat is free, instead of P0004. p_hold: hold the seat for so long instead of confirming it. Returns {success, registration_id, event_id, user_id, registered_at, status, message}, with waitlist_position or hold_expires_at, or {success: false, error_code, error_message}: P0001 event not found or inactive, P0002 past event, P0003 already registered, P0004 full, P0006 user not found or inactive. A refusal changes nothing for the caller; 40001 and 40P01 are raised, for the caller to try again.';

create function safe_event_unregistration(
    p_user_id integer,
    p_event_id integer
)
returns json
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
declare
    v_ignored boolean;
    v_user_id integer;
    v_event record;
    v_error_code text;
begin
    -- In the order of locks, as in safe_event_registration.
    v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 1024) is null;

    select u.id into v_user_id
    from users u
    where u.id = p_user_id
    for key share;

    v_ignored := pg_advisory_xact_lock('events'::regclass::oid::integer, p_event_id % 1024) is null;

    select
        (
            select r.id
            from registrations r
            where r.user_id = p_user_id and r.event_id = p_event_id and r.status <> 'cancelled'
            for no key update
        ) as registration_id,
        e.date_time > clock_timestamp() as is_upcoming,
        e.is_active
    into v_event
    from events e
    where e.id = p_event_id
    for no key update of e;

    -- The user need not be active: an account that was closed can still give its seats back.
    v_error_code := case
        when v_event.is_active is not true then 'P0001'
        when not v_event.is_upcoming then 'P0002'
        when v_user_id is null then 'P0006'
        when v_event.registration_id is null then 'P0005'
    end;

    if v_error_code is not null then
        return json_build_object(
            'success', false,
            'error_code', v_error_code,
            'error_message', case v_error_code
                when 'P0002' then 'Cannot unregister from past events'
                else registration_refusal(v_error_code)
            end
        );
    end if;

    update registrations
    set status = 'cancelled'
    where id = v_event.registration_id;

    return json_build_object(
        'success', true,
        'registration_id', v_event.registration_id,
        'event_id', p_event_id,
        'user_id', p_user_id,
        'cancelled_at', now(),
        'message', 'Successfully unregistered from event'
    );
end
$$;

comment on function safe_event_unregistration(integer, integer) is
    'Cancels a user''s registration, hold or place in the queue; a freed seat goes to the first waiter, and the row stays. Returns {success, registration_id, event_id, user_id, cancelled_at, message} or {success: false, error_code, error_message}: P0001 event not found or inactive, P0002 past event, P0005 not registered, P0006 user not found.';

create function settle_event_seats(p_event_id integer)
returns integer
language plpgsql
set search_path from current
as $$
declare
    v_ignored boolean;
    v_expired integer;
begin
    v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 1024) is null;
    v_ignored := pg_advisory_xact_lock('events'::regclass::oid::integer, p_event_id % 1024) is null;
    perform 1 from events e where e.id = p_event_id for no key update;
    v_expired := expire_holds(p_event_id);
    perform promote_waitlist(p_event_id);
    return v_expired;
end
$$;

comment on function settle_event_seats(integer) is
    'Gives the seats of expired holds and all free seats of an event to its waiters, and returns how many holds had expired. Calls that need a seat do so on their own.';

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
    v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 1024) is null;
    for v_event_id in
        select distinct r.event_id
        from registrations r
        where r.status = 'pending' and r.hold_expires_at <= clock_timestamp()
        order by r.event_id
    loop
        -- Whoever is busy with an event settles it anyway; waiting here, with others locked, could deadlock.
        perform 1 from events e where e.id = v_event_id for no key update skip locked;
        if found then
            v_expired := v_expired + expire_holds(v_event_id);
        end if;
    end loop;
    return v_expired;
end
$$;

comment on function release_expired_holds() is
    'Gives the seats of expired holds of all events to their waiters, and returns how many holds had expired. Events that somebody is changing at the moment are left to them.';

create function get_event_registration_stats(p_event_id integer)
returns json
language sql
stable
set search_path from current
as $$
    select json_build_object(
        'event_id', e.id,
        'title', e.title,
        'date_time', e.date_time,
        'capacity', e.capacity,
        'current_registrations', e.current_registrations,
        'confirmed_registrations', r.confirmed,
        'waitlist_registrations', r.waitlist,
        'pending_registrations', r.pending,
        'cancelled_registrations', r.cancelled,
        'total_registrations', r.total,
        'held_seats', r.held,
        'available_spots', greatest(e.capacity - e.current_registrations - r.held, 0),
        'is_full', e.current_registrations + r.held >= e.capacity,
        'is_active', e.is_active
    )
    from events e
    cross join lateral (
        select
            count(*) filter (where g.status = 'confirmed') as confirmed,
            count(*) filter (where g.status = 'waitlist') as waitlist,
            count(*) filter (where g.status = 'pending') as pending,
            -- A seat whose hold has expired is there for whoever asks for it.
            count(*) filter (where g.status = 'pending' and g.hold_expires_at > now()) as held,
            count(*) filter (where g.status = 'cancelled') as cancelled,
            count(*) as total
        from registrations g
        where g.event_id = e.id
    ) r
    where e.id = p_event_id
$$;

comment on function get_event_registration_stats(integer) is
    'Seats and registrations of one event as JSON: event_id, title, date_time, capacity, current_registrations, confirmed_, waitlist_, pending_, cancelled_ and total_registrations, held_seats, available_spots, is_full, is_active. Null for an event that does not exist. Seats whose hold has expired count as available.';

revoke execute on function enter_registration_queue() from public;
revoke execute on function close_registration_gate() from public;
revoke execute on function promote_waitlist(integer) from public;
revoke execute on function expire_holds(integer) from public;
revoke execute on function refuse_registrations(integer, integer, boolean) from public;
revoke execute on function sync_registration_counts() from public;
revoke execute on function reset_registration_counts() from public;
revoke execute on function fill_changed_event() from public;
revoke execute on function registration_refusal(text) from public;
revoke execute on function get_waitlist_position(integer, integer) from public;
revoke execute on function safe_event_registration(integer, integer, boolean, interval) from public;
revoke execute on function safe_event_unregistration(integer, integer) from public;
revoke execute on function settle_event_seats(integer) from public;
revoke execute on function release_expired_holds() from public;
revoke execute on function get_event_registration_stats(integer) from public;
