-- Purpose: registering without ever overselling. A counter on the event that every way of changing
--     registrations keeps right, and the functions that register and unregister one user or many.
-- Locks: share row exclusive on registrations while the triggers are made; rows of events whose
--     counter has to be corrected.
-- Reversible: yes; the counters then stay as they are until this migration comes back and counts again.
--
-- Order of locks, the same everywhere: advisory lock of the event (exclusive in functions, shared in
-- inserts), users, rows of registrations that exist, event rows by id, new rows of registrations.
-- A statement has locked the rows it changes before any trigger can run, so the event row has to come
-- after them. A direct insert of a user and event for whom a call is under way would hold the entry in
-- the unique index and wait for the event row, while the call holds the row and waits for the entry:
-- hence the shared lock. Only the deletion of an event, or of a user who created events, goes the other
-- way round: whoever meets it may be told 40P01. So may a transaction that makes several calls.
--
-- The advisory lock keeps a crowd on one event in one cheap queue instead of on the row itself. Its
-- class is the oid of this schema's events table: tenants in one database cannot meet in it, and
-- `select classid::regclass, objid from pg_locks where locktype = 'advisory'` names the table. Its key
-- is the id modulo 1024, so that a load of registrations for every event does not fill the lock table.
--
-- enable_seqscan is off in the functions that everybody calls: a session that planned them while the
-- tables were small would go on reading whole tables in the first rush, until statistics catch up.

create function join_registration_queue()
returns trigger
language plpgsql
set search_path from current
as $$
declare
    v_ignored boolean;
begin
    -- An assignment, because perform sets up a query, and this runs for every row.
    v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, new.event_id % 1024) is null;
    return new;
end
$$;

comment on function join_registration_queue() is
    'Trigger: lets a direct insert wait until calls for the same event are through, before it holds anything they want.';

create trigger registrations_00_join_queue
before insert on registrations
for each row
execute function join_registration_queue();

comment on trigger registrations_00_join_queue on registrations is
    'Keeps direct inserts and calls for the same user and event from deadlocking.';

create function refuse_registrations(p_event_id integer, p_seats integer, p_users_are_active boolean)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_event record;
begin
    select e.date_time, e.is_active, e.capacity, e.current_registrations into v_event
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
            message = format('Event %s is at maximum capacity: seats asked for %s, taken %s of %s',
                p_event_id, p_seats, v_event.current_registrations, v_event.capacity),
            hint = 'Register fewer users, cancel registrations or raise the capacity.',
            table = 'registrations',
            constraint = 'registrations_event_has_seats';
    end if;
end
$$;

comment on function refuse_registrations(integer, integer, boolean) is
    'Raises what speaks against registrations that a statement on the table tried to make: 23514 with a constraint name that a program can match on.';

create function sync_registration_count()
returns trigger
language plpgsql
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
                count(*) filter (where n.status = 'confirmed') as seats,
                true as joins,
                bool_and((select u.is_active from users u where u.id = n.user_id)) as users_are_active
            from new_rows n
            where n.status <> 'cancelled'
            group by n.event_id
            order by n.event_id;
    elsif tg_op = 'UPDATE' then
        open v_changes for
            select c.event_id,
                sum(c.seats) as seats,
                sum(c.seats) > 0 as joins,
                bool_and(c.user_is_active) as users_are_active
            from (
                select o.event_id, -1 as seats, true as user_is_active
                from old_rows o
                where o.status = 'confirmed'
                union all
                -- Whoever held the seat before the statement keeps it, active or not.
                select n.event_id, 1, (select u.is_active from users u where u.id = n.user_id) or exists (
                    select
                    from old_rows o
                    where o.id = n.id
                        and o.user_id = n.user_id
                        and o.event_id = n.event_id
                        and o.status = 'confirmed'
                )
                from new_rows n
                where n.status = 'confirmed'
            ) c
            group by c.event_id
            having sum(c.seats) <> 0
            order by c.event_id;
    else
        open v_changes for
            select o.event_id, -count(*) as seats, false as joins, true as users_are_active
            from old_rows o
            where o.status = 'confirmed'
            group by o.event_id
            order by o.event_id;
    end if;

    -- One event row after the other, by id: two statements that touch the same events cannot deadlock.
    loop
        fetch v_changes into v_change;
        exit when not found;
        if v_change.seats = 0 then
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
            set current_registrations = e.current_registrations + v_change.seats
            where e.id = v_change.event_id
                and (
                    not v_change.joins
                    or (
                        e.is_active
                        and e.date_time > statement_timestamp()
                        and e.current_registrations + v_change.seats <= e.capacity
                        and v_change.users_are_active
                    )
                );
        end if;
        if not found and v_change.joins then
            perform refuse_registrations(
                v_change.event_id, v_change.seats::integer, v_change.users_are_active
            );
        end if;
    end loop;
    close v_changes;
    return null;
end
$$;

comment on function sync_registration_count() is
    'Trigger: keeps events.current_registrations equal to the confirmed registrations, one event row after the other by id, and refuses registrations for inactive, past or full events and by inactive users.';

create function reset_registration_counts()
returns trigger
language plpgsql
set search_path from current
as $$
begin
    perform 1 from events where current_registrations <> 0 order by id for no key update;
    update events set current_registrations = 0 where current_registrations <> 0;
    return null;
end
$$;

comment on function reset_registration_counts() is 'Trigger: nobody is registered for anything after a truncate.';

create trigger registrations_10_count_insert
after insert on registrations
referencing new table as new_rows
for each statement
execute function sync_registration_count();

create trigger registrations_10_count_update
after update on registrations
referencing old table as old_rows new table as new_rows
for each statement
execute function sync_registration_count();

create trigger registrations_10_count_delete
after delete on registrations
referencing old table as old_rows
for each statement
execute function sync_registration_count();

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
set current_registrations = c.confirmed
from (
    select e2.id, count(r.id)::integer as confirmed
    from events e2
    left join registrations r on r.event_id = e2.id and r.status = 'confirmed'
    group by e2.id
) c
where c.id = e.id
    and e.current_registrations <> c.confirmed;

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
    end
$$;

comment on function registration_refusal(text) is
    'The words for an error code of the registration functions. Callers look for "past events", "maximum capacity" and "already registered".';

create function safe_event_registration(
    p_user_id integer,
    p_event_id integer
)
returns json
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
declare
    v_event record;
    v_error_code text;
    v_registration_id integer;
    v_registered_at timestamptz;
begin
    perform pg_advisory_xact_lock('events'::regclass::oid::integer, p_event_id % 1024);

    -- One statement takes the locks in their order: the columns are worked out before the event row is
    -- locked. The event row needs its lock in spite of the advisory one, because a direct update must
    -- not win the seat in between; and the user's, because nobody may be deactivated in between.
    select
        (select u.is_active from users u where u.id = p_user_id for share) as user_is_active,
        (
            select r.status
            from registrations r
            where r.user_id = p_user_id and r.event_id = p_event_id
            for no key update
        ) as status,
        e.date_time,
        e.is_active,
        e.capacity,
        e.current_registrations
    into v_event
    from events e
    where e.id = p_event_id
    for no key update of e;

    v_error_code := case
        when v_event.is_active is not true then 'P0001'
        when v_event.date_time <= clock_timestamp() then 'P0002'
        when v_event.user_is_active is not true then 'P0006'
        when v_event.status = 'confirmed' then 'P0003'
        when v_event.current_registrations >= v_event.capacity then 'P0004'
    end;

    if v_error_code is null and v_event.status is null then
        insert into registrations (user_id, event_id, status)
        values (p_user_id, p_event_id, 'confirmed')
        on conflict (user_id, event_id) do nothing
        returning id, registered_at into v_registration_id, v_registered_at;
    end if;

    -- A row from before, or one that a direct insert made a moment ago.
    if v_error_code is null and v_registration_id is null then
        update registrations
        set status = 'confirmed',
            registered_at = now()
        where user_id = p_user_id
            and event_id = p_event_id
            and status <> 'confirmed'
        returning id, registered_at into v_registration_id, v_registered_at;

        if not found then
            v_error_code := 'P0003';
        end if;
    end if;

    if v_error_code is not null then
        return json_build_object(
            'success', false,
            'error_code', v_error_code,
            'error_message', registration_refusal(v_error_code)
        );
    end if;

    return json_build_object(
        'success', true,
        'registration_id', v_registration_id,
        'event_id', p_event_id,
        'user_id', p_user_id,
        'registered_at', v_registered_at,
        'message', 'Successfully registered for event'
    );
end
$$;

comment on function safe_event_registration(integer, integer) is
    'Registers a user for an event, or brings a cancelled registration back. Returns {success, registration_id, event_id, user_id, registered_at, message} or {success: false, error_code, error_message}: P0001 event not found or inactive, P0002 past event, P0003 already registered, P0004 full, P0006 user not found or inactive. A refusal changes nothing; 40001 and 40P01 are raised, for the caller to try again.';

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
    v_event record;
    v_error_code text;
begin
    perform pg_advisory_xact_lock('events'::regclass::oid::integer, p_event_id % 1024);

    -- In the order of locks, as in safe_event_registration.
    select
        (select u.id from users u where u.id = p_user_id for key share) as user_id,
        (
            select r.id
            from registrations r
            where r.user_id = p_user_id and r.event_id = p_event_id and r.status <> 'cancelled'
            for no key update
        ) as registration_id,
        e.date_time,
        e.is_active
    into v_event
    from events e
    where e.id = p_event_id
    for no key update of e;

    -- The user need not be active: an account that was closed can still give its seats back.
    v_error_code := case
        when v_event.is_active is not true then 'P0001'
        when v_event.date_time <= clock_timestamp() then 'P0002'
        when v_event.user_id is null then 'P0006'
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
    'Cancels a user''s registration and frees the seat; the row stays. Returns {success, registration_id, event_id, user_id, cancelled_at, message} or {success: false, error_code, error_message}: P0001 event not found or inactive, P0002 past event, P0005 not registered, P0006 user not found.';

create function batch_event_registration(
    p_user_ids integer[],
    p_event_id integer
)
returns json
language plpgsql
set search_path from current
set enable_seqscan to off
as $$
declare
    v_event record;
    v_event_error_code text;
    v_free_seats integer;
    v_result json;
begin
    perform pg_advisory_xact_lock('events'::regclass::oid::integer, p_event_id % 1024);
    perform 1 from users u where u.id = any (p_user_ids) order by u.id for share;
    perform 1
    from (select distinct a.user_id from unnest(p_user_ids) as a (user_id) order by a.user_id) a
    cross join lateral (
        select
        from registrations r
        where r.user_id = a.user_id and r.event_id = p_event_id and r.status <> 'confirmed'
        for no key update
    ) r;

    select e.date_time, e.is_active, e.capacity, e.current_registrations into v_event
    from events e
    where e.id = p_event_id
    for no key update;

    v_event_error_code := case
        when v_event.is_active is not true then 'P0001'
        when v_event.date_time <= clock_timestamp() then 'P0002'
    end;
    v_free_seats := greatest(v_event.capacity - v_event.current_registrations, 0);

    -- The lists are guessed to be short, and a plain join of two of them can cost the product of their
    -- lengths: hence windows between the lists and subqueries into the tables.
    with asked as (
        select a.user_id, a.position,
            row_number() over (partition by a.user_id order by a.position) as occurrence
        from unnest(p_user_ids) with ordinality as a (user_id, position)
    ),
    judged as materialized (
        select a.user_id, a.position, a.occurrence, r.id as registration_id,
            case
                when v_event_error_code is not null then v_event_error_code
                when (select u.is_active from users u where u.id = a.user_id) is not true then 'P0006'
                when r.status = 'confirmed' then 'P0003'
            end as error_code
        from asked a
        left join lateral (
            select g.id, g.status
            from registrations g
            where g.user_id = a.user_id and g.event_id = p_event_id
            offset 0
        ) r on true
    ),
    ranked as materialized (
        select j.user_id, j.position, j.occurrence, j.registration_id, j.error_code,
            count(*) filter (where j.error_code is null and j.occurrence = 1) over (order by j.position) as seat
        from judged j
    ),
    inserted as (
        insert into registrations (user_id, event_id, status)
        select k.user_id, p_event_id, 'confirmed'
        from ranked k
        where k.error_code is null and k.occurrence = 1 and k.seat <= v_free_seats and k.registration_id is null
        order by k.position
        on conflict (user_id, event_id) do nothing
        returning id, user_id, registered_at
    ),
    revived as (
        update registrations r
        set status = 'confirmed',
            registered_at = now()
        from ranked k
        where k.error_code is null and k.occurrence = 1 and k.seat <= v_free_seats and r.id = k.registration_id
        returning r.id, r.user_id, r.registered_at
    ),
    gathered as (
        select k.user_id, k.position, k.occurrence, k.error_code,
            case when k.occurrence = 1 then k.seat end as seat,
            null::integer as registration_id, null::timestamptz as registered_at
        from ranked k
        union all
        select i.user_id, null, null, null, null, i.id, i.registered_at from inserted i
        union all
        select v.user_id, null, null, null, null, v.id, v.registered_at from revived v
    ),
    merged as (
        select g.user_id, g.position, g.occurrence, g.error_code,
            min(g.seat) over same_user as seat,
            min(g.registration_id) over same_user as registration_id,
            min(g.registered_at) over same_user as registered_at
        from gathered g
        window same_user as (partition by g.user_id)
    ),
    outcomes as (
        select m.position, m.user_id, m.registration_id, m.registered_at,
            case
                when m.error_code is not null then m.error_code
                when m.seat > v_free_seats then 'P0004'
                when m.registration_id is null or m.occurrence > 1 then 'P0003'
            end as error_code
        from merged m
        where m.position is not null
    )
    select json_build_object(
        'total_processed', count(*),
        'successful_registrations', count(*) filter (where o.error_code is null),
        'failed_registrations', count(*) filter (where o.error_code is not null),
        'details', coalesce(
            json_agg(
                case
                    when o.error_code is null then json_build_object(
                        'success', true,
                        'registration_id', o.registration_id,
                        'event_id', p_event_id,
                        'user_id', o.user_id,
                        'registered_at', o.registered_at,
                        'message', 'Successfully registered for event'
                    )
                    else json_build_object(
                        'success', false,
                        'user_id', o.user_id,
                        'error_code', o.error_code,
                        'error_message', registration_refusal(o.error_code)
                    )
                end
                order by o.position
            ),
            '[]'::json
        )
    ) into v_result
    from outcomes o;

    return v_result;
end
$$;

comment on function batch_event_registration(integer[], integer) is
    'Registers many users for one event in one statement''s worth of work, in the order given, until the seats are gone. Returns {total_processed, successful_registrations, failed_registrations, details}, with one entry in details for each user asked for, in that order, shaped like the result of safe_event_registration. A user named twice is registered once and already registered (P0003) the second time.';

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
        'available_spots', greatest(e.capacity - e.current_registrations, 0),
        'is_full', e.current_registrations >= e.capacity,
        'is_active', e.is_active
    )
    from events e
    cross join lateral (
        select
            count(*) filter (where g.status = 'confirmed') as confirmed,
            count(*) filter (where g.status = 'waitlist') as waitlist,
            count(*) filter (where g.status = 'pending') as pending,
            count(*) filter (where g.status = 'cancelled') as cancelled,
            count(*) as total
        from registrations g
        where g.event_id = e.id
    ) r
    where e.id = p_event_id
$$;

comment on function get_event_registration_stats(integer) is
    'Seats and registrations of one event as JSON; null where there is no such event.';
