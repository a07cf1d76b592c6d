-- Undoes 008_audit_log: drops the audit log.
-- Locks: access exclusive on audit_logs, users, events and registrations.

drop function cleanup_audit_logs(integer);
drop trigger registrations_90_audit_truncate on registrations;
drop trigger registrations_90_audit_delete on registrations;
drop trigger registrations_90_audit_update on registrations;
drop trigger registrations_90_audit_insert on registrations;
drop trigger events_90_audit_truncate on events;
drop trigger events_90_audit_delete on events;
drop trigger events_90_audit_update on events;
drop trigger events_90_audit_insert on events;
drop trigger users_90_audit_truncate on users;
drop trigger users_90_audit_delete on users;
drop trigger users_90_audit_update on users;
drop trigger users_90_audit_insert on users;
drop function audit_user_changes();
drop function audit_changes();
drop table audit_logs;
