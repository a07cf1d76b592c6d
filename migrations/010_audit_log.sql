-- Purpose: who changed what and when: the tables that keep it, append-only, and how they are read.
-- Locks: none on existing objects, everything here is new.
-- Reversible: yes, and undoing it drops the audit log.
--
-- Nobody but the functions of 013_audit_retention takes an entry away or changes one. Partitions are made
-- by 011_audit_partitions, entries by the triggers of 012_audit_triggers.

-- A sequence rather than an identity column, because overflow and partitions share it.
create sequence audit_logs_id_seq;

create table audit_logs (
    id bigint not null default nextval('audit_logs_id_seq'),
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
    constraint audit_logs_pkey primary key (created_at, id)
) partition by range (created_at);

alter sequence audit_logs_id_seq owned by audit_logs.id;

create index audit_logs_row_idx on audit_logs (table_name, row_id, created_at);

comment on sequence audit_logs_id_seq is 'Ids of audit_logs and audit_logs_overflow.';
comment on table audit_logs is
    'Every change of users, events and registrations, written by triggers, one partition a month (UTC); secrets and the seat counters are left out. Read audit_log_entries, which has the overflow as well.';
comment on column audit_logs.id is 'Order of the entries within one created_at.';
comment on column audit_logs.created_at is 'Start of the transaction that made the change.';
comment on column audit_logs.table_name is 'Table that was changed.';
comment on column audit_logs.operation is 'INSERT, UPDATE, DELETE or TRUNCATE.';
comment on column audit_logs.row_id is 'Primary key of the row; null for TRUNCATE.';
comment on column audit_logs.old_values is 'The row before, without its secrets.';
comment on column audit_logs.new_values is 'The row after, without its secrets.';
comment on column audit_logs.redacted is 'Secret columns that the change set or removed; their values are not kept.';
comment on column audit_logs.actor is
    'Application user: what the transaction set with set_config(''evdb.actor'', ..., true).';
comment on column audit_logs.session_role is 'Role that logged in.';
comment on column audit_logs.application_name is 'application_name of the session.';
comment on column audit_logs.transaction_id is 'Transaction that made the change; entries of one transaction share it.';
comment on constraint audit_logs_pkey on audit_logs is
    'Time comes first: partitions by month need it in the key, and reading newest first follows it.';
comment on index audit_logs_row_idx is 'Serves the history of one row.';

create table audit_logs_overflow (like audit_logs including all);

comment on table audit_logs_overflow is
    'Entries whose month had no partition when they were written; ensure_audit_partitions() moves them to where they belong.';
comment on constraint audit_logs_overflow_pkey on audit_logs_overflow is 'As in audit_logs.';

create view audit_log_entries as
select
    a.id, a.created_at, a.table_name, a.operation, a.row_id, a.old_values, a.new_values, a.redacted,
    a.actor, a.session_role, a.application_name, a.transaction_id
from audit_logs a
union all
select
    v.id, v.created_at, v.table_name, v.operation, v.row_id, v.old_values, v.new_values, v.redacted,
    v.actor, v.session_role, v.application_name, v.transaction_id
from audit_logs_overflow v;

comment on view audit_log_entries is 'All entries of the audit log, wherever they are kept.';

-- The setting is on around what the functions of retention delete and nowhere else; they set it for the
-- transaction and take it back, because only a superuser may give a function such a clause. It stops
-- mistakes, also the owner's, and whoever has been granted too much and does
-- not know of it. It does not stop an owner or superuser who wants to forge: they can set it, disable the
-- trigger or drop the table. Against them only a copy out of their reach helps.
create function refuse_audit_change()
returns trigger
language plpgsql
set search_path from current
as $$
begin
    raise exception using
        errcode = 'insufficient_privilege',
        message = format('The audit log is append-only: %s on %s is refused', lower(tg_op), tg_table_name),
        hint = 'Entries leave by retention only: cleanup_audit_logs(days_to_keep).',
        table = tg_table_name;
end
$$;

comment on function refuse_audit_change() is 'Trigger: refuses update, delete and truncate of audit entries (42501).';

-- By statement, because by row it would double what deleting the boundary month costs. The partitions need
-- one each: that of audit_logs does not run for a statement on a partition.
create trigger audit_logs_00_refuse_change
before update or delete or truncate on audit_logs
for each statement
when (current_setting('evdb.audit_maintenance', true) is distinct from 'on')
execute function refuse_audit_change();

create trigger audit_logs_00_refuse_change
before update or delete or truncate on audit_logs_overflow
for each statement
when (current_setting('evdb.audit_maintenance', true) is distinct from 'on')
execute function refuse_audit_change();

-- Else session_replication_role = replica would switch them off.
alter table audit_logs enable always trigger audit_logs_00_refuse_change;
alter table audit_logs_overflow enable always trigger audit_logs_00_refuse_change;

comment on trigger audit_logs_00_refuse_change on audit_logs is 'Entries stay, and stay as they were written.';
comment on trigger audit_logs_00_refuse_change on audit_logs_overflow is
    'Entries stay, and stay as they were written.';
create function audit_log_changes(
    p_table text default null,
    p_row_id integer default null,
    p_actor text default null,
    p_since timestamptz default null,
    p_until timestamptz default null,
    p_limit integer default 100,
    p_before_created_at timestamptz default null,
    p_before_id bigint default null
)
returns table (
    id bigint,
    created_at timestamptz,
    table_name text,
    operation text,
    row_id integer,
    old_values jsonb,
    new_values jsonb,
    redacted text[],
    actor text,
    session_role text,
    application_name text,
    transaction_id xid8
)
language plpgsql
stable
set search_path from current
-- A plan for all combinations of filters would use no index for any.
set plan_cache_mode to force_custom_plan
as $$
begin
    if p_limit < 0 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_limit must be zero or more, not %s', p_limit),
            hint = 'Give the number of entries to read at most, or null for all.';
    elsif (p_before_created_at is null) <> (p_before_id is null) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'p_before_created_at and p_before_id belong together',
            hint = 'Give created_at and id of the last entry read, or neither.';
    end if;

    return query
    select e.id, e.created_at, e.table_name, e.operation, e.row_id,
        case
            when e.operation <> 'UPDATE' then e.old_values
            else (
                select jsonb_object_agg(v.key, v.value)
                from jsonb_each(e.old_values) v
                where v.value is distinct from e.new_values -> v.key
            )
        end,
        case
            when e.operation <> 'UPDATE' then e.new_values
            else (
                select jsonb_object_agg(v.key, v.value)
                from jsonb_each(e.new_values) v
                where v.value is distinct from e.old_values -> v.key
            )
        end,
        e.redacted, e.actor, e.session_role, e.application_name, e.transaction_id
    from (
        select a.*
        from audit_log_entries a
        where (p_table is null or a.table_name = p_table)
            and (p_row_id is null or a.row_id = p_row_id)
            and (p_actor is null or a.actor = p_actor)
            and (p_since is null or a.created_at >= p_since)
            and (p_until is null or a.created_at < p_until)
            and (p_before_id is null or (a.created_at, a.id) < (p_before_created_at, p_before_id))
        order by a.created_at desc, a.id desc
        limit p_limit
    ) e
    order by e.created_at desc, e.id desc;
end
$$;

comment on function audit_log_changes(text, integer, text, timestamptz, timestamptz, integer, timestamptz, bigint) is
    'Entries of the audit log, newest first, p_limit at most (default 100). Of an update only the columns that changed. Filters: table, primary key, actor, from p_since until before p_until. The next page: created_at and id of the last entry as p_before_created_at and p_before_id. created_at is the start of a transaction, so an entry can appear behind ones that are already there.';

revoke all on audit_logs, audit_logs_overflow, audit_log_entries from public;
revoke all on sequence audit_logs_id_seq from public;
revoke execute on function refuse_audit_change() from public;
revoke execute on function audit_log_changes(text, integer, text, timestamptz, timestamptz, integer, timestamptz, bigint) from public;
