-- Purpose: removing old entries of the audit log.
-- Locks: none on existing objects, everything here is new.
-- Reversible: yes; what was removed stays removed.
--
-- Expired months are dropped, not deleted: what remains of the cost is counting them, and the disk space is
-- back. Only what is older within the month of the boundary is deleted.

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

create function check_audit_limit(p_limit bigint, p_what text)
returns void
language plpgsql
immutable
parallel safe
set search_path from current
as $$
begin
    if p_limit <= 0 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_limit must be above zero, not %s', p_limit),
            hint = format('Give the number of %s at most, or null for all.', p_what);
    end if;
end
$$;

comment on function check_audit_limit(bigint, text) is
    'Refuses a limit that is zero or negative (22023); null is none.';

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
    perform check_audit_limit(p_limit, 'entries to delete');
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
    perform check_audit_limit(p_limit, 'partitions to drop');
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
revoke execute on function find_audit_expiry(integer) from public;
revoke execute on function check_audit_limit(bigint, text) from public;
revoke execute on function delete_expired_audit_logs(integer, bigint) from public;
revoke execute on function lock_audit_partitions(text[]) from public;
revoke execute on function drop_expired_audit_partitions(integer, integer) from public;
revoke execute on function cleanup_audit_logs(integer) from public;
revoke execute on function preview_audit_cleanup(integer) from public;
