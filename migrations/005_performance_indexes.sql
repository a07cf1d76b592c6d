-- evdb: ignore index-not-concurrent, work-under-strong-lock: the schema is installed while its tables are small
-- Purpose: indexes for the queries that every page of the API makes, and functions that tell whether
--     indexes earn their keep.
-- Locks: share on events and registrations while their indexes are built: reads go on, writes wait.
-- Reversible: yes.
--
-- No index names a counter of events: it would cost every registration its heap-only update.

-- Upcoming events: where is_active and date_time > now() order by date_time, id limit 20.
-- The predicate stays free of the clock, which an index cannot follow.
create index events_upcoming_idx on events (date_time, id) where is_active;

comment on index events_upcoming_idx is 'Serves the list of upcoming active events, and supports keyset paging through it.';

-- A creator's events: where created_by = ? order by date_time; supports the foreign key to users.
create index events_created_by_date_time_idx on events (created_by, date_time);

comment on index events_created_by_date_time_idx is 'Serves a creator''s events; supports events_created_by_fkey.';

-- The row of a user and an event, all rows of an event; supports the foreign key to events. It ends in
-- user_id, because an index that begins with event_id and goes on otherwise looks as cheap as the unique
-- one to a planner without fresh statistics, and then reads thousands of rows to find one. That is why this
-- one, the next and that of the waiting list are not a single (event_id, status, registered_at, id): it
-- would serve all else as well and save each registration 65 bytes of WAL and 3 microseconds of about 100.
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
    stats_since timestamptz,
    table_scans bigint,
    table_writes bigint
)
language sql
stable
set search_path from current
-- The net below the check for locks: whoever comes in between is waited for no longer than this.
set lock_timeout to '1s'
as $$
    with recursive listed as (
        select i.*, i.xmin as made_by, n.nspname, c.relname, t.relname as table_name
        from pg_namespace n
        join pg_class c on c.relnamespace = n.oid
        join pg_index i on i.indexrelid = c.oid
        join pg_class t on t.oid = i.indrelid
        where n.nspname = current_schema()
            -- The parts of a partitioned index count for the whole, in whatever schema they are.
            and not c.relispartition
    ),
    -- From the catalog, because pg_partition_tree() waits for whoever holds a part exclusively.
    parts (whole, part) as (
        select l.indexrelid, l.indexrelid from listed l
        union
        select l.indrelid, l.indrelid from listed l
        union all
        select p.whole, h.inhrelid
        from parts p
        join pg_inherits h on h.inhparent = p.part
        join pg_class c on c.oid = h.inhrelid and c.relispartition
    ),
    -- The functions that tell a size wait for whoever holds the index exclusively: estimate instead.
    held as materialized (
        select l.relation
        from pg_locks l
        where l.locktype = 'relation'
            and l.mode = 'AccessExclusiveLock'
            and l.database = (select d.oid from pg_database d where d.datname = current_database())
            and l.pid is distinct from pg_backend_pid()
    ),
    used as (
        select
            p.whole as index_oid,
            coalesce(sum(s.idx_scan), 0)::bigint as idx_scan,
            coalesce(sum(s.idx_tup_read), 0)::bigint as idx_tup_read,
            coalesce(sum(s.idx_tup_fetch), 0)::bigint as idx_tup_fetch,
            -- The column is there from PostgreSQL 16 on.
            max((to_jsonb(s) ->> 'last_idx_scan')::timestamptz) as last_idx_scan,
            bool_and(i.indisvalid) as is_valid,
            coalesce(sum(
                case
                    when c.relkind = 'I' then 0
                    when c.oid in (select h.relation from held h)
                    then c.relpages * current_setting('block_size')::bigint
                    else pg_relation_size(c.oid)
                end
            ), 0)::bigint as size_bytes
        from parts p
        join pg_class c on c.oid = p.part
        join pg_index i on i.indexrelid = p.part
        left join pg_stat_all_indexes s on s.indexrelid = p.part
        group by p.whole
    ),
    read as (
        select
            p.whole as table_oid,
            sum(
                pg_stat_get_numscans(p.part)
                + (
                    select coalesce(sum(pg_stat_get_numscans(i.indexrelid)), 0)
                    from pg_index i
                    where i.indrelid = p.part
                )
            )::bigint as scans,
            sum(
                pg_stat_get_tuples_inserted(p.part)
                + pg_stat_get_tuples_updated(p.part)
                + pg_stat_get_tuples_deleted(p.part)
            )::bigint as writes
        from parts p
        where p.whole in (select l.indrelid from listed l)
        group by p.whole
    )
    select
        l.nspname::text,
        l.table_name::text,
        l.relname::text,
        u.idx_scan,
        u.idx_tup_read,
        u.idx_tup_fetch,
        round(u.idx_scan / nullif(r.scans, 0)::numeric, 4),
        pg_size_pretty(u.size_bytes),
        u.size_bytes,
        l.indisunique,
        l.indisprimary or l.indisunique or l.indisexclusion or l.indisreplident,
        exists (
            select
            from pg_constraint f
            where f.contype = 'f'
                and f.conrelid = l.indrelid
                -- In any order, as all of them are compared; what is only included is not searched.
                and cardinality(f.conkey) <= l.indnkeyatts
                and f.conkey <@ (l.indkey::smallint[])[0:cardinality(f.conkey) - 1]
                -- A partial index serves the key where all that it leaves out is null: not null on one
                -- of the columns (nulltesttype 1), read as stored, because pg_get_expr() takes a lock.
                and (
                    l.indpred is null
                    or substring(
                        l.indpred::text
                        from '^[{]NULLTEST :arg [{]VAR :varno 1 :varattno ([0-9]+) [^{}]*[}] :nulltesttype 1 [^{}]*[}]$'
                    )::smallint = any (f.conkey)
                )
        )
        and u.is_valid
        and a.amname in ('btree', 'hash'),
        u.is_valid,
        u.last_idx_scan,
        greatest(
            -- After a crash the counters start at zero and the database's own reset time is null.
            coalesce(
                (select d.stats_reset from pg_stat_database d where d.datname = current_database()),
                (select b.stats_reset from pg_stat_bgwriter b),
                pg_postmaster_start_time()
            ),
            -- When the index was made is known only where the server keeps the times of commits.
            case
                when current_setting('track_commit_timestamp')::boolean
                then pg_xact_commit_timestamp(l.made_by)
            end
        ),
        r.scans,
        r.writes
    from listed l
    join used u on u.index_oid = l.indexrelid
    join read r on r.table_oid = l.indrelid
    join pg_class ic on ic.oid = l.indexrelid
    join pg_am a on a.oid = ic.relam
    order by u.idx_scan desc, l.table_name, l.relname
$$;

comment on function get_index_usage_stats() is
    'Every index of this schema with its scans since stats_since, on this server only (replicas count for themselves). usage_ratio is the share of all scans of its table that used this index, 0 to 1, and null where the table was never scanned. last_idx_scan is null before PostgreSQL 16. stats_since: the counters began no earlier; those of a younger index or database began with it, which the server knows only with track_commit_timestamp. table_scans and table_writes (rows inserted, updated, deleted) say how much happened since. enforces_constraint (or identifies rows for replication): enforcing it counts no scan. supports_foreign_key: without it a delete or a new key in the other table reads this whole table. Partitioned indexes are summed up; the size of an index that somebody holds exclusively is an estimate.';

create function get_unused_indexes()
returns table (
    schemaname text,
    tablename text,
    indexname text,
    index_size text,
    index_size_bytes bigint,
    idx_scan bigint,
    stats_since timestamptz,
    stats_age interval,
    table_scans bigint,
    table_writes bigint,
    caveat text
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
        clock_timestamp() - u.stats_since,
        u.table_scans,
        u.table_writes,
        nullif(concat_ws(
            '; ',
            case when u.table_scans = 0 then 'nobody has read the table since: this says nothing yet' end,
            case
                when i.indexprs is not null
                then 'the planner uses statistics on its expressions without scanning it'
            end,
            case when i.indisclustered then 'cluster orders the table by it' end
        ), '')
    from get_index_usage_stats() u
    join pg_namespace n on n.nspname = u.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = u.indexname
    join pg_index i on i.indexrelid = c.oid
    where u.idx_scan = 0
        and u.is_valid
        and not u.enforces_constraint
        and not u.supports_foreign_key
    order by u.index_size_bytes desc, u.tablename, u.indexname
$$;

comment on function get_unused_indexes() is
    'Indexes of this schema without a scan since stats_since, the largest first. Leaves out what enforces a constraint, identifies rows for replication or supports a foreign key, which are needed without being scanned, and what is invalid, which nobody can scan (see get_index_usage_stats). Weigh stats_age, table_scans (what else was read meanwhile), table_writes (what keeping it cost) and caveat, and ask every replica, before dropping one.';

create function get_duplicate_indexes()
returns table (
    schemaname text,
    tablename text,
    indexname text,
    index_size text,
    index_size_bytes bigint,
    kept_index text,
    kind text,
    reason text
)
language sql
stable
set search_path from current
as $$
    with candidates as materialized (
        select
            i.indexrelid,
            i.indrelid,
            c.relname,
            c.relpages,
            c.reloptions,
            a.amname,
            i.indkey::smallint[] as all_columns,
            (i.indkey::smallint[])[i.indnkeyatts:] as included,
            -- All that makes a column of an index. The family instead of the operator class, because
            -- some classes are two names for one thing (varchar_ops is text_ops).
            array(
                select concat_ws(
                    ' ', i.indkey[k], o.opcfamily, o.opcintype, i.indcollation[k], i.indoption[k], t.attoptions::text
                )
                from generate_series(0, i.indnkeyatts - 1) k
                join pg_opclass o on o.oid = i.indclass[k]
                join pg_attribute t on t.attrelid = i.indexrelid and t.attnum = k + 1
                order by k
            ) as columns,
            -- As stored, without where in which statement it stood.
            regexp_replace(i.indexprs::text, ' :location -?[0-9]+', '', 'g') as expressions,
            regexp_replace(i.indpred::text, ' :location -?[0-9]+', '', 'g') as predicate,
            i.indisunique,
            i.indimmediate,
            -- The column is there from PostgreSQL 15 on.
            coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) as nulls_are_equal,
            i.indisclustered,
            c.relispartition as is_part,
            i.indisreplident,
            exists (
                select
                from pg_constraint f
                where f.conindid = i.indexrelid
            ) as backs_constraint
        from pg_namespace n
        join pg_class c on c.relnamespace = n.oid
        join pg_index i on i.indexrelid = c.oid
        join pg_am a on a.oid = c.relam
        where n.nspname = current_schema()
            and i.indisvalid
            and i.indisready
            and i.indislive
    ),
    ranked as (
        -- Of two that are the same, the one that has to stay, else the one that orders the table, else
        -- the older one.
        select c.*,
            c.backs_constraint or c.indisreplident or c.is_part as has_to_stay,
            row_number() over (
                order by c.backs_constraint or c.indisreplident or c.is_part desc, c.indisclustered desc, c.indexrelid
            ) as precedence
        from candidates c
    ),
    covered as (
        select
            x.indexrelid as index_oid,
            y.indexrelid as by_oid,
            x.has_to_stay,
            x.precedence,
            y.precedence as by_precedence,
            x.columns = y.columns and x.included <@ y.included and y.included <@ x.included as are_the_same
        from ranked x
        join ranked y
            on y.indrelid = x.indrelid
            and y.indexrelid <> x.indexrelid
            and y.amname = x.amname
            -- Only a B-tree is searched by its first columns as well as a narrower one.
            and case x.amname
                when 'btree' then y.columns[1:cardinality(x.columns)] = x.columns
                else y.columns = x.columns and y.reloptions is not distinct from x.reloptions
            end
            and x.included <@ y.all_columns
            and x.predicate is not distinct from y.predicate
            and (
                x.expressions is null
                or x.expressions = y.expressions
                -- Lists of expressions, (a b) and (a b c): the same, up to the closing bracket.
                or (
                    starts_with(y.expressions, left(x.expressions, -1))
                    and substr(y.expressions, length(x.expressions), 1) = ' '
                )
            )
            -- What is unique without being a constraint is replaced by what is as strict.
            and (
                not x.indisunique
                or (
                    y.indisunique
                    and y.columns = x.columns
                    and y.nulls_are_equal = x.nulls_are_equal
                    and y.indimmediate >= x.indimmediate
                )
            )
    ),
    replaced as (
        select c.index_oid, c.by_oid, c.are_the_same
        from covered c
        where not c.has_to_stay
            and (
                c.by_precedence < c.precedence
                or not exists (select from covered b where b.index_oid = c.by_oid and b.by_oid = c.index_oid)
            )
    ),
    -- Covering is transitive, so something that stays covers everything that can go. An equal is named first,
    -- also where it can go too: two equals are never both wanted, a narrower one may be.
    pairs as (
        select distinct on (c.index_oid) c.index_oid, c.by_oid, c.are_the_same
        from replaced c
        join ranked y on y.indexrelid = c.by_oid
        where c.are_the_same or c.by_oid not in (select o.index_oid from replaced o)
        order by c.index_oid, c.are_the_same desc, y.has_to_stay desc, y.relpages, y.precedence
    )
    select
        u.schemaname,
        u.tablename,
        u.indexname,
        u.index_size,
        u.index_size_bytes,
        y.relname::text,
        case when p.are_the_same then 'duplicate' else 'prefix' end,
        concat(
            case
                when p.are_the_same then format('%I has the same columns in the same order', y.relname)
                when x.columns = y.columns then format('%I has the same columns and includes more', y.relname)
                else format('%I begins with the same columns and serves the same searches', y.relname)
            end,
            case
                when y.backs_constraint then ', and a constraint needs it'
                when y.indisreplident then ', and replication needs it'
                when y.is_part then ', and belongs to an index of the whole table'
                when y.indisunique and not x.indisunique then ', and is unique'
            end
        )
    from pairs p
    join ranked x on x.indexrelid = p.index_oid
    join ranked y on y.indexrelid = p.by_oid
    join get_index_usage_stats() u on u.indexname = x.relname
    order by u.index_size_bytes desc, u.tablename, u.indexname
$$;

comment on function get_duplicate_indexes() is
    'Indexes of this schema that can go because kept_index does all they do, the largest first. kind: duplicate (the same columns) or prefix (kept_index has more). The same means columns, operator classes, collations, order, expressions, predicate, included columns and access method. What enforces a constraint, what a foreign key refers to, the replica identity and a part of a partitioned index are never named. A kept index with more columns is larger, so a prefix may still be the faster one to read. Everything named can go at once; the kept index of a duplicate may be a prefix itself.';

create function update_table_statistics()
returns table (
    schemaname text,
    tablename text,
    outcome text,
    reason text
)
language plpgsql
set search_path from current
-- The net below the check for locks: whoever comes in between is waited for no longer than this, which is
-- less than it takes to chase an autovacuum away.
set lock_timeout to '100ms'
as $$
declare
    v_table record;
    v_blocker record;
begin
    for v_table in
        with recursive parts (whole, part) as (
            select c.oid, c.oid
            from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = current_schema()
                and c.relkind in ('r', 'p', 'm')
                -- Analyzing a partitioned table analyzes its partitions; autovacuum never looks at the whole.
                and not c.relispartition
            union all
            select p.whole, h.inhrelid
            from parts p
            join pg_inherits h on h.inhparent = p.part
            join pg_class c on c.oid = h.inhrelid and c.relispartition
        )
        select w.oid, w.relname::text as relname, n.nspname::text as nspname, array_agg(c.oid) as parts,
            -- Without the right to it, analyze warns and goes on.
            bool_and(
                pg_has_role(c.relowner, 'usage')
                or pg_has_role(d.datdba, 'usage')
                or case
                    -- The privilege has a name from PostgreSQL 17 on.
                    when current_setting('server_version_num')::integer >= 170000
                    then has_table_privilege(c.oid, 'maintain')
                    else false
                end
            ) as may_analyze
        from parts p
        join pg_class c on c.oid = p.part
        join pg_class w on w.oid = p.whole
        join pg_namespace n on n.oid = w.relnamespace
        join pg_database d on d.datname = current_database()
        group by w.oid, w.relname, n.nspname
        order by w.relname
    loop
        schemaname := v_table.nspname;
        tablename := v_table.relname;
        outcome := 'skipped';
        reason := null;

        -- Those that wait count as well: whoever comes later queues behind them.
        select l.pid, l.mode, l.relation::regclass as relation into v_blocker
        from pg_locks l
        where l.locktype = 'relation'
            and l.relation = any (v_table.parts)
            and l.database = (select d.oid from pg_database d where d.datname = current_database())
            and l.pid is distinct from pg_backend_pid()
            and l.mode in (
                'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                'ExclusiveLock', 'AccessExclusiveLock'
            )
        order by l.granted desc, l.relation
        limit 1;

        if not v_table.may_analyze then
            reason := format('%s is neither the owner of the table nor of the database', current_user);
        elsif found then
            reason := format('process %s holds or wants a %s on %s',
                coalesce(v_blocker.pid::text, 'of a prepared transaction'), v_blocker.mode, v_blocker.relation);
        else
            -- One table in trouble is no reason to leave the others without statistics.
            begin
                execute format('analyze %I.%I', v_table.nspname, v_table.relname);
                if exists (select from pg_class c where c.oid = v_table.oid) then
                    outcome := 'analyzed';
                else
                    reason := 'dropped meanwhile';
                end if;
            exception
                when lock_not_available then
                    reason := 'locked by another session';
                when undefined_table or invalid_schema_name then
                    reason := 'dropped meanwhile';
                when others then
                    outcome := 'failed';
                    reason := format('%s (%s)', sqlerrm, sqlstate);
            end;
        end if;
        return next;
    end loop;
end
$$;

comment on function update_table_statistics() is
    'Analyzes every table of this schema and says for each whether it was analyzed, skipped (not allowed, locked, dropped meanwhile) or failed, and why; it waits for nobody. A partitioned table stands for its partitions. Each table stays locked against DDL and vacuum until the transaction ends; on large databases analyze table by table instead.';

revoke execute on function get_index_usage_stats() from public;
revoke execute on function get_unused_indexes() from public;
revoke execute on function get_duplicate_indexes() from public;
revoke execute on function update_table_statistics() from public;
