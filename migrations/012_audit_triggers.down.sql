-- Undoes 012_audit_triggers: changes are no longer audited; what was written stays.
-- Locks: access exclusive on users, events and registrations.

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
drop function audit_truncate();
drop function audit_registration_changes();
drop function audit_event_update();
drop function audit_event_changes();
drop function audit_user_changes();
drop function build_audit_overflow_statement(text, text, text[], text[]);
drop function audit_redacted_columns(jsonb, jsonb, text[]);
drop function audit_secret_columns(regclass);
