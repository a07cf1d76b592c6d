-- Undoes 006_advanced_validation.
-- Locks: access exclusive on events.

drop trigger events_20_validate_update on events;
drop trigger events_20_validate_insert on events;
drop function validate_event();
