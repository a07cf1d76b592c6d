-- Purpose: indexes for the queries that every page of the API makes, and functions that tell whether
--     indexes earn their keep.
-- Locks: share on events and registrations while their indexes are built: reads go on, writes wait.
-- Reversible: yes.
--
-- No index names events.current_registrations: it would cost every registration its heap-only update.

-- Upcoming events: where is_active and date_time > now() order by date_time, id limit 20.
-- The predicate stays free of the clock, which an index cannot follow.
create index events_upcoming_idx on events (date_time, id) where is_active;

comment on index events_upcoming_idx is 'Serves the list of upcoming active events, and supports keyset paging through it.';

-- A creator's events: where created_by = ? order by date_time; supports the foreign key to users.
create index events_created_by_date_time_idx on events (created_by, date_time);

comment on index events_created_by_date_time_idx is 'Serves a creator''s events; supports events_created_by_fkey.';

-- The row of a user and an event, all rows of an event; supports the foreign key to events. It ends in
-- user_id, because an index on event_id alone looks as cheap as the unique one to a planner without
-- fresh statistics, and then reads thousands of rows to find one.
create index registrations_event_id_user_id_idx on registrations (event_id, user_id);

comment on index registrations_event_id_user_id_idx is
    'Serves all registrations of an event; supports registrations_event_id_fkey.';

-- Attendees: where event_id = ? and status = 'confirmed' order by registered_at, id limit 50.
create index registrations_confirmed_idx on registrations (event_id, registered_at, id)
where status = 'confirmed';

comment on index registrations_confirmed_idx is
    'Serves the attendees of an event in the order in which they registered, and supports keyset paging through it.';

create function get_index_usage_stats()
returns table (
    schemaname text,
    tablename text,
    indexname text,
    idx_scan bigint,
    idx_tup_read bigint,
    idx_tup_fetch bigint,
    usage_ratio numeric,
    index_size text,
    index_size_bytes bigint,
    is_unique boolean,
    enforces_constraint boolean,
    supports_foreign_key boolean,
    is_valid boolean,
    last_idx_scan timestamptz,
    stats_since timestamptz
)
language sql
stable
set search_path from current
as $$
    with leaf as (
        select
            coalesce(pg_partition_root(i.indexrelid)::oid, i.indexrelid) as index_oid,
            coalesce(pg_partition_root(i.indrelid)::oid, i.indrelid) as table_oid,
            s.idx_scan,
            s.idx_tup_read,
            s.idx_tup_fetch,
            -- The column is there from PostgreSQL 16 on.
            (to_jsonb(s) ->> 'last_idx_scan')::timestamptz as last_idx_scan,
            i.indisvalid,
            -- The size functions wait for whoever holds the index exclusively: estimate instead.
            case
                when exists (
                    select
                    from pg_locks l
                    where l.relation in (i.indexrelid, i.indrelid)
                        and l.database = (select d.oid from pg_database d where d.datname = current_database())
                        and l.mode = 'AccessExclusiveLock'
                )
                then c.relpages * current_setting('block_size')::bigint
                else pg_relation_size(i.indexrelid)
            end as size_bytes
        from pg_index i
        join pg_class c on c.oid = i.indexrelid
        join pg_namespace n on n.oid = c.relnamespace
        join pg_stat_all_indexes s on s.indexrelid = i.indexrelid
        where n.nspname = current_schema()
            and c.relkind = 'i'
    ),
    whole as (
        select
            l.index_oid,
            l.table_oid,
            sum(l.idx_scan)::bigint as idx_scan,
            sum(l.idx_tup_read)::bigint as idx_tup_read,
            sum(l.idx_tup_fetch)::bigint as idx_tup_fetch,
            max(l.last_idx_scan) as last_idx_scan,
            bool_and(l.indisvalid) as is_valid,
            sum(l.size_bytes)::bigint as size_bytes
        from leaf l
        group by l.index_oid, l.table_oid
    ),
    scanned as (
        select
            coalesce(pg_partition_root(t.relid)::oid, t.relid) as table_oid,
            sum(coalesce(t.seq_scan, 0) + coalesce(t.idx_scan, 0)) as scans
        from pg_stat_all_tables t
        where t.schemaname = current_schema()
        group by 1
    )
    select
        current_schema()::text,
        tc.relname::text,
        ic.relname::text,
        w.idx_scan,
        w.idx_tup_read,
        w.idx_tup_fetch,
        round(w.idx_scan / nullif(x.scans, 0), 4),
        pg_size_pretty(w.size_bytes),
        w.size_bytes,
        i.indisunique,
        i.indisprimary or i.indisunique or i.indisexclusion or i.indisreplident,
        exists (
            select
            from pg_constraint f
            where f.contype = 'f'
                and f.conrelid = i.indrelid
                and i.indpred is null
                and f.conkey <@ (i.indkey::smallint[])[0:cardinality(f.conkey) - 1]
        ),
        w.is_valid,
        w.last_idx_scan,
        -- After a crash the counters start at zero and the database's own reset time is null.
        coalesce(
            (select d.stats_reset from pg_stat_database d where d.datname = current_database()),
            (select b.stats_reset from pg_stat_bgwriter b),
            pg_postmaster_start_time()
        )
    from whole w
    join pg_index i on i.indexrelid = w.index_oid
    join pg_class ic on ic.oid = w.index_oid
    join pg_class tc on tc.oid = w.table_oid
    left join scanned x on x.table_oid = w.table_oid
    order by w.idx_scan desc, tc.relname, ic.relname
$$;

comment on function get_index_usage_stats() is
    'Every index of this schema with its scans since stats_since, on this server only (replicas count for themselves). usage_ratio is the share of all scans of its table that used this index, 0 to 1, and null where the table was never scanned. enforces_constraint: enforcing it counts no scan. Partitioned indexes are summed up.';

create function get_unused_indexes()
returns table (
    schemaname text,
    tablename text,
    indexname text,
    index_size text,
    index_size_bytes bigint,
    idx_scan bigint,
    stats_since timestamptz,
    stats_age interval
)
language sql
stable
set search_path from current
as $$
    select
        u.schemaname,
        u.tablename,
        u.indexname,
        u.index_size,
        u.index_size_bytes,
        u.idx_scan,
        u.stats_since,
        now() - u.stats_since
    from get_index_usage_stats() u
    where u.idx_scan = 0
        and u.is_valid
        and not u.enforces_constraint
        and not u.supports_foreign_key
    order by u.index_size_bytes desc, u.tablename, u.indexname
$$;

comment on function get_unused_indexes() is
    'Indexes of this schema without a scan since stats_since, the largest first. Leaves out what enforces a constraint and what supports a foreign key, which are needed without being scanned. Weigh stats_age, and ask every replica, before dropping one.';

create function update_table_statistics()
returns table (
    schemaname text,
    tablename text,
    outcome text,
    reason text
)
language plpgsql
set search_path from current
as $$
declare
    v_table record;
begin
    for v_table in
        select c.oid, c.relname, n.nspname,
            pg_has_role(c.relowner, 'usage')
                or pg_has_role(d.datdba, 'usage')
                or case
                    -- The privilege has a name from PostgreSQL 17 on.
                    when current_setting('server_version_num')::integer >= 170000
                    then has_table_privilege(c.oid, 'maintain')
                    else false
                end as may_analyze
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join pg_database d on d.datname = current_database()
        where n.nspname = current_schema()
            and c.relkind in ('r', 'p', 'm')
            -- Analyzing a partitioned table analyzes its partitions, which autovacuum does not do in turn.
            and not c.relispartition
        order by c.relname
    loop
        schemaname := v_table.nspname;
        tablename := v_table.relname;
        if not v_table.may_analyze then
            outcome := 'skipped';
            reason := format('%s is neither the owner of the table nor of the database', current_user);
        elsif exists (
            select
            from pg_locks l
            where l.relation = v_table.oid
                and l.database = (select d.oid from pg_database d where d.datname = current_database())
                and l.pid <> pg_backend_pid()
                and l.granted
                and l.mode in (
                    'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                    'ExclusiveLock', 'AccessExclusiveLock'
                )
        ) then
            outcome := 'skipped';
            reason := 'locked by another session';
        else
            execute format('analyze %I.%I', v_table.nspname, v_table.relname);
            outcome := 'analyzed';
            reason := null;
        end if;
        return next;
    end loop;
end
$$;

comment on function update_table_statistics() is
    'Analyzes every table of this schema and says for each whether it was analyzed or skipped, and why. Each table stays locked against DDL and vacuum until the transaction ends; on large databases analyze table by table instead.';
