-- Undoes 012_audit_triggers: changes are no longer audited, also of tables that were attached by hand; what
-- was written stays.
-- Locks: access exclusive on users, events, registrations and every other audited table.

do $$
declare
    v_table regclass;
begin
    for v_table in
        select distinct t.tgrelid::regclass
        from pg_trigger t
        where t.tgfoid = 'audit_truncate'::regproc
    loop
        perform detach_audit(v_table);
    end loop;
end
$$;

drop function detach_audit(regclass);
drop function attach_audit(regclass, text[], text[]);
drop function attach_audit_of_columns(regclass, text, text[], text);
drop function attach_audit_trigger(text, text, text, text);
drop function list_audit_arguments(regclass, text);
drop function describe_audit_key(regclass);
drop function check_audited_table(regclass, text[], text[]);
drop function create_audit_function(text, text, text);
drop function build_audit_statements(text, text, text);
drop function build_audit_entry(text, text, text, text, text, text[], text[]);
drop function audit_truncate();
drop function write_audit_entry(text, text, integer, jsonb, jsonb);
drop function audit_redacted_columns(jsonb, jsonb, text[]);
drop function audit_secret_columns(regclass);
