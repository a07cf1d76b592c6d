-- An audit log of 900 days, 810 of which are to go, and events to register for meanwhile.
-- Values: rows, users, events.

-- Without triggers, which would take minutes and guard the log; only events go through theirs, for what
-- these keep beside the table.
set session_replication_role = replica;

select create_audit_partition((date_trunc('month', now() at time zone 'UTC') - make_interval(months => i))::date)
from generate_series(1, 31) i;

-- From the oldest to the newest, as a log grows; the half keeps every row off the boundary.
insert into audit_logs (created_at, table_name, operation, row_id, new_values)
select now() - interval '900 days' * ((:rows - i + 0.5) / :rows::float8), 'registrations', 'INSERT', i,
    jsonb_build_object(
        'id', i, 'user_id', i % 100000, 'event_id', i % 1000, 'registered_at', now(), 'status', 'confirmed',
        'hold_expires_at', null
    )
from generate_series(1, :rows) i;

insert into users (id, name, email, password_hash)
select i, 'User ' || i, 'user' || i || '@example.com', '$2b$12$' || rpad(i::text, 53, 'x')
from generate_series(1, :users) i;

set session_replication_role = origin;

insert into events (id, title, description, date_time, location, capacity, created_by)
select i, 'Event ' || i, repeat('What happens there. ', 10), now() + interval '90 days', 'Hall ' || i, 10000, i
from generate_series(1, :events) i;
