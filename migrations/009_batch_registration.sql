-- Purpose: registering many users for one event at the cost of one statement.
-- Locks: none on existing objects, everything here is new.
-- Reversible: yes.

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
    v_ignored boolean;
    v_event record;
    v_event_error_code text;
    v_is_refused boolean := false;
    v_waiting integer;
    v_free_seats integer;
    v_constraint text;
    v_result json;
begin
    v_ignored := enter_gate();

    -- As in safe_event_registration: each round reads how many seats are free, and then tries to take them.
    for v_round in 1..20 loop
        select
            e.date_time > clock_timestamp() as is_upcoming,
            e.is_active,
            e.held_seats,
            e.capacity - e.current_registrations - e.held_seats as free_seats,
            exists (select from registrations w where w.event_id = p_event_id and w.status = 'waitlist') as has_waiters
        into v_event
        from events e
        where e.id = p_event_id;

        -- Expired holds give way, unless somebody else has them locked, and waiters come first.
        v_free_seats := v_event.free_seats;
        if v_event.held_seats > 0 and not v_is_refused then
            select v_free_seats + count(*)::integer into v_free_seats
            from registrations r
            where r.event_id = p_event_id and r.status = 'pending' and r.hold_expires_at <= clock_timestamp();
        end if;
        v_waiting := 0;
        if v_event.has_waiters then
            select count(*)::integer into v_waiting
            from registrations r
            join users u on u.id = r.user_id and u.is_active
            where r.event_id = p_event_id and r.status = 'waitlist' and r.user_id <> all (p_user_ids);
        end if;
        v_free_seats := greatest(v_free_seats - v_waiting, 0);

        v_event_error_code := case
            when v_event.is_active is not true then 'P0001'
            when not v_event.is_upcoming then 'P0002'
        end;

        begin
            -- What somebody else has locked is passed over: waiting for one row with others locked could
            -- deadlock with a statement that changes several. New rows are inserted in the order of users,
            -- because two batches with the same users wait for each other's.
            --
            -- The lists are guessed to be short, and a plain join of two of them can cost the product of
            -- their lengths: hence windows between the lists and subqueries into the tables.
            with asked as (
                select a.user_id, a.position,
                    row_number() over (partition by a.user_id order by a.position) as occurrence
                from unnest(p_user_ids) with ordinality as a (user_id, position)
            ),
            judged as materialized (
                select a.user_id, a.position, a.occurrence, l.id as registration_id, l.waits_since,
                    -- Whoever holds a seat needs no other.
                    (a.occurrence = 1 and l.status is distinct from 'pending')::integer as seats,
                    case
                        when v_event_error_code is not null then v_event_error_code
                        when u.is_active is null and (select g.id from users g where g.id = a.user_id) is not null then '55P03'
                        when u.is_active is not true then 'P0006'
                        when coalesce(l.status, r.status) = 'confirmed' then 'P0003'
                        when r.id is not null and l.id is null then '55P03'
                    end as error_code
                from asked a
                left join lateral (
                    select g.is_active
                    from users g
                    where g.id = a.user_id
                    for share skip locked
                ) u on true
                left join lateral (
                    select g.id, g.status
                    from registrations g
                    where g.user_id = a.user_id and g.event_id = p_event_id
                    offset 0
                ) r on true
                left join lateral (
                    select g.id, g.status, case when g.status = 'waitlist' then g.registered_at end as waits_since
                    from registrations g
                    where g.id = r.id and r.status <> 'confirmed'
                    for no key update skip locked
                ) l on true
            ),
            ranked as materialized (
                select j.user_id, j.position, j.occurrence, j.registration_id, j.error_code,
                    case
                        when j.seats = 0 then 0
                        else sum(j.seats) filter (where j.error_code is null)
                            over (order by j.waits_since nulls last, j.position)
                    end as seat
                from judged j
            ),
            inserted as (
                insert into registrations (user_id, event_id, registered_at, status)
                select k.user_id, p_event_id, clock_timestamp(), 'confirmed'
                from ranked k
                where k.error_code is null
                    and k.occurrence = 1
                    and k.seat <= v_free_seats
                    and k.registration_id is null
                order by k.user_id
                on conflict (user_id, event_id) do nothing
                returning id, user_id, registered_at
            ),
            revived as (
                update registrations r
                set status = 'confirmed',
                    registered_at = case when r.status = 'cancelled' then clock_timestamp() else r.registered_at end
                from ranked k
                where k.error_code is null
                    and k.occurrence = 1
                    and k.seat <= v_free_seats
                    and r.id = k.registration_id
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
                                'status', 'confirmed',
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

            -- Seats that were left for others who wait.
            if v_waiting > 0 and v_event_error_code is null then
                v_ignored := settle_event_seats(p_event_id) is null;
            end if;
            return v_result;
        exception
            -- Nothing but what the counter refuses; deadlocks and serialisation failures are the caller's.
            when check_violation then
                get stacked diagnostics v_constraint = constraint_name;
                if not is_registration_refusal(v_constraint) then
                    raise;
                end if;
                v_is_refused := true;
        end;
    end loop;

    raise exception using
        errcode = 'serialization_failure',
        message = format('Others changed event %s in every moment between reading and registering', p_event_id),
        hint = 'Try again.';
end
$$;

comment on function batch_event_registration(integer[], integer) is
    'Registers many users for one event in one statement''s worth of work, in the order given, until the seats are gone; holds of theirs are confirmed, and those of them who wait come first. Returns {total_processed, successful_registrations, failed_registrations, details}, with one entry in details for each user asked for, in that order, shaped like the result of safe_event_registration. A user named twice is registered once and already registered (P0003) the second time; a user who, or whose registration, is being changed by another transaction is told to try again (55P03).';

revoke execute on function batch_event_registration(integer[], integer) from public;
