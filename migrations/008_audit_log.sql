-- Purpose: who changed what and when, in users, events and registrations.
-- Locks: share row exclusive on users, events and registrations while the triggers are made.
-- Reversible: yes, and undoing it drops the audit log.

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
