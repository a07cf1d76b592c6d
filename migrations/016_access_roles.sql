-- Purpose: what an application and a reader of reports may do, as functions that grant it to a role.
-- Locks: none on existing objects, everything here is new.
-- Reversible: yes; what was granted stays granted.
--
-- Nothing is granted here: roles belong to the whole server, and their names to the project. As the owner:
--     create role event_api login;
--     select grant_application_access('event_api');

create function list_access_rights(p_access text)
returns table (
    object_kind text,
    object_name text,
    privilege text,
    left_out text[]
)
language sql
stable
set search_path from current
as $$
    select r.object_kind, r.object_name, r.privilege, r.left_out
    from (
        values
            -- The counters and the ids are written by the schema alone. Accounts and events are closed, not
            -- deleted: a delete takes every registration with it, and stays with the owner.
            ('application', 'table', 'users', 'select', '{}'::text[]),
            ('application', 'table', 'users', 'insert', '{id}'),
            ('application', 'table', 'users', 'update', '{id}'),
            ('application', 'table', 'events', 'select', '{}'),
            ('application', 'table', 'events', 'insert', '{id,current_registrations,held_seats}'),
            ('application', 'table', 'events', 'update', '{id,current_registrations,held_seats}'),
            ('application', 'table', 'registrations', 'select', '{}'),
            ('application', 'table', 'registrations', 'insert', '{id}'),
            ('application', 'table', 'registrations', 'update', '{id,user_id,event_id}'),
            ('application', 'table', 'registrations', 'delete', '{}'),
            ('application', 'table', 'event_search_documents', 'select', '{}'),
            ('read-only', 'table', 'users', 'select', audit_secret_columns('users'::regclass)),
            ('read-only', 'table', 'events', 'select', audit_secret_columns('events'::regclass)),
            ('read-only', 'table', 'registrations', 'select', audit_secret_columns('registrations'::regclass)),
            ('read-only', 'table', 'event_search_documents', 'select', '{}'),
            -- That entries wait there, for validate_business_rules(), and not what is in them.
            ('read-only', 'table', 'audit_logs_overflow', 'select',
                '{table_name,operation,row_id,old_values,new_values,redacted,actor,session_role,application_name,transaction_id}'),
            ('audit', 'table', 'audit_logs', 'select', '{}'),
            ('audit', 'table', 'audit_logs_overflow', 'select', '{}'),
            ('audit', 'table', 'audit_log_entries', 'select', '{}')
    ) r (access, object_kind, object_name, privilege, left_out)
    where r.access = p_access
    union all
    -- A temporary table with the columns of a table needs their types.
    select 'type', t.type_name, 'usage', '{}'
    from unnest('{email_address,event_capacity,registration_status}'::text[]) t (type_name)
    where p_access in ('application', 'read-only')
    union all
    select 'function', f.function_name, 'execute', '{}'
    from (
        values
            ('safe_event_registration', '{application}'::text[]),
            ('safe_event_unregistration', '{application}'),
            ('batch_event_registration', '{application}'),
            ('settle_event_seats', '{application}'),
            ('release_expired_holds', '{application}'),
            -- What the calls above call.
            ('enter_gate', '{application}'),
            ('enter_queue', '{application}'),
            ('registration_refusal', '{application}'),
            ('promote_waitlist', '{application}'),
            ('expire_holds', '{application}'),
            ('try_lock_event', '{application}'),
            ('is_registration_refusal', '{application}'),
            ('get_waitlist_position', '{application,read-only}'),
            ('get_event_registration_stats', '{application,read-only}'),
            ('search_events', '{application,read-only}'),
            -- What search_events() calls.
            ('event_search_query', '{application,read-only}'),
            ('read_event_search_cursor', '{application,read-only}'),
            ('find_event_search_matches', '{application,read-only}'),
            ('count_expired_holds', '{application,read-only}'),
            ('get_index_usage_stats', '{application,read-only}'),
            ('get_unused_indexes', '{application,read-only}'),
            ('get_duplicate_indexes', '{application,read-only}'),
            ('list_business_rules', '{read-only}'),
            ('validate_business_rules', '{read-only}'),
            -- What validate_business_rules() calls.
            ('list_schema_guards', '{read-only}'),
            ('list_audit_partitions', '{read-only}'),
            ('audit_log_changes', '{audit}')
    ) f (function_name, accesses)
    where p_access = any (f.accesses)
$$;

comment on function list_access_rights(text) is
    'What a role with some access (application, read-only or audit) is granted; left_out are the columns that it is not granted.';

create function check_access_role(p_role name)
returns void
language plpgsql
stable
set search_path from current
as $$
declare
    v_owner oid := (select c.relowner from pg_class c where c.oid = 'events'::regclass);
begin
    if p_role is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'No role was named',
            hint = 'Give the name of a role, such as grant_application_access(''event_api'').';
    elsif not exists (select from pg_roles r where r.rolname = p_role) then
        raise exception using
            errcode = 'undefined_object',
            message = format('Role %I does not exist', p_role),
            hint = format('Create it first: create role %I login;', p_role);
    elsif not pg_has_role(v_owner, 'usage') then
        -- Without the right to it, grant and revoke warn and go on.
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('%I does not own the tables of schema %I', current_user, current_schema()),
            hint = format('Connect as %s, or as a member of it.', v_owner::regrole);
    elsif pg_has_role(p_role, v_owner, 'member') then
        raise exception using
            errcode = 'invalid_grant_operation',
            message = format('%I is the owner of the tables of schema %I, a member of it, or a superuser',
                p_role, current_schema()),
            hint = 'Nothing can be kept from such a role: make one of its own for the application.';
    end if;
end
$$;

comment on function check_access_role(name) is
    'Refuses a role that does not exist (42704) or that owns the schema anyway (0LP01), and callers that may not grant (42501).';

create function revoke_access(p_role name)
returns setof text
language plpgsql
set search_path from current
as $$
declare
    v_statement text;
begin
    perform check_access_role(p_role);
    -- Two that grant at once would fail: the server locks no privileges.
    perform pg_advisory_xact_lock('users'::regclass::oid::integer, 0);

    for v_statement in
        select format('revoke all on table %I.%I from %I', n.nspname, c.relname, p_role)
        from pg_namespace n
        join pg_class c on c.relnamespace = n.oid
        where n.nspname = current_schema()
            and c.relname in (
                select r.object_name
                from unnest('{application,read-only,audit}'::text[]) a
                cross join list_access_rights(a) r
                where r.object_kind = 'table'
            )
        union all
        select format('revoke all on type %I.%I from %I', n.nspname, t.typname, p_role)
        from pg_namespace n
        join pg_type t on t.typnamespace = n.oid
        where n.nspname = current_schema()
            and t.typname in (
                select r.object_name
                from unnest('{application,read-only,audit}'::text[]) a
                cross join list_access_rights(a) r
                where r.object_kind = 'type'
            )
        union all
        select format('revoke all on function %I.%I(%s) from %I',
            n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), p_role)
        from pg_namespace n
        join pg_proc p on p.pronamespace = n.oid
        where n.nspname = current_schema()
            and p.proname in (
                select r.object_name
                from unnest('{application,read-only,audit}'::text[]) a
                cross join list_access_rights(a) r
                where r.object_kind = 'function'
            )
        union all
        select format('revoke usage on schema %I from %I', n.nspname, p_role)
        from pg_namespace n
        where n.nspname = current_schema()
            -- Where the schema is somebody else's, its usage was theirs to grant.
            and pg_has_role(n.nspowner, 'usage')
    loop
        execute v_statement;
        return next v_statement;
    end loop;
end
$$;

comment on function revoke_access(name) is
    'Takes back what grant_application_access and grant_read_only_access give, and returns the statements that did it. Run by the owner of the tables. What the role has from elsewhere, as a member of another role, stays.';

create function grant_access(p_role name, p_accesses text[])
returns setof text
language plpgsql
set search_path from current
as $$
declare
    v_statement text;
begin
    -- What it had before is replaced, not added to.
    perform revoke_access(p_role);

    for v_statement in
        select format('grant usage on schema %I to %I', n.nspname, p_role)
        from pg_namespace n
        where n.nspname = current_schema()
            and pg_has_role(n.nspowner, 'usage')
        union all
        select format('grant %s%s on table %I.%I to %I', r.privilege,
            case
                when r.left_out <> '{}' then ' (' || (
                    select string_agg(quote_ident(t.attname), ', ' order by t.attnum)
                    from pg_attribute t
                    where t.attrelid = c.oid
                        and t.attnum > 0
                        and not t.attisdropped
                        and t.attname <> all (r.left_out)
                ) || ')'
            end,
            n.nspname, c.relname, p_role)
        from unnest(p_accesses) a
        cross join list_access_rights(a) r
        join pg_namespace n on n.nspname = current_schema()
        join pg_class c on c.relnamespace = n.oid and c.relname = r.object_name
        where r.object_kind = 'table'
        union all
        select format('grant %s on type %I.%I to %I', r.privilege, n.nspname, t.typname, p_role)
        from unnest(p_accesses) a
        cross join list_access_rights(a) r
        join pg_namespace n on n.nspname = current_schema()
        join pg_type t on t.typnamespace = n.oid and t.typname = r.object_name
        where r.object_kind = 'type'
        union all
        select format('grant %s on function %I.%I(%s) to %I', r.privilege,
            n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), p_role)
        from unnest(p_accesses) a
        cross join list_access_rights(a) r
        join pg_namespace n on n.nspname = current_schema()
        join pg_proc p on p.pronamespace = n.oid and p.proname = r.object_name
        where r.object_kind = 'function'
    loop
        execute v_statement;
        return next v_statement;
    end loop;

    if not has_schema_privilege(p_role, current_schema(), 'usage') then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('Schema %I belongs to somebody else, and role %I may not use it', current_schema(), p_role),
            hint = format('Let its owner run: grant usage on schema %I to %I;', current_schema(), p_role);
    elsif has_schema_privilege(p_role, current_schema(), 'create') then
        -- A function of its own with arguments that fit better than those of a built-in one would be called
        -- by the functions of this schema that run as their owner.
        raise warning using
            errcode = '01007',
            message = format('%I may create objects in schema %I, and through them act as its owner',
                p_role, current_schema()),
            hint = format('Run: revoke create on schema %I from %I; revoke create on schema %I from public; (before PostgreSQL 15 everybody may create in the first schema of a database).',
                current_schema(), p_role, current_schema());
    end if;
end
$$;

comment on function grant_access(name, text[]) is
    'Gives a role exactly the rights that list_access_rights() names for some accesses, and returns the statements that did it.';

create function grant_application_access(p_role name)
returns setof text
language sql
set search_path from current
as $$
    select grant_access(p_role, '{application}')
$$;

comment on function grant_application_access(name) is
    'Lets a role do what an application does, and nothing else: read users, events and registrations, add and change users and events, register through functions and directly, search, look at statistics. It can neither write the counters, nor read or touch the audit log, nor delete users and events, nor run repairs and cleanups. Run by the owner of the tables, again after a migration that adds columns. Returns the statements that did it.';

-- Whoever reads reports need not read the audit log: it keeps what was deleted, the e-mail addresses of
-- closed accounts among it, and what each person did. So that is a decision of its own.
create function grant_read_only_access(p_role name, p_with_audit boolean default false)
returns setof text
language sql
set search_path from current
as $$
    select grant_access(p_role, case when p_with_audit then '{read-only,audit}' else '{read-only}' end::text[])
$$;

comment on function grant_read_only_access(name, boolean) is
    'Lets a role read everything but password hashes and other secrets, search, look at statistics and check the business rules; with p_with_audit also read the audit log, which keeps the e-mail addresses of deleted accounts. Run by the owner of the tables, again after a migration that adds columns. Returns the statements that did it.';

revoke execute on function list_access_rights(text) from public;
revoke execute on function check_access_role(name) from public;
revoke execute on function revoke_access(name) from public;
revoke execute on function grant_access(name, text[]) from public;
revoke execute on function grant_application_access(name) from public;
revoke execute on function grant_read_only_access(name, boolean) from public;
