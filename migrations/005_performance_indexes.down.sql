-- Undoes 005_performance_indexes.
-- Locks: access exclusive on events and registrations.

drop function update_table_statistics();
drop function get_duplicate_indexes();
drop function get_unused_indexes();
drop function get_index_usage_stats();
drop index registrations_confirmed_idx;
drop index registrations_event_id_user_id_idx;
drop index events_created_by_date_time_idx;
drop index events_upcoming_idx;
