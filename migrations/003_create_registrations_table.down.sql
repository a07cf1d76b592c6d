-- Undoes 003_create_registrations_table: drops every registration.
-- Locks: access exclusive on registrations, events and users.

drop table registrations;
drop function keep_registration_status();
drop domain registration_status;
