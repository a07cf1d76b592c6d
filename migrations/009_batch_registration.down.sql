-- Undoes 009_batch_registration.
-- Locks: none.

drop function batch_event_registration(integer[], integer);
