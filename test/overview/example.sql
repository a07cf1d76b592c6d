-- Three months of an event database at work: 600 people, 60 events that have come and 40 to come, of
-- which some are sold out and have waiting lists, and an audit log with entries of every day.
insert into users (id, name, email, password_hash, created_at)
select n, 'Person ' || n, 'person' || n || '@example.org', '$2b$12$' || repeat('x', 53), now() - interval '100 days'
from generate_series(1, 600) n;

-- They take place later until everybody is registered: nobody registers for what is over.
insert into events (id, title, description, date_time, location, capacity, created_by, created_at)
select n, (array['Jazz in the park', 'Introduction to PostgreSQL', 'Pottery for beginners', 'City run',
        'Choir rehearsal', 'Museum at night', 'Chess tournament', 'Garden market'])[1 + n % 8] || ' ' || n,
    'An evening to remember', now() + interval '1 day' + n * interval '1 day',
    (array['Berlin', 'Hamburg', 'Munich'])[1 + n % 3], 20 + n % 7 * 15, 1 + n % 600,
    now() - interval '95 days' + n * interval '12 hours'
from generate_series(1, 100) n;

-- How much an event is wanted, from a third of its seats to half as much again.
insert into registrations (user_id, event_id, registered_at, status)
select u.id, e.id,
    e.created_at + interval '1 hour'
        + sqrt(r.place::float8 / r.wanted) * least(interval '40 days', now() - interval '2 hours' - e.created_at),
    case when r.place <= e.capacity then 'confirmed' else 'waitlist' end
from events e
cross join lateral (
    select generate_series(1, w.wanted) as place, w.wanted
    from (select (e.capacity * (0.3 + (e.id * 37 % 100) / 80.0))::int as wanted) w
) r
join users u on u.id = 1 + (r.place * 7 + e.id * 13) % 600;

select setval(pg_get_serial_sequence('users', 'id'), 600), setval(pg_get_serial_sequence('events', 'id'), 100);

update registrations set status = 'cancelled'
where status = 'confirmed' and id % 23 = 0
    and event_id in (select id from events where current_registrations < capacity);

set session_replication_role = replica;
update events set date_time = now() - interval '1 day' * (61 - id) where id <= 60;
set session_replication_role = origin;

-- The entries of all that are of today alone.
set evdb.audit_maintenance = 'on';
delete from audit_logs;

select create_audit_partition((date_trunc('month', now()) - interval '1 month' * n)::date)
from generate_series(1, 4) n;

insert into audit_logs (created_at, table_name, operation, row_id, new_values)
select d.at + n * interval '7 minutes', t.name, 'UPDATE', n, '{"example": true}'
from generate_series(now() - interval '101 days', now() - interval '1 day', interval '1 day') d (at)
cross join (values ('registrations', 30), ('events', 6), ('users', 9)) t (name, usual)
cross join lateral generate_series(1, t.usual + (extract(doy from d.at)::int * 7) % 13) n;

select refresh_event_search();
analyze;
