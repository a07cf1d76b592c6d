-- Users and events to register for, and the tables of the baselines.
-- Values: users, random_events, hot_events.

-- Without triggers, which would take minutes; only events go through theirs, for what these keep
-- beside the table.
set session_replication_role = replica;

insert into users (id, name, email, password_hash)
select i, 'User ' || i, 'user' || i || '@example.com', '$2b$12$' || rpad(i::text, 53, 'x')
from generate_series(1, :users) i;

set session_replication_role = origin;

-- The hot events are 1, 1025, 2049 and so on, the random ones are between the first two.
insert into events (id, title, description, date_time, location, capacity, created_by)
select i, 'Event ' || i, repeat('What happens there. ', 10), now() + interval '90 days', 'Hall ' || i, 10000, i
from (
    select 1 + 1024 * i from generate_series(0, :hot_events - 1) i
    union all
    select 1 + i from generate_series(1, :random_events) i
) e (i);

-- The row of the baseline has the columns, the indexes and the free space of an event, and neither
-- checks, foreign keys nor triggers.
do $$
begin
    execute format('create table bench_hot (like events including all excluding constraints) %s', (
        select 'with (' || array_to_string(c.reloptions, ', ') || ')'
        from pg_class c
        where c.oid = 'events'::regclass and c.reloptions is not null
    ));
end
$$;

insert into bench_hot overriding system value
select * from events where id = 1;

-- Its audit log has the shape, indexes and partitions of the real one.
do $$
declare
    v_leaf record;
begin
    execute 'create table bench_audit (like audit_logs including all)' || (
        select case c.relkind when 'p' then ' partition by ' || pg_get_partkeydef(c.oid) else '' end
        from pg_class c
        where c.oid = 'audit_logs'::regclass
    );
    for v_leaf in
        select c.relname, pg_get_expr(c.relpartbound, c.oid) as bound
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'audit_logs'::regclass
    loop
        execute format('create table %I partition of bench_audit %s', 'bench_' || v_leaf.relname, v_leaf.bound);
    end loop;
end
$$;

-- A plain table of registrations: same columns, keys and indexes, and the triggers of the audit log.
create table bench_registrations (like registrations including all);

do $$
declare
    v_definition text;
begin
    for v_definition in
        select pg_get_constraintdef(c.oid)
        from pg_constraint c
        where c.conrelid = 'registrations'::regclass and c.contype = 'f'
    loop
        execute 'alter table bench_registrations add ' || v_definition;
    end loop;
    for v_definition in
        select regexp_replace(pg_get_triggerdef(t.oid), ' ON \S+ ', ' ON bench_registrations ')
        from pg_trigger t
        where t.tgrelid = 'registrations'::regclass and not t.tgisinternal and t.tgname like '%audit%'
    loop
        execute v_definition;
    end loop;
    if not found then
        raise exception 'no audit trigger on registrations was found';
    end if;
end
$$;
