-- Purpose: partitions of the audit log by month (UTC), made ahead.
-- Locks: none on existing tables but the audit log, which nobody writes yet.
-- Reversible: yes; the partitions stay and keep their entries.
--
-- There is no default partition: with one, every new partition would lock it exclusively and read all of
-- it. Where a partition is missing all the same, entries go to audit_logs_overflow.

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
-- Not immutable in truth, as it reads the catalog. Declared so, it is worked out when a statement is planned
-- and costs nothing when it runs; and as PostgreSQL plans a statement again after every change of the tables
-- it names, what it says is never out of date.
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
do $$ begin perform ensure_audit_partitions(); end $$;

revoke execute on function list_audit_partitions() from public;
revoke execute on function create_audit_partition(date) from public;
revoke execute on function refuse_while_audit_log_is_busy(text[]) from public;
revoke execute on function lock_audit_maintenance() from public;
revoke execute on function ensure_audit_partitions(integer) from public;
revoke execute on function premake_audit_partitions() from public;
revoke execute on function audit_covered_time(regclass) from public;
