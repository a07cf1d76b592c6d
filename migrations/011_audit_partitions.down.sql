-- Undoes 011_audit_partitions: all entries move to audit_logs_overflow, where it finds them when it comes back.
-- Locks: access exclusive on the audit log.

lock table audit_logs in access exclusive mode;

insert into audit_logs_overflow
select a.* from audit_logs a;

do $$
declare
    v_partition text;
begin
    for v_partition in
        select p.partition_name
        from list_audit_partitions() p
    loop
        execute format('drop table %I', v_partition);
    end loop;
end
$$;

drop function audit_covered_time(regclass);
drop function premake_audit_partitions();
drop function ensure_audit_partitions(integer);
drop function lock_audit_maintenance();
drop function refuse_while_audit_log_is_busy(text[]);
drop function create_audit_partition(date);
drop function list_audit_partitions();
