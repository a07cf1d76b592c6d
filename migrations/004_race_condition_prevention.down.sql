-- Undoes 004_race_condition_prevention: the counters stay as they are and nothing keeps them any more.
-- Locks: access exclusive on users, events and registrations.

drop function get_event_registration_stats(integer);
drop function safe_event_unregistration(integer, integer, boolean);
drop function safe_event_registration(integer, integer, boolean, interval);
drop function try_lock_event(integer);
drop function settle_event_seats(integer);
drop function get_waitlist_position(integer, integer);
drop function registration_refusal(text);
drop trigger registrations_95_count_truncate on registrations;
drop trigger registrations_95_count_delete on registrations;
drop trigger registrations_95_count_update on registrations;
drop trigger registrations_95_count_insert on registrations;
drop function reset_registration_counts();
drop function sync_registration_counts();
drop function seat_new_waiters(integer);
drop function seat_waiters_first(integer);
drop function move_event_seats(integer, integer, integer);
drop function take_event_seats(integer, integer, integer, boolean);
drop function is_registration_refusal(text);
drop function refuse_registrations(integer, integer, boolean);
drop function expire_holds(integer);
drop function promote_waitlist(integer);
drop trigger users_00_gate_delete on users;
drop trigger events_00_gate_delete on events;
drop function close_registration_gate();
drop trigger registrations_00_gate_delete on registrations;
drop trigger registrations_00_gate_update on registrations;
drop trigger registrations_00_gate_insert on registrations;
drop function enter_registration_gate();
drop function enter_queue(integer);
drop function enter_gate();
