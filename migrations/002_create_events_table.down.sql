-- Undoes 002_create_events_table: drops every event.
-- Locks: access exclusive on events and users.

drop table events;
drop domain event_capacity;
