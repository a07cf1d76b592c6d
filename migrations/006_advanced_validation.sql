-- Purpose: rules that a check constraint cannot hold because they need the clock or the row before,
--     the audit log, and a function that looks for what broke a rule all the same.
-- Locks: share row exclusive on users, events and registrations while the triggers are made.
-- Reversible: yes, and undoing it drops the audit log.

-- A check constraint on the clock would refuse every later update of a past event, and every restore;
-- one on blank text would be read anew for every change of the counter.
create function validate_event()
returns trigger
language plpgsql
set search_path from current
as $$
begin
    if new.title !~ '\S' then
        raise exception using
            errcode = 'check_violation',
            message = 'The title of an event cannot be blank',
            hint = 'Give a title with at least one visible character.',
            table = 'events',
            column = 'title',
            constraint = 'events_title_is_not_blank';
    elsif new.location !~ '\S' then
        raise exception using
            errcode = 'check_violation',
            message = 'The location of an event cannot be blank',
            hint = 'Give a location, or null while it is unknown.',
            table = 'events',
            column = 'location',
            constraint = 'events_location_is_not_blank';
    elsif tg_op = 'UPDATE' and new.capacity < new.current_registrations then
        raise exception using
            errcode = 'check_violation',
            message = format('The capacity of event %s cannot be %s: %s registrations are confirmed',
                new.id, new.capacity, new.current_registrations),
            hint = 'Cancel registrations first.',
            table = 'events',
            column = 'capacity',
            constraint = 'events_capacity_is_not_exceeded';
    elsif new.date_time <= clock_timestamp()
        and (tg_op = 'INSERT' or new.date_time is distinct from old.date_time)
    then
        raise exception using
            errcode = 'check_violation',
            message = format('An event cannot be set in the past: %s', new.date_time),
            hint = 'Give a date_time that is yet to come.',
            table = 'events',
            column = 'date_time',
            constraint = 'events_date_time_is_upcoming';
    end if;
    return new;
end
$$;

comment on function validate_event() is
    'Trigger: title and location are not blank, the capacity never falls below the confirmed registrations, and an event is never set in the past.';

create trigger events_20_validate_insert
before insert on events
for each row
execute function validate_event();

create trigger events_20_validate_update
before update of title, location, date_time, capacity on events
for each row
execute function validate_event();

comment on trigger events_20_validate_insert on events is 'A new event has a title and is yet to come.';
comment on trigger events_20_validate_update on events is
    'An event moves into the future only, and keeps a seat for everyone who has one; a past one can still be edited.';

create table audit_logs (
    id bigint generated always as identity,
    created_at timestamptz not null default now(),
    table_name text not null,
    operation text not null,
    row_id integer,
    old_values jsonb,
    new_values jsonb,
    redacted text[],
    actor text default nullif(current_setting('evdb.actor', true), ''),
    session_role text not null default session_user,
    application_name text default nullif(current_setting('application_name', true), ''),
    transaction_id xid8 not null default pg_current_xact_id(),
    -- Time comes first: retention reads from the old end, and partitions by month need it in the key.
    constraint audit_logs_pkey primary key (created_at, id)
);

create index audit_logs_row_idx on audit_logs (table_name, row_id, created_at);

comment on table audit_logs is
    'Every change of users, events and registrations, written by triggers; secrets and the seat counter are left out.';
comment on column audit_logs.id is 'Order of the entries within one created_at.';
comment on column audit_logs.created_at is 'Start of the transaction that made the change.';
comment on column audit_logs.table_name is 'Table that was changed.';
comment on column audit_logs.operation is 'INSERT, UPDATE, DELETE or TRUNCATE.';
comment on column audit_logs.row_id is 'Primary key of the row; null for TRUNCATE.';
comment on column audit_logs.old_values is 'The row before, without its secrets.';
comment on column audit_logs.new_values is 'The row after, without its secrets.';
comment on column audit_logs.redacted is 'Secret columns that the change set or removed; their values are not kept.';
comment on column audit_logs.actor is
    'Application user: what the transaction set with set_config(''evdb.actor'', …, true).';
comment on column audit_logs.session_role is 'Role that logged in.';
comment on column audit_logs.application_name is 'application_name of the session.';
comment on column audit_logs.transaction_id is 'Transaction that made the change; entries of one transaction share it.';
comment on index audit_logs_row_idx is 'Serves the history of one row.';

-- Whole images before and after: comparing them while writing costs twice as much as comparing them when
-- somebody reads.
create function audit_changes()
returns trigger
language plpgsql
set search_path from current
as $$
declare
    -- The counter is bookkeeping; a hash stays out even where this is the wrong function for a table.
    v_left_out constant text[] := '{current_registrations,password_hash}';
begin
    if tg_op = 'TRUNCATE' then
        insert into audit_logs (table_name, operation)
        values (tg_table_name, tg_op);
    elsif tg_level = 'ROW' then
        insert into audit_logs (table_name, operation, row_id, old_values, new_values)
        values (tg_table_name, tg_op, new.id, to_jsonb(old) - v_left_out, to_jsonb(new) - v_left_out);
    elsif tg_op = 'INSERT' then
        insert into audit_logs (table_name, operation, row_id, new_values)
        select tg_table_name, tg_op, n.id, to_jsonb(n) - v_left_out
        from new_rows n;
    elsif tg_op = 'DELETE' then
        insert into audit_logs (table_name, operation, row_id, old_values)
        select tg_table_name, tg_op, o.id, to_jsonb(o) - v_left_out
        from old_rows o;
    else
        -- A change of the primary key leaves rows without a partner: one gone, one new.
        insert into audit_logs (table_name, operation, row_id, old_values, new_values)
        select tg_table_name,
            case when o.id is null then 'INSERT' when n.id is null then 'DELETE' else 'UPDATE' end,
            coalesce(n.id, o.id), to_jsonb(o) - v_left_out, to_jsonb(n) - v_left_out
        from old_rows o
        full join new_rows n on n.id = o.id
        where o is distinct from n;
    end if;
    return null;
end
$$;

comment on function audit_changes() is
    'Trigger: writes one row into audit_logs for each row that changed, or one for a truncate.';

create function audit_user_changes()
returns trigger
language plpgsql
set search_path from current
as $$
begin
    if tg_op = 'INSERT' then
        insert into audit_logs (table_name, operation, row_id, new_values, redacted)
        select tg_table_name, tg_op, n.id, to_jsonb(n) - 'password_hash', '{password_hash}'
        from new_rows n;
    elsif tg_op = 'DELETE' then
        insert into audit_logs (table_name, operation, row_id, old_values, redacted)
        select tg_table_name, tg_op, o.id, to_jsonb(o) - 'password_hash', '{password_hash}'
        from old_rows o;
    else
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select tg_table_name,
            case when o.id is null then 'INSERT' when n.id is null then 'DELETE' else 'UPDATE' end,
            coalesce(n.id, o.id), to_jsonb(o) - 'password_hash', to_jsonb(n) - 'password_hash',
            case when o.password_hash is distinct from n.password_hash then array['password_hash'] end
        from old_rows o
        full join new_rows n on n.id = o.id
        where o is distinct from n;
    end if;
    return null;
end
$$;

comment on function audit_user_changes() is
    'Trigger: as audit_changes(), and says that a password hash changed without keeping it.';

create trigger users_90_audit_insert
after insert on users
referencing new table as new_rows
for each statement
execute function audit_user_changes();

create trigger users_90_audit_update
after update on users
referencing old table as old_rows new table as new_rows
for each statement
execute function audit_user_changes();

create trigger users_90_audit_delete
after delete on users
referencing old table as old_rows
for each statement
execute function audit_user_changes();

create trigger users_90_audit_truncate
after truncate on users
for each statement
execute function audit_changes();

create trigger events_90_audit_insert
after insert on events
referencing new table as new_rows
for each statement
execute function audit_changes();

-- By row, because a trigger with transition tables takes no column list and would run for every
-- change of the counter.
create trigger events_90_audit_update
after update of id, title, description, date_time, location, capacity, created_by, is_active on events
for each row
when (
    old.id is distinct from new.id
    or old.title is distinct from new.title
    or old.description is distinct from new.description
    or old.date_time is distinct from new.date_time
    or old.location is distinct from new.location
    or old.capacity is distinct from new.capacity
    or old.created_by is distinct from new.created_by
    or old.is_active is distinct from new.is_active
)
execute function audit_changes();

create trigger events_90_audit_delete
after delete on events
referencing old table as old_rows
for each statement
execute function audit_changes();

create trigger events_90_audit_truncate
after truncate on events
for each statement
execute function audit_changes();

create trigger registrations_90_audit_insert
after insert on registrations
referencing new table as new_rows
for each statement
execute function audit_changes();

create trigger registrations_90_audit_update
after update on registrations
referencing old table as old_rows new table as new_rows
for each statement
execute function audit_changes();

create trigger registrations_90_audit_delete
after delete on registrations
referencing old table as old_rows
for each statement
execute function audit_changes();

create trigger registrations_90_audit_truncate
after truncate on registrations
for each statement
execute function audit_changes();

comment on trigger users_90_audit_insert on users is 'Audits new users.';
comment on trigger users_90_audit_update on users is 'Audits changed users.';
comment on trigger users_90_audit_delete on users is 'Audits deleted users.';
comment on trigger users_90_audit_truncate on users is 'Audits a truncate of users.';
comment on trigger events_90_audit_insert on events is 'Audits new events.';
comment on trigger events_90_audit_update on events is 'Audits changed events, not their counter.';
comment on trigger events_90_audit_delete on events is 'Audits deleted events.';
comment on trigger events_90_audit_truncate on events is 'Audits a truncate of events.';
comment on trigger registrations_90_audit_insert on registrations is 'Audits new registrations.';
comment on trigger registrations_90_audit_update on registrations is 'Audits changed registrations.';
comment on trigger registrations_90_audit_delete on registrations is
    'Audits deleted registrations, also when a user or event is deleted.';
comment on trigger registrations_90_audit_truncate on registrations is 'Audits a truncate of registrations.';

create function cleanup_audit_logs(days_to_keep integer default 90)
returns integer
language plpgsql
set search_path from current
as $$
declare
    v_removed integer;
begin
    if days_to_keep is null or days_to_keep < 0 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('days_to_keep must be zero or more, not %s', coalesce(days_to_keep::text, 'null')),
            hint = 'Give the number of days whose entries stay, such as cleanup_audit_logs(90).';
    end if;

    -- Bounded, because further back than the calendar reaches is an error and nothing is that old.
    delete from audit_logs
    where created_at < now() - make_interval(days => least(days_to_keep, 1000000));

    get diagnostics v_removed = row_count;
    return v_removed;
end
$$;

comment on function cleanup_audit_logs(integer) is
    'Removes audit entries older than days_to_keep days (default 90) and returns how many it removed. Refuses null and negative numbers (22023).';

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
