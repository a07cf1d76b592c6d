-- Undoes 015_business_rules.
-- Locks: none.

drop function repair_waitlists();
drop function repair_registration_holds();
drop function repair_registration_counts();
comment on column audit_logs.operation is 'INSERT, UPDATE, DELETE or TRUNCATE.';
drop function validate_business_rules();
drop function list_schema_guards();
drop function list_business_rules();
