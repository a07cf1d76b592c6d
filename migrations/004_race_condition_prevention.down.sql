-- Undoes 004_race_condition_prevention: the counters stay as they are and nothing keeps them any more.
-- Locks: access exclusive on registrations.

drop function get_event_registration_stats(integer);
drop function batch_event_registration(integer[], integer);
drop function safe_event_unregistration(integer, integer);
drop function safe_event_registration(integer, integer);
drop function registration_refusal(text);
drop trigger registrations_10_count_truncate on registrations;
drop trigger registrations_10_count_delete on registrations;
drop trigger registrations_10_count_update on registrations;
drop trigger registrations_10_count_insert on registrations;
drop trigger registrations_00_join_queue on registrations;
drop function reset_registration_counts();
drop function sync_registration_count();
drop function refuse_registrations(integer, integer, boolean);
drop function join_registration_queue();
