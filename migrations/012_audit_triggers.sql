-- evdb: ignore work-under-strong-lock: the schema is installed while its tables are small
-- Purpose: triggers that write every change of users, events and registrations into the audit log.
-- Locks: share row exclusive on users, events and registrations while the triggers are made.
-- Reversible: yes; what was written stays.
--
-- A change is never refused because the log is not ready for it: the triggers make partitions ahead, and
-- where one is missing all the same the entry goes to audit_logs_overflow.

-- Not immutable in truth, and declared so for the reason that audit_covered_time() has.
create function audit_secret_columns(p_table regclass)
returns text[]
language sql
immutable
set search_path from current
as $$
    select coalesce(array_agg(a.attname::text order by a.attnum), '{}')
    from pg_attribute a
    where a.attrelid = p_table
        and a.attnum > 0
        and not a.attisdropped
        and a.attname ~* '(password|passwd|passphrase|passcode|secret|token|credential|api_?key|hash|salt|(^|_)(key|pin|otp|totp|pwd)(_|$))'
$$;

comment on function audit_secret_columns(regclass) is
    'Columns whose name looks like that of a secret, such as password_hash or reset_token, also ones that are added later: their values never enter the audit log.';

create function audit_redacted_columns(p_old jsonb, p_new jsonb, p_secrets text[])
returns text[]
language sql
immutable
parallel safe
set search_path from current
as $$
    select array_agg(s.name)
    from unnest(p_secrets) as s (name)
    where nullif(p_old -> s.name, 'null') is distinct from nullif(p_new -> s.name, 'null')
$$;

comment on function audit_redacted_columns(jsonb, jsonb, text[]) is
    'Which of the secret columns differ between two images of a row; null where none does.';

-- What the trigger functions write rarely is built as text, so that they say it only once.
create function build_audit_overflow_statement(
    p_table text,
    p_operation text,
    p_secrets text[],
    p_bookkeeping text[]
)
returns text
language sql
immutable
set search_path from current
as $$
    select format(
        'insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values, redacted) '
            'select %L, %s, %s, to_jsonb(%s) - %L::text[], to_jsonb(%s) - %5$L::text[], '
            'audit_redacted_columns(to_jsonb(%4$s), to_jsonb(%6$s), %L) from %s',
        p_table, s.operation, s.row_id, s.old_row, p_secrets || p_bookkeeping, s.new_row, p_secrets, s.source
    )
    from (
        values
            ('INSERT', '''INSERT''', 'n.id', 'null::text', 'n', 'new_rows n'),
            ('DELETE', '''DELETE''', 'o.id', 'o', 'null::text', 'old_rows o'),
            (
                'UPDATE',
                'case when o.id is null then ''INSERT'' when n.id is null then ''DELETE'' else ''UPDATE'' end',
                'coalesce(n.id, o.id)', 'o', 'n',
                'old_rows o full join new_rows n on n.id = o.id where o is distinct from n'
            )
    ) as s (tg_op, operation, row_id, old_row, new_row, source)
    where s.tg_op = p_operation
$$;

comment on function build_audit_overflow_statement(text, text, text[], text[]) is
    'The statement with which an audit trigger writes its transition tables to audit_logs_overflow.';

-- What the trigger functions below have in common:
-- They run as their owner, because whoever changes a row needs no right to write the log.
-- Whether there is a partition is part of the statement that needs it: by then that statement has its lock
-- on audit_logs, so nobody can drop the partition any more. Asking before it would leave a gap, and an
-- exception block around it would cost every write a subtransaction.
-- Images before and after are written whole: comparing them here costs more than comparing them when
-- somebody reads.
-- Table names and operations are literals: a statement without parameters is planned once in a session.
-- Partitions are made ahead when the 62nd day from now, which is in the second or third month after this
-- one, has none.

create function audit_user_changes()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
    if not now() + interval '62 days' <@ audit_covered_time('audit_logs') then
        perform premake_audit_partitions();
    end if;

    if tg_op = 'INSERT' then
        insert into audit_logs (table_name, operation, row_id, new_values, redacted)
        select 'users', 'INSERT', n.id, to_jsonb(n) - audit_secret_columns('users'),
            case
                when audit_secret_columns('users') <> '{}'
                then audit_redacted_columns(null, to_jsonb(n), audit_secret_columns('users'))
            end
        from new_rows n
        where now() <@ audit_covered_time('audit_logs');
    elsif tg_op = 'DELETE' then
        insert into audit_logs (table_name, operation, row_id, old_values, redacted)
        select 'users', 'DELETE', o.id, to_jsonb(o) - audit_secret_columns('users'),
            case
                when audit_secret_columns('users') <> '{}'
                then audit_redacted_columns(to_jsonb(o), null, audit_secret_columns('users'))
            end
        from old_rows o
        where now() <@ audit_covered_time('audit_logs');
    else
        -- A change of the primary key leaves rows without a partner: one gone, one new.
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select 'users',
            case when o.id is null then 'INSERT' when n.id is null then 'DELETE' else 'UPDATE' end,
            coalesce(n.id, o.id),
            to_jsonb(o) - audit_secret_columns('users'),
            to_jsonb(n) - audit_secret_columns('users'),
            case
                when audit_secret_columns('users') <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(n), audit_secret_columns('users'))
            end
        from old_rows o
        full join new_rows n on n.id = o.id
        where o is distinct from n
            and now() <@ audit_covered_time('audit_logs');
    end if;

    -- Either there was nothing to write or no partition to write to.
    if found then
        return null;
    elsif tg_op = 'INSERT' then
        perform from new_rows limit 1;
    elsif tg_op = 'DELETE' then
        perform from old_rows limit 1;
    else
        perform from old_rows o full join new_rows n on n.id = o.id where o is distinct from n limit 1;
    end if;

    if found then
        execute build_audit_overflow_statement('users', tg_op, audit_secret_columns('users'), '{}');
        perform premake_audit_partitions();
    end if;
    return null;
end
$$;

comment on function audit_user_changes() is
    'Trigger: writes one entry into the audit log for each user that changed, and says that a secret changed without keeping it.';

create function audit_event_changes()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
    if not now() + interval '62 days' <@ audit_covered_time('audit_logs') then
        perform premake_audit_partitions();
    end if;

    if tg_op = 'INSERT' then
        insert into audit_logs (table_name, operation, row_id, new_values, redacted)
        select 'events', 'INSERT', n.id,
            to_jsonb(n) - (audit_secret_columns('events') || '{current_registrations,held_seats}'),
            case
                when audit_secret_columns('events') <> '{}'
                then audit_redacted_columns(null, to_jsonb(n), audit_secret_columns('events'))
            end
        from new_rows n
        where now() <@ audit_covered_time('audit_logs');
    else
        insert into audit_logs (table_name, operation, row_id, old_values, redacted)
        select 'events', 'DELETE', o.id,
            to_jsonb(o) - (audit_secret_columns('events') || '{current_registrations,held_seats}'),
            case
                when audit_secret_columns('events') <> '{}'
                then audit_redacted_columns(to_jsonb(o), null, audit_secret_columns('events'))
            end
        from old_rows o
        where now() <@ audit_covered_time('audit_logs');
    end if;

    -- Either there was nothing to write or no partition to write to.
    if found then
        return null;
    elsif tg_op = 'INSERT' then
        perform from new_rows limit 1;
    else
        perform from old_rows limit 1;
    end if;

    if found then
        execute build_audit_overflow_statement(
            'events', tg_op, audit_secret_columns('events'), '{current_registrations,held_seats}'
        );
        perform premake_audit_partitions();
    end if;
    return null;
end
$$;

comment on function audit_event_changes() is
    'Trigger: as audit_user_changes(), for events; the counters of seats are left out.';

create function audit_event_update()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
    if not now() + interval '62 days' <@ audit_covered_time('audit_logs') then
        perform premake_audit_partitions();
    end if;

    insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
    select 'events', c.operation, c.row_id,
        c.old_values - (audit_secret_columns('events') || '{current_registrations,held_seats}'),
        c.new_values - (audit_secret_columns('events') || '{current_registrations,held_seats}'),
        case
            when audit_secret_columns('events') <> '{}'
            then audit_redacted_columns(c.old_values, c.new_values, audit_secret_columns('events'))
        end
    from (
        select 'UPDATE' as operation, new.id as row_id, to_jsonb(old) as old_values, to_jsonb(new) as new_values
        where old.id = new.id
        union all
        select 'DELETE', old.id, to_jsonb(old), null
        where old.id <> new.id
        union all
        select 'INSERT', new.id, null, to_jsonb(new)
        where old.id <> new.id
    ) c
    where now() <@ audit_covered_time('audit_logs');

    if not found then
        execute 'with old_rows as (select ($1).*), new_rows as (select ($2).*) ' || build_audit_overflow_statement(
            'events', tg_op, audit_secret_columns('events'), '{current_registrations,held_seats}'
        )
        using old, new;
        perform premake_audit_partitions();
    end if;
    return null;
end
$$;

comment on function audit_event_update() is 'Trigger: as audit_event_changes(), for one updated event.';

create function audit_registration_changes()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
    if not now() + interval '62 days' <@ audit_covered_time('audit_logs') then
        perform premake_audit_partitions();
    end if;

    if tg_op = 'INSERT' then
        insert into audit_logs (table_name, operation, row_id, new_values, redacted)
        select 'registrations', 'INSERT', n.id, to_jsonb(n) - audit_secret_columns('registrations'),
            case
                when audit_secret_columns('registrations') <> '{}'
                then audit_redacted_columns(null, to_jsonb(n), audit_secret_columns('registrations'))
            end
        from new_rows n
        where now() <@ audit_covered_time('audit_logs');
    elsif tg_op = 'DELETE' then
        insert into audit_logs (table_name, operation, row_id, old_values, redacted)
        select 'registrations', 'DELETE', o.id, to_jsonb(o) - audit_secret_columns('registrations'),
            case
                when audit_secret_columns('registrations') <> '{}'
                then audit_redacted_columns(to_jsonb(o), null, audit_secret_columns('registrations'))
            end
        from old_rows o
        where now() <@ audit_covered_time('audit_logs');
    else
        -- A change of the primary key leaves rows without a partner: one gone, one new.
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select 'registrations',
            case when o.id is null then 'INSERT' when n.id is null then 'DELETE' else 'UPDATE' end,
            coalesce(n.id, o.id),
            to_jsonb(o) - audit_secret_columns('registrations'),
            to_jsonb(n) - audit_secret_columns('registrations'),
            case
                when audit_secret_columns('registrations') <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(n), audit_secret_columns('registrations'))
            end
        from old_rows o
        full join new_rows n on n.id = o.id
        where o is distinct from n
            and now() <@ audit_covered_time('audit_logs');
    end if;

    -- Either there was nothing to write or no partition to write to.
    if found then
        return null;
    elsif tg_op = 'INSERT' then
        perform from new_rows limit 1;
    elsif tg_op = 'DELETE' then
        perform from old_rows limit 1;
    else
        perform from old_rows o full join new_rows n on n.id = o.id where o is distinct from n limit 1;
    end if;

    if found then
        execute build_audit_overflow_statement('registrations', tg_op, audit_secret_columns('registrations'), '{}');
        perform premake_audit_partitions();
    end if;
    return null;
end
$$;

comment on function audit_registration_changes() is 'Trigger: as audit_user_changes(), for registrations.';

create function audit_truncate()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
    insert into audit_logs (table_name, operation)
    select tg_table_name, 'TRUNCATE'
    where now() <@ audit_covered_time('audit_logs');

    if not found then
        insert into audit_logs_overflow (table_name, operation)
        values (tg_table_name, 'TRUNCATE');
    end if;
    return null;
end
$$;

comment on function audit_truncate() is 'Trigger: writes one entry into the audit log for a truncate.';

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
execute function audit_truncate();

create trigger events_90_audit_insert
after insert on events
referencing new table as new_rows
for each statement
execute function audit_event_changes();

-- By row, because a trigger with transition tables takes no column list and would run for every change of
-- the counters. A column that is added to events has to be added here.
create trigger events_90_audit_update
after update of id, title, description, date_time, location, capacity, created_by, is_active, created_at on events
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
    or old.created_at is distinct from new.created_at
)
execute function audit_event_update();

create trigger events_90_audit_delete
after delete on events
referencing old table as old_rows
for each statement
execute function audit_event_changes();

create trigger events_90_audit_truncate
after truncate on events
for each statement
execute function audit_truncate();

create trigger registrations_90_audit_insert
after insert on registrations
referencing new table as new_rows
for each statement
execute function audit_registration_changes();

create trigger registrations_90_audit_update
after update on registrations
referencing old table as old_rows new table as new_rows
for each statement
execute function audit_registration_changes();

create trigger registrations_90_audit_delete
after delete on registrations
referencing old table as old_rows
for each statement
execute function audit_registration_changes();

create trigger registrations_90_audit_truncate
after truncate on registrations
for each statement
execute function audit_truncate();

comment on trigger users_90_audit_insert on users is 'Audits new users.';
comment on trigger users_90_audit_update on users is 'Audits changed users.';
comment on trigger users_90_audit_delete on users is 'Audits deleted users.';
comment on trigger users_90_audit_truncate on users is 'Audits a truncate of users.';
comment on trigger events_90_audit_insert on events is 'Audits new events.';
comment on trigger events_90_audit_update on events is 'Audits changed events, not their counters.';
comment on trigger events_90_audit_delete on events is 'Audits deleted events.';
comment on trigger events_90_audit_truncate on events is 'Audits a truncate of events.';
comment on trigger registrations_90_audit_insert on registrations is 'Audits new registrations.';
comment on trigger registrations_90_audit_update on registrations is 'Audits changed registrations.';
comment on trigger registrations_90_audit_delete on registrations is
    'Audits deleted registrations, also when a user or event is deleted.';
comment on trigger registrations_90_audit_truncate on registrations is 'Audits a truncate of registrations.';
revoke execute on function audit_secret_columns(regclass) from public;
revoke execute on function audit_redacted_columns(jsonb, jsonb, text[]) from public;
revoke execute on function build_audit_overflow_statement(text, text, text[], text[]) from public;
revoke execute on function audit_user_changes() from public;
revoke execute on function audit_event_changes() from public;
revoke execute on function audit_event_update() from public;
revoke execute on function audit_registration_changes() from public;
revoke execute on function audit_truncate() from public;
