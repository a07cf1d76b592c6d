-- evdb: ignore unbatched-dml, work-under-strong-lock: the schema is installed while its tables are small
-- Purpose: registering without ever overselling. Counters on the event that every way of changing
--     registrations keeps right, and the functions that register. The waiting list and holds plug in here:
--     007_waiting_list and 008_seat_holds.
-- Locks: share row exclusive on users, events and registrations while the triggers are made; rows of events
--     whose counters have to be corrected.
-- Reversible: yes; the counters then stay as they are until this migration comes back and counts again.
--
-- Order of locks, the same for calls and statements; docs/event-schema-internals.md shows it and says why:
-- gate, users' rows, rows of registrations, queue of the first event, event rows by id, and what nobody has
-- locked of waiters, their users and expired holds.
--
-- Row triggers here have no conditions: PostgreSQL parses a condition anew for each statement, which costs
-- a registration more than the trigger does. enable_seqscan is off in the functions that everybody calls: a
-- session that planned them while the tables were small would go on reading whole tables in the first rush,
-- until statistics catch up.

--
-- Gate and queue: advisory locks until the end of the transaction
--
-- Their class is the oid of this schema's events table, so that tenants in one database cannot meet in them,
-- and `select classid::regclass from pg_locks where locktype = 'advisory'` names the table. Both functions
-- give a value, to be called in assignments (v_ignored := enter_gate();), because perform sets up a query.

create function enter_gate()
returns boolean
language plpgsql
set search_path from current
as $$
begin
    return pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 0) is null;
end
$$;

comment on function enter_gate() is
    'Lets a call that will change registrations wait for deletions of events and users before it holds anything that these want. The first lock of every such call.';

create function enter_queue(p_event_id integer)
returns boolean
language plpgsql
set search_path from current
as $$
begin
    -- Modulo, so that a statement on every event does not fill the lock table.
    return pg_advisory_xact_lock('events'::regclass::oid::integer, 1 + p_event_id % 1024) is null;
end
$$;

comment on function enter_queue(integer) is
    'Waits until it is the turn of this transaction to lock the event''s row: a crowd on one event would all wake up for each change of it. Entered for the first event of a statement only.';

create function enter_registration_gate()
returns trigger
language plpgsql
set search_path from current
as $$
declare
    v_ignored boolean;
begin
    -- enter_gate() spelt out, because whoever may write registrations need not be granted it.
    v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 0) is null;
    return null;
end
$$;

comment on function enter_registration_gate() is
    'Trigger: lets a statement on registrations wait for deletions of events and users before it holds anything that these want.';

create trigger registrations_00_gate_insert
before insert on registrations
for each statement
execute function enter_registration_gate();

create trigger registrations_00_gate_update
before update on registrations
for each statement
execute function enter_registration_gate();

create trigger registrations_00_gate_delete
before delete on registrations
for each statement
when (pg_trigger_depth() = 0)
execute function enter_registration_gate();

comment on trigger registrations_00_gate_insert on registrations is
    'Keeps inserts and deletions of events and users from deadlocking.';
comment on trigger registrations_00_gate_update on registrations is
    'Keeps updates and deletions of events and users from deadlocking.';
comment on trigger registrations_00_gate_delete on registrations is
    'Keeps deletes and deletions of events and users from deadlocking. A cascade is behind the gate already, or has given it up.';

-- Security definer, because whoever may delete an event need not be allowed to change registrations.
create function close_registration_gate()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
declare
    v_lock_timeout text := current_setting('lock_timeout');
    v_ignored boolean;
begin
    begin
        -- Shorter than the usual deadlock_timeout, so that it comes first.
        perform set_config('lock_timeout', '900ms', true);
        v_ignored := pg_advisory_xact_lock('events'::regclass::oid::integer, 0) is null;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        -- Somebody keeps a transaction open that registered: rather than hold up everyone behind this
        -- deletion any longer, go on without the gate, and accept that a deadlock is possible.
        when lock_not_available then
            null;
    end;

    -- What the cascade will lock anyway, but before the event rows: a truncate could stand in between.
    lock table registrations in row exclusive mode;
    return null;
end
$$;

comment on function close_registration_gate() is
    'Trigger: a deletion of events or users waits, for a second at most, until nobody is changing registrations, and keeps others from it until its transaction ends. Runs as the owner of the schema, because whoever may delete an event need not be allowed to change registrations.';

create trigger events_00_gate_delete
before delete on events
for each statement
execute function close_registration_gate();

create trigger users_00_gate_delete
before delete on users
for each statement
execute function close_registration_gate();

comment on trigger events_00_gate_delete on events is 'Keeps the cascade to registrations from deadlocking.';
comment on trigger users_00_gate_delete on users is 'Keeps the cascades to events and registrations from deadlocking.';

--
-- What later migrations put behind a freed seat; the caller has locked the event's row
--

create function promote_waitlist(p_event_id integer)
returns integer
language sql
set search_path from current
as $$
    select 0
$$;

comment on function promote_waitlist(integer) is
    'Confirms nobody: 007_waiting_list brings the waiting list.';

create function get_waitlist_position(p_user_id integer, p_event_id integer)
returns integer
language sql
stable
set search_path from current
as $$
    select null::integer
$$;

comment on function get_waitlist_position(integer, integer) is
    'Nobody has a place in a queue: 007_waiting_list brings the waiting list.';

create function expire_holds(p_event_id integer)
returns integer
language sql
set search_path from current
as $$
    select 0
$$;

comment on function expire_holds(integer) is
    'Cancels nothing: 008_seat_holds brings holds that expire.';

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

    if v_event is null then
        raise exception using
            errcode = 'foreign_key_violation',
            message = format('Event %s does not exist', p_event_id),
            hint = 'Check the id, or insert the event first.',
            table = 'registrations',
            constraint = 'registrations_event_id_fkey';
    elsif not v_event.is_active then
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
    'Raises what speaks against registrations that a statement on the table tried to make: 23514, or 23503 for an event that does not exist, with a constraint name that a program can match on.';

create function is_registration_refusal(p_constraint text)
returns boolean
language sql
immutable
parallel safe
set search_path from current
as $$
    select p_constraint in (
        'registrations_event_has_seats',
        'registrations_event_is_active',
        'registrations_event_is_upcoming',
        'registrations_user_is_active'
    )
$$;

comment on function is_registration_refusal(text) is
    'Whether a constraint name is one of those that refuse_registrations() raises and that a call answers instead of passing them on.';

create function take_event_seats(
    p_event_id integer,
    p_confirmed integer,
    p_held integer,
    p_users_are_active boolean
)
returns boolean
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
begin
    loop
        -- Joining the waitlist adds nothing to the counters and updates the row all the same: whoever frees
        -- a seat at this moment has to wait for the waiter, or at higher isolation levels to fail. The time
        -- is that of the statement: a call that has just found the event upcoming must not be contradicted.
        update events e
        set current_registrations = e.current_registrations + p_confirmed,
            held_seats = e.held_seats + p_held
        where e.id = p_event_id
            and e.is_active
            and e.date_time > statement_timestamp()
            and e.current_registrations + e.held_seats + p_confirmed + p_held <= e.capacity
            and p_users_are_active;
        exit when found;

        -- Expired holds may be in the way. The event's lock comes first, so that nobody else settles the
        -- same ones.
        perform 1 from events e where e.id = p_event_id for no key update;
        if expire_holds(p_event_id) = 0 then
            perform refuse_registrations(p_event_id, p_confirmed + p_held, p_users_are_active);
        end if;
    end loop;
    return true;
end
$$;

comment on function take_event_seats(integer, integer, integer, boolean) is
    'Adds to the counters of an event for users who join it, be it as waiters. Refuses them where the event is inactive, past or full, or one of them is inactive.';

create function move_event_seats(p_event_id integer, p_confirmed integer, p_held integer)
returns boolean
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
begin
    update events e
    set current_registrations = e.current_registrations + p_confirmed,
        held_seats = e.held_seats + p_held
    where e.id = p_event_id;
    return true;
end
$$;

comment on function move_event_seats(integer, integer, integer) is
    'Adds to the counters of an event, or takes from them, where nobody joins: whatever the event is like.';

create function seat_waiters_first(p_event_id integer)
returns boolean
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
begin
    perform 1 from events e where e.id = p_event_id for no key update;
    return promote_waitlist(p_event_id) > 0;
end
$$;

comment on function seat_waiters_first(integer) is
    'Gives free seats to who waits for an event before newcomers take them; there are both only where waiters were passed over.';

create function seat_new_waiters(p_event_id integer)
returns boolean
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
begin
    -- Expired holds give their seats to waiters themselves.
    return expire_holds(p_event_id) > 0 or promote_waitlist(p_event_id) > 0;
end
$$;

comment on function seat_new_waiters(integer) is
    'Gives seats that are free or whose hold has expired to who has just started to wait. The caller has locked the event''s row.';

-- Security definer, because nobody but this trigger is granted the counters.
create function sync_registration_counts()
returns trigger
language plpgsql
security definer
set search_path from current
set enable_seqscan to off
as $$
declare
    v_user_id integer;
    v_event_id integer;
    v_is_plain boolean;
    v_change record;
    v_has_to_queue boolean;
    v_finds_waiters boolean;
    v_users_are_active boolean;
    v_ignored boolean;
begin
    -- Transition tables are read alone, and tables apart from them: Citus cannot plan a query of both.
    --
    -- Most statements register one user whom nothing speaks against. That is done here, with nothing that only
    -- others need, because each query and each call of a function costs a registration. Others come to the loops.
    if tg_op = 'INSERT' then
        select n.user_id, n.event_id,
            not exists (select from new_rows offset 1) and n.status = 'confirmed' and n.hold_expires_at is null
        into v_user_id, v_event_id, v_is_plain
        from new_rows n;

        -- Before the queue, where nobody waits for it.
        if v_is_plain then
            v_is_plain := (select u.is_active from users u where u.id = v_user_id)
                and not exists (select from registrations w where w.event_id = v_event_id and w.status = 'waitlist');
        end if;
        if v_is_plain then
            -- enter_queue() spelt out. Whoever is called by a trigger has locked an event already.
            v_ignored := case
                when pg_trigger_depth() = 1
                then pg_advisory_xact_lock('events'::regclass::oid::integer, 1 + v_event_id % 1024) is null
            end;
            update events e
            set current_registrations = e.current_registrations + 1
            where e.id = v_event_id
                and e.is_active
                and e.date_time > statement_timestamp()
                and e.current_registrations + e.held_seats < e.capacity;
            if found then
                return null;
            end if;
        end if;
    end if;

    v_has_to_queue := pg_trigger_depth() = 1;
    -- One event row after the other, by id: two statements that touch the same events cannot deadlock.
    if tg_op = 'INSERT' then
        for v_change in
            select n.event_id,
                (count(*) filter (where n.status = 'confirmed'))::integer as confirmed,
                (count(*) filter (where n.status = 'pending'))::integer as held,
                bool_or(n.status <> 'cancelled') as joins,
                bool_or(n.status = 'waitlist') as starts_waiting,
                array_agg(n.user_id) filter (where n.status <> 'cancelled') as user_ids,
                array_agg(n.id) filter (
                    where (n.status = 'pending') <> coalesce(isfinite(n.hold_expires_at), false)
                ) as wrong_holds
            from new_rows n
            where n.status <> 'cancelled' or n.hold_expires_at is not null
            group by n.event_id
            order by n.event_id
        loop
            -- Corrected here rather than by a trigger before each row, which would cost every registration. The
            -- trigger of updates gives a hold without an end the usual one, and refuses one that never ends.
            if v_change.wrong_holds is not null then
                update registrations r
                set hold_expires_at = case when r.status = 'pending' then r.hold_expires_at end
                where r.id = any (v_change.wrong_holds)
                    and (r.status = 'pending') <> coalesce(isfinite(r.hold_expires_at), false);
            end if;
            continue when not v_change.joins;

            v_users_are_active := (select bool_and(u.is_active) from users u where u.id = any (v_change.user_ids));
            v_finds_waiters := not v_change.starts_waiting and exists (
                select
                from registrations w
                where w.event_id = v_change.event_id and w.status = 'waitlist'
            );
            if v_has_to_queue then
                v_ignored := enter_queue(v_change.event_id);
                v_has_to_queue := false;
            end if;
            if v_finds_waiters then
                v_ignored := seat_waiters_first(v_change.event_id);
            elsif not v_change.starts_waiting then
                -- As in take_event_seats(), a call of which would cost every registration more than this.
                update events e
                set current_registrations = e.current_registrations + v_change.confirmed,
                    held_seats = e.held_seats + v_change.held
                where e.id = v_change.event_id
                    and e.is_active
                    and e.date_time > statement_timestamp()
                    and e.current_registrations + e.held_seats + v_change.confirmed + v_change.held <= e.capacity
                    and v_users_are_active;
                continue when found;
            end if;
            v_ignored := take_event_seats(
                v_change.event_id, v_change.confirmed, v_change.held, v_users_are_active
            );
            if v_change.starts_waiting then
                v_ignored := seat_new_waiters(v_change.event_id);
            end if;
        end loop;
    elsif tg_op = 'UPDATE' then
        -- A full join, because the planner takes both tables for short, and anything but a hash or a
        -- merge would compare every row with every other. What moved to another user or event counts as
        -- one row gone and one new.
        for v_change in
            select c.event_id,
                sum(c.confirmed)::integer as confirmed,
                sum(c.held)::integer as held,
                bool_or(c.joins) as joins,
                bool_or(c.joins and c.waits) as starts_waiting,
                bool_or(c.joins and c.is_newcomer) and not bool_or(c.joins and c.waits) as may_find_waiters,
                array_agg(c.user_id) filter (where c.joins) as user_ids
            from (
                select
                    coalesce(n.event_id, o.event_id) as event_id,
                    n.user_id,
                    coalesce((n.status = 'confirmed')::integer, 0) - coalesce((o.status = 'confirmed')::integer, 0)
                        as confirmed,
                    coalesce((n.status = 'pending')::integer, 0) - coalesce((o.status = 'pending')::integer, 0) as held,
                    n.status <> 'cancelled'
                        and coalesce(o.status, 'cancelled') not in ('confirmed', 'pending')
                        and n.status is distinct from o.status as joins,
                    n.status = 'waitlist' as waits,
                    o.status is distinct from 'waitlist' as is_newcomer
                from old_rows o
                full join new_rows n on n.id = o.id and n.user_id = o.user_id and n.event_id = o.event_id
            ) c
            group by c.event_id
            having bool_or(c.joins) or sum(c.confirmed) <> 0 or sum(c.held) <> 0
            order by c.event_id
        loop
            v_users_are_active := v_change.joins
                and (select bool_and(u.is_active) from users u where u.id = any (v_change.user_ids));
            v_finds_waiters := v_change.may_find_waiters and exists (
                select
                from registrations w
                where w.event_id = v_change.event_id and w.status = 'waitlist'
            );
            if v_has_to_queue then
                v_ignored := enter_queue(v_change.event_id);
                v_has_to_queue := false;
            end if;
            if v_finds_waiters then
                v_ignored := seat_waiters_first(v_change.event_id);
            end if;
            if v_change.joins then
                v_ignored := take_event_seats(
                    v_change.event_id, v_change.confirmed, v_change.held, v_users_are_active
                );
            else
                v_ignored := move_event_seats(v_change.event_id, v_change.confirmed, v_change.held);
            end if;
            if v_change.confirmed + v_change.held < 0 then
                v_ignored := promote_waitlist(v_change.event_id) is null;
            elsif v_change.starts_waiting then
                v_ignored := seat_new_waiters(v_change.event_id);
            end if;
        end loop;
    else
        for v_change in
            select o.event_id,
                -(count(*) filter (where o.status = 'confirmed'))::integer as confirmed,
                -(count(*) filter (where o.status = 'pending'))::integer as held
            from old_rows o
            where o.status in ('confirmed', 'pending')
            group by o.event_id
            order by o.event_id
        loop
            if v_has_to_queue then
                v_ignored := enter_queue(v_change.event_id);
                v_has_to_queue := false;
            end if;
            v_ignored := move_event_seats(v_change.event_id, v_change.confirmed, v_change.held);
            v_ignored := promote_waitlist(v_change.event_id) is null;
        end loop;
    end if;
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

-- Last of all triggers, behind the audit: what comes after the event's row is locked keeps others waiting.
create trigger registrations_95_count_insert
after insert on registrations
referencing new table as new_rows
for each statement
execute function sync_registration_counts();

create trigger registrations_95_count_update
after update on registrations
referencing old table as old_rows new table as new_rows
for each statement
execute function sync_registration_counts();

create trigger registrations_95_count_delete
after delete on registrations
referencing old table as old_rows
for each statement
execute function sync_registration_counts();

create trigger registrations_95_count_truncate
after truncate on registrations
for each statement
execute function reset_registration_counts();

comment on trigger registrations_95_count_insert on registrations is 'Counts new registrations.';
comment on trigger registrations_95_count_update on registrations is 'Counts changes of status, user and event.';
comment on trigger registrations_95_count_delete on registrations is 'Gives seats back, also when a user or event is deleted.';
comment on trigger registrations_95_count_truncate on registrations is 'Gives every seat back.';

-- Rows that came before the triggers.
update registrations r
set hold_expires_at = now() + interval '15 minutes'
where r.status = 'pending' and r.hold_expires_at is null;

update registrations r
set hold_expires_at = null
where r.status <> 'pending' and r.hold_expires_at is not null;

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
        when '55P03' then 'Another transaction is changing this user or registration: try again'
    end
$$;

comment on function registration_refusal(text) is
    'The words for an error code of the registration functions. Callers look for "past events", "maximum capacity" and "already registered".';

create function settle_event_seats(p_event_id integer)
returns integer
language plpgsql
set search_path from current
as $$
declare
    v_ignored boolean;
    v_expired integer;
begin
    v_ignored := enter_gate();
    -- What filling seats will lock anyway, but before the event row: a truncate could stand in between.
    lock table registrations in row exclusive mode;
    v_ignored := enter_queue(p_event_id);
    perform 1 from events e where e.id = p_event_id for no key update;
    v_expired := expire_holds(p_event_id);
    v_ignored := promote_waitlist(p_event_id) is null;
    return v_expired;
end
$$;

comment on function settle_event_seats(integer) is
    'Gives the seats of expired holds and all free seats of an event to its waiters, and returns how many holds had expired. Calls that need a seat do so on their own.';

create function try_lock_event(p_event_id integer)
returns boolean
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
declare
    v_is_locked boolean;
begin
    if pg_try_advisory_xact_lock('events'::regclass::oid::integer, 1 + p_event_id % 1024) then
        select true into v_is_locked
        from events e
        where e.id = p_event_id
        for no key update skip locked;
    end if;
    return coalesce(v_is_locked, false);
end
$$;

comment on function try_lock_event(integer) is
    'Locks the row of an event as a statement that changes registrations would, and says whether it could; never waits. For whoever goes through many events: waiting for one with others locked could deadlock, and whoever is busy with an event settles it anyway.';

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
    v_now timestamptz;
    v_may_try boolean;
    v_result json;
    v_seen record;
    v_has_seat boolean;
    v_is_refused boolean;
    v_has_waited boolean;
    v_error_code text;
    v_status text;
    v_registration record;
    v_constraint text;
begin
    -- The common case, a newcomer and a free seat, with nothing that only other cases need; enter_gate() is spelt
    -- out, as each call costs. Where it fails, the rounds below find out why. The user's row is locked, because
    -- nobody may be deactivated in between.
    if p_hold is null then
        v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 0) is null;
        select u.is_active into v_may_try
        from events e
        join users u on u.id = p_user_id
        where e.id = p_event_id
            and e.is_active
            and e.date_time > clock_timestamp()
            and e.current_registrations + e.held_seats < e.capacity
        for share of u;
    else
        -- The instants are compared too: intervals compare by months of 30 days, but add by the calendar. On the
        -- two days a year when the clocks change, a day is not 24 hours; both are fine.
        v_now := clock_timestamp();
        if p_hold <= interval '0'
            or p_hold > interval '1 day'
            or v_now + p_hold <= v_now
            or v_now + p_hold > greatest(v_now + interval '1 day', v_now + interval '24 hours')
        then
            raise exception using
                errcode = 'invalid_parameter_value',
                message = format('A seat cannot be held for %s', p_hold),
                hint = 'Give p_hold a positive interval of at most a day, such as ''15 minutes''.';
        end if;
        v_ignored := enter_gate();
    end if;

    if v_may_try then
        begin
            insert into registrations (user_id, event_id, registered_at)
            values (p_user_id, p_event_id, clock_timestamp())
            returning json_build_object(
                'success', true,
                'registration_id', id,
                'event_id', event_id,
                'user_id', user_id,
                'registered_at', registered_at,
                'status', 'confirmed',
                'message', 'Successfully registered for event'
            ) into v_result;
            return v_result;
        exception
            -- There is a registration already.
            when unique_violation then
                null;
            when check_violation then
                get stacked diagnostics v_constraint = constraint_name;
                if not is_registration_refusal(v_constraint) then
                    raise;
                end if;
        end;
    end if;

    -- Each round reads what speaks against it, without a lock but the user's, and then tries. Where another
    -- transaction took the last seat or changed the same registration in between, the next round sees it.
    v_is_refused := false;
    v_has_waited := false;
    for v_round in 1..20 loop
        -- The user's row is locked, because nobody may be deactivated in between.
        select
            (select u.is_active from users u where u.id = p_user_id for share) as user_is_active,
            e.is_active,
            e.date_time > clock_timestamp() as is_upcoming,
            e.held_seats,
            e.capacity - e.current_registrations - e.held_seats as free_seats,
            r.id,
            r.status,
            r.hold_expires_at <= clock_timestamp() as is_expired
        into v_seen
        from events e
        left join registrations r on r.user_id = p_user_id and r.event_id = e.id
        where e.id = p_event_id;

        v_has_seat := v_seen.free_seats > 0;
        if v_is_refused or (v_has_waited and v_seen.status = 'waitlist') then
            v_has_seat := false;
        elsif not v_has_seat and v_seen.held_seats > 0 then
            v_has_seat := exists (
                select
                from registrations r
                where r.event_id = p_event_id and r.status = 'pending' and r.hold_expires_at <= clock_timestamp()
            );
        end if;
        v_status := case
            when not v_has_seat and v_seen.status is distinct from 'pending' then 'waitlist'
            when p_hold is null then 'confirmed'
            else 'pending'
        end;
        v_error_code := case
            when v_seen.is_active is not true then 'P0001'
            when not v_seen.is_upcoming then 'P0002'
            when v_seen.user_is_active is not true then 'P0006'
            when v_seen.status = 'confirmed' and not v_has_waited then 'P0003'
            when v_seen.status = 'pending' and v_status = 'pending' and not v_seen.is_expired then 'P0003'
            when v_status = 'waitlist' and p_join_waitlist is not true and v_seen.status is distinct from 'confirmed'
                then 'P0004'
        end;

        if v_error_code is not null then
            -- What the refused attempt had settled went back with it.
            if v_is_refused then
                v_ignored := settle_event_seats(p_event_id) is null;
            end if;
            return json_build_object(
                'success', false,
                'error_code', v_error_code,
                'error_message', registration_refusal(v_error_code)
            );
        end if;

        -- A waiter stays in the queue until it is his turn.
        if v_has_seat and v_seen.status = 'waitlist' then
            v_has_waited := true;
            v_ignored := settle_event_seats(p_event_id) is null;
            continue;
        end if;

        -- A hold that has expired is given back first, and others may have waited for the seat.
        if v_seen.status = 'pending' and v_seen.is_expired then
            update registrations r
            set status = 'cancelled'
            where r.id = v_seen.id and r.status = 'pending';
            continue;
        end if;

        -- The clock rather than the start of the transaction: the order of the queue is the order of arrival.
        begin
            if v_seen.id is null then
                insert into registrations (user_id, event_id, registered_at, status, hold_expires_at)
                values (p_user_id, p_event_id, clock_timestamp(), v_status, clock_timestamp() + p_hold)
                on conflict (user_id, event_id) do nothing
                returning id, registered_at, status, hold_expires_at into v_registration;
            elsif v_seen.status in ('confirmed', v_status) then
                select r.id, r.registered_at, r.status, r.hold_expires_at into v_registration
                from registrations r
                where r.id = v_seen.id and r.status = v_seen.status;
            else
                -- Who comes back comes anew; who waited or held a seat has been here since then.
                update registrations r
                set status = v_status,
                    registered_at = case when r.status = 'cancelled' then clock_timestamp() else r.registered_at end,
                    hold_expires_at = clock_timestamp() + p_hold
                where r.id = v_seen.id and r.status = v_seen.status
                returning r.id, r.registered_at, r.status, r.hold_expires_at into v_registration;
            end if;
            exit when found;
        exception
            -- Nothing but what the counter refuses; deadlocks and serialisation failures are the caller's.
            when check_violation then
                get stacked diagnostics v_constraint = constraint_name;
                if not is_registration_refusal(v_constraint) then
                    raise;
                end if;
                v_is_refused := v_constraint = 'registrations_event_has_seats';
        end;
    end loop;

    if v_registration is null then
        raise exception using
            errcode = 'serialization_failure',
            message = format('Others changed event %s in every moment between reading and registering', p_event_id),
            hint = 'Try again.';
    end if;

    -- Whoever started to wait may have been given a seat at once.
    if v_registration.status = 'waitlist' then
        select r.id, r.registered_at, r.status, r.hold_expires_at into v_registration
        from registrations r
        where r.id = v_registration.id;
    end if;

    if v_registration.status = 'confirmed' then
        return json_build_object(
            'success', true,
            'registration_id', v_registration.id,
            'event_id', p_event_id,
            'user_id', p_user_id,
            'registered_at', v_registration.registered_at,
            'status', v_registration.status,
            'message', 'Successfully registered for event'
        );
    elsif v_registration.status = 'pending' then
        return json_build_object(
            'success', true,
            'registration_id', v_registration.id,
            'event_id', p_event_id,
            'user_id', p_user_id,
            'registered_at', v_registration.registered_at,
            'status', v_registration.status,
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
        'status', v_registration.status,
        'waitlist_position', get_waitlist_position(p_user_id, p_event_id),
        'message', 'Event is full: added to the waitlist'
    );
end
$$;

comment on function safe_event_registration(integer, integer, boolean, interval) is
    'Registers a user for an event, confirms a held seat, or brings a cancelled registration back. p_join_waitlist: wait where no seat is free, instead of P0004. p_hold: hold the seat for so long, at most a day, instead of confirming it. Returns {success, registration_id, event_id, user_id, registered_at, status, message}, with waitlist_position or hold_expires_at, or {success: false, error_code, error_message}: P0001 event not found or inactive, P0002 past event, P0003 already registered, P0004 full, P0006 user not found or inactive. A refusal leaves nothing; 40001 and 40P01 are raised, for the caller to try again.';

create function safe_event_unregistration(
    p_user_id integer,
    p_event_id integer,
    p_keep boolean default false
)
returns json
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
declare
    v_ignored boolean;
    v_seen record;
    v_error_code text;
begin
    v_ignored := enter_gate();

    select
        (select u.id from users u where u.id = p_user_id for key share) as user_id,
        (
            select r.id
            from registrations r
            where r.user_id = p_user_id and r.event_id = p_event_id and r.status <> 'cancelled'
            for no key update
        ) as registration_id,
        e.date_time > clock_timestamp() as is_upcoming,
        e.is_active
    into v_seen
    from events e
    where e.id = p_event_id;

    -- The user need not be active: an account that was closed can still give its seats back.
    v_error_code := case
        when v_seen.is_active is not true then 'P0001'
        when not v_seen.is_upcoming then 'P0002'
        when v_seen.user_id is null then 'P0006'
        when v_seen.registration_id is null then 'P0005'
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

    if p_keep then
        update registrations
        set status = 'cancelled'
        where id = v_seen.registration_id;
    else
        delete from registrations
        where id = v_seen.registration_id;
    end if;

    return json_build_object(
        'success', true,
        'registration_id', v_seen.registration_id,
        'event_id', p_event_id,
        'user_id', p_user_id,
        'unregistered_at', now(),
        'message', 'Successfully unregistered from event'
    );
end
$$;

comment on function safe_event_unregistration(integer, integer, boolean) is
    'Removes a user''s registration, hold or place in the queue; a freed seat goes to the first waiter. p_keep: keep the row as cancelled instead of removing it. Returns {success, registration_id, event_id, user_id, unregistered_at, message} or {success: false, error_code, error_message}: P0001 event not found or inactive, P0002 past event, P0005 not registered, P0006 user not found.';

create function get_event_registration_stats(p_event_id integer)
returns json
language plpgsql
stable
set search_path from current
as $$
declare
    v_stats json;
begin
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
    into v_stats
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
    where e.id = p_event_id;

    if v_stats is null then
        raise exception using
            errcode = 'P0001',
            message = 'Event not found',
            detail = format('There is no event %s.', p_event_id),
            hint = 'Check the id.';
    end if;
    return v_stats;
end
$$;

comment on function get_event_registration_stats(integer) is
    'Seats and registrations of one event as JSON: event_id, title, date_time, capacity, current_registrations, confirmed_, waitlist_, pending_, cancelled_ and total_registrations, held_seats, available_spots, is_full, is_active. Raises P0001 for an event that does not exist. Seats whose hold has expired count as available.';

revoke execute on function enter_gate() from public;
revoke execute on function enter_queue(integer) from public;
revoke execute on function enter_registration_gate() from public;
revoke execute on function close_registration_gate() from public;
revoke execute on function promote_waitlist(integer) from public;
revoke execute on function expire_holds(integer) from public;
revoke execute on function refuse_registrations(integer, integer, boolean) from public;
revoke execute on function is_registration_refusal(text) from public;
revoke execute on function take_event_seats(integer, integer, integer, boolean) from public;
revoke execute on function move_event_seats(integer, integer, integer) from public;
revoke execute on function seat_waiters_first(integer) from public;
revoke execute on function seat_new_waiters(integer) from public;
revoke execute on function sync_registration_counts() from public;
revoke execute on function reset_registration_counts() from public;
revoke execute on function registration_refusal(text) from public;
revoke execute on function get_waitlist_position(integer, integer) from public;
revoke execute on function settle_event_seats(integer) from public;
revoke execute on function try_lock_event(integer) from public;
revoke execute on function safe_event_registration(integer, integer, boolean, interval) from public;
revoke execute on function safe_event_unregistration(integer, integer, boolean) from public;
revoke execute on function get_event_registration_stats(integer) from public;
