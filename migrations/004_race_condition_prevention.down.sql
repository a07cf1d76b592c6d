-- Undoes 004_race_condition_prevention: the counters stay as they are and nothing keeps them any more.
-- Locks: access exclusive on users, events and registrations.

drop function get_event_registration_stats(integer);
drop function release_expired_holds();
drop function settle_event_seats(integer);
drop function safe_event_unregistration(integer, integer);
drop function safe_event_registration(integer, integer, boolean, interval);
drop function get_waitlist_position(integer, integer);
drop function registration_refusal(text);
drop trigger events_30_fill on events;
drop trigger events_00_enter_gate on events;
drop function fill_changed_event();
drop trigger registrations_10_count_truncate on registrations;
drop trigger registrations_10_count_delete on registrations;
drop trigger registrations_10_count_update on registrations;
drop trigger registrations_10_count_insert on registrations;
drop function reset_registration_counts();
drop function sync_registration_counts();
drop function refuse_registrations(integer, integer, boolean);
drop function expire_holds(integer);
drop function promote_waitlist(integer);
drop trigger users_00_close_gate on users;
drop trigger events_00_close_gate on events;
drop function close_registration_gate();
drop trigger registrations_00_enter_gate_delete on registrations;
drop trigger registrations_00_enter_gate_update on registrations;
drop trigger registrations_00_enter_queue_move on registrations;
drop trigger registrations_00_enter_queue_insert on registrations;
drop function enter_registration_queue();
drop index registrations_pending_idx;
drop index registrations_waitlist_idx;
