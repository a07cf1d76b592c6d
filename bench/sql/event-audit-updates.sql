-- As many users, events and registrations as are updated at once; the first thousand events have the
-- registrations. Values: rows.

-- Without triggers, which would take minutes; only events go through theirs, for what these keep
-- beside the table.
set session_replication_role = replica;

insert into users (id, name, email, password_hash)
select i, 'User ' || i, 'user' || i || '@example.com', '$2b$12$' || rpad(i::text, 53, 'x')
from generate_series(1, :rows) i;

set session_replication_role = origin;

insert into events (id, title, description, date_time, location, capacity, created_by)
select i, 'Event ' || i, repeat('What happens there. ', 10), now() + interval '90 days', 'Hall ' || i, 10000, 1
from generate_series(1, :rows) i;

set session_replication_role = replica;

update events set current_registrations = (:rows - id) / 1000 + 1 where id <= 1000;

insert into registrations (user_id, event_id, status)
select i, 1 + (i - 1) % 1000, 'confirmed'
from generate_series(1, :rows) i;

set session_replication_role = origin;
