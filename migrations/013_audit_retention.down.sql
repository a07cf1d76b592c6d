-- Undoes 013_audit_retention: entries stay until it comes back.
-- Locks: none.

drop function preview_audit_cleanup(integer);
drop function cleanup_audit_logs(integer);
drop function drop_expired_audit_partitions(integer, integer);
drop function lock_audit_partitions(text[]);
drop function delete_expired_audit_logs(integer, bigint);
drop function check_audit_limit(bigint, text);
drop function find_audit_expiry(integer);
