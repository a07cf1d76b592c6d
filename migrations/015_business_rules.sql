-- Purpose: looking for what broke a rule in spite of constraints and triggers, and mending what can be
--     mended without taking anything from anybody.
-- Locks: none.
-- Reversible: yes.

create function list_business_rules()
returns table (
    rule_name text,
    severity text,
    description text,
    repair text
)
language sql
immutable
parallel safe
set search_path from current
as $$
    values
        ('registration_count_mismatch', 'error',
            'events.current_registrations differs from the number of confirmed registrations; ids of events',
            'select * from repair_registration_counts()'),
        ('held_seats_mismatch', 'error',
            'events.held_seats differs from the number of pending registrations; ids of events',
            'select * from repair_registration_counts()'),
        ('capacity_exceeded', 'error',
            'more confirmed and pending registrations than seats: raise the capacity, or cancel registrations; ids of events',
            null),
        ('duplicate_registrations', 'error',
            'a user registered more than once for an event; ids of the surplus registrations',
            null),
        ('unknown_status', 'error',
            'a status that is none of confirmed, cancelled, waitlist, pending; ids of registrations',
            null),
        ('impossible_hold', 'error',
            'a pending registration without an end of its hold, or another one with it; ids of registrations',
            'select repair_registration_holds()'),
        ('registrations_without_event', 'error',
            'registrations for events that do not exist; ids of registrations',
            null),
        ('registrations_without_user', 'error',
            'registrations of users that do not exist; ids of registrations',
            null),
        ('events_without_creator', 'error',
            'events created by users that do not exist; ids of events',
            null),
        ('disabled_triggers', 'error',
            'triggers that keep these rules are switched off, or, on the audit log, can be',
            null),
        ('missing_guards', 'error',
            'triggers, constraints or unique indexes that keep these rules are gone',
            null),
        ('unvalidated_constraints', 'error',
            'constraints that rows from before them may break',
            null),
        ('invalid_indexes', 'warning',
            'indexes that were only half built: they cost every write and serve no query',
            null),
        ('registrations_of_inactive_users', 'warning',
            'seats at upcoming events taken by inactive users; ids of registrations',
            null),
        ('events_of_inactive_creators', 'warning',
            'upcoming events whose creator is inactive; ids of events',
            null),
        ('seats_free_while_waiting', 'warning',
            'upcoming events with free seats and people waiting for them; ids of events',
            'select repair_waitlists()'),
        ('waitlist_overtaken', 'warning',
            'people wait for an upcoming event at which somebody who came later is confirmed; ids of the waiting registrations',
            null),
        ('expired_holds', 'warning',
            'holds that have expired and keep their seats until the next call for their event; ids of registrations',
            'select release_expired_holds()'),
        ('missing_audit_partition', 'warning',
            'audit_logs has no partition for this month or the next: entries go to audit_logs_overflow',
            'select * from ensure_audit_partitions()'),
        ('audit_overflow', 'warning',
            'entries of the audit log wait in audit_logs_overflow for their partition',
            'select * from ensure_audit_partitions()'),
        ('stale_search_documents', 'warning',
            'events that the search does not know or knows with another date; ids of events',
            'select refresh_event_search()')
$$;

comment on function list_business_rules() is
    'The rules that validate_business_rules() looks after: name, severity (error: data or its protection is wrong; warning: somebody should look), what a violation is, and the statement that mends it; null where that takes a decision, or where details hold the statements.';

create function list_schema_guards()
returns table (
    table_name text,
    kind text,
    guard_name text
)
language sql
immutable
parallel safe
set search_path from current
as $$
    select g.table_name, g.kind, n.guard_name
    from (
        values
            ('users', 'trigger', array[
                'users_00_gate_delete', 'users_00_gate_update', 'users_05_keep_timestamps', 'users_10_touch_updated_at',
                'users_20_validate_insert', 'users_20_validate_update', 'users_30_fill', 'users_90_audit_insert',
                'users_90_audit_update', 'users_90_audit_delete', 'users_90_audit_truncate'
            ]),
            ('events', 'trigger', array[
                'events_00_gate_delete', 'events_00_gate_update', 'events_05_keep_timestamps',
                'events_10_touch_updated_at', 'events_20_validate_insert', 'events_20_validate_update',
                'events_30_fill', 'events_80_search_insert', 'events_80_search_update',
                'events_90_audit_insert', 'events_90_audit_update', 'events_90_audit_delete',
                'events_90_audit_truncate'
            ]),
            ('registrations', 'trigger', array[
                'registrations_00_gate_insert', 'registrations_00_gate_update',
                'registrations_00_gate_delete', 'registrations_20_keep_status',
                'registrations_90_audit_insert', 'registrations_90_audit_update',
                'registrations_90_audit_delete', 'registrations_90_audit_truncate',
                'registrations_95_count_insert', 'registrations_95_count_update',
                'registrations_95_count_delete', 'registrations_95_count_truncate'
            ]),
            ('audit_logs', 'trigger', array['audit_logs_00_refuse_change']),
            ('audit_logs_overflow', 'trigger', array['audit_logs_00_refuse_change']),
            ('users', 'constraint', array[
                'users_pkey', 'users_email_key', 'users_name_is_not_blank', 'users_name_is_one_line',
                'users_password_hash_is_bcrypt'
            ]),
            ('events', 'constraint', array[
                'events_pkey', 'events_created_by_fkey', 'events_capacity_is_not_exceeded'
            ]),
            ('registrations', 'constraint', array[
                'registrations_pkey', 'registrations_user_id_event_id_key', 'registrations_user_id_fkey',
                'registrations_event_id_fkey'
            ]),
            ('audit_logs', 'constraint', array['audit_logs_pkey']),
            ('audit_logs_overflow', 'constraint', array['audit_logs_overflow_pkey']),
            ('event_search_documents', 'constraint', array[
                'event_search_documents_pkey', 'event_search_documents_event_id_fkey'
            ]),
            ('email_address', 'domain constraint', array[
                'email_address_is_well_formed', 'email_address_local_part_fits',
                'email_address_host_is_well_formed'
            ]),
            ('event_capacity', 'domain constraint', array['event_capacity_is_in_range']),
            ('registration_status', 'domain constraint', array['registration_status_is_known']),
            ('users', 'unique index', array['users_email_lower_key'])
    ) g (table_name, kind, guard_names)
    cross join unnest(g.guard_names) as n (guard_name)
$$;

comment on function list_schema_guards() is
    'The triggers, constraints and unique indexes on which the rules rest, by table or domain: what a restore or a hand may have left out.';

-- On a large database one grouped count of registrations is nearly all of the cost, so that everything that
-- has to look at each row is in it. Rows are looked up only for events that do not add up, through the
-- index and not by a join that could read the table once more (offset 0 keeps the planner from it). Whether
-- a user exists is asked of ranges of ids, mostly a few: a third of the cost of a join with users. What an
-- index or a domain has enforced for every row is not looked for while it is in force. Every function that
-- is called here is parallel safe: one that is not would keep all of it in one process.
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
set datestyle to iso
set timezone to 'UTC'
-- Room for the counts of some 500,000 events, which at the default of 4 MB go through files; and compiling
-- so many small parts takes longer than what it saves.
set work_mem to '64MB'
set jit to off
as $$
    with counted as (
        select
            r.event_id,
            count(*) filter (where r.status = 'confirmed') as confirmed,
            count(r.hold_expires_at) as holds,
            count(*) filter (
                where not r.user_id <@ (
                    select coalesce(range_agg(int4range(i.first_id, i.last_id, '[]')), '{}')
                    from (
                        select min(n.id) as first_id, max(n.id) as last_id
                        from (select u.id, u.id - row_number() over (order by u.id) as island from users u) n
                        group by n.island
                    ) i
                )
            ) as strangers
        from registrations r
        group by r.event_id
    ),
    held as (
        select
            r.event_id,
            count(*) as pending,
            count(r.hold_expires_at) as holds
        from registrations r
        where r.status = 'pending'
        group by r.event_id
    ),
    suspects as materialized (
        select *
        from (
            select
                e.id,
                c.event_id,
                e.capacity,
                e.current_registrations,
                e.held_seats,
                coalesce(c.confirmed, 0) as confirmed,
                coalesce(h.pending, 0) as pending,
                coalesce(h.holds, 0) as pending_holds,
                coalesce(c.holds, 0) as holds,
                coalesce(c.strangers, 0) as strangers
            from counted c
            left join held h on h.event_id = c.event_id
            full join events e on e.id = c.event_id
        ) s
        where s.id is null
            or s.current_registrations <> s.confirmed
            or s.held_seats <> s.pending
            or s.confirmed + s.pending > s.capacity
            or s.pending_holds <> s.pending
            or s.holds <> s.pending_holds
            or s.strangers > 0
    ),
    -- The status is looked at afterwards: comparing it for every row costs as much as the join.
    of_inactive_users as materialized (
        select r.id, r.user_id, r.event_id, r.status
        from users u
        join registrations r on r.user_id = u.id
        where not u.is_active
    ),
    queues as materialized (
        select
            e.id,
            e.capacity - e.current_registrations - e.held_seats as free_seats,
            (
                select max(r.registered_at)
                from registrations r
                where r.event_id = e.id and r.status = 'confirmed'
            ) as last_confirmed_at
        from (select r.event_id from registrations r where r.status = 'waitlist' group by r.event_id) w
        join events e on e.id = w.event_id
        where e.is_active and e.date_time > now()
    ),
    own_tables as materialized (
        select c.oid, c.relname, false as is_audit_log, null as bounds
        from pg_class c
        where c.oid in (
            'users'::regclass, 'events'::regclass, 'registrations'::regclass, 'event_search_documents'::regclass
        )
        union all
        select c.oid, c.relname, true, null
        from pg_class c
        where c.oid in ('audit_logs'::regclass, 'audit_logs_overflow'::regclass)
        union all
        select c.oid, c.relname, true, pg_get_expr(c.relpartbound, c.oid)
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'audit_logs'::regclass
    ),
    own_domains as materialized (
        select t.oid, t.typname
        from pg_type t
        where t.oid in (
            'email_address'::regtype, 'event_capacity'::regtype, 'registration_status'::regtype
        )
    ),
    violations (rule_name, id, detail) as (
        select 'registration_count_mismatch', s.id,
            format('event %s counts %s, confirmed are %s', s.id, s.current_registrations, s.confirmed)
        from suspects s
        where s.current_registrations <> s.confirmed
        union all
        select 'held_seats_mismatch', s.id,
            format('event %s counts %s, pending are %s', s.id, s.held_seats, s.pending)
        from suspects s
        where s.held_seats <> s.pending
        union all
        select 'capacity_exceeded', s.id,
            format('event %s has %s seats, taken are %s', s.id, s.capacity, s.confirmed + s.pending)
        from suspects s
        where s.confirmed + s.pending > s.capacity
        union all
        select 'impossible_hold', r.id, null
        from suspects s
        cross join lateral (
            select g.id
            from registrations g
            where g.event_id = s.event_id and (g.status = 'pending') <> (g.hold_expires_at is not null)
            offset 0
        ) r
        where s.pending_holds <> s.pending or s.holds <> s.pending_holds
        union all
        select 'registrations_without_event', r.id, format('event %s does not exist', s.event_id)
        from suspects s
        cross join lateral (select g.id from registrations g where g.event_id = s.event_id offset 0) r
        where s.id is null
        union all
        select 'registrations_without_user', r.id, format('user %s does not exist', r.user_id)
        from suspects s
        cross join lateral (
            select g.id, g.user_id
            from registrations g
            where g.event_id = s.event_id
                and not exists (select from users u where u.id = g.user_id)
            offset 0
        ) r
        where s.strangers > 0
        union all
        select 'registrations_of_inactive_users', r.id, format('user %s at event %s', r.user_id, r.event_id)
        from of_inactive_users r
        join events e on e.id = r.event_id and e.is_active and e.date_time > now()
        where r.status in ('confirmed', 'pending')
        union all
        select 'duplicate_registrations', d.id, format('user %s at event %s', d.user_id, d.event_id)
        from (
            select r.id, r.user_id, r.event_id,
                row_number() over (partition by r.user_id, r.event_id order by r.id) as occurrence
            from registrations r
            where not exists (
                select
                from pg_index i
                where i.indrelid = 'registrations'::regclass
                    and i.indisunique
                    and i.indisvalid
                    and i.indpred is null
                    and i.indexprs is null
                    and i.indnkeyatts = 2
                    and (i.indkey::smallint[])[0:1] <@ array(
                        select a.attnum
                        from pg_attribute a
                        where a.attrelid = i.indrelid and a.attname in ('user_id', 'event_id')
                    )
            )
        ) d
        where d.occurrence > 1
        union all
        select 'unknown_status', r.id, format('status %s', coalesce(r.status, 'null'))
        from registrations r
        where (r.status in ('confirmed', 'cancelled', 'waitlist', 'pending')) is not true
            and not exists (
                select
                from pg_attribute a
                join pg_constraint k on k.contypid = a.atttypid
                where a.attrelid = 'registrations'::regclass
                    and a.attname = 'status'
                    and a.attnotnull
                    and k.conname = 'registration_status_is_known'
                    and k.convalidated
            )
        union all
        select 'events_without_creator', e.id, format('user %s does not exist', e.created_by)
        from events e
        where e.created_by is not null
            and not exists (select from users u where u.id = e.created_by)
        union all
        select 'events_of_inactive_creators', e.id, format('event %s of user %s', e.id, e.created_by)
        from events e
        join users u on u.id = e.created_by and not u.is_active
        where e.is_active and e.date_time > now()
        union all
        select 'seats_free_while_waiting', q.id, format('event %s has %s free seats', q.id, q.free_seats)
        from queues q
        where q.free_seats > 0
            and exists (
                select
                from registrations r
                join users u on u.id = r.user_id
                where r.event_id = q.id and r.status = 'waitlist' and u.is_active
            )
        union all
        -- An account that changed since then may have been inactive and passed over for it.
        select 'waitlist_overtaken', r.id, format('registration %s for event %s', r.id, q.id)
        from queues q
        cross join lateral (
            select g.id
            from registrations g
            join users u on u.id = g.user_id
            where g.event_id = q.id
                and g.status = 'waitlist'
                and g.registered_at < q.last_confirmed_at
                and u.is_active
                and u.updated_at < q.last_confirmed_at
            offset 0
        ) r
        union all
        select 'expired_holds', r.id, format('registration %s for event %s', r.id, r.event_id)
        from registrations r
        where r.status = 'pending' and r.hold_expires_at <= now()
        union all
        select 'missing_audit_partition', null, format('no partition for %s', to_char(m.moment, 'YYYY-MM'))
        from (
            select now() as moment
            union all
            select date_trunc('month', now()) + interval '1 month'
        ) m
        where not exists (
            select
            from own_tables c
            where coalesce(substring(c.bounds from 'FROM \(''([^'']+)')::timestamptz, '-infinity') <= m.moment
                and coalesce(substring(c.bounds from 'TO \(''([^'']+)')::timestamptz, 'infinity') > m.moment
                and c.bounds is not null
        )
        union all
        select 'audit_overflow', null, null
        from audit_logs_overflow
        union all
        select 'stale_search_documents', e.id, format('event %s', e.id)
        from events e
        left join event_search_documents d on d.event_id = e.id
        where d.date_time is distinct from e.date_time
            or d.is_active is distinct from e.is_active
        union all
        select 'disabled_triggers', null,
            format('alter table %I enable%s trigger %I', c.relname, case when c.is_audit_log then ' always' end, t.tgname)
        from own_tables c
        join pg_trigger t on t.tgrelid = c.oid
        where case
            when c.is_audit_log then t.tgenabled <> 'A'
            else t.tgenabled in ('D', 'R')
        end
        union all
        select 'missing_guards', null, format('%s %s on %s', g.kind, g.guard_name, g.table_name)
        from (
            select l.table_name, l.kind, l.guard_name
            from list_schema_guards() l
            union all
            select c.relname::text, 'trigger', 'audit_logs_00_refuse_change'
            from own_tables c
            where c.bounds is not null
        ) g
        where case g.kind
            when 'trigger' then not exists (
                select
                from pg_trigger t
                where t.tgrelid = to_regclass(g.table_name) and t.tgname = g.guard_name
            )
            when 'unique index' then not exists (
                select
                from pg_index i
                join pg_class c on c.oid = i.indexrelid
                where i.indrelid = to_regclass(g.table_name) and c.relname = g.guard_name and i.indisunique
            )
            else not exists (
                select
                from pg_constraint k
                where k.conname = g.guard_name
                    and case
                        when g.kind = 'constraint' then k.conrelid = to_regclass(g.table_name)
                        else k.contypid = to_regtype(g.table_name)
                    end
            )
        end
        union all
        select 'unvalidated_constraints', null, case
            when k.contypid = 0 then format('alter table %I validate constraint %I', c.relname, k.conname)
            else format('alter domain %I validate constraint %I', d.typname, k.conname)
        end
        from pg_constraint k
        left join own_tables c on c.oid = k.conrelid
        left join own_domains d on d.oid = k.contypid
        where not k.convalidated
            and (c.oid is not null or d.oid is not null)
        union all
        select 'invalid_indexes', null, format('reindex index %I', x.relname)
        from own_tables c
        join pg_index i on i.indrelid = c.oid
        join pg_class x on x.oid = i.indexrelid
        where not i.indisvalid
    ),
    summed as (
        select
            v.rule_name,
            count(*)::integer as violation_count,
            (array_agg(v.id order by v.id) filter (where v.id is not null))[1:10] as sample_ids,
            (array_agg(v.detail order by v.id, v.detail) filter (where v.detail is not null))[1:5] as examples
        from violations v
        group by v.rule_name
    )
    select
        s.rule_name,
        s.violation_count,
        l.description
            || coalesce(': ' || array_to_string(s.examples, '; '), '')
            || case when cardinality(s.examples) < s.violation_count then '; ...' else '' end,
        l.severity,
        s.sample_ids
    from summed s
    join list_business_rules() l on l.rule_name = s.rule_name
    order by l.severity, s.rule_name
$$;

comment on function validate_business_rules() is
    'Looks for rows that break a rule in spite of constraints and triggers, as restores, disabled triggers and writes by hand can leave them, and for guards that are gone. One row a broken rule of list_business_rules(): how often, what it means with examples, severity (error or warning) and up to ten ids. A healthy database returns no row. Changes nothing.';

--
-- Repairs: each can be called again and again, at any time, next to whatever else goes on
--

comment on column audit_logs.operation is 'INSERT, UPDATE, DELETE, TRUNCATE, or REPAIR of the counters.';

create function repair_registration_counts()
returns table (
    event_id integer,
    old_current_registrations integer,
    new_current_registrations integer,
    old_held_seats integer,
    new_held_seats integer,
    outcome text
)
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    v_ignored boolean;
    v_event_id integer;
    v_event record;
    v_counts record;
begin
    -- In the order of locks: deletions first, then event rows by id.
    v_ignored := enter_gate();
    for v_event_id in
        select e.id
        from events e
        left join (
            select
                r.event_id,
                count(*) filter (where r.status = 'confirmed') as confirmed,
                count(*) filter (where r.status = 'pending') as pending
            from registrations r
            group by r.event_id
        ) c on c.event_id = e.id
        where e.current_registrations <> coalesce(c.confirmed, 0)
            or e.held_seats <> coalesce(c.pending, 0)
        order by e.id
    loop
        -- Counting comes after the lock and in a statement of its own: whoever changed registrations of
        -- this event has then committed and is seen, or has not counted yet and adds to what is set here.
        select e.capacity, e.current_registrations, e.held_seats into v_event
        from events e
        where e.id = v_event_id
        for no key update;
        continue when not found;

        select
            (count(*) filter (where r.status = 'confirmed'))::integer as confirmed,
            (count(*) filter (where r.status = 'pending'))::integer as pending
        into v_counts
        from registrations r
        where r.event_id = v_event_id;
        continue when v_counts.confirmed = v_event.current_registrations and v_counts.pending = v_event.held_seats;

        event_id := v_event_id;
        old_current_registrations := v_event.current_registrations;
        old_held_seats := v_event.held_seats;
        if v_counts.confirmed + v_counts.pending > v_event.capacity then
            new_current_registrations := old_current_registrations;
            new_held_seats := old_held_seats;
            outcome := format('skipped: %s seats are taken of %s; raise the capacity, repair, then cancel',
                v_counts.confirmed + v_counts.pending, v_event.capacity);
        else
            update events e
            set current_registrations = v_counts.confirmed,
                held_seats = v_counts.pending
            where e.id = v_event_id;

            -- Here, because the triggers of the audit log leave the counters out.
            perform write_audit_entry(
                'events',
                'REPAIR',
                v_event_id,
                jsonb_build_object(
                    'current_registrations', v_event.current_registrations, 'held_seats', v_event.held_seats
                ),
                jsonb_build_object('current_registrations', v_counts.confirmed, 'held_seats', v_counts.pending)
            );
            new_current_registrations := v_counts.confirmed;
            new_held_seats := v_counts.pending;
            outcome := 'repaired';
        end if;
        return next;
    end loop;
end
$$;

comment on function repair_registration_counts() is
    'Sets events.current_registrations and held_seats to what registrations say, where they differ, and returns the events that differed. Each repair is an entry in audit_logs. An event with more registrations than seats is skipped. Locks one event row after the other by id, until the transaction ends; for the owner of the schema.';

create function repair_registration_holds()
returns integer
language plpgsql
set search_path from current
as $$
declare
    v_ignored boolean;
    v_ids integer[];
begin
    v_ignored := enter_gate();
    v_ids := array(
        select r.id
        from registrations r
        where (r.status = 'pending') <> (r.hold_expires_at is not null)
        order by r.id
        for no key update
    );

    -- Audited like every other change of a registration.
    update registrations r
    set hold_expires_at = case when r.status = 'pending' then clock_timestamp() + interval '15 minutes' end
    where r.id = any (v_ids);
    return cardinality(v_ids);
end
$$;

comment on function repair_registration_holds() is
    'Gives pending registrations without an end of their hold another 15 minutes, takes it from registrations that are not pending, and returns how many it changed.';

create function repair_waitlists()
returns integer
language plpgsql
set search_path from current
as $$
declare
    v_ignored boolean;
    v_event_id integer;
    v_promoted integer := 0;
begin
    v_ignored := enter_gate();
    for v_event_id in
        select e.id
        from events e
        where e.is_active
            and e.date_time > now()
            and e.current_registrations + e.held_seats < e.capacity
            and exists (select from registrations r where r.event_id = e.id and r.status = 'waitlist')
        order by e.id
    loop
        if try_lock_event(v_event_id) then
            v_promoted := v_promoted + promote_waitlist(v_event_id);
        end if;
    end loop;
    return v_promoted;
end
$$;

comment on function repair_waitlists() is
    'Gives the free seats of all upcoming events to whoever waits for them, first come first served, and returns how many were confirmed. Events that somebody is changing at the moment are left to them.';

revoke execute on function list_business_rules() from public;
revoke execute on function list_schema_guards() from public;
revoke execute on function validate_business_rules() from public;
revoke execute on function repair_registration_counts() from public;
revoke execute on function repair_registration_holds() from public;
revoke execute on function repair_waitlists() from public;
