-- Events with 50 registrations each, all in order: 44 confirmed, 2 held, 2 cancelled, and 2 waiting as
-- the events are full. Registrations come to all events in turn. Values: users, events.

-- Without triggers, which would take minutes; only events go through theirs, for what these keep
-- beside the table.
set session_replication_role = replica;

insert into users (id, name, email, password_hash)
select i, 'User ' || i, 'user' || i || '@example.com', '$2b$12$' || rpad(i::text, 53, 'x')
from generate_series(1, :users) i;

set session_replication_role = origin;

insert into events (id, title, description, date_time, location, capacity, created_by)
select i, 'Event ' || i, 'What happens there', now() + interval '90 days' + interval '1 minute' * i, 'Hall ' || i, 46,
    1 + i % :users
from generate_series(1, :events) i;

set session_replication_role = replica;

update events set current_registrations = 44, held_seats = 2;

insert into registrations (user_id, event_id, registered_at, status, hold_expires_at)
select
    1 + (e::bigint * 31 + k * 1999) % :users,
    e,
    now() - interval '60 days' + interval '1 day' * k + interval '1 second' * (e % 3600),
    case when k < 44 then 'confirmed' when k < 46 then 'pending' when k < 48 then 'cancelled' else 'waitlist' end,
    case when k in (44, 45) then now() + interval '1 day' end
from generate_series(0, 49) k
cross join generate_series(1, :events) e
order by k, e;

set session_replication_role = origin;
