-- One event, and users who register for it and leave again.
-- Values: users.

set session_replication_role = replica;

insert into users (id, name, email, password_hash)
select i, 'User ' || i, 'user' || i || '@example.com', '$2b$12$' || rpad(i::text, 53, 'x')
from generate_series(1, :users) i;

set session_replication_role = origin;

insert into events (id, title, description, date_time, location, capacity, created_by)
values (1, 'Event', 'What happens there.', now() + interval '90 days', 'Hall', 10000, 1);
