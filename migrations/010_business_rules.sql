-- Purpose: a function that looks for what broke a rule in spite of constraints and triggers.
-- Locks: none.
-- Reversible: yes.

create function validate_business_rules()
returns table (
    rule_name text,
    violation_count integer,
    details text,
    severity text,
    sample_ids integer[]
)
language sql
stable
set search_path from current
as $$
    with taken as materialized (
        select r.event_id, count(*) filter (where r.status = 'confirmed')::integer as confirmed
        from registrations r
        group by r.event_id
    ),
    counted as materialized (
        select e.id, e.capacity, e.current_registrations, coalesce(t.confirmed, 0) as confirmed
        from events e
        left join taken t on t.event_id = e.id
    ),
    violations (rule_name, severity, details, id) as (
        select 'registration_count_mismatch', 'error',
            'events.current_registrations differs from the confirmed registrations; ids of events', c.id
        from counted c
        where c.current_registrations <> c.confirmed
        union all
        select 'capacity_exceeded', 'error',
            'more confirmed registrations than seats; ids of events', c.id
        from counted c
        where c.confirmed > c.capacity
        union all
        select 'duplicate_registrations', 'error',
            'more than one registration of a user for an event; ids of events', d.event_id
        from (
            select r.event_id
            from registrations r
            group by r.user_id, r.event_id
            having count(*) > 1
        ) d
        union all
        select 'unknown_status', 'error',
            'a status that is none of confirmed, cancelled, waitlist, pending; ids of registrations', r.id
        from registrations r
        where (r.status in ('confirmed', 'cancelled', 'waitlist', 'pending')) is not true
        union all
        select 'registrations_without_event', 'error',
            'registrations for events that do not exist; ids of registrations', r.id
        from registrations r
        where not exists (select from events e where e.id = r.event_id)
        union all
        select 'registrations_without_user', 'error',
            'registrations of users that do not exist; ids of registrations', r.id
        from registrations r
        where not exists (select from users u where u.id = r.user_id)
        union all
        select 'events_without_creator', 'error',
            'events created by users that do not exist; ids of events', e.id
        from events e
        where e.created_by is not null
            and not exists (select from users u where u.id = e.created_by)
        union all
        select 'registrations_of_inactive_users', 'warning',
            'seats at upcoming events confirmed for inactive users; ids of registrations', r.id
        from registrations r
        join users u on u.id = r.user_id and not u.is_active
        join events e on e.id = r.event_id and e.is_active and e.date_time > now()
        where r.status = 'confirmed'
        union all
        select 'events_of_inactive_creators', 'warning',
            'upcoming events whose creator is inactive; ids of events', e.id
        from events e
        join users u on u.id = e.created_by and not u.is_active
        where e.is_active and e.date_time > now()
    )
    select v.rule_name, count(*)::integer, v.details, v.severity, (array_agg(v.id order by v.id))[1:10]
    from violations v
    group by v.rule_name, v.details, v.severity
    union all
    select 'disabled_triggers', count(*)::integer,
        'triggers that keep these rules are switched off: '
            || string_agg(format('%s on %s', t.tgname, c.relname), ', ' order by c.relname, t.tgname),
        'error', null
    from pg_trigger t
    join pg_class c on c.oid = t.tgrelid
    where c.oid in ('users'::regclass, 'events'::regclass, 'registrations'::regclass)
        and t.tgenabled in ('D', 'R')
    having count(*) > 0
    order by 4, 1
$$;

comment on function validate_business_rules() is
    'Looks for rows that break a rule in spite of constraints and triggers, as restores, disabled triggers and writes by hand can leave them. One row a broken rule: how often, what it means, severity (error or warning) and up to ten ids. A healthy database returns no row.';
