-- evdb: ignore work-under-strong-lock: the schema is installed while its tables are small
-- Purpose: who changed what and when, in users, events and registrations, kept by month.
-- Locks: share row exclusive on users, events and registrations while the triggers are made.
-- Reversible: yes, and undoing it drops the audit log.
--
-- Three promises shape what follows. A change is never refused because the log is not ready for it: the
-- triggers make partitions ahead, and where one is missing all the same the entry goes to
-- audit_logs_overflow. Expired months are dropped, not deleted: what remains of the cost is counting them,
-- and the disk space is back. And nobody but the functions of retention takes an entry
-- away or changes one.
--
-- There is no default partition: with one, every new partition would lock it exclusively and read all of it.

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
    'Application user: what the transaction set with set_config(''evdb.actor'', …, true).';
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

create function list_audit_partitions()
returns table (partition_name text, starts_at timestamptz, ends_at timestamptz)
language sql
stable
set search_path from current
-- The bounds are read as text.
set timezone to 'UTC'
set datestyle to 'ISO, YMD'
as $$
    select
        c.relname::text,
        coalesce(substring(b.bounds from 'FROM \(''([^'']+)''\)')::timestamptz, '-infinity') as starts_at,
        coalesce(substring(b.bounds from 'TO \(''([^'']+)''\)')::timestamptz, 'infinity')
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    cross join lateral (select pg_get_expr(c.relpartbound, c.oid) as bounds) b
    where i.inhparent = 'audit_logs'::regclass
        and not i.inhdetachpending
    order by starts_at
$$;

comment on function list_audit_partitions() is
    'The partitions of audit_logs in order of time: entries from starts_at until before ends_at.';

-- `like` and `attach` instead of `partition of`, which would lock the parent exclusively: this way
-- everybody else goes on writing.
create function create_audit_partition(p_month date)
returns text
language plpgsql
set search_path from current
as $$
declare
    v_starts_on date := date_trunc('month', p_month::timestamp)::date;
    v_name text := 'audit_logs_' || to_char(v_starts_on, 'YYYY_MM');
    v_grantee name;
begin
    if v_name is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'p_month must be a day of the month, not null',
            hint = 'Give any day of the month, such as create_audit_partition(current_date).';
    elsif pg_partition_root(to_regclass(v_name)) = 'audit_logs'::regclass then
        return null;
    elsif to_regclass(v_name) is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('Table %s exists and is no partition of audit_logs', v_name),
            hint = 'Rename it, run ensure_audit_partitions(), and insert its entries into audit_logs.',
            table = v_name;
    end if;

    execute format('create table %I (like audit_logs including all)', v_name);
    execute format(
        'create trigger audit_logs_00_refuse_change before update or delete or truncate on %I for each statement '
            'when (current_setting(''evdb.audit_maintenance'', true) is distinct from ''on'') '
            'execute function refuse_audit_change()',
        v_name
    );
    execute format('alter table %I enable always trigger audit_logs_00_refuse_change', v_name);
    execute format('comment on trigger audit_logs_00_refuse_change on %I is %L', v_name, 'As in audit_logs.');
    execute format(
        'alter table audit_logs attach partition %I for values from (%L) to (%L)',
        v_name,
        to_char(v_starts_on, 'YYYY-MM-DD "00:00:00+00"'),
        to_char(v_starts_on + interval '1 month', 'YYYY-MM-DD "00:00:00+00"')
    );
    execute format(
        'comment on table %I is %L', v_name, format('Audit entries of %s (UTC).', to_char(v_starts_on, 'YYYY-MM'))
    );
    execute format(
        'comment on constraint %I on %I is %L', v_name || '_pkey', v_name, 'As in audit_logs.'
    );

    -- Default privileges may have handed out what only the parent should decide.
    execute format('revoke all on table %I from public', v_name);
    for v_grantee in
        select distinct pg_get_userbyid(a.grantee)
        from pg_class c
        cross join lateral aclexplode(c.relacl) a
        where c.oid = to_regclass(v_name) and a.grantee not in (0, c.relowner)
    loop
        execute format('revoke all on table %I from %I', v_name, v_grantee);
    end loop;

    -- A superuser made it: the owner of the log must be able to drop it.
    execute format(
        'alter table %I owner to %I',
        v_name, (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = 'audit_logs'::regclass)
    );
    return v_name;
end
$$;

comment on function create_audit_partition(date) is
    'Makes the partition of audit_logs for the month of p_month and returns its name; null where it exists. Locks audit_logs share update exclusive, which lets everybody read and write.';

create function refuse_while_audit_log_is_busy(p_tables text[])
returns void
language plpgsql
set search_path from current
as $$
begin
    raise exception using
        errcode = 'lock_not_available',
        message = 'The audit log is in use: its lock was not free within a second, and nothing was changed',
        detail = (
            select 'Held by ' || string_agg(distinct coalesce(format('process %s (%s, %s)',
                l.pid, coalesce(nullif(s.application_name, ''), 'no name'), coalesce(s.state, 'state hidden')
            ), 'a prepared transaction'), ', ') || '.'
            from pg_locks l
            left join pg_stat_activity s on s.pid = l.pid
            where l.granted
                and l.pid is distinct from pg_backend_pid()
                and l.database = (select d.oid from pg_database d where d.datname = current_database())
                and (
                    l.relation in (select to_regclass(t.name) from unnest(p_tables) as t (name))
                    or (l.locktype = 'advisory' and l.classid = 'audit_logs'::regclass and l.objsubid = 2)
                )
        ),
        hint = 'Try again when the sessions that hold it are done, or end them with pg_terminate_backend().',
        table = 'audit_logs';
end
$$;

comment on function refuse_while_audit_log_is_busy(text[]) is
    'Raises 55P03 and names the sessions that hold locks on the tables given or maintain the audit log.';

create function lock_audit_maintenance()
returns void
language plpgsql
set search_path from current
set lock_timeout to '1s'
as $$
begin
    perform pg_advisory_xact_lock('audit_logs'::regclass::oid::integer, 0);
exception
    when lock_not_available then
        perform refuse_while_audit_log_is_busy('{}');
end
$$;

comment on function lock_audit_maintenance() is
    'Lets one transaction at a time make, drop or empty partitions of audit_logs; waits a second at most, then 55P03.';

create function ensure_audit_partitions(p_months_ahead integer default 3)
returns table (partition_name text, is_new boolean, moved_rows bigint)
language plpgsql
set search_path from current
set lock_timeout to '1s'
as $$
declare
    v_month date;
    v_starts_at timestamptz;
    v_ends_at timestamptz;
begin
    if p_months_ahead is null or p_months_ahead not between 0 and 120 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_months_ahead must be between 0 and 120, not %s', coalesce(p_months_ahead::text, 'null')),
            hint = 'Give the number of months after the current one, such as ensure_audit_partitions(3).';
    end if;

    -- Called often and mostly in vain: that must not queue behind anybody.
    perform
    from generate_series(0, p_months_ahead) n
    where pg_partition_root(to_regclass(to_char(
            date_trunc('month', now() at time zone 'UTC') + make_interval(months => n), '"audit_logs_"YYYY_MM'
        ))) is distinct from 'audit_logs'::regclass
        or exists (select from audit_logs_overflow);
    if not found then
        return;
    end if;

    perform lock_audit_maintenance();
    -- Attaching takes this lock anyway. Before looking for partitions it also makes sure that those are seen
    -- which somebody made while this session waited.
    lock table only audit_logs in share update exclusive mode;

    for v_month in
        select m.at::date
        from generate_series(0, p_months_ahead) n
        cross join lateral (
            select date_trunc('month', now() at time zone 'UTC') + make_interval(months => n) as at
        ) m
        union
        select date_trunc('month', v.created_at at time zone 'UTC')::date
        from audit_logs_overflow v
        order by 1
    loop
        v_starts_at := v_month::timestamp at time zone 'UTC';
        v_ends_at := (v_month + interval '1 month') at time zone 'UTC';
        partition_name := 'audit_logs_' || to_char(v_month, 'YYYY_MM');
        is_new := create_audit_partition(v_month) is not null;

        perform set_config('evdb.audit_maintenance', 'on', true);
        with moved as (
            delete from audit_logs_overflow v
            where v.created_at >= v_starts_at and v.created_at < v_ends_at
            returning v.*
        )
        insert into audit_logs
        select m.* from moved m;
        get diagnostics moved_rows = row_count;
        perform set_config('evdb.audit_maintenance', 'off', true);

        if is_new or moved_rows > 0 then
            return next;
        end if;
    end loop;
exception
    when lock_not_available then
        perform refuse_while_audit_log_is_busy('{audit_logs,audit_logs_overflow}');
end
$$;

comment on function ensure_audit_partitions(integer) is
    'Makes the partitions of this month and of p_months_ahead (default 3) after it where they are missing, moves what is in audit_logs_overflow to where it belongs, and returns what it did; nothing where nothing was to do. Waits for no lock longer than a second (55P03).';

-- Runs inside somebody's change, hence: it asks for locks without waiting, leaves the overflow alone, and
-- whatever goes wrong is swallowed: the entry is written all the same and the next statement tries again.
-- For instance nobody can attach a partition in a statement that reads audit_logs itself (55006).
create function premake_audit_partitions()
returns void
language plpgsql
set search_path from current
as $$
begin
    for v_ahead in 0..3 loop
        begin
            exit when not pg_try_advisory_xact_lock('audit_logs'::regclass::oid::integer, 0);
            lock table only audit_logs in share update exclusive mode nowait;
            perform create_audit_partition(
                (date_trunc('month', now() at time zone 'UTC') + make_interval(months => v_ahead))::date
            );
        exception
            when others then
                null;
        end;
    end loop;
end
$$;

comment on function premake_audit_partitions() is
    'Called by the audit triggers: makes the partitions of this month and three more where that is possible at once; never waits and never fails.';

-- The next two are not immutable in truth, they read the catalog. Declared so, they are worked out when a
-- statement is planned and cost nothing when it runs; and as PostgreSQL plans a statement again after
-- every change of the tables it names, what they say is never out of date.
--
-- Every month is looked up by name, because the functions for that see the newest catalog, where a query
-- sees it as it was when the statement around it began; and because they leave no lock on a partition,
-- which would be taken before the one on audit_logs and so deadlock with whoever drops one.
create function audit_covered_time(p_log regclass)
returns tstzmultirange
language sql
immutable
set search_path from current
as $$
    select coalesce(range_agg(tstzrange(m.at at time zone 'UTC', (m.at + interval '1 month') at time zone 'UTC')), '{}')
    from generate_series(-1, 12) n
    cross join lateral (
        select date_trunc('month', now() at time zone 'UTC') + make_interval(months => n) as at
    ) m
    where pg_partition_root(to_regclass(to_char(m.at, '"audit_logs_"YYYY_MM'))) = p_log
$$;

comment on function audit_covered_time(regclass) is
    'From the last month to a year ahead: the time for which audit_logs has partitions.';

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

create function find_audit_expiry(days_to_keep integer)
returns timestamptz
language plpgsql
stable
set search_path from current
as $$
begin
    if days_to_keep is null or days_to_keep < 0 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('days_to_keep must be zero or more, not %s', coalesce(days_to_keep::text, 'null')),
            hint = 'Give the number of days whose entries stay, such as cleanup_audit_logs(90).';
    end if;
    -- In hours, because a day of the session's time zone may have 23. Bounded, because further back than
    -- the calendar reaches is an error and nothing is that old.
    return now() - make_interval(hours => 24 * least(days_to_keep, 1000000));
end
$$;

comment on function find_audit_expiry(integer) is
    'Entries from before this moment are older than days_to_keep days of 24 hours. With 0 that is the start of the transaction, so what it wrote itself stays. Refuses null and negative numbers (22023).';

create function delete_expired_audit_logs(days_to_keep integer, p_limit bigint default null)
returns bigint
language plpgsql
set search_path from current
set lock_timeout to '1s'
as $$
declare
    v_expiry timestamptz := find_audit_expiry(days_to_keep);
    v_from timestamptz;
    v_last record;
    v_deleted bigint;
    v_deleted_overflow bigint := 0::bigint;
begin
    if p_limit <= 0 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_limit must be above zero, not %s', p_limit),
            hint = 'Give the number of entries to delete at most, or null for all.';
    end if;
    perform lock_audit_maintenance();

    -- What is before this is in partitions that will be dropped whole.
    select coalesce(max(p.ends_at), '-infinity') into v_from
    from list_audit_partitions() p
    where p.ends_at <= v_expiry;

    select a.created_at, a.id into v_last
    from audit_logs a
    where a.created_at >= v_from and a.created_at < v_expiry
    order by a.created_at, a.id
    offset p_limit - 1
    limit case when p_limit is not null then 1 else 0 end;

    perform set_config('evdb.audit_maintenance', 'on', true);
    delete from audit_logs a
    where a.created_at >= v_from
        and a.created_at < v_expiry
        and (v_last.id is null or (a.created_at, a.id) <= (v_last.created_at, v_last.id));
    get diagnostics v_deleted = row_count;

    if p_limit is null or v_deleted < p_limit then
        delete from audit_logs_overflow v
        using (
            select o.created_at, o.id
            from audit_logs_overflow o
            where o.created_at < v_expiry
            order by o.created_at, o.id
            limit p_limit - v_deleted
        ) x
        where v.created_at = x.created_at and v.id = x.id;
        get diagnostics v_deleted_overflow = row_count;
    end if;
    perform set_config('evdb.audit_maintenance', 'off', true);
    return v_deleted + v_deleted_overflow;
exception
    when lock_not_available then
        perform refuse_while_audit_log_is_busy('{audit_logs,audit_logs_overflow}');
        raise;
end
$$;

comment on function delete_expired_audit_logs(integer, bigint) is
    'Deletes what is older than days_to_keep days and cannot be dropped with a whole partition, the oldest first and p_limit entries at most (default all), and returns how many. For a client that commits batch by batch: call it until it returns 0, then drop_expired_audit_partitions. Waits for no lock longer than a second (55P03).';

-- Whoever waits for an exclusive lock makes everybody who comes after wait as well, and a long reader would
-- stop all registrations that way. Hence many short attempts with a pause in which the others are served.
create function lock_audit_partitions(p_partitions text[])
returns void
language plpgsql
set search_path from current
set lock_timeout to '50ms'
as $$
declare
    v_partition text;
begin
    for v_attempt in 1..10 loop
        begin
            -- ONLY, because the partitions that stay can be read on.
            lock table only audit_logs in access exclusive mode;
            foreach v_partition in array p_partitions loop
                execute format('lock table %I in access exclusive mode nowait', v_partition);
            end loop;
            return;
        exception
            when lock_not_available then
                -- A transaction as old as these partitions wants to write to one and holds what we wait
                -- for: it must not become the victim of a deadlock.
                if v_attempt = 10 or exists (
                    select
                    from pg_locks l
                    where not l.granted and l.relation in (select to_regclass(p.name) from unnest(p_partitions) as p (name))
                ) then
                    raise;
                end if;
                perform pg_sleep(0.05);
        end;
    end loop;
end
$$;

comment on function lock_audit_partitions(text[]) is
    'Locks audit_logs and the partitions given exclusively within a second, or raises 55P03; nobody else is held up for more than 50 ms at a time.';

create function drop_expired_audit_partitions(days_to_keep integer, p_limit integer default null)
returns table (partition_name text, removed_rows bigint, freed_bytes bigint)
language plpgsql
set search_path from current
set lock_timeout to '1s'
as $$
declare
    v_expiry timestamptz := find_audit_expiry(days_to_keep);
    v_partitions text[];
    v_rows bigint[];
    v_bytes bigint[];
    v_count bigint;
begin
    if p_limit <= 0 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_limit must be above zero, not %s', p_limit),
            hint = 'Give the number of partitions to drop at most, or null for all.';
    end if;
    perform lock_audit_maintenance();

    select array_agg(e.partition_name order by e.starts_at) into v_partitions
    from (
        select p.partition_name, p.starts_at
        from list_audit_partitions() p
        where p.ends_at <= v_expiry
        order by p.starts_at
        limit p_limit
    ) e;

    if v_partitions is null then
        return;
    end if;

    -- Nobody writes to them from here on, so the numbers stay true until they are dropped.
    foreach partition_name in array v_partitions loop
        execute format('lock table %I in share mode', partition_name);
        execute format('select count(*) from %I', partition_name) into v_count;
        v_rows := v_rows || v_count;
        v_bytes := v_bytes || pg_total_relation_size(to_regclass(partition_name));
    end loop;

    -- Last, because dropping a partition locks all of audit_logs until the transaction ends.
    perform lock_audit_partitions(v_partitions);
    for i in 1..cardinality(v_partitions) loop
        execute format('drop table %I', v_partitions[i]);
        partition_name := v_partitions[i];
        removed_rows := v_rows[i];
        freed_bytes := v_bytes[i];
        return next;
    end loop;
exception
    when lock_not_available then
        perform refuse_while_audit_log_is_busy('{audit_logs}' || v_partitions);
end
$$;

comment on function drop_expired_audit_partitions(integer, integer) is
    'Drops the partitions that hold nothing but entries older than days_to_keep days, the oldest first and p_limit of them at most (default all), and returns what that removed. Commit at once: until then nobody reads or writes the audit log. Waits for no lock longer than a second (55P03).';

create function cleanup_audit_logs(days_to_keep integer default 90)
returns integer
language plpgsql
set search_path from current
set lock_timeout to '1s'
as $$
declare
    v_removed bigint;
begin
    v_removed := delete_expired_audit_logs(days_to_keep);

    select v_removed + coalesce(sum(d.removed_rows), 0)::bigint into v_removed
    from drop_expired_audit_partitions(days_to_keep) d;

    -- The number is what callers know as an integer; a larger one must not undo the work.
    return least(v_removed, 2147483647)::integer;
end
$$;

comment on function cleanup_audit_logs(integer) is
    'Removes audit entries older than days_to_keep days (default 90) and returns how many it removed (2147483647 where it was more). Whole months are dropped and their disk space is back at commit. Refuses null and negative numbers (22023); where a lock is not free within a second nothing is removed (55P03).';

create function preview_audit_cleanup(days_to_keep integer default 90)
returns table (partition_name text, action text, entries bigint, freed_bytes bigint)
language plpgsql
stable
set search_path from current
as $$
declare
    v_expiry timestamptz := find_audit_expiry(days_to_keep);
    v_ends_at timestamptz;
begin
    for partition_name, v_ends_at in
        select x.name, x.ends_at
        from (
            select p.partition_name as name, p.starts_at, p.ends_at from list_audit_partitions() p
            union all
            select 'audit_logs_overflow', 'infinity', 'infinity'
        ) x
        where x.starts_at < v_expiry or x.starts_at = 'infinity'
        order by x.starts_at
    loop
        execute format('select count(*) from %I where created_at < $1', partition_name) into entries using v_expiry;
        action := case when v_ends_at <= v_expiry then 'drop' else 'delete' end;
        freed_bytes := case action when 'drop' then pg_total_relation_size(to_regclass(partition_name)) else 0 end;
        if action = 'drop' or entries > 0 then
            return next;
        end if;
    end loop;
end
$$;

comment on function preview_audit_cleanup(integer) is
    'What cleanup_audit_logs(days_to_keep) would remove: partitions it would drop, with the bytes that frees, and those it would delete from, which frees none. Changes nothing.';

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

do $$ begin perform ensure_audit_partitions(); end $$;

revoke all on audit_logs, audit_logs_overflow, audit_log_entries from public;
revoke all on sequence audit_logs_id_seq from public;
revoke execute on function refuse_audit_change() from public;
revoke execute on function list_audit_partitions() from public;
revoke execute on function create_audit_partition(date) from public;
revoke execute on function refuse_while_audit_log_is_busy(text[]) from public;
revoke execute on function lock_audit_maintenance() from public;
revoke execute on function ensure_audit_partitions(integer) from public;
revoke execute on function premake_audit_partitions() from public;
revoke execute on function audit_covered_time(regclass) from public;
revoke execute on function audit_secret_columns(regclass) from public;
revoke execute on function audit_redacted_columns(jsonb, jsonb, text[]) from public;
revoke execute on function build_audit_overflow_statement(text, text, text[], text[]) from public;
revoke execute on function audit_user_changes() from public;
revoke execute on function audit_event_changes() from public;
revoke execute on function audit_event_update() from public;
revoke execute on function audit_registration_changes() from public;
revoke execute on function audit_truncate() from public;
revoke execute on function find_audit_expiry(integer) from public;
revoke execute on function delete_expired_audit_logs(integer, bigint) from public;
revoke execute on function lock_audit_partitions(text[]) from public;
revoke execute on function drop_expired_audit_partitions(integer, integer) from public;
revoke execute on function cleanup_audit_logs(integer) from public;
revoke execute on function preview_audit_cleanup(integer) from public;
revoke execute on function audit_log_changes(text, integer, text, timestamptz, timestamptz, integer, timestamptz, bigint) from public;
