-- Undoes 006_advanced_validation.
-- Locks: access exclusive on users and events.

drop trigger events_05_keep_timestamps on events;
drop trigger users_05_keep_timestamps on users;
drop function keep_timestamps();
drop trigger events_20_validate_update on events;
drop trigger events_20_validate_insert on events;
drop function validate_event();
drop trigger users_20_validate_update on users;
drop trigger users_20_validate_insert on users;
drop function validate_user();
