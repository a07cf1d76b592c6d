-- Undoes 010_audit_log: drops the audit log, its partitions and its overflow.
-- Locks: access exclusive on the audit log.

drop function audit_log_changes(text, integer, text, timestamptz, timestamptz, integer, timestamptz, bigint);
drop view audit_log_entries;
drop table audit_logs_overflow;
drop table audit_logs;
drop function refuse_audit_change();
