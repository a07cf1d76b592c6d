-- Written by evdb schema dump.

set statement_timeout = 0;
set lock_timeout = 0;
set client_encoding = 'UTF8';
set standard_conforming_strings = on;
set check_function_bodies = off;
set client_min_messages = warning;
set row_security = off;
set search_path = '';

create domain public.email_address as character varying(320)
    constraint email_address_host_is_well_formed CHECK ((split_part((VALUE)::text, '@'::text, 2) !~ '(^|\.)-|-(\.|$)|[^.]{64}|\.[0-9]+$'::text))
    constraint email_address_is_well_formed CHECK ((((VALUE)::text ~ '^[^\u0001-\u0020\u007f@.,;:<>()\[\]\\"]+(\.[^\u0001-\u0020\u007f@.,;:<>()\[\]\\"]+)*@[^\u0001-\u0020\u007f@.,;:<>()\[\]\\"]+(\.[^\u0001-\u0020\u007f@.,;:<>()\[\]\\"]+)+$'::text) AND ((VALUE)::text !~ '[\u0085\u00a0\u00ad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufeff]'::text)))
    constraint email_address_local_part_fits CHECK ((length(split_part((VALUE)::text, '@'::text, 1)) <= 64));
comment on domain public.email_address is 'One e-mail address without a display name: local part of at most 64 characters, @, a host with a dot.';
revoke usage on type public.email_address from public;
comment on constraint email_address_host_is_well_formed on domain public.email_address is 'The parts of a host have at most 63 characters and no hyphen at an end (RFC 1035), and the last is no number.';
comment on constraint email_address_is_well_formed on domain public.email_address is 'Refuses lists, display names, white space of any kind, invisible characters and addresses without a dotted host.';
comment on constraint email_address_local_part_fits on domain public.email_address is 'The part before the @ has at most 64 characters (RFC 5321).';

create domain public.event_capacity as integer
    constraint event_capacity_is_in_range CHECK (((VALUE >= 1) AND (VALUE <= 10000)));
comment on domain public.event_capacity is 'Number of seats of an event, 1 to 10000.';
revoke usage on type public.event_capacity from public;
comment on constraint event_capacity_is_in_range on domain public.event_capacity is 'An event has 1 to 10000 seats.';

create domain public.registration_status as text
    constraint registration_status_is_known CHECK ((VALUE = ANY (ARRAY['confirmed'::text, 'cancelled'::text, 'waitlist'::text, 'pending'::text])));
comment on domain public.registration_status is 'confirmed (takes a seat), cancelled, waitlist or pending.';
revoke usage on type public.registration_status from public;
comment on constraint registration_status_is_known on domain public.registration_status is 'A status is confirmed, cancelled, waitlist or pending.';

create text search dictionary public.event_search_stem (template = pg_catalog.snowball, language = 'english');
comment on text search dictionary public.event_search_stem is 'English stems; no word is left out.';

create text search configuration public.event_search (parser = pg_catalog."default");
alter text search configuration public.event_search add mapping for asciihword with public.event_search_stem;
alter text search configuration public.event_search add mapping for asciiword with public.event_search_stem;
alter text search configuration public.event_search add mapping for email with pg_catalog.simple;
alter text search configuration public.event_search add mapping for file with pg_catalog.simple;
alter text search configuration public.event_search add mapping for "float" with pg_catalog.simple;
alter text search configuration public.event_search add mapping for host with pg_catalog.simple;
alter text search configuration public.event_search add mapping for hword with public.event_search_stem;
alter text search configuration public.event_search add mapping for hword_asciipart with public.event_search_stem;
alter text search configuration public.event_search add mapping for hword_numpart with pg_catalog.simple;
alter text search configuration public.event_search add mapping for hword_part with public.event_search_stem;
alter text search configuration public.event_search add mapping for "int" with pg_catalog.simple;
alter text search configuration public.event_search add mapping for numhword with pg_catalog.simple;
alter text search configuration public.event_search add mapping for numword with pg_catalog.simple;
alter text search configuration public.event_search add mapping for sfloat with pg_catalog.simple;
alter text search configuration public.event_search add mapping for uint with pg_catalog.simple;
alter text search configuration public.event_search add mapping for url with pg_catalog.simple;
alter text search configuration public.event_search add mapping for url_path with pg_catalog.simple;
alter text search configuration public.event_search add mapping for version with pg_catalog.simple;
alter text search configuration public.event_search add mapping for word with public.event_search_stem;
comment on text search configuration public.event_search is 'How search_events() splits and stems words; after a change run refresh_event_search().';

CREATE OR REPLACE FUNCTION public.attach_audit(p_table regclass, p_redacted text[] DEFAULT NULL::text[], p_left_out text[] DEFAULT NULL::text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_table text := (select c.relname::text from pg_class c where c.oid = p_table);
    v_redacted text[] := coalesce(p_redacted, list_audit_arguments(p_table, 'redacted'));
    v_left_out text[] := coalesce(p_left_out, list_audit_arguments(p_table, 'left_out'));
    v_function text := 'audit_changes_of_' || v_table;
    v_row_function text := 'audit_updates_of_' || v_table;
    v_key record;
    v_same_key text;
    v_insert text;
    v_delete text;
    v_update text;
    v_updated_rows text := '';
begin
    perform check_audited_table(p_table, v_redacted, v_left_out);
    select k.key_columns, replace(k.row_id, '@', '(n)') as new_id, replace(k.row_id, '@', '(o)') as old_id into v_key
    from describe_audit_key(p_table) k;

    v_insert := build_audit_entry(v_table, '''INSERT''', v_key.new_id, 'null::text', 'n', v_redacted, v_left_out);
    v_delete := build_audit_entry(v_table, '''DELETE''', v_key.old_id, 'o', 'null::text', v_redacted, v_left_out);
    -- A change of the primary key leaves rows without a partner: one gone, one new.
    v_update := build_audit_entry(
        v_table,
        format(
            'case when (o).%1$I is null then ''INSERT'' when (n).%1$I is null then ''DELETE'' else ''UPDATE'' end',
            v_key.key_columns[1]
        ),
        format('coalesce(%s, %s)', v_key.new_id, v_key.old_id),
        'o', 'n', v_redacted, v_left_out
    );
    v_same_key := (
        select string_agg(format('(n).%1$I = (o).%1$I', k.name), ' and ')
        from unnest(v_key.key_columns) as k (name)
    );

    if v_left_out = '{}' then
        -- Bytes are compared, because some types, such as json, know no equality.
        v_updated_rows := e'\n    else' || build_audit_statements(
            v_update, 'old_rows o full join new_rows n on ' || v_same_key, '(o *<> n) is not false'
        );
    end if;
    perform create_audit_function(
        v_function, v_table,
        '    if tg_op = ''INSERT'' then' || build_audit_statements(v_insert, 'new_rows n', 'true')
            || e'\n    elsif tg_op = ''DELETE'' then' || build_audit_statements(v_delete, 'old_rows o', 'true')
            || v_updated_rows
            || e'\n    end if;'
    );

    perform attach_audit_trigger(
        v_table, 'insert',
        format(
            'insert on %I referencing new table as new_rows for each statement execute function %I(%s)',
            v_table, v_function,
            (
                select string_agg(quote_literal(v.value), ', ')
                from (
                    select 'redacted=' || r.name from unnest(v_redacted) as r (name)
                    union all
                    select 'left_out=' || l.name from unnest(v_left_out) as l (name)
                ) as v (value)
            )
        ),
        'Audits new rows.'
    );
    perform attach_audit_trigger(
        v_table, 'delete',
        format('delete on %I referencing old table as old_rows for each statement execute function %I()', v_table, v_function),
        'Audits deleted rows, also those that a cascade deletes.'
    );
    perform attach_audit_trigger(
        v_table, 'truncate',
        format('truncate on %I for each statement execute function audit_truncate()', v_table),
        'Audits a truncate.'
    );

    if v_left_out = '{}' then
        perform attach_audit_trigger(
            v_table, 'update',
            format(
                'update on %I referencing old table as old_rows new table as new_rows '
                    'for each statement execute function %I()',
                v_table, v_function
            ),
            'Audits changed rows.'
        );
        -- Asked first: `if exists` would say each time that there is none.
        if to_regprocedure(format('%I()', v_row_function)) is not null then
            execute format('drop function %I()', v_row_function);
        end if;
    else
        -- By row, because a trigger with transition tables takes no column list and would run for every
        -- change of what is left out.
        perform attach_audit_of_columns(
            p_table, v_row_function, v_left_out,
            build_audit_statements(
                v_update,
                format(
                    '(select old as o, new as n where %1$s union all select old, null where not (%1$s) '
                        'union all select null, new where not (%1$s)) c',
                    replace(replace(v_same_key, '(n)', 'new'), '(o)', 'old')
                ),
                'true'
            )
        );
    end if;
end
$function$;
comment on function public.attach_audit(regclass,text[],text[]) is 'Enters every change of a table of this schema into the audit log from now on, whoever makes it and however. Columns whose name looks like that of a secret are redacted, and so are those in p_redacted: an entry says that they changed and keeps no value. Columns in p_left_out keep books: they are in no entry, and a change of them alone, or of updated_at, is none; the table is then audited row by row, and a column that is added later is watched once attach_audit() has run again. row_id of an entry is the primary key where that is one integer. Without these arguments a table that is audited already keeps those it has: call it again after columns were added or renamed, and detach_audit() before the table is renamed. Locks the table share row exclusive; for the owner of the schema.';
revoke execute on function public.attach_audit(regclass,text[],text[]) from public;

CREATE OR REPLACE FUNCTION public.attach_audit_of_columns(p_table regclass, p_function text, p_left_out text[], p_statements text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_table text := (select c.relname::text from pg_class c where c.oid = p_table);
    v_watched record;
begin
    select
        string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns,
        string_agg(
            format(
                case
                    -- These know no equality.
                    when y.typcategory = 'G' or y.oid in ('json'::regtype, 'xml'::regtype)
                    then 'old.%1$I::text is distinct from new.%1$I::text'
                    else 'old.%1$I is distinct from new.%1$I'
                end,
                a.attname
            ),
            ' or '
            order by a.attnum
        ) as changes
    into v_watched
    from pg_attribute a
    join pg_type y on y.oid = a.atttypid
    where a.attrelid = p_table
        and a.attnum > 0
        and not a.attisdropped
        -- It has a trigger of its own, so that it never changes alone.
        and a.attname <> all (p_left_out || '{updated_at}');

    -- What changed is asked by the function: a condition of the trigger would be copied by every statement on
    -- the table, also by those that write what is left out.
    perform create_audit_function(
        p_function, v_table,
        format(e'    if not (%s) then\n        return null;\n    end if;', v_watched.changes) || p_statements
    );
    perform attach_audit_trigger(
        v_table, 'update',
        format(
            'update of %s on %I for each row execute function %I()', v_watched.columns, v_table, p_function
        ),
        format('Audits changed rows, not changes of %s alone.', array_to_string(p_left_out, ', '))
    );
end
$function$;
comment on function public.attach_audit_of_columns(regclass,text,text[],text) is 'Makes the trigger for updates of a table that has columns nobody audits, and its function: by row, and for all the others.';
revoke execute on function public.attach_audit_of_columns(regclass,text,text[],text) from public;

CREATE OR REPLACE FUNCTION public.attach_audit_trigger(p_table text, p_event text, p_definition text, p_comment text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_trigger text := p_table || '_90_audit_' || p_event;
begin
    execute format('create or replace trigger %I after %s', v_trigger, p_definition);
    execute format('comment on trigger %I on %I is %L', v_trigger, p_table, p_comment);
end
$function$;
comment on function public.attach_audit_trigger(text,text,text,text) is 'Makes one trigger of an audited table, or makes it anew, and says what it is for.';
revoke execute on function public.attach_audit_trigger(text,text,text,text) from public;

CREATE OR REPLACE FUNCTION public.audit_changes_of_events()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    if not now() + interval '62 days' <@ audit_covered_time('audit_logs') then
        perform premake_audit_partitions();
    end if;
    if tg_op = 'INSERT' then
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select 'events', 'INSERT', (n).id,
            to_jsonb(null::text) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            to_jsonb(n) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            case
                when (audit_secret_columns('events')) <> '{}'
                then audit_redacted_columns(to_jsonb(null::text), to_jsonb(n), audit_secret_columns('events'))
            end
        from new_rows n
        where true
            and now() <@ audit_covered_time('audit_logs');
        if found then
            return null;
        end if;
        perform
        from new_rows n
        where true
        limit 1;
        if found then
            insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values, redacted)
            select 'events', 'INSERT', (n).id,
            to_jsonb(null::text) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            to_jsonb(n) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            case
                when (audit_secret_columns('events')) <> '{}'
                then audit_redacted_columns(to_jsonb(null::text), to_jsonb(n), audit_secret_columns('events'))
            end
            from new_rows n
            where true;
            perform premake_audit_partitions();
        end if;
    elsif tg_op = 'DELETE' then
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select 'events', 'DELETE', (o).id,
            to_jsonb(o) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            to_jsonb(null::text) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            case
                when (audit_secret_columns('events')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(null::text), audit_secret_columns('events'))
            end
        from old_rows o
        where true
            and now() <@ audit_covered_time('audit_logs');
        if found then
            return null;
        end if;
        perform
        from old_rows o
        where true
        limit 1;
        if found then
            insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values, redacted)
            select 'events', 'DELETE', (o).id,
            to_jsonb(o) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            to_jsonb(null::text) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            case
                when (audit_secret_columns('events')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(null::text), audit_secret_columns('events'))
            end
            from old_rows o
            where true;
            perform premake_audit_partitions();
        end if;
    end if;
    return null;
end
$function$;
comment on function public.audit_changes_of_events() is 'Trigger: writes one entry into the audit log for each row of events that changed. Made by attach_audit().';
revoke execute on function public.audit_changes_of_events() from public;

CREATE OR REPLACE FUNCTION public.audit_changes_of_registrations()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    if not now() + interval '62 days' <@ audit_covered_time('audit_logs') then
        perform premake_audit_partitions();
    end if;
    if tg_op = 'INSERT' then
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select 'registrations', 'INSERT', (n).id,
            to_jsonb(null::text) - (audit_secret_columns('registrations')),
            to_jsonb(n) - (audit_secret_columns('registrations')),
            case
                when (audit_secret_columns('registrations')) <> '{}'
                then audit_redacted_columns(to_jsonb(null::text), to_jsonb(n), audit_secret_columns('registrations'))
            end
        from new_rows n
        where true
            and now() <@ audit_covered_time('audit_logs');
        if found then
            return null;
        end if;
        perform
        from new_rows n
        where true
        limit 1;
        if found then
            insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values, redacted)
            select 'registrations', 'INSERT', (n).id,
            to_jsonb(null::text) - (audit_secret_columns('registrations')),
            to_jsonb(n) - (audit_secret_columns('registrations')),
            case
                when (audit_secret_columns('registrations')) <> '{}'
                then audit_redacted_columns(to_jsonb(null::text), to_jsonb(n), audit_secret_columns('registrations'))
            end
            from new_rows n
            where true;
            perform premake_audit_partitions();
        end if;
    elsif tg_op = 'DELETE' then
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select 'registrations', 'DELETE', (o).id,
            to_jsonb(o) - (audit_secret_columns('registrations')),
            to_jsonb(null::text) - (audit_secret_columns('registrations')),
            case
                when (audit_secret_columns('registrations')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(null::text), audit_secret_columns('registrations'))
            end
        from old_rows o
        where true
            and now() <@ audit_covered_time('audit_logs');
        if found then
            return null;
        end if;
        perform
        from old_rows o
        where true
        limit 1;
        if found then
            insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values, redacted)
            select 'registrations', 'DELETE', (o).id,
            to_jsonb(o) - (audit_secret_columns('registrations')),
            to_jsonb(null::text) - (audit_secret_columns('registrations')),
            case
                when (audit_secret_columns('registrations')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(null::text), audit_secret_columns('registrations'))
            end
            from old_rows o
            where true;
            perform premake_audit_partitions();
        end if;
    else
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select 'registrations', case when (o).id is null then 'INSERT' when (n).id is null then 'DELETE' else 'UPDATE' end, coalesce((n).id, (o).id),
            to_jsonb(o) - (audit_secret_columns('registrations')),
            to_jsonb(n) - (audit_secret_columns('registrations')),
            case
                when (audit_secret_columns('registrations')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(n), audit_secret_columns('registrations'))
            end
        from old_rows o full join new_rows n on (n).id = (o).id
        where (o *<> n) is not false
            and now() <@ audit_covered_time('audit_logs');
        if found then
            return null;
        end if;
        perform
        from old_rows o full join new_rows n on (n).id = (o).id
        where (o *<> n) is not false
        limit 1;
        if found then
            insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values, redacted)
            select 'registrations', case when (o).id is null then 'INSERT' when (n).id is null then 'DELETE' else 'UPDATE' end, coalesce((n).id, (o).id),
            to_jsonb(o) - (audit_secret_columns('registrations')),
            to_jsonb(n) - (audit_secret_columns('registrations')),
            case
                when (audit_secret_columns('registrations')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(n), audit_secret_columns('registrations'))
            end
            from old_rows o full join new_rows n on (n).id = (o).id
            where (o *<> n) is not false;
            perform premake_audit_partitions();
        end if;
    end if;
    return null;
end
$function$;
comment on function public.audit_changes_of_registrations() is 'Trigger: writes one entry into the audit log for each row of registrations that changed. Made by attach_audit().';
revoke execute on function public.audit_changes_of_registrations() from public;

CREATE OR REPLACE FUNCTION public.audit_changes_of_users()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    if not now() + interval '62 days' <@ audit_covered_time('audit_logs') then
        perform premake_audit_partitions();
    end if;
    if tg_op = 'INSERT' then
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select 'users', 'INSERT', (n).id,
            to_jsonb(null::text) - (audit_secret_columns('users')),
            to_jsonb(n) - (audit_secret_columns('users')),
            case
                when (audit_secret_columns('users')) <> '{}'
                then audit_redacted_columns(to_jsonb(null::text), to_jsonb(n), audit_secret_columns('users'))
            end
        from new_rows n
        where true
            and now() <@ audit_covered_time('audit_logs');
        if found then
            return null;
        end if;
        perform
        from new_rows n
        where true
        limit 1;
        if found then
            insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values, redacted)
            select 'users', 'INSERT', (n).id,
            to_jsonb(null::text) - (audit_secret_columns('users')),
            to_jsonb(n) - (audit_secret_columns('users')),
            case
                when (audit_secret_columns('users')) <> '{}'
                then audit_redacted_columns(to_jsonb(null::text), to_jsonb(n), audit_secret_columns('users'))
            end
            from new_rows n
            where true;
            perform premake_audit_partitions();
        end if;
    elsif tg_op = 'DELETE' then
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select 'users', 'DELETE', (o).id,
            to_jsonb(o) - (audit_secret_columns('users')),
            to_jsonb(null::text) - (audit_secret_columns('users')),
            case
                when (audit_secret_columns('users')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(null::text), audit_secret_columns('users'))
            end
        from old_rows o
        where true
            and now() <@ audit_covered_time('audit_logs');
        if found then
            return null;
        end if;
        perform
        from old_rows o
        where true
        limit 1;
        if found then
            insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values, redacted)
            select 'users', 'DELETE', (o).id,
            to_jsonb(o) - (audit_secret_columns('users')),
            to_jsonb(null::text) - (audit_secret_columns('users')),
            case
                when (audit_secret_columns('users')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(null::text), audit_secret_columns('users'))
            end
            from old_rows o
            where true;
            perform premake_audit_partitions();
        end if;
    else
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select 'users', case when (o).id is null then 'INSERT' when (n).id is null then 'DELETE' else 'UPDATE' end, coalesce((n).id, (o).id),
            to_jsonb(o) - (audit_secret_columns('users')),
            to_jsonb(n) - (audit_secret_columns('users')),
            case
                when (audit_secret_columns('users')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(n), audit_secret_columns('users'))
            end
        from old_rows o full join new_rows n on (n).id = (o).id
        where (o *<> n) is not false
            and now() <@ audit_covered_time('audit_logs');
        if found then
            return null;
        end if;
        perform
        from old_rows o full join new_rows n on (n).id = (o).id
        where (o *<> n) is not false
        limit 1;
        if found then
            insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values, redacted)
            select 'users', case when (o).id is null then 'INSERT' when (n).id is null then 'DELETE' else 'UPDATE' end, coalesce((n).id, (o).id),
            to_jsonb(o) - (audit_secret_columns('users')),
            to_jsonb(n) - (audit_secret_columns('users')),
            case
                when (audit_secret_columns('users')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(n), audit_secret_columns('users'))
            end
            from old_rows o full join new_rows n on (n).id = (o).id
            where (o *<> n) is not false;
            perform premake_audit_partitions();
        end if;
    end if;
    return null;
end
$function$;
comment on function public.audit_changes_of_users() is 'Trigger: writes one entry into the audit log for each row of users that changed. Made by attach_audit().';
revoke execute on function public.audit_changes_of_users() from public;

CREATE OR REPLACE FUNCTION public.audit_covered_time(p_log regclass)
 RETURNS tstzmultirange
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select coalesce(range_agg(tstzrange(m.at at time zone 'UTC', (m.at + interval '1 month') at time zone 'UTC')), '{}')
    from generate_series(-1, 12) n
    cross join lateral (
        select date_trunc('month', now() at time zone 'UTC') + make_interval(months => n) as at
    ) m
    where pg_partition_root(to_regclass(to_char(m.at, '"audit_logs_"YYYY_MM'))) = p_log
$function$;
comment on function public.audit_covered_time(regclass) is 'From the last month to a year ahead: the time for which audit_logs has partitions.';
revoke execute on function public.audit_covered_time(regclass) from public;

CREATE OR REPLACE FUNCTION public.audit_log_changes(p_table text DEFAULT NULL::text, p_row_id integer DEFAULT NULL::integer, p_actor text DEFAULT NULL::text, p_since timestamp with time zone DEFAULT NULL::timestamp with time zone, p_until timestamp with time zone DEFAULT NULL::timestamp with time zone, p_limit integer DEFAULT 100, p_before_created_at timestamp with time zone DEFAULT NULL::timestamp with time zone, p_before_id bigint DEFAULT NULL::bigint)
 RETURNS TABLE(id bigint, created_at timestamp with time zone, table_name text, operation text, row_id integer, old_values jsonb, new_values jsonb, redacted text[], actor text, session_role text, application_name text, transaction_id xid8)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
begin
    if p_limit < 0 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_limit must be zero or more, not %s', p_limit),
            hint = 'Give the number of entries to read at most, or null for all.';
    elsif (p_before_created_at is null) <> (p_before_id is null) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'p_before_created_at and p_before_id belong together',
            hint = 'Give created_at and id of the last entry read, or neither.';
    end if;

    return query
    select e.id, e.created_at, e.table_name, e.operation, e.row_id,
        case
            when e.operation <> 'UPDATE' then e.old_values
            else (
                select jsonb_object_agg(v.key, v.value)
                from jsonb_each(e.old_values) v
                where v.value is distinct from e.new_values -> v.key
            )
        end,
        case
            when e.operation <> 'UPDATE' then e.new_values
            else (
                select jsonb_object_agg(v.key, v.value)
                from jsonb_each(e.new_values) v
                where v.value is distinct from e.old_values -> v.key
            )
        end,
        e.redacted, e.actor, e.session_role, e.application_name, e.transaction_id
    from (
        select a.*
        from audit_log_entries a
        where (p_table is null or a.table_name = p_table)
            and (p_row_id is null or a.row_id = p_row_id)
            and (p_actor is null or a.actor = p_actor)
            and (p_since is null or a.created_at >= p_since)
            and (p_until is null or a.created_at < p_until)
            and (p_before_id is null or (a.created_at, a.id) < (p_before_created_at, p_before_id))
        order by a.created_at desc, a.id desc
        limit p_limit
    ) e
    order by e.created_at desc, e.id desc;
end
$function$;
comment on function public.audit_log_changes(text,integer,text,timestamp with time zone,timestamp with time zone,integer,timestamp with time zone,bigint) is 'Entries of the audit log, newest first, p_limit at most (default 100). Of an update only the columns that changed. Filters: table, primary key, actor, from p_since until before p_until. The next page: created_at and id of the last entry as p_before_created_at and p_before_id. created_at is the start of a transaction, so an entry can appear behind ones that are already there.';
revoke execute on function public.audit_log_changes(text,integer,text,timestamp with time zone,timestamp with time zone,integer,timestamp with time zone,bigint) from public;

CREATE OR REPLACE FUNCTION public.audit_redacted_columns(p_old jsonb, p_new jsonb, p_secrets text[])
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select array_agg(s.name)
    from unnest(p_secrets) as s (name)
    where nullif(p_old -> s.name, 'null') is distinct from nullif(p_new -> s.name, 'null')
$function$;
comment on function public.audit_redacted_columns(jsonb,jsonb,text[]) is 'Which of the secret columns differ between two images of a row; null where none does.';
revoke execute on function public.audit_redacted_columns(jsonb,jsonb,text[]) from public;

CREATE OR REPLACE FUNCTION public.audit_secret_columns(p_table regclass)
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select coalesce(array_agg(a.attname::text order by a.attnum), '{}')
    from pg_attribute a
    where a.attrelid = p_table
        and a.attnum > 0
        and not a.attisdropped
        and a.attname ~* '(password|passwd|passphrase|passcode|secret|token|credential|api_?key|hash|salt|(^|_)(key|pin|otp|totp|pwd)(_|$))'
$function$;
comment on function public.audit_secret_columns(regclass) is 'Columns whose name looks like that of a secret, such as password_hash or reset_token, also ones that are added later: their values never enter the audit log.';
revoke execute on function public.audit_secret_columns(regclass) from public;

CREATE OR REPLACE FUNCTION public.audit_truncate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    perform write_audit_entry(tg_table_name, 'TRUNCATE');
    return null;
end
$function$;
comment on function public.audit_truncate() is 'Trigger: writes one entry into the audit log for a truncate.';
revoke execute on function public.audit_truncate() from public;

CREATE OR REPLACE FUNCTION public.audit_updates_of_events()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    if not now() + interval '62 days' <@ audit_covered_time('audit_logs') then
        perform premake_audit_partitions();
    end if;
    if not (old.id is distinct from new.id or old.title is distinct from new.title or old.description is distinct from new.description or old.date_time is distinct from new.date_time or old.location is distinct from new.location or old.capacity is distinct from new.capacity or old.created_by is distinct from new.created_by or old.is_active is distinct from new.is_active or old.created_at is distinct from new.created_at) then
        return null;
    end if;
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select 'events', case when (o).id is null then 'INSERT' when (n).id is null then 'DELETE' else 'UPDATE' end, coalesce((n).id, (o).id),
            to_jsonb(o) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            to_jsonb(n) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            case
                when (audit_secret_columns('events')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(n), audit_secret_columns('events'))
            end
        from (select old as o, new as n where new.id = old.id union all select old, null where not (new.id = old.id) union all select null, new where not (new.id = old.id)) c
        where true
            and now() <@ audit_covered_time('audit_logs');
        if found then
            return null;
        end if;
        perform
        from (select old as o, new as n where new.id = old.id union all select old, null where not (new.id = old.id) union all select null, new where not (new.id = old.id)) c
        where true
        limit 1;
        if found then
            insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values, redacted)
            select 'events', case when (o).id is null then 'INSERT' when (n).id is null then 'DELETE' else 'UPDATE' end, coalesce((n).id, (o).id),
            to_jsonb(o) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            to_jsonb(n) - (audit_secret_columns('events') || '{current_registrations,held_seats}'::text[]),
            case
                when (audit_secret_columns('events')) <> '{}'
                then audit_redacted_columns(to_jsonb(o), to_jsonb(n), audit_secret_columns('events'))
            end
            from (select old as o, new as n where new.id = old.id union all select old, null where not (new.id = old.id) union all select null, new where not (new.id = old.id)) c
            where true;
            perform premake_audit_partitions();
        end if;
    return null;
end
$function$;
comment on function public.audit_updates_of_events() is 'Trigger: writes one entry into the audit log for each row of events that changed. Made by attach_audit().';
revoke execute on function public.audit_updates_of_events() from public;

CREATE OR REPLACE FUNCTION public.batch_event_registration(p_user_ids integer[], p_event_id integer)
 RETURNS json
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
declare
    v_ignored boolean;
    v_event record;
    v_event_error_code text;
    v_is_refused boolean := false;
    v_waiting integer;
    v_free_seats integer;
    v_constraint text;
    v_result json;
begin
    v_ignored := enter_gate();

    -- As in safe_event_registration: each round reads how many seats are free, and then tries to take them.
    for v_round in 1..20 loop
        select
            e.date_time > clock_timestamp() as is_upcoming,
            e.is_active,
            e.held_seats,
            e.capacity - e.current_registrations - e.held_seats as free_seats,
            exists (select from registrations w where w.event_id = p_event_id and w.status = 'waitlist') as has_waiters
        into v_event
        from events e
        where e.id = p_event_id;

        -- Expired holds give way, unless somebody else has them locked, and waiters come first.
        v_free_seats := v_event.free_seats;
        if v_event.held_seats > 0 and not v_is_refused then
            select v_free_seats + count(*)::integer into v_free_seats
            from registrations r
            where r.event_id = p_event_id and r.status = 'pending' and r.hold_expires_at <= clock_timestamp();
        end if;
        v_waiting := 0;
        if v_event.has_waiters then
            select count(*)::integer into v_waiting
            from registrations r
            join users u on u.id = r.user_id and u.is_active
            where r.event_id = p_event_id and r.status = 'waitlist' and r.user_id <> all (p_user_ids);
        end if;
        v_free_seats := greatest(v_free_seats - v_waiting, 0);

        v_event_error_code := case
            when v_event.is_active is not true then 'P0001'
            when not v_event.is_upcoming then 'P0002'
        end;

        begin
            -- What somebody else has locked is passed over: waiting for one row with others locked could
            -- deadlock with a statement that changes several. New rows are inserted in the order of users,
            -- because two batches with the same users wait for each other's.
            --
            -- The lists are guessed to be short, and a plain join of two of them can cost the product of
            -- their lengths: hence windows between the lists and subqueries into the tables.
            with asked as (
                select a.user_id, a.position,
                    row_number() over (partition by a.user_id order by a.position) as occurrence
                from unnest(p_user_ids) with ordinality as a (user_id, position)
            ),
            judged as materialized (
                select a.user_id, a.position, a.occurrence, l.id as registration_id, l.waits_since,
                    -- Whoever holds a seat needs no other.
                    (a.occurrence = 1 and l.status is distinct from 'pending')::integer as seats,
                    case
                        when v_event_error_code is not null then v_event_error_code
                        when u.is_active is null and (select g.id from users g where g.id = a.user_id) is not null then '55P03'
                        when u.is_active is not true then 'P0006'
                        when coalesce(l.status, r.status) = 'confirmed' then 'P0003'
                        when r.id is not null and l.id is null then '55P03'
                    end as error_code
                from asked a
                left join lateral (
                    select g.is_active
                    from users g
                    where g.id = a.user_id
                    for share skip locked
                ) u on true
                left join lateral (
                    select g.id, g.status
                    from registrations g
                    where g.user_id = a.user_id and g.event_id = p_event_id
                    offset 0
                ) r on true
                left join lateral (
                    select g.id, g.status, case when g.status = 'waitlist' then g.registered_at end as waits_since
                    from registrations g
                    where g.id = r.id and r.status <> 'confirmed'
                    for no key update skip locked
                ) l on true
            ),
            ranked as materialized (
                select j.user_id, j.position, j.occurrence, j.registration_id, j.error_code,
                    case
                        when j.seats = 0 then 0
                        else sum(j.seats) filter (where j.error_code is null)
                            over (order by j.waits_since nulls last, j.position)
                    end as seat
                from judged j
            ),
            inserted as (
                insert into registrations (user_id, event_id, registered_at, status)
                select k.user_id, p_event_id, clock_timestamp(), 'confirmed'
                from ranked k
                where k.error_code is null
                    and k.occurrence = 1
                    and k.seat <= v_free_seats
                    and k.registration_id is null
                order by k.user_id
                on conflict (user_id, event_id) do nothing
                returning id, user_id, registered_at
            ),
            revived as (
                update registrations r
                set status = 'confirmed',
                    registered_at = case when r.status = 'cancelled' then clock_timestamp() else r.registered_at end
                from ranked k
                where k.error_code is null
                    and k.occurrence = 1
                    and k.seat <= v_free_seats
                    and r.id = k.registration_id
                returning r.id, r.user_id, r.registered_at
            ),
            gathered as (
                select k.user_id, k.position, k.occurrence, k.error_code,
                    case when k.occurrence = 1 then k.seat end as seat,
                    null::integer as registration_id, null::timestamptz as registered_at
                from ranked k
                union all
                select i.user_id, null, null, null, null, i.id, i.registered_at from inserted i
                union all
                select v.user_id, null, null, null, null, v.id, v.registered_at from revived v
            ),
            merged as (
                select g.user_id, g.position, g.occurrence, g.error_code,
                    min(g.seat) over same_user as seat,
                    min(g.registration_id) over same_user as registration_id,
                    min(g.registered_at) over same_user as registered_at
                from gathered g
                window same_user as (partition by g.user_id)
            ),
            outcomes as (
                select m.position, m.user_id, m.registration_id, m.registered_at,
                    case
                        when m.error_code is not null then m.error_code
                        when m.seat > v_free_seats then 'P0004'
                        when m.registration_id is null or m.occurrence > 1 then 'P0003'
                    end as error_code
                from merged m
                where m.position is not null
            )
            select json_build_object(
                'total_processed', count(*),
                'successful_registrations', count(*) filter (where o.error_code is null),
                'failed_registrations', count(*) filter (where o.error_code is not null),
                'details', coalesce(
                    json_agg(
                        case
                            when o.error_code is null then json_build_object(
                                'success', true,
                                'registration_id', o.registration_id,
                                'event_id', p_event_id,
                                'user_id', o.user_id,
                                'registered_at', o.registered_at,
                                'status', 'confirmed',
                                'message', 'Successfully registered for event'
                            )
                            else json_build_object(
                                'success', false,
                                'user_id', o.user_id,
                                'error_code', o.error_code,
                                'error_message', registration_refusal(o.error_code)
                            )
                        end
                        order by o.position
                    ),
                    '[]'::json
                )
            ) into v_result
            from outcomes o;

            -- Seats that were left for others who wait.
            if v_waiting > 0 and v_event_error_code is null then
                v_ignored := settle_event_seats(p_event_id) is null;
            end if;
            return v_result;
        exception
            -- Nothing but what the counter refuses; deadlocks and serialisation failures are the caller's.
            when check_violation then
                get stacked diagnostics v_constraint = constraint_name;
                if not is_registration_refusal(v_constraint) then
                    raise;
                end if;
                v_is_refused := true;
        end;
    end loop;

    raise exception using
        errcode = 'serialization_failure',
        message = format('Others changed event %s in every moment between reading and registering', p_event_id),
        hint = 'Try again.';
end
$function$;
comment on function public.batch_event_registration(integer[],integer) is 'Registers many users for one event in one statement''s worth of work, in the order given, until the seats are gone; holds of theirs are confirmed, and those of them who wait come first. Returns {total_processed, successful_registrations, failed_registrations, details}, with one entry in details for each user asked for, in that order, shaped like the result of safe_event_registration. A user named twice is registered once and already registered (P0003) the second time; a user who, or whose registration, is being changed by another transaction is told to try again (55P03).';
revoke execute on function public.batch_event_registration(integer[],integer) from public;

CREATE OR REPLACE FUNCTION public.build_audit_entry(p_table text, p_operation text, p_row_id text, p_old_row text, p_new_row text, p_redacted text[], p_left_out text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    -- Images before and after are written whole: comparing them here costs more than comparing them when
    -- somebody reads.
    select format(
        $$%1$L, %2$s, %3$s,
            to_jsonb(%4$s) - (%6$s),
            to_jsonb(%5$s) - (%6$s),
            case
                when (%7$s) <> '{}'
                then audit_redacted_columns(to_jsonb(%4$s), to_jsonb(%5$s), %7$s)
            end$$,
        p_table, p_operation, p_row_id, p_old_row, p_new_row,
        s.secrets || case when p_left_out <> '{}' then format(' || %L::text[]', p_left_out) else '' end,
        s.secrets
    )
    from (
        select format('audit_secret_columns(%L)', quote_ident(p_table))
            || case when p_redacted <> '{}' then format(' || %L::text[]', p_redacted) else '' end
    ) as s (secrets)
$function$;
comment on function public.build_audit_entry(text,text,text,text,text,text[],text[]) is 'The values of one entry of the audit log, as text for a function that attach_audit() makes; operation, row id and rows are given as expressions.';
revoke execute on function public.build_audit_entry(text,text,text,text,text,text[],text[]) from public;

CREATE OR REPLACE FUNCTION public.build_audit_statements(p_entry text, p_source text, p_condition text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    -- Whether there is a partition is part of the statement that needs it: by then that statement has its
    -- lock on audit_logs, so nobody can drop the partition any more. Asking before it would leave a gap, and
    -- an exception block around it would cost every write a subtransaction. Where it wrote nothing, either
    -- there was nothing to write or no partition to write to.
    select format(
        $$
        insert into audit_logs (table_name, operation, row_id, old_values, new_values, redacted)
        select %1$s
        from %2$s
        where %3$s
            and now() <@ audit_covered_time('audit_logs');
        if found then
            return null;
        end if;
        perform
        from %2$s
        where %3$s
        limit 1;
        if found then
            insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values, redacted)
            select %1$s
            from %2$s
            where %3$s;
            perform premake_audit_partitions();
        end if;$$,
        p_entry, p_source, p_condition
    )
$function$;
comment on function public.build_audit_statements(text,text,text) is 'The statements that write entries into the audit log, or into its overflow, as text for a function that attach_audit() makes.';
revoke execute on function public.build_audit_statements(text,text,text) from public;

CREATE OR REPLACE FUNCTION public.check_access_role(p_role name)
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$;
comment on function public.check_access_role(name) is 'Refuses a role that does not exist (42704) or that owns the schema anyway (0LP01), and callers that may not grant (42501).';
revoke execute on function public.check_access_role(name) from public;

CREATE OR REPLACE FUNCTION public.check_audit_limit(p_limit bigint, p_what text)
 RETURNS void
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    if p_limit <= 0 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_limit must be above zero, not %s', p_limit),
            hint = format('Give the number of %s at most, or null for all.', p_what);
    end if;
end
$function$;
comment on function public.check_audit_limit(bigint,text) is 'Refuses a limit that is zero or negative (22023); null is none.';
revoke execute on function public.check_audit_limit(bigint,text) from public;

CREATE OR REPLACE FUNCTION public.check_audited_table(p_table regclass, p_redacted text[], p_left_out text[])
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_table record;
    v_unknown text;
begin
    select c.relname, c.relkind, c.relispartition, c.relnamespace = l.relnamespace as is_at_home,
        exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p') as has_key
    into v_table
    from pg_class c
    join pg_class l on l.oid = 'audit_logs'::regclass
    where c.oid = p_table;

    if v_table is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'No table was named',
            hint = 'Give the table to audit, such as attach_audit(''tickets'').';
    elsif not v_table.is_at_home then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('%s is not in schema %I', p_table, current_schema()),
            hint = 'The audit log keeps names of tables without their schema, so it takes those of its own only.';
    elsif v_table.relkind <> 'r' or v_table.relispartition or p_table = 'audit_logs_overflow'::regclass then
        raise exception using
            errcode = 'wrong_object_type',
            message = format('%s cannot be audited', p_table),
            hint = 'Name an ordinary table: no view, no partitioned table, no partition and no part of the audit log.';
    elsif not v_table.has_key then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('Table %s has no primary key', p_table),
            hint = 'Add one: without it nobody can tell which row before belongs to which row after.';
    elsif octet_length(v_table.relname::text) > 45 then
        raise exception using
            errcode = 'name_too_long',
            message = format('The name of table %s is too long to be audited', p_table),
            hint = 'Names of its triggers have to fit into 63 bytes: give it one of 45 at most.';
    end if;

    select c.name into v_unknown
    from unnest(p_redacted || p_left_out) as c (name)
    where not exists (
        select
        from pg_attribute a
        where a.attrelid = p_table and a.attname = c.name and a.attnum > 0 and not a.attisdropped
    )
    limit 1;
    if found then
        raise exception using
            errcode = 'undefined_column',
            message = format('Table %s has no column %I', p_table, coalesce(v_unknown, 'null')),
            hint = 'Check p_redacted and p_left_out.',
            table = v_table.relname,
            column = coalesce(v_unknown, '');
    end if;

    if exists (
        select
        from pg_constraint c
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
        where c.conrelid = p_table and c.contype = 'p' and a.attname = any (p_left_out)
    ) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('The primary key of %s cannot be left out', p_table),
            hint = 'An entry has to say which row it is about.';
    end if;
end
$function$;
comment on function public.check_audited_table(regclass,text[],text[]) is 'Refuses a table that attach_audit() cannot audit, and columns that it does not have.';
revoke execute on function public.check_audited_table(regclass,text[],text[]) from public;

CREATE OR REPLACE FUNCTION public.cleanup_audit_logs(days_to_keep integer DEFAULT 90)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
declare
    v_removed bigint;
begin
    v_removed := delete_expired_audit_logs(days_to_keep);

    select v_removed + coalesce(sum(d.removed_rows), 0)::bigint into v_removed
    from drop_expired_audit_partitions(days_to_keep) d;

    -- The number is what callers know as an integer; a larger one must not undo the work.
    return least(v_removed, 2147483647)::integer;
end
$function$;
comment on function public.cleanup_audit_logs(integer) is 'Removes audit entries older than days_to_keep days (default 90) and returns how many it removed (2147483647 where it was more). Whole months are dropped and their disk space is back at commit. Refuses null and negative numbers (22023); where a lock is not free within a second nothing is removed (55P03).';
revoke execute on function public.cleanup_audit_logs(integer) from public;

CREATE OR REPLACE FUNCTION public.close_registration_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_lock_timeout text := current_setting('lock_timeout');
    v_ignored boolean;
begin
    begin
        -- Shorter than the usual deadlock_timeout, so that it comes first.
        perform set_config('lock_timeout', '900ms', true);
        v_ignored := pg_advisory_xact_lock('events'::regclass::oid::integer, 0) is null;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        -- Somebody keeps a transaction open that registered: rather than hold up everyone behind this
        -- deletion any longer, go on without the gate, and accept that a deadlock is possible.
        when lock_not_available then
            null;
    end;

    -- What the cascade will lock anyway, but before the event rows: a truncate could stand in between.
    lock table registrations in row exclusive mode;
    return null;
end
$function$;
comment on function public.close_registration_gate() is 'Trigger: a deletion of events or users waits, for a second at most, until nobody is changing registrations, and keeps others from it until its transaction ends. Runs as the owner of the schema, because whoever may delete an event need not be allowed to change registrations.';
revoke execute on function public.close_registration_gate() from public;

CREATE OR REPLACE FUNCTION public.count_expired_holds(p_event_id integer)
 RETURNS integer
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select count(*)::integer
    from registrations r
    where r.event_id = p_event_id
        and r.status = 'pending'
        and r.hold_expires_at <= now()
$function$;
comment on function public.count_expired_holds(integer) is 'Holds of an event that have expired and are not settled yet: their seats are there for whoever asks.';
revoke execute on function public.count_expired_holds(integer) from public;

CREATE OR REPLACE FUNCTION public.create_audit_function(p_name text, p_table text, p_statements text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $functionx$
begin
    -- Security definer, because whoever changes a row needs no right to write the log. Partitions are made
    -- ahead when the 62nd day from now, which is in the second or third month after this one, has none.
    execute format(
        $function$
create or replace function %1$I()
returns trigger
language plpgsql
security definer
set search_path from current
as $audit$
begin
    if not now() + interval '62 days' <@ audit_covered_time('audit_logs') then
        perform premake_audit_partitions();
    end if;
%2$s
    return null;
end
$audit$
        $function$,
        p_name, p_statements
    );
    execute format(
        'comment on function %I() is %L',
        p_name,
        format('Trigger: writes one entry into the audit log for each row of %s that changed. Made by attach_audit().', p_table)
    );
    execute format('revoke all on function %I() from public', p_name);
    -- A superuser made it: it must not run as one.
    execute format(
        'alter function %I() owner to %I',
        p_name, (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = 'audit_logs'::regclass)
    );
end
$functionx$;
comment on function public.create_audit_function(text,text,text) is 'Makes a trigger function of the audit log out of the statements given; it belongs to the owner of the log.';
revoke execute on function public.create_audit_function(text,text,text) from public;

CREATE OR REPLACE FUNCTION public.create_audit_partition(p_month date)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_starts_on date := date_trunc('month', p_month::timestamp)::date;
    v_name text := 'audit_logs_' || to_char(v_starts_on, 'YYYY_MM');
    v_grantee name;
begin
    if v_name is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'p_month must be a day of the month, not null',
            hint = 'Give any day of the month, such as create_audit_partition(current_date).';
    elsif pg_partition_root(to_regclass(v_name)) = 'audit_logs'::regclass then
        return null;
    elsif to_regclass(v_name) is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('Table %s exists and is no partition of audit_logs', v_name),
            hint = 'Rename it, run ensure_audit_partitions(), and insert its entries into audit_logs.',
            table = v_name;
    end if;

    execute format('create table %I (like audit_logs including all)', v_name);
    execute format(
        'create trigger audit_logs_00_refuse_change before update or delete or truncate on %I for each statement '
            'when (current_setting(''evdb.audit_maintenance'', true) is distinct from ''on'') '
            'execute function refuse_audit_change()',
        v_name
    );
    execute format('alter table %I enable always trigger audit_logs_00_refuse_change', v_name);
    execute format('comment on trigger audit_logs_00_refuse_change on %I is %L', v_name, 'As in audit_logs.');
    execute format(
        'alter table audit_logs attach partition %I for values from (%L) to (%L)',
        v_name,
        to_char(v_starts_on, 'YYYY-MM-DD "00:00:00+00"'),
        to_char(v_starts_on + interval '1 month', 'YYYY-MM-DD "00:00:00+00"')
    );
    execute format(
        'comment on table %I is %L', v_name, format('Audit entries of %s (UTC).', to_char(v_starts_on, 'YYYY-MM'))
    );
    execute format(
        'comment on constraint %I on %I is %L', v_name || '_pkey', v_name, 'As in audit_logs.'
    );

    -- Default privileges may have handed out what only the parent should decide.
    execute format('revoke all on table %I from public', v_name);
    for v_grantee in
        select distinct pg_get_userbyid(a.grantee)
        from pg_class c
        cross join lateral aclexplode(c.relacl) a
        where c.oid = to_regclass(v_name) and a.grantee not in (0, c.relowner)
    loop
        execute format('revoke all on table %I from %I', v_name, v_grantee);
    end loop;

    -- A superuser made it: the owner of the log must be able to drop it.
    execute format(
        'alter table %I owner to %I',
        v_name, (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = 'audit_logs'::regclass)
    );
    return v_name;
end
$function$;
comment on function public.create_audit_partition(date) is 'Makes the partition of audit_logs for the month of p_month and returns its name; null where it exists. Locks audit_logs share update exclusive, which lets everybody read and write.';
revoke execute on function public.create_audit_partition(date) from public;

CREATE OR REPLACE FUNCTION public.delete_expired_audit_logs(days_to_keep integer, p_limit bigint DEFAULT NULL::bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
declare
    v_expiry timestamptz := find_audit_expiry(days_to_keep);
    v_from timestamptz;
    v_last record;
    v_deleted bigint;
    v_deleted_overflow bigint := 0::bigint;
begin
    perform check_audit_limit(p_limit, 'entries to delete');
    perform lock_audit_maintenance();

    -- What is before this is in partitions that will be dropped whole.
    select coalesce(max(p.ends_at), '-infinity') into v_from
    from list_audit_partitions() p
    where p.ends_at <= v_expiry;

    select a.created_at, a.id into v_last
    from audit_logs a
    where a.created_at >= v_from and a.created_at < v_expiry
    order by a.created_at, a.id
    offset p_limit - 1
    limit case when p_limit is not null then 1 else 0 end;

    perform set_config('evdb.audit_maintenance', 'on', true);
    delete from audit_logs a
    where a.created_at >= v_from
        and a.created_at < v_expiry
        and (v_last.id is null or (a.created_at, a.id) <= (v_last.created_at, v_last.id));
    get diagnostics v_deleted = row_count;

    if p_limit is null or v_deleted < p_limit then
        delete from audit_logs_overflow v
        using (
            select o.created_at, o.id
            from audit_logs_overflow o
            where o.created_at < v_expiry
            order by o.created_at, o.id
            limit p_limit - v_deleted
        ) x
        where v.created_at = x.created_at and v.id = x.id;
        get diagnostics v_deleted_overflow = row_count;
    end if;
    perform set_config('evdb.audit_maintenance', 'off', true);
    return v_deleted + v_deleted_overflow;
exception
    when lock_not_available then
        perform refuse_while_audit_log_is_busy('{audit_logs,audit_logs_overflow}');
        raise;
end
$function$;
comment on function public.delete_expired_audit_logs(integer,bigint) is 'Deletes what is older than days_to_keep days and cannot be dropped with a whole partition, the oldest first and p_limit entries at most (default all), and returns how many. For a client that commits batch by batch: call it until it returns 0, then drop_expired_audit_partitions. Waits for no lock longer than a second (55P03).';
revoke execute on function public.delete_expired_audit_logs(integer,bigint) from public;

CREATE OR REPLACE FUNCTION public.describe_audit_key(p_table regclass)
 RETURNS TABLE(key_columns text[], row_id text)
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select
        array_agg(a.attname::text order by k.position),
        case
            when count(*) > 1 then 'null::integer'
            else min(
                case
                    when t.base_type in ('int2'::regtype, 'int4'::regtype) then format('@.%I', a.attname)
                    when t.base_type = 'int8'::regtype then format(
                        'case when @.%1$I between -2147483648 and 2147483647 then @.%1$I::integer end', a.attname
                    )
                    else 'null::integer'
                end
            )
        end
    from pg_constraint c
    cross join unnest(c.conkey) with ordinality as k (attnum, position)
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum
    cross join lateral (
        select coalesce(nullif(y.typbasetype, 0), y.oid) as base_type
        from pg_type y
        where y.oid = a.atttypid
    ) t
    where c.conrelid = p_table and c.contype = 'p'
$function$;
comment on function public.describe_audit_key(regclass) is 'The columns of a primary key, and what row_id of an entry is for a row @: null where the key is not one integer, as it is in the images anyway.';
revoke execute on function public.describe_audit_key(regclass) from public;

CREATE OR REPLACE FUNCTION public.detach_audit(p_table regclass)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_table text := (select c.relname::text from pg_class c where c.oid = p_table);
    v_suffix text;
begin
    foreach v_suffix in array '{insert,update,delete,truncate}'::text[] loop
        execute format('drop trigger if exists %I on %s', v_table || '_90_audit_' || v_suffix, p_table);
    end loop;
    execute format('drop function if exists %I()', 'audit_changes_of_' || v_table);
    execute format('drop function if exists %I()', 'audit_updates_of_' || v_table);
end
$function$;
comment on function public.detach_audit(regclass) is 'Ends what attach_audit() began: changes of the table are no longer entered; entries stay. Locks the table exclusively; for the owner of the schema.';
revoke execute on function public.detach_audit(regclass) from public;

CREATE OR REPLACE FUNCTION public.drop_expired_audit_partitions(days_to_keep integer, p_limit integer DEFAULT NULL::integer)
 RETURNS TABLE(partition_name text, removed_rows bigint, freed_bytes bigint)
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
declare
    v_expiry timestamptz := find_audit_expiry(days_to_keep);
    v_partitions text[];
    v_rows bigint[];
    v_bytes bigint[];
    v_count bigint;
begin
    perform check_audit_limit(p_limit, 'partitions to drop');
    perform lock_audit_maintenance();

    select array_agg(e.partition_name order by e.starts_at) into v_partitions
    from (
        select p.partition_name, p.starts_at
        from list_audit_partitions() p
        where p.ends_at <= v_expiry
        order by p.starts_at
        limit p_limit
    ) e;

    if v_partitions is null then
        return;
    end if;

    -- Nobody writes to them from here on, so the numbers stay true until they are dropped.
    foreach partition_name in array v_partitions loop
        execute format('lock table %I in share mode', partition_name);
        execute format('select count(*) from %I', partition_name) into v_count;
        v_rows := v_rows || v_count;
        v_bytes := v_bytes || pg_total_relation_size(to_regclass(partition_name));
    end loop;

    -- Last, because dropping a partition locks all of audit_logs until the transaction ends.
    perform lock_audit_partitions(v_partitions);
    for i in 1..cardinality(v_partitions) loop
        execute format('drop table %I', v_partitions[i]);
        partition_name := v_partitions[i];
        removed_rows := v_rows[i];
        freed_bytes := v_bytes[i];
        return next;
    end loop;
exception
    when lock_not_available then
        perform refuse_while_audit_log_is_busy('{audit_logs}' || v_partitions);
end
$function$;
comment on function public.drop_expired_audit_partitions(integer,integer) is 'Drops the partitions that hold nothing but entries older than days_to_keep days, the oldest first and p_limit of them at most (default all), and returns what that removed. Commit at once: until then nobody reads or writes the audit log. Waits for no lock longer than a second (55P03).';
revoke execute on function public.drop_expired_audit_partitions(integer,integer) from public;

CREATE OR REPLACE FUNCTION public.ensure_audit_partitions(p_months_ahead integer DEFAULT 3)
 RETURNS TABLE(partition_name text, is_new boolean, moved_rows bigint)
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
declare
    v_month date;
    v_starts_at timestamptz;
    v_ends_at timestamptz;
begin
    if p_months_ahead is null or p_months_ahead not between 0 and 120 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_months_ahead must be between 0 and 120, not %s', coalesce(p_months_ahead::text, 'null')),
            hint = 'Give the number of months after the current one, such as ensure_audit_partitions(3).';
    end if;

    -- Called often and mostly in vain: that must not queue behind anybody.
    perform
    from generate_series(0, p_months_ahead) n
    where pg_partition_root(to_regclass(to_char(
            date_trunc('month', now() at time zone 'UTC') + make_interval(months => n), '"audit_logs_"YYYY_MM'
        ))) is distinct from 'audit_logs'::regclass
        or exists (select from audit_logs_overflow);
    if not found then
        return;
    end if;

    perform lock_audit_maintenance();
    -- Attaching takes this lock anyway. Before looking for partitions it also makes sure that those are seen
    -- which somebody made while this session waited.
    lock table only audit_logs in share update exclusive mode;

    for v_month in
        select m.at::date
        from generate_series(0, p_months_ahead) n
        cross join lateral (
            select date_trunc('month', now() at time zone 'UTC') + make_interval(months => n) as at
        ) m
        union
        select date_trunc('month', v.created_at at time zone 'UTC')::date
        from audit_logs_overflow v
        order by 1
    loop
        v_starts_at := v_month::timestamp at time zone 'UTC';
        v_ends_at := (v_month + interval '1 month') at time zone 'UTC';
        partition_name := 'audit_logs_' || to_char(v_month, 'YYYY_MM');
        is_new := create_audit_partition(v_month) is not null;

        perform set_config('evdb.audit_maintenance', 'on', true);
        with moved as (
            delete from audit_logs_overflow v
            where v.created_at >= v_starts_at and v.created_at < v_ends_at
            returning v.*
        )
        insert into audit_logs
        select m.* from moved m;
        get diagnostics moved_rows = row_count;
        perform set_config('evdb.audit_maintenance', 'off', true);

        if is_new or moved_rows > 0 then
            return next;
        end if;
    end loop;
exception
    when lock_not_available then
        perform refuse_while_audit_log_is_busy('{audit_logs,audit_logs_overflow}');
end
$function$;
comment on function public.ensure_audit_partitions(integer) is 'Makes the partitions of this month and of p_months_ahead (default 3) after it where they are missing, moves what is in audit_logs_overflow to where it belongs, and returns what it did; nothing where nothing was to do. Waits for no lock longer than a second (55P03).';
revoke execute on function public.ensure_audit_partitions(integer) from public;

CREATE OR REPLACE FUNCTION public.enter_gate()
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    return pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 0) is null;
end
$function$;
comment on function public.enter_gate() is 'Lets a call that will change registrations wait for deletions of events and users before it holds anything that these want. The first lock of every such call.';
revoke execute on function public.enter_gate() from public;

CREATE OR REPLACE FUNCTION public.enter_queue(p_event_id integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    -- Modulo, so that a statement on every event does not fill the lock table.
    return pg_advisory_xact_lock('events'::regclass::oid::integer, 1 + p_event_id % 1024) is null;
end
$function$;
comment on function public.enter_queue(integer) is 'Waits until it is the turn of this transaction to lock the event''s row: a crowd on one event would all wake up for each change of it. Entered for the first event of a statement only.';
revoke execute on function public.enter_queue(integer) from public;

CREATE OR REPLACE FUNCTION public.enter_registration_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_ignored boolean;
begin
    -- enter_gate() spelt out, because whoever may write registrations need not be granted it.
    v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 0) is null;
    return null;
end
$function$;
comment on function public.enter_registration_gate() is 'Trigger: lets a statement on registrations wait for deletions of events and users before it holds anything that these want.';
revoke execute on function public.enter_registration_gate() from public;

CREATE OR REPLACE FUNCTION public.event_search_document(p_title text, p_location text, p_description text)
 RETURNS tsvector
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'public', 'pg_temp'
 SET client_min_messages TO 'warning'
AS $function$
    -- A slash makes PostgreSQL take "jazz/rock" for a path, one word; that of a closing tag has to stay.
    -- A document has to stay below 1 MB whatever is in it, and its positions end at 16383 anyway.
    select setweight(to_tsvector('event_search', regexp_replace(coalesce(p_title, ''), '(?<!<)/', ' ', 'g')), 'A')
        || setweight(to_tsvector('event_search', regexp_replace(coalesce(p_location, ''), '(?<!<)/', ' ', 'g')), 'B')
        || setweight(
            to_tsvector('event_search', regexp_replace(left(coalesce(p_description, ''), 50000), '(?<!<)/', ' ', 'g')),
            'D'
        )
$function$;
comment on function public.event_search_document(text,text,text) is 'What an event is found by: title (weight A), location (B) and the first 50,000 characters of the description (D).';
revoke execute on function public.event_search_document(text,text,text) from public;

CREATE OR REPLACE FUNCTION public.event_search_query(p_text text, p_weight text DEFAULT NULL::text)
 RETURNS tsquery
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'public', 'pg_temp'
 SET client_min_messages TO 'warning'
AS $function$
declare
    v_query tsquery;
    v_terms text;
begin
    if p_text !~ '\S' then
        return null;
    end if;
    -- More than 30 minus signs that nothing follows would overflow a stack of the parser.
    v_query := websearch_to_tsquery(
        'event_search',
        regexp_replace(replace(left(p_text, 1000), '/', ' '), '-(?=[\s!#-/:-@\[-`{-~]|$)', ' ', 'g')
    );
    if numnode(v_query) = 0 then
        return v_query;
    end if;

    -- websearch syntax has neither weights nor prefixes: both are added to its terms, 'term':B*.
    v_terms := v_query::text;
    if p_weight is not null then
        v_terms := regexp_replace(v_terms, '''([^''\\]|''''|\\\\)*''', '\&:' || p_weight, 'g');
    end if;
    if left(p_text, 1000) ~ '[^\s*"]\*["\s]*$' then
        v_terms := regexp_replace(
            v_terms, '([ )]*)$', case when p_weight is null then ':*\1' else '*\1' end
        );
    end if;
    return v_terms::tsquery;
end
$function$;
comment on function public.event_search_query(text,text) is 'What people type as a query: words all have to be there, "quoted" ones in this order, or between alternatives, - before what must not be there, and * after the last word for what begins with it. Only the first 1,000 characters count. With a weight (A title, B location, D description) the words have to be there. Null for a blank text, an empty query for one without a word; it never raises an error.';
revoke execute on function public.event_search_query(text,text) from public;

CREATE OR REPLACE FUNCTION public.expire_holds(p_event_id integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
declare
    v_ids integer[] := array(
        select r.id
        from registrations r
        where r.event_id = p_event_id
            and r.status = 'pending'
            and r.hold_expires_at <= clock_timestamp()
        for no key update skip locked
    );
begin
    if cardinality(v_ids) > 0 then
        update registrations r
        set status = 'cancelled'
        where r.id = any (v_ids);
    end if;
    return cardinality(v_ids);
end
$function$;
comment on function public.expire_holds(integer) is 'Cancels the expired holds of an event, which gives their seats to the first waiters, and returns how many there were. The caller has locked the event''s row.';
revoke execute on function public.expire_holds(integer) from public;

CREATE OR REPLACE FUNCTION public.fill_changed_event()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    if new.is_active
        and (new.capacity > old.capacity or not old.is_active or new.date_time > old.date_time)
        and expire_holds(new.id) = 0
    then
        perform promote_waitlist(new.id);
    end if;
    return null;
end
$function$;
comment on function public.fill_changed_event() is 'Trigger: gives the seats of an event that grew, opened again or was put off to the first waiters. Runs as the owner of the schema, because whoever may change events need not be allowed to change registrations.';
revoke execute on function public.fill_changed_event() from public;

CREATE OR REPLACE FUNCTION public.fill_events_of_user()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
declare
    v_event_id integer;
begin
    if new.is_active and not old.is_active then
        for v_event_id in
            select r.event_id
            from registrations r
            where r.user_id = new.id and r.status = 'waitlist'
            order by r.event_id
        loop
            -- Whoever is busy with an event settles it anyway; waiting here, with others locked, could deadlock.
            perform 1 from events e where e.id = v_event_id for no key update skip locked;
            if found then
                perform promote_waitlist(v_event_id);
            end if;
        end loop;
    end if;
    return null;
end
$function$;
comment on function public.fill_events_of_user() is 'Trigger: a user who is active again gets the seats that he was passed over for and that are free. Runs as the owner of the schema, because whoever may change users need not be allowed to change registrations.';
revoke execute on function public.fill_events_of_user() from public;

CREATE OR REPLACE FUNCTION public.find_audit_expiry(days_to_keep integer)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    if days_to_keep is null or days_to_keep < 0 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('days_to_keep must be zero or more, not %s', coalesce(days_to_keep::text, 'null')),
            hint = 'Give the number of days whose entries stay, such as cleanup_audit_logs(90).';
    end if;
    -- In hours, because a day of the session's time zone may have 23. Bounded, because further back than
    -- the calendar reaches is an error and nothing is that old.
    return now() - make_interval(hours => 24 * least(days_to_keep, 1000000));
end
$function$;
comment on function public.find_audit_expiry(integer) is 'Entries from before this moment are older than days_to_keep days of 24 hours. With 0 that is the start of the transaction, so what it wrote itself stays. Refuses null and negative numbers (22023).';
revoke execute on function public.find_audit_expiry(integer) from public;

CREATE OR REPLACE FUNCTION public.find_event_search_matches(p_terms tsquery, p_query tsquery, p_start_time timestamp with time zone, p_start_id integer, p_end_time timestamp with time zone, p_end_id integer, p_until timestamp with time zone, p_only_active boolean, p_only_free boolean, p_limit integer, OUT ids integer[], OUT date_times timestamp with time zone[], OUT points integer[])
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
 SET random_page_cost TO '1.1'
 SET effective_cache_size TO '1MB'
 SET cpu_index_tuple_cost TO '0.02'
 SET max_parallel_workers_per_gather TO '0'
 SET jit TO 'off'
AS $function$
begin
    select array_agg(m.id), array_agg(m.date_time), array_agg(m.points)
    into ids, date_times, points
    from (
        select d.event_id as id, d.date_time,
            case when p_query is null then 0 else round(ts_rank(d.document, p_query, 1) * 1000000)::integer end
                as points
        from event_search_documents d
        where d.document @@ p_terms
            -- One lower bound: given two, an index scan may begin at the earlier one.
            and (d.date_time, d.event_id) > (p_start_time, p_start_id)
            and (p_end_time is null or (d.date_time, d.event_id) <= (p_end_time, p_end_id))
            and (p_until is null or d.date_time < p_until)
            and (d.is_active or not p_only_active)
            and (
                not p_only_free
                or (
                    select e.current_registrations + e.held_seats < e.capacity
                        or (
                            e.held_seats > 0
                            and e.current_registrations + e.held_seats - count_expired_holds(e.id) < e.capacity
                        )
                    from events e
                    where e.id = d.event_id
                )
            )
        order by d.date_time, d.event_id
        limit case when p_end_time is null then p_limit end
    ) m;
end
$function$;
comment on function public.find_event_search_matches(tsquery,tsquery,timestamp with time zone,integer,timestamp with time zone,integer,timestamp with time zone,boolean,boolean,integer) is 'What search_events() ranks: the soonest matches behind a place and up to another, with their points; without an end p_limit of them.';
revoke execute on function public.find_event_search_matches(tsquery,tsquery,timestamp with time zone,integer,timestamp with time zone,integer,timestamp with time zone,boolean,boolean,integer) from public;

CREATE OR REPLACE FUNCTION public.get_duplicate_indexes()
 RETURNS TABLE(schemaname text, tablename text, indexname text, index_size text, index_size_bytes bigint, kept_index text, kind text, reason text)
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    with candidates as materialized (
        select
            i.indexrelid,
            i.indrelid,
            c.relname,
            c.relpages,
            c.reloptions,
            a.amname,
            i.indkey::smallint[] as all_columns,
            (i.indkey::smallint[])[i.indnkeyatts:] as included,
            -- All that makes a column of an index. The family instead of the operator class, because
            -- some classes are two names for one thing (varchar_ops is text_ops).
            array(
                select concat_ws(
                    ' ', i.indkey[k], o.opcfamily, o.opcintype, i.indcollation[k], i.indoption[k], t.attoptions::text
                )
                from generate_series(0, i.indnkeyatts - 1) k
                join pg_opclass o on o.oid = i.indclass[k]
                join pg_attribute t on t.attrelid = i.indexrelid and t.attnum = k + 1
                order by k
            ) as columns,
            -- As stored, without where in which statement it stood.
            regexp_replace(i.indexprs::text, ' :location -?[0-9]+', '', 'g') as expressions,
            regexp_replace(i.indpred::text, ' :location -?[0-9]+', '', 'g') as predicate,
            i.indisunique,
            i.indimmediate,
            -- The column is there from PostgreSQL 15 on.
            coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) as nulls_are_equal,
            i.indisclustered,
            c.relispartition as is_part,
            i.indisreplident,
            exists (
                select
                from pg_constraint f
                where f.conindid = i.indexrelid
            ) as backs_constraint
        from pg_namespace n
        join pg_class c on c.relnamespace = n.oid
        join pg_index i on i.indexrelid = c.oid
        join pg_am a on a.oid = c.relam
        where n.nspname = current_schema()
            and i.indisvalid
            and i.indisready
            and i.indislive
    ),
    ranked as (
        -- Of two that are the same, the one that has to stay, else the one that orders the table, else
        -- the older one.
        select c.*,
            c.backs_constraint or c.indisreplident or c.is_part as has_to_stay,
            row_number() over (
                order by c.backs_constraint or c.indisreplident or c.is_part desc, c.indisclustered desc, c.indexrelid
            ) as precedence
        from candidates c
    ),
    covered as (
        select
            x.indexrelid as index_oid,
            y.indexrelid as by_oid,
            x.has_to_stay,
            x.precedence,
            y.precedence as by_precedence,
            x.columns = y.columns and x.included <@ y.included and y.included <@ x.included as are_the_same
        from ranked x
        join ranked y
            on y.indrelid = x.indrelid
            and y.indexrelid <> x.indexrelid
            and y.amname = x.amname
            -- Only a B-tree is searched by its first columns as well as a narrower one.
            and case x.amname
                when 'btree' then y.columns[1:cardinality(x.columns)] = x.columns
                else y.columns = x.columns and y.reloptions is not distinct from x.reloptions
            end
            and x.included <@ y.all_columns
            and x.predicate is not distinct from y.predicate
            and (
                x.expressions is null
                or x.expressions = y.expressions
                -- Lists of expressions, (a b) and (a b c): the same, up to the closing bracket.
                or (
                    starts_with(y.expressions, left(x.expressions, -1))
                    and substr(y.expressions, length(x.expressions), 1) = ' '
                )
            )
            -- What is unique without being a constraint is replaced by what is as strict.
            and (
                not x.indisunique
                or (
                    y.indisunique
                    and y.columns = x.columns
                    and y.nulls_are_equal = x.nulls_are_equal
                    and y.indimmediate >= x.indimmediate
                )
            )
    ),
    replaced as (
        select c.index_oid, c.by_oid, c.are_the_same
        from covered c
        where not c.has_to_stay
            and (
                c.by_precedence < c.precedence
                or not exists (select from covered b where b.index_oid = c.by_oid and b.by_oid = c.index_oid)
            )
    ),
    -- Covering is transitive, so something that stays covers everything that can go. An equal is named first,
    -- also where it can go too: two equals are never both wanted, a narrower one may be.
    pairs as (
        select distinct on (c.index_oid) c.index_oid, c.by_oid, c.are_the_same
        from replaced c
        join ranked y on y.indexrelid = c.by_oid
        where c.are_the_same or c.by_oid not in (select o.index_oid from replaced o)
        order by c.index_oid, c.are_the_same desc, y.has_to_stay desc, y.relpages, y.precedence
    )
    select
        u.schemaname,
        u.tablename,
        u.indexname,
        u.index_size,
        u.index_size_bytes,
        y.relname::text,
        case when p.are_the_same then 'duplicate' else 'prefix' end,
        concat(
            case
                when p.are_the_same then format('%I has the same columns in the same order', y.relname)
                when x.columns = y.columns then format('%I has the same columns and includes more', y.relname)
                else format('%I begins with the same columns and serves the same searches', y.relname)
            end,
            case
                when y.backs_constraint then ', and a constraint needs it'
                when y.indisreplident then ', and replication needs it'
                when y.is_part then ', and belongs to an index of the whole table'
                when y.indisunique and not x.indisunique then ', and is unique'
            end
        )
    from pairs p
    join ranked x on x.indexrelid = p.index_oid
    join ranked y on y.indexrelid = p.by_oid
    join get_index_usage_stats() u on u.indexname = x.relname
    order by u.index_size_bytes desc, u.tablename, u.indexname
$function$;
comment on function public.get_duplicate_indexes() is 'Indexes of this schema that can go because kept_index does all they do, the largest first. kind: duplicate (the same columns) or prefix (kept_index has more). The same means columns, operator classes, collations, order, expressions, predicate, included columns and access method. What enforces a constraint, what a foreign key refers to, the replica identity and a part of a partitioned index are never named. A kept index with more columns is larger, so a prefix may still be the faster one to read. Everything named can go at once; the kept index of a duplicate may be a prefix itself.';
revoke execute on function public.get_duplicate_indexes() from public;

CREATE OR REPLACE FUNCTION public.get_event_registration_stats(p_event_id integer)
 RETURNS json
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_stats json;
begin
    select json_build_object(
        'event_id', e.id,
        'title', e.title,
        'date_time', e.date_time,
        'capacity', e.capacity,
        'current_registrations', e.current_registrations,
        'confirmed_registrations', r.confirmed,
        'waitlist_registrations', r.waitlist,
        'pending_registrations', r.pending,
        'cancelled_registrations', r.cancelled,
        'total_registrations', r.total,
        'held_seats', r.held,
        'available_spots', greatest(e.capacity - e.current_registrations - r.held, 0),
        'is_full', e.current_registrations + r.held >= e.capacity,
        'is_active', e.is_active
    )
    into v_stats
    from events e
    cross join lateral (
        select
            count(*) filter (where g.status = 'confirmed') as confirmed,
            count(*) filter (where g.status = 'waitlist') as waitlist,
            count(*) filter (where g.status = 'pending') as pending,
            -- A seat whose hold has expired is there for whoever asks for it.
            count(*) filter (where g.status = 'pending' and g.hold_expires_at > now()) as held,
            count(*) filter (where g.status = 'cancelled') as cancelled,
            count(*) as total
        from registrations g
        where g.event_id = e.id
    ) r
    where e.id = p_event_id;

    if v_stats is null then
        raise exception using
            errcode = 'P0001',
            message = 'Event not found',
            detail = format('There is no event %s.', p_event_id),
            hint = 'Check the id.';
    end if;
    return v_stats;
end
$function$;
comment on function public.get_event_registration_stats(integer) is 'Seats and registrations of one event as JSON: event_id, title, date_time, capacity, current_registrations, confirmed_, waitlist_, pending_, cancelled_ and total_registrations, held_seats, available_spots, is_full, is_active. Raises P0001 for an event that does not exist. Seats whose hold has expired count as available.';
revoke execute on function public.get_event_registration_stats(integer) from public;

CREATE OR REPLACE FUNCTION public.get_index_usage_stats()
 RETURNS TABLE(schemaname text, tablename text, indexname text, idx_scan bigint, idx_tup_read bigint, idx_tup_fetch bigint, usage_ratio numeric, index_size text, index_size_bytes bigint, is_unique boolean, enforces_constraint boolean, supports_foreign_key boolean, is_valid boolean, last_idx_scan timestamp with time zone, stats_since timestamp with time zone, table_scans bigint, table_writes bigint)
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
    with recursive listed as (
        select i.*, i.xmin as made_by, n.nspname, c.relname, t.relname as table_name
        from pg_namespace n
        join pg_class c on c.relnamespace = n.oid
        join pg_index i on i.indexrelid = c.oid
        join pg_class t on t.oid = i.indrelid
        where n.nspname = current_schema()
            -- The parts of a partitioned index count for the whole, in whatever schema they are.
            and not c.relispartition
    ),
    -- From the catalog, because pg_partition_tree() waits for whoever holds a part exclusively.
    parts (whole, part) as (
        select l.indexrelid, l.indexrelid from listed l
        union
        select l.indrelid, l.indrelid from listed l
        union all
        select p.whole, h.inhrelid
        from parts p
        join pg_inherits h on h.inhparent = p.part
        join pg_class c on c.oid = h.inhrelid and c.relispartition
    ),
    -- The functions that tell a size wait for whoever holds the index exclusively: estimate instead.
    held as materialized (
        select l.relation
        from pg_locks l
        where l.locktype = 'relation'
            and l.mode = 'AccessExclusiveLock'
            and l.database = (select d.oid from pg_database d where d.datname = current_database())
            and l.pid is distinct from pg_backend_pid()
    ),
    used as (
        select
            p.whole as index_oid,
            coalesce(sum(s.idx_scan), 0)::bigint as idx_scan,
            coalesce(sum(s.idx_tup_read), 0)::bigint as idx_tup_read,
            coalesce(sum(s.idx_tup_fetch), 0)::bigint as idx_tup_fetch,
            -- The column is there from PostgreSQL 16 on.
            max((to_jsonb(s) ->> 'last_idx_scan')::timestamptz) as last_idx_scan,
            bool_and(i.indisvalid) as is_valid,
            coalesce(sum(
                case
                    when c.relkind = 'I' then 0
                    when c.oid in (select h.relation from held h)
                    then c.relpages * current_setting('block_size')::bigint
                    else pg_relation_size(c.oid)
                end
            ), 0)::bigint as size_bytes
        from parts p
        join pg_class c on c.oid = p.part
        join pg_index i on i.indexrelid = p.part
        left join pg_stat_all_indexes s on s.indexrelid = p.part
        group by p.whole
    ),
    read as (
        select
            p.whole as table_oid,
            sum(
                pg_stat_get_numscans(p.part)
                + (
                    select coalesce(sum(pg_stat_get_numscans(i.indexrelid)), 0)
                    from pg_index i
                    where i.indrelid = p.part
                )
            )::bigint as scans,
            sum(
                pg_stat_get_tuples_inserted(p.part)
                + pg_stat_get_tuples_updated(p.part)
                + pg_stat_get_tuples_deleted(p.part)
            )::bigint as writes
        from parts p
        where p.whole in (select l.indrelid from listed l)
        group by p.whole
    )
    select
        l.nspname::text,
        l.table_name::text,
        l.relname::text,
        u.idx_scan,
        u.idx_tup_read,
        u.idx_tup_fetch,
        round(u.idx_scan / nullif(r.scans, 0)::numeric, 4),
        pg_size_pretty(u.size_bytes),
        u.size_bytes,
        l.indisunique,
        l.indisprimary or l.indisunique or l.indisexclusion or l.indisreplident,
        exists (
            select
            from pg_constraint f
            where f.contype = 'f'
                and f.conrelid = l.indrelid
                -- In any order, as all of them are compared; what is only included is not searched.
                and cardinality(f.conkey) <= l.indnkeyatts
                and f.conkey <@ (l.indkey::smallint[])[0:cardinality(f.conkey) - 1]
                -- A partial index serves the key where all that it leaves out is null: not null on one
                -- of the columns (nulltesttype 1), read as stored, because pg_get_expr() takes a lock.
                and (
                    l.indpred is null
                    or substring(
                        l.indpred::text
                        from '^[{]NULLTEST :arg [{]VAR :varno 1 :varattno ([0-9]+) [^{}]*[}] :nulltesttype 1 [^{}]*[}]$'
                    )::smallint = any (f.conkey)
                )
        )
        and u.is_valid
        and a.amname in ('btree', 'hash'),
        u.is_valid,
        u.last_idx_scan,
        greatest(
            -- After a crash the counters start at zero and the database's own reset time is null.
            coalesce(
                (select d.stats_reset from pg_stat_database d where d.datname = current_database()),
                (select b.stats_reset from pg_stat_bgwriter b),
                pg_postmaster_start_time()
            ),
            -- When the index was made is known only where the server keeps the times of commits.
            case
                when current_setting('track_commit_timestamp')::boolean
                then pg_xact_commit_timestamp(l.made_by)
            end
        ),
        r.scans,
        r.writes
    from listed l
    join used u on u.index_oid = l.indexrelid
    join read r on r.table_oid = l.indrelid
    join pg_class ic on ic.oid = l.indexrelid
    join pg_am a on a.oid = ic.relam
    order by u.idx_scan desc, l.table_name, l.relname
$function$;
comment on function public.get_index_usage_stats() is 'Every index of this schema with its scans since stats_since, on this server only (replicas count for themselves). usage_ratio is the share of all scans of its table that used this index, 0 to 1, and null where the table was never scanned. last_idx_scan is null before PostgreSQL 16. stats_since: the counters began no earlier; those of a younger index or database began with it, which the server knows only with track_commit_timestamp. table_scans and table_writes (rows inserted, updated, deleted) say how much happened since. enforces_constraint (or identifies rows for replication): enforcing it counts no scan. supports_foreign_key: without it a delete or a new key in the other table reads this whole table. Partitioned indexes are summed up; the size of an index that somebody holds exclusively is an estimate.';
revoke execute on function public.get_index_usage_stats() from public;

CREATE OR REPLACE FUNCTION public.get_unused_indexes()
 RETURNS TABLE(schemaname text, tablename text, indexname text, index_size text, index_size_bytes bigint, idx_scan bigint, stats_since timestamp with time zone, stats_age interval, table_scans bigint, table_writes bigint, caveat text)
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select
        u.schemaname,
        u.tablename,
        u.indexname,
        u.index_size,
        u.index_size_bytes,
        u.idx_scan,
        u.stats_since,
        clock_timestamp() - u.stats_since,
        u.table_scans,
        u.table_writes,
        nullif(concat_ws(
            '; ',
            case when u.table_scans = 0 then 'nobody has read the table since: this says nothing yet' end,
            case
                when i.indexprs is not null
                then 'the planner uses statistics on its expressions without scanning it'
            end,
            case when i.indisclustered then 'cluster orders the table by it' end
        ), '')
    from get_index_usage_stats() u
    join pg_namespace n on n.nspname = u.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = u.indexname
    join pg_index i on i.indexrelid = c.oid
    where u.idx_scan = 0
        and u.is_valid
        and not u.enforces_constraint
        and not u.supports_foreign_key
    order by u.index_size_bytes desc, u.tablename, u.indexname
$function$;
comment on function public.get_unused_indexes() is 'Indexes of this schema without a scan since stats_since, the largest first. Leaves out what enforces a constraint, identifies rows for replication or supports a foreign key, which are needed without being scanned, and what is invalid, which nobody can scan (see get_index_usage_stats). Weigh stats_age, table_scans (what else was read meanwhile), table_writes (what keeping it cost) and caveat, and ask every replica, before dropping one.';
revoke execute on function public.get_unused_indexes() from public;

CREATE OR REPLACE FUNCTION public.get_waitlist_position(p_user_id integer, p_event_id integer)
 RETURNS integer
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select (
        select count(*)::integer
        from registrations w
        where w.event_id = p_event_id
            and w.status = 'waitlist'
            and (w.registered_at, w.id) <= (r.registered_at, r.id)
    )
    from registrations r
    where r.user_id = p_user_id
        and r.event_id = p_event_id
        and r.status = 'waitlist'
$function$;
comment on function public.get_waitlist_position(integer,integer) is 'Place of a user in the queue for an event, 1 for whoever is next; null for who does not wait.';
revoke execute on function public.get_waitlist_position(integer,integer) from public;

CREATE OR REPLACE FUNCTION public.grant_access(p_role name, p_accesses text[])
 RETURNS SETOF text
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$;
comment on function public.grant_access(name,text[]) is 'Gives a role exactly the rights that list_access_rights() names for some accesses, and returns the statements that did it.';
revoke execute on function public.grant_access(name,text[]) from public;

CREATE OR REPLACE FUNCTION public.grant_application_access(p_role name)
 RETURNS SETOF text
 LANGUAGE sql
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select grant_access(p_role, '{application}')
$function$;
comment on function public.grant_application_access(name) is 'Lets a role do what an application does, and nothing else: read users, events and registrations, add and change users and events, register through functions and directly, search, look at statistics. It can neither write the counters, nor read or touch the audit log, nor delete users and events, nor run repairs and cleanups. Run by the owner of the tables, again after a migration that adds columns. Returns the statements that did it.';
revoke execute on function public.grant_application_access(name) from public;

CREATE OR REPLACE FUNCTION public.grant_read_only_access(p_role name, p_with_audit boolean DEFAULT false)
 RETURNS SETOF text
 LANGUAGE sql
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select grant_access(p_role, case when p_with_audit then '{read-only,audit}' else '{read-only}' end::text[])
$function$;
comment on function public.grant_read_only_access(name,boolean) is 'Lets a role read everything but password hashes and other secrets, search, look at statistics and check the business rules; with p_with_audit also read the audit log, which keeps the e-mail addresses of deleted accounts. Run by the owner of the tables, again after a migration that adds columns. Returns the statements that did it.';
revoke execute on function public.grant_read_only_access(name,boolean) from public;

CREATE OR REPLACE FUNCTION public.is_registration_refusal(p_constraint text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select p_constraint in (
        'registrations_event_has_seats',
        'registrations_event_is_active',
        'registrations_event_is_upcoming',
        'registrations_user_is_active'
    )
$function$;
comment on function public.is_registration_refusal(text) is 'Whether a constraint name is one of those that refuse_registrations() raises and that a call answers instead of passing them on.';
revoke execute on function public.is_registration_refusal(text) from public;

CREATE OR REPLACE FUNCTION public.keep_event_search_documents()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    if tg_op = 'INSERT' then
        insert into event_search_documents (event_id, date_time, is_active, document)
        select n.id, n.date_time, n.is_active, event_search_document(n.title, n.location, n.description)
        from new_rows n;
    elsif (new.title, new.location, new.description) is distinct from (old.title, old.location, old.description) then
        update event_search_documents d
        set date_time = new.date_time,
            is_active = new.is_active,
            document = event_search_document(new.title, new.location, new.description)
        where d.event_id = new.id;
    elsif (new.date_time, new.is_active) is distinct from (old.date_time, old.is_active) then
        update event_search_documents d
        set date_time = new.date_time,
            is_active = new.is_active
        where d.event_id = new.id;
    end if;
    return null;
end
$function$;
comment on function public.keep_event_search_documents() is 'Trigger: makes and remakes the documents of events.';
revoke execute on function public.keep_event_search_documents() from public;

CREATE OR REPLACE FUNCTION public.keep_registration_status()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    if (old.status = 'confirmed' and new.status not in ('confirmed', 'cancelled'))
        or (old.status = 'pending' and new.status = 'waitlist')
    then
        raise exception using
            errcode = 'check_violation',
            message = format('Registration %s cannot go from %s to %s', new.id, old.status, new.status),
            hint = 'Cancel it first; a cancelled registration can come back with any status.',
            table = 'registrations',
            column = 'status',
            constraint = 'registrations_status_may_follow';
    end if;

    if new.status <> 'pending' then
        new.hold_expires_at := null;
    elsif new.hold_expires_at is null then
        new.hold_expires_at := clock_timestamp() + interval '15 minutes';
    elsif not isfinite(new.hold_expires_at) then
        raise exception using
            errcode = 'check_violation',
            message = format('Registration %s cannot hold its seat until %s', new.id, new.hold_expires_at),
            hint = 'Give hold_expires_at a time, or leave it out for 15 minutes.',
            table = 'registrations',
            column = 'hold_expires_at',
            constraint = 'registrations_hold_ends';
    end if;
    return new;
end
$function$;
comment on function public.keep_registration_status() is 'Trigger: which status may follow which, and that exactly the pending registrations hold a seat until a time, 15 minutes ahead unless said otherwise and never for ever.';
revoke execute on function public.keep_registration_status() from public;

CREATE OR REPLACE FUNCTION public.keep_timestamps()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    new.created_at := old.created_at;
    new.updated_at := old.updated_at;
    return new;
end
$function$;
comment on function public.keep_timestamps() is 'Trigger: nobody changes created_at, and updated_at changes on its own where another value does.';
revoke execute on function public.keep_timestamps() from public;

CREATE OR REPLACE FUNCTION public.list_access_rights(p_access text)
 RETURNS TABLE(object_kind text, object_name text, privilege text, left_out text[])
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$;
comment on function public.list_access_rights(text) is 'What a role with some access (application, read-only or audit) is granted; left_out are the columns that it is not granted.';
revoke execute on function public.list_access_rights(text) from public;

CREATE OR REPLACE FUNCTION public.list_audit_arguments(p_table regclass, p_argument text)
 RETURNS text[]
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    -- The server keeps them as bytes, each with a zero byte behind it, which no text can hold.
    select coalesce(array_agg(substr(v.value, length(p_argument) + 2)), '{}')
    from pg_trigger t
    join pg_class c on c.oid = t.tgrelid
    cross join unnest(string_to_array(regexp_replace(encode(t.tgargs, 'hex'), '(..)', '\1 ', 'g'), '00 ')) as b (bytes)
    cross join lateral (
        select convert_from(decode(replace(b.bytes, ' ', ''), 'hex'), getdatabaseencoding())
    ) as v (value)
    where t.tgrelid = p_table
        and t.tgname = c.relname || '_90_audit_insert'
        and starts_with(v.value, p_argument || '=')
$function$;
comment on function public.list_audit_arguments(regclass,text) is 'The columns that attach_audit() was given as an argument, redacted or left_out; they are the arguments of the trigger for inserts.';
revoke execute on function public.list_audit_arguments(regclass,text) from public;

CREATE OR REPLACE FUNCTION public.list_audit_partitions()
 RETURNS TABLE(partition_name text, starts_at timestamp with time zone, ends_at timestamp with time zone)
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO, YMD'
AS $function$
    select
        c.relname::text,
        coalesce(substring(b.bounds from 'FROM \(''([^'']+)''\)')::timestamptz, '-infinity') as starts_at,
        coalesce(substring(b.bounds from 'TO \(''([^'']+)''\)')::timestamptz, 'infinity')
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    cross join lateral (select pg_get_expr(c.relpartbound, c.oid) as bounds) b
    where i.inhparent = 'audit_logs'::regclass
        and not i.inhdetachpending
    order by starts_at
$function$;
comment on function public.list_audit_partitions() is 'The partitions of audit_logs in order of time: entries from starts_at until before ends_at.';
revoke execute on function public.list_audit_partitions() from public;

CREATE OR REPLACE FUNCTION public.list_business_rules()
 RETURNS TABLE(rule_name text, severity text, description text, repair text)
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    values
        ('registration_count_mismatch', 'error',
            'events.current_registrations differs from the number of confirmed registrations; ids of events',
            'select * from repair_registration_counts()'),
        ('held_seats_mismatch', 'error',
            'events.held_seats differs from the number of pending registrations; ids of events',
            'select * from repair_registration_counts()'),
        ('capacity_exceeded', 'error',
            'more confirmed and pending registrations than seats: raise the capacity, or cancel registrations; ids of events',
            null),
        ('duplicate_registrations', 'error',
            'a user registered more than once for an event; ids of the surplus registrations',
            null),
        ('unknown_status', 'error',
            'a status that is none of confirmed, cancelled, waitlist, pending; ids of registrations',
            null),
        ('impossible_hold', 'error',
            'a pending registration without an end of its hold, or another one with it; ids of registrations',
            'select repair_registration_holds()'),
        ('registrations_without_event', 'error',
            'registrations for events that do not exist; ids of registrations',
            null),
        ('registrations_without_user', 'error',
            'registrations of users that do not exist; ids of registrations',
            null),
        ('events_without_creator', 'error',
            'events created by users that do not exist; ids of events',
            null),
        ('disabled_triggers', 'error',
            'triggers that keep these rules are switched off, or, on the audit log, can be',
            null),
        ('missing_guards', 'error',
            'triggers, constraints or unique indexes that keep these rules are gone',
            null),
        ('unvalidated_constraints', 'error',
            'constraints that rows from before them may break',
            null),
        ('invalid_indexes', 'warning',
            'indexes that were only half built: they cost every write and serve no query',
            null),
        ('registrations_of_inactive_users', 'warning',
            'seats at upcoming events taken by inactive users; ids of registrations',
            null),
        ('events_of_inactive_creators', 'warning',
            'upcoming events whose creator is inactive; ids of events',
            null),
        ('seats_free_while_waiting', 'warning',
            'upcoming events with free seats and people waiting for them; ids of events',
            'select repair_waitlists()'),
        ('waitlist_overtaken', 'warning',
            'people wait for an upcoming event at which somebody who came later is confirmed; ids of the waiting registrations',
            null),
        ('expired_holds', 'warning',
            'holds that have expired and keep their seats until the next call for their event; ids of registrations',
            'select release_expired_holds()'),
        ('missing_audit_partition', 'warning',
            'audit_logs has no partition for this month or the next: entries go to audit_logs_overflow',
            'select * from ensure_audit_partitions()'),
        ('audit_overflow', 'warning',
            'entries of the audit log wait in audit_logs_overflow for their partition',
            'select * from ensure_audit_partitions()'),
        ('stale_search_documents', 'warning',
            'events that the search does not know or knows with another date; ids of events',
            'select refresh_event_search()')
$function$;
comment on function public.list_business_rules() is 'The rules that validate_business_rules() looks after: name, severity (error: data or its protection is wrong; warning: somebody should look), what a violation is, and the statement that mends it; null where that takes a decision, or where details hold the statements.';
revoke execute on function public.list_business_rules() from public;

CREATE OR REPLACE FUNCTION public.list_schema_guards()
 RETURNS TABLE(table_name text, kind text, guard_name text)
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select g.table_name, g.kind, n.guard_name
    from (
        values
            ('users', 'trigger', array[
                'users_00_gate_delete', 'users_00_gate_update', 'users_05_keep_timestamps', 'users_10_touch_updated_at',
                'users_20_validate_insert', 'users_20_validate_update', 'users_30_fill', 'users_90_audit_insert',
                'users_90_audit_update', 'users_90_audit_delete', 'users_90_audit_truncate'
            ]),
            ('events', 'trigger', array[
                'events_00_gate_delete', 'events_00_gate_update', 'events_05_keep_timestamps',
                'events_10_touch_updated_at', 'events_20_validate_insert', 'events_20_validate_update',
                'events_30_fill', 'events_80_search_insert', 'events_80_search_update',
                'events_90_audit_insert', 'events_90_audit_update', 'events_90_audit_delete',
                'events_90_audit_truncate'
            ]),
            ('registrations', 'trigger', array[
                'registrations_00_gate_insert', 'registrations_00_gate_update',
                'registrations_00_gate_delete', 'registrations_20_keep_status',
                'registrations_90_audit_insert', 'registrations_90_audit_update',
                'registrations_90_audit_delete', 'registrations_90_audit_truncate',
                'registrations_95_count_insert', 'registrations_95_count_update',
                'registrations_95_count_delete', 'registrations_95_count_truncate'
            ]),
            ('audit_logs', 'trigger', array['audit_logs_00_refuse_change']),
            ('audit_logs_overflow', 'trigger', array['audit_logs_00_refuse_change']),
            ('users', 'constraint', array[
                'users_pkey', 'users_email_key', 'users_name_is_not_blank', 'users_name_is_one_line',
                'users_password_hash_is_bcrypt'
            ]),
            ('events', 'constraint', array[
                'events_pkey', 'events_created_by_fkey', 'events_capacity_is_not_exceeded'
            ]),
            ('registrations', 'constraint', array[
                'registrations_pkey', 'registrations_user_id_event_id_key', 'registrations_user_id_fkey',
                'registrations_event_id_fkey'
            ]),
            ('audit_logs', 'constraint', array['audit_logs_pkey']),
            ('audit_logs_overflow', 'constraint', array['audit_logs_overflow_pkey']),
            ('event_search_documents', 'constraint', array[
                'event_search_documents_pkey', 'event_search_documents_event_id_fkey'
            ]),
            ('email_address', 'domain constraint', array[
                'email_address_is_well_formed', 'email_address_local_part_fits',
                'email_address_host_is_well_formed'
            ]),
            ('event_capacity', 'domain constraint', array['event_capacity_is_in_range']),
            ('registration_status', 'domain constraint', array['registration_status_is_known']),
            ('users', 'unique index', array['users_email_lower_key'])
    ) g (table_name, kind, guard_names)
    cross join unnest(g.guard_names) as n (guard_name)
$function$;
comment on function public.list_schema_guards() is 'The triggers, constraints and unique indexes on which the rules rest, by table or domain: what a restore or a hand may have left out.';
revoke execute on function public.list_schema_guards() from public;

CREATE OR REPLACE FUNCTION public.lock_audit_maintenance()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
begin
    perform pg_advisory_xact_lock('audit_logs'::regclass::oid::integer, 0);
exception
    when lock_not_available then
        perform refuse_while_audit_log_is_busy('{}');
end
$function$;
comment on function public.lock_audit_maintenance() is 'Lets one transaction at a time make, drop or empty partitions of audit_logs; waits a second at most, then 55P03.';
revoke execute on function public.lock_audit_maintenance() from public;

CREATE OR REPLACE FUNCTION public.lock_audit_partitions(p_partitions text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '50ms'
AS $function$
declare
    v_partition text;
begin
    for v_attempt in 1..10 loop
        begin
            -- ONLY, because the partitions that stay can be read on.
            lock table only audit_logs in access exclusive mode;
            foreach v_partition in array p_partitions loop
                execute format('lock table %I in access exclusive mode nowait', v_partition);
            end loop;
            return;
        exception
            when lock_not_available then
                -- A transaction as old as these partitions wants to write to one and holds what we wait
                -- for: it must not become the victim of a deadlock.
                if v_attempt = 10 or exists (
                    select
                    from pg_locks l
                    where not l.granted and l.relation in (select to_regclass(p.name) from unnest(p_partitions) as p (name))
                ) then
                    raise;
                end if;
                perform pg_sleep(0.05);
        end;
    end loop;
end
$function$;
comment on function public.lock_audit_partitions(text[]) is 'Locks audit_logs and the partitions given exclusively within a second, or raises 55P03; nobody else is held up for more than 50 ms at a time.';
revoke execute on function public.lock_audit_partitions(text[]) from public;

CREATE OR REPLACE FUNCTION public.move_event_seats(p_event_id integer, p_confirmed integer, p_held integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
begin
    update events e
    set current_registrations = e.current_registrations + p_confirmed,
        held_seats = e.held_seats + p_held
    where e.id = p_event_id;
    return true;
end
$function$;
comment on function public.move_event_seats(integer,integer,integer) is 'Adds to the counters of an event, or takes from them, where nobody joins: whatever the event is like.';
revoke execute on function public.move_event_seats(integer,integer,integer) from public;

CREATE OR REPLACE FUNCTION public.premake_audit_partitions()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    for v_ahead in 0..3 loop
        begin
            exit when not pg_try_advisory_xact_lock('audit_logs'::regclass::oid::integer, 0);
            lock table only audit_logs in share update exclusive mode nowait;
            perform create_audit_partition(
                (date_trunc('month', now() at time zone 'UTC') + make_interval(months => v_ahead))::date
            );
        exception
            when others then
                null;
        end;
    end loop;
end
$function$;
comment on function public.premake_audit_partitions() is 'Called by the audit triggers: makes the partitions of this month and three more where that is possible at once; never waits and never fails.';
revoke execute on function public.premake_audit_partitions() from public;

CREATE OR REPLACE FUNCTION public.prepare_to_fill()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_ignored boolean;
begin
    v_ignored := enter_gate();
    -- What filling seats will lock anyway, but before the event rows: a truncate could stand in between.
    lock table registrations in row exclusive mode;
    return null;
end
$function$;
comment on function public.prepare_to_fill() is 'Trigger: takes what filling seats will need before the rows of events and users are locked. Runs as the owner of the schema, because whoever may change events or users need not be allowed to change registrations.';
revoke execute on function public.prepare_to_fill() from public;

CREATE OR REPLACE FUNCTION public.preview_audit_cleanup(days_to_keep integer DEFAULT 90)
 RETURNS TABLE(partition_name text, action text, entries bigint, freed_bytes bigint)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_expiry timestamptz := find_audit_expiry(days_to_keep);
    v_ends_at timestamptz;
begin
    for partition_name, v_ends_at in
        select x.name, x.ends_at
        from (
            select p.partition_name as name, p.starts_at, p.ends_at from list_audit_partitions() p
            union all
            select 'audit_logs_overflow', 'infinity', 'infinity'
        ) x
        where x.starts_at < v_expiry or x.starts_at = 'infinity'
        order by x.starts_at
    loop
        execute format('select count(*) from %I where created_at < $1', partition_name) into entries using v_expiry;
        action := case when v_ends_at <= v_expiry then 'drop' else 'delete' end;
        freed_bytes := case action when 'drop' then pg_total_relation_size(to_regclass(partition_name)) else 0 end;
        if action = 'drop' or entries > 0 then
            return next;
        end if;
    end loop;
end
$function$;
comment on function public.preview_audit_cleanup(integer) is 'What cleanup_audit_logs(days_to_keep) would remove: partitions it would drop, with the bytes that frees, and those it would delete from, which frees none. Changes nothing.';
revoke execute on function public.preview_audit_cleanup(integer) from public;

CREATE OR REPLACE FUNCTION public.promote_waitlist(p_event_id integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
declare
    v_free_seats integer;
    v_ids integer[];
begin
    select e.capacity - e.current_registrations - e.held_seats into v_free_seats
    from events e
    where e.id = p_event_id
        and e.is_active
        and e.date_time > statement_timestamp();

    if v_free_seats > 0 then
        -- A waiter whom somebody else is changing is passed over, because waiting here could deadlock; the
        -- next call for the event looks again. The user is locked lest he be deactivated in between.
        v_ids := array(
            select r.id
            from registrations r
            join users u on u.id = r.user_id
            where r.event_id = p_event_id
                and r.status = 'waitlist'
                and u.is_active
            order by r.registered_at, r.id
            limit v_free_seats
            for no key update of r skip locked
            for share of u skip locked
        );
    end if;

    -- An update of nothing would still run every trigger.
    if cardinality(v_ids) > 0 then
        update registrations r
        set status = 'confirmed'
        where r.id = any (v_ids);
    end if;
    return coalesce(cardinality(v_ids), 0);
end
$function$;
comment on function public.promote_waitlist(integer) is 'Confirms waiters of an event, first come first served, as far as seats are free, and returns how many. Inactive users stay in the queue and are passed over. The caller has locked the event''s row.';
revoke execute on function public.promote_waitlist(integer) from public;

CREATE OR REPLACE FUNCTION public.read_event_search_cursor(p_cursor text, p_key text, OUT points integer, OUT date_time timestamp with time zone, OUT event_id integer, OUT start_time timestamp with time zone, OUT start_id integer, OUT end_time timestamp with time zone, OUT end_id integer)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_values jsonb;
begin
    begin
        v_values := p_cursor::jsonb;
        points := (v_values ->> 1)::integer;
        date_time := (v_values ->> 2)::timestamptz;
        event_id := (v_values ->> 3)::integer;
        start_time := (v_values -> 4 ->> 0)::timestamptz;
        start_id := (v_values -> 4 ->> 1)::integer;
        end_time := (v_values -> 4 ->> 2)::timestamptz;
        end_id := (v_values -> 4 ->> 3)::integer;
    exception
        when data_exception then
            v_values := null;
    end;
    if num_nulls(v_values ->> 0, points, date_time, event_id) > 0
        or num_nulls(start_time, start_id, end_time, end_id) not in (0, 4)
    then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'p_after is not a row_cursor of search_events()',
            hint = 'Pass the row_cursor of the last row of the page before unchanged, or null for the first page.';
    elsif v_values ->> 0 <> p_key then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'p_after comes from a search for something else',
            hint = 'Keep p_query and p_location while paging, or pass null for the first page.';
    end if;
    -- A list has no windows: it goes on behind its row.
    if start_time is null then
        start_time := date_time;
        start_id := event_id;
    end if;
end
$function$;
comment on function public.read_event_search_cursor(text,text) is 'The place in a search that a row_cursor stands for; refuses anything else (22023).';
revoke execute on function public.read_event_search_cursor(text,text) from public;

CREATE OR REPLACE FUNCTION public.refresh_event_search(p_first_id integer DEFAULT NULL::integer, p_last_id integer DEFAULT NULL::integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_changed integer;
begin
    -- The documents first, and in a statement of their own: an edit under way then either shows below or
    -- writes its own document afterwards.
    perform 1
    from event_search_documents d
    where d.event_id between coalesce(p_first_id, -2147483648) and coalesce(p_last_id, 2147483647)
    order by d.event_id
    for no key update;

    insert into event_search_documents as d (event_id, date_time, is_active, document)
    select e.id, e.date_time, e.is_active, event_search_document(e.title, e.location, e.description)
    from events e
    where e.id between coalesce(p_first_id, -2147483648) and coalesce(p_last_id, 2147483647)
    order by e.id
    on conflict (event_id) do update
    set date_time = excluded.date_time,
        is_active = excluded.is_active,
        document = excluded.document
    where (d.date_time, d.is_active, d.document)
        is distinct from (excluded.date_time, excluded.is_active, excluded.document);

    get diagnostics v_changed = row_count;
    return v_changed;
end
$function$;
comment on function public.refresh_event_search(integer,integer) is 'Makes the documents of all events, or of those from one id to another, anew where they are missing or differ, and returns how many those were. Needed after a change of the configuration event_search, and after a load with triggers switched off. Edits of these events wait for it, so take a large table in several ranges, each in a transaction of its own.';
revoke execute on function public.refresh_event_search(integer,integer) from public;

CREATE OR REPLACE FUNCTION public.refuse_audit_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    raise exception using
        errcode = 'insufficient_privilege',
        message = format('The audit log is append-only: %s on %s is refused', lower(tg_op), tg_table_name),
        hint = 'Entries leave by retention only: cleanup_audit_logs(days_to_keep).',
        table = tg_table_name;
end
$function$;
comment on function public.refuse_audit_change() is 'Trigger: refuses update, delete and truncate of audit entries (42501).';
revoke execute on function public.refuse_audit_change() from public;

CREATE OR REPLACE FUNCTION public.refuse_registrations(p_event_id integer, p_seats integer, p_users_are_active boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_event record;
begin
    select e.date_time, e.is_active, e.capacity, e.current_registrations, e.held_seats into v_event
    from events e
    where e.id = p_event_id;

    if v_event is null then
        raise exception using
            errcode = 'foreign_key_violation',
            message = format('Event %s does not exist', p_event_id),
            hint = 'Check the id, or insert the event first.',
            table = 'registrations',
            constraint = 'registrations_event_id_fkey';
    elsif not v_event.is_active then
        raise exception using
            errcode = 'check_violation',
            message = format('Event %s is not active', p_event_id),
            hint = 'Only active events take registrations.',
            table = 'registrations',
            constraint = 'registrations_event_is_active';
    elsif v_event.date_time <= statement_timestamp() then
        raise exception using
            errcode = 'check_violation',
            message = format('Cannot register for past events: event %s began at %s', p_event_id, v_event.date_time),
            hint = 'Only events that have not begun take registrations.',
            table = 'registrations',
            constraint = 'registrations_event_is_upcoming';
    elsif p_users_are_active is not true then
        raise exception using
            errcode = 'check_violation',
            message = format('An inactive user cannot register for event %s', p_event_id),
            hint = 'Set users.is_active first, or leave the user out.',
            table = 'registrations',
            constraint = 'registrations_user_is_active';
    else
        raise exception using
            errcode = 'check_violation',
            message = format('Event %s is at maximum capacity: seats asked for %s, confirmed %s and held %s of %s',
                p_event_id, p_seats, v_event.current_registrations, v_event.held_seats, v_event.capacity),
            hint = 'Register fewer users, cancel registrations or raise the capacity.',
            table = 'registrations',
            constraint = 'registrations_event_has_seats';
    end if;
end
$function$;
comment on function public.refuse_registrations(integer,integer,boolean) is 'Raises what speaks against registrations that a statement on the table tried to make: 23514, or 23503 for an event that does not exist, with a constraint name that a program can match on.';
revoke execute on function public.refuse_registrations(integer,integer,boolean) from public;

CREATE OR REPLACE FUNCTION public.refuse_while_audit_log_is_busy(p_tables text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    raise exception using
        errcode = 'lock_not_available',
        message = 'The audit log is in use: its lock was not free within a second, and nothing was changed',
        detail = (
            select 'Held by ' || string_agg(distinct coalesce(format('process %s (%s, %s)',
                l.pid, coalesce(nullif(s.application_name, ''), 'no name'), coalesce(s.state, 'state hidden')
            ), 'a prepared transaction'), ', ') || '.'
            from pg_locks l
            left join pg_stat_activity s on s.pid = l.pid
            where l.granted
                and l.pid is distinct from pg_backend_pid()
                and l.database = (select d.oid from pg_database d where d.datname = current_database())
                and (
                    l.relation in (select to_regclass(t.name) from unnest(p_tables) as t (name))
                    or (l.locktype = 'advisory' and l.classid = 'audit_logs'::regclass and l.objsubid = 2)
                )
        ),
        hint = 'Try again when the sessions that hold it are done, or end them with pg_terminate_backend().',
        table = 'audit_logs';
end
$function$;
comment on function public.refuse_while_audit_log_is_busy(text[]) is 'Raises 55P03 and names the sessions that hold locks on the tables given or maintain the audit log.';
revoke execute on function public.refuse_while_audit_log_is_busy(text[]) from public;

CREATE OR REPLACE FUNCTION public.registration_refusal(p_error_code text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    select case p_error_code
        when 'P0001' then 'Event not found or inactive'
        when 'P0002' then 'Cannot register for past events'
        when 'P0003' then 'User is already registered for this event'
        when 'P0004' then 'Event is at maximum capacity'
        when 'P0005' then 'User is not registered for this event'
        when 'P0006' then 'User not found or inactive'
        when '55P03' then 'Another transaction is changing this user or registration: try again'
    end
$function$;
comment on function public.registration_refusal(text) is 'The words for an error code of the registration functions. Callers look for "past events", "maximum capacity" and "already registered".';
revoke execute on function public.registration_refusal(text) from public;

CREATE OR REPLACE FUNCTION public.release_expired_holds()
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
declare
    v_ignored boolean;
    v_event_id integer;
    v_expired integer := 0;
begin
    v_ignored := enter_gate();
    lock table registrations in row exclusive mode;
    for v_event_id in
        select distinct r.event_id
        from registrations r
        where r.status = 'pending' and r.hold_expires_at <= clock_timestamp()
        order by r.event_id
    loop
        if try_lock_event(v_event_id) then
            v_expired := v_expired + expire_holds(v_event_id);
        end if;
    end loop;
    return v_expired;
end
$function$;
comment on function public.release_expired_holds() is 'Gives the seats of expired holds of all events to their waiters, and returns how many holds had expired. Events that somebody is changing at the moment are left to them.';
revoke execute on function public.release_expired_holds() from public;

CREATE OR REPLACE FUNCTION public.repair_registration_counts()
 RETURNS TABLE(event_id integer, old_current_registrations integer, new_current_registrations integer, old_held_seats integer, new_held_seats integer, outcome text)
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
    v_ignored boolean;
    v_event_id integer;
    v_event record;
    v_counts record;
begin
    -- In the order of locks: deletions first, then event rows by id.
    v_ignored := enter_gate();
    for v_event_id in
        select e.id
        from events e
        left join (
            select
                r.event_id,
                count(*) filter (where r.status = 'confirmed') as confirmed,
                count(*) filter (where r.status = 'pending') as pending
            from registrations r
            group by r.event_id
        ) c on c.event_id = e.id
        where e.current_registrations <> coalesce(c.confirmed, 0)
            or e.held_seats <> coalesce(c.pending, 0)
        order by e.id
    loop
        -- Counting comes after the lock and in a statement of its own: whoever changed registrations of
        -- this event has then committed and is seen, or has not counted yet and adds to what is set here.
        select e.capacity, e.current_registrations, e.held_seats into v_event
        from events e
        where e.id = v_event_id
        for no key update;
        continue when not found;

        select
            (count(*) filter (where r.status = 'confirmed'))::integer as confirmed,
            (count(*) filter (where r.status = 'pending'))::integer as pending
        into v_counts
        from registrations r
        where r.event_id = v_event_id;
        continue when v_counts.confirmed = v_event.current_registrations and v_counts.pending = v_event.held_seats;

        event_id := v_event_id;
        old_current_registrations := v_event.current_registrations;
        old_held_seats := v_event.held_seats;
        if v_counts.confirmed + v_counts.pending > v_event.capacity then
            new_current_registrations := old_current_registrations;
            new_held_seats := old_held_seats;
            outcome := format('skipped: %s seats are taken of %s; raise the capacity, repair, then cancel',
                v_counts.confirmed + v_counts.pending, v_event.capacity);
        else
            update events e
            set current_registrations = v_counts.confirmed,
                held_seats = v_counts.pending
            where e.id = v_event_id;

            -- Here, because the triggers of the audit log leave the counters out.
            perform write_audit_entry(
                'events',
                'REPAIR',
                v_event_id,
                jsonb_build_object(
                    'current_registrations', v_event.current_registrations, 'held_seats', v_event.held_seats
                ),
                jsonb_build_object('current_registrations', v_counts.confirmed, 'held_seats', v_counts.pending)
            );
            new_current_registrations := v_counts.confirmed;
            new_held_seats := v_counts.pending;
            outcome := 'repaired';
        end if;
        return next;
    end loop;
end
$function$;
comment on function public.repair_registration_counts() is 'Sets events.current_registrations and held_seats to what registrations say, where they differ, and returns the events that differed. Each repair is an entry in audit_logs. An event with more registrations than seats is skipped. Locks one event row after the other by id, until the transaction ends; for the owner of the schema.';
revoke execute on function public.repair_registration_counts() from public;

CREATE OR REPLACE FUNCTION public.repair_registration_holds()
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_ignored boolean;
    v_ids integer[];
begin
    v_ignored := enter_gate();
    v_ids := array(
        select r.id
        from registrations r
        where (r.status = 'pending') <> (r.hold_expires_at is not null)
        order by r.id
        for no key update
    );

    -- Audited like every other change of a registration.
    update registrations r
    set hold_expires_at = case when r.status = 'pending' then clock_timestamp() + interval '15 minutes' end
    where r.id = any (v_ids);
    return cardinality(v_ids);
end
$function$;
comment on function public.repair_registration_holds() is 'Gives pending registrations without an end of their hold another 15 minutes, takes it from registrations that are not pending, and returns how many it changed.';
revoke execute on function public.repair_registration_holds() from public;

CREATE OR REPLACE FUNCTION public.repair_waitlists()
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_ignored boolean;
    v_event_id integer;
    v_promoted integer := 0;
begin
    v_ignored := enter_gate();
    for v_event_id in
        select e.id
        from events e
        where e.is_active
            and e.date_time > now()
            and e.current_registrations + e.held_seats < e.capacity
            and exists (select from registrations r where r.event_id = e.id and r.status = 'waitlist')
        order by e.id
    loop
        if try_lock_event(v_event_id) then
            v_promoted := v_promoted + promote_waitlist(v_event_id);
        end if;
    end loop;
    return v_promoted;
end
$function$;
comment on function public.repair_waitlists() is 'Gives the free seats of all upcoming events to whoever waits for them, first come first served, and returns how many were confirmed. Events that somebody is changing at the moment are left to them.';
revoke execute on function public.repair_waitlists() from public;

CREATE OR REPLACE FUNCTION public.reset_registration_counts()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    perform 1 from events where current_registrations <> 0 or held_seats <> 0 order by id for no key update;
    update events set current_registrations = 0, held_seats = 0 where current_registrations <> 0 or held_seats <> 0;
    return null;
end
$function$;
comment on function public.reset_registration_counts() is 'Trigger: nobody is registered for anything after a truncate. Runs as the owner of the schema, because nobody else may write the counters.';
revoke execute on function public.reset_registration_counts() from public;

CREATE OR REPLACE FUNCTION public.revoke_access(p_role name)
 RETURNS SETOF text
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$;
comment on function public.revoke_access(name) is 'Takes back what grant_application_access and grant_read_only_access give, and returns the statements that did it. Run by the owner of the tables. What the role has from elsewhere, as a member of another role, stays.';
revoke execute on function public.revoke_access(name) from public;

CREATE OR REPLACE FUNCTION public.safe_event_registration(p_user_id integer, p_event_id integer, p_join_waitlist boolean DEFAULT false, p_hold interval DEFAULT NULL::interval)
 RETURNS json
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
declare
    v_ignored boolean;
    v_now timestamptz;
    v_may_try boolean;
    v_result json;
    v_seen record;
    v_has_seat boolean;
    v_is_refused boolean;
    v_has_waited boolean;
    v_error_code text;
    v_status text;
    v_registration record;
    v_constraint text;
begin
    -- The common case, a newcomer and a free seat, with nothing that only other cases need; enter_gate() is spelt
    -- out, as each call costs. Where it fails, the rounds below find out why. The user's row is locked, because
    -- nobody may be deactivated in between.
    if p_hold is null then
        v_ignored := pg_advisory_xact_lock_shared('events'::regclass::oid::integer, 0) is null;
        select u.is_active into v_may_try
        from events e
        join users u on u.id = p_user_id
        where e.id = p_event_id
            and e.is_active
            and e.date_time > clock_timestamp()
            and e.current_registrations + e.held_seats < e.capacity
        for share of u;
    else
        -- The instants are compared too: intervals compare by months of 30 days, but add by the calendar. On the
        -- two days a year when the clocks change, a day is not 24 hours; both are fine.
        v_now := clock_timestamp();
        if p_hold <= interval '0'
            or p_hold > interval '1 day'
            or v_now + p_hold <= v_now
            or v_now + p_hold > greatest(v_now + interval '1 day', v_now + interval '24 hours')
        then
            raise exception using
                errcode = 'invalid_parameter_value',
                message = format('A seat cannot be held for %s', p_hold),
                hint = 'Give p_hold a positive interval of at most a day, such as ''15 minutes''.';
        end if;
        v_ignored := enter_gate();
    end if;

    if v_may_try then
        begin
            insert into registrations (user_id, event_id, registered_at)
            values (p_user_id, p_event_id, clock_timestamp())
            returning json_build_object(
                'success', true,
                'registration_id', id,
                'event_id', event_id,
                'user_id', user_id,
                'registered_at', registered_at,
                'status', 'confirmed',
                'message', 'Successfully registered for event'
            ) into v_result;
            return v_result;
        exception
            -- There is a registration already.
            when unique_violation then
                null;
            when check_violation then
                get stacked diagnostics v_constraint = constraint_name;
                if not is_registration_refusal(v_constraint) then
                    raise;
                end if;
        end;
    end if;

    -- Each round reads what speaks against it, without a lock but the user's, and then tries. Where another
    -- transaction took the last seat or changed the same registration in between, the next round sees it.
    v_is_refused := false;
    v_has_waited := false;
    for v_round in 1..20 loop
        -- The user's row is locked, because nobody may be deactivated in between.
        select
            (select u.is_active from users u where u.id = p_user_id for share) as user_is_active,
            e.is_active,
            e.date_time > clock_timestamp() as is_upcoming,
            e.held_seats,
            e.capacity - e.current_registrations - e.held_seats as free_seats,
            r.id,
            r.status,
            r.hold_expires_at <= clock_timestamp() as is_expired
        into v_seen
        from events e
        left join registrations r on r.user_id = p_user_id and r.event_id = e.id
        where e.id = p_event_id;

        v_has_seat := v_seen.free_seats > 0;
        if v_is_refused or (v_has_waited and v_seen.status = 'waitlist') then
            v_has_seat := false;
        elsif not v_has_seat and v_seen.held_seats > 0 then
            v_has_seat := exists (
                select
                from registrations r
                where r.event_id = p_event_id and r.status = 'pending' and r.hold_expires_at <= clock_timestamp()
            );
        end if;
        v_status := case
            when not v_has_seat and v_seen.status is distinct from 'pending' then 'waitlist'
            when p_hold is null then 'confirmed'
            else 'pending'
        end;
        v_error_code := case
            when v_seen.is_active is not true then 'P0001'
            when not v_seen.is_upcoming then 'P0002'
            when v_seen.user_is_active is not true then 'P0006'
            when v_seen.status = 'confirmed' and not v_has_waited then 'P0003'
            when v_seen.status = 'pending' and v_status = 'pending' and not v_seen.is_expired then 'P0003'
            when v_status = 'waitlist' and p_join_waitlist is not true and v_seen.status is distinct from 'confirmed'
                then 'P0004'
        end;

        if v_error_code is not null then
            -- What the refused attempt had settled went back with it.
            if v_is_refused then
                v_ignored := settle_event_seats(p_event_id) is null;
            end if;
            return json_build_object(
                'success', false,
                'error_code', v_error_code,
                'error_message', registration_refusal(v_error_code)
            );
        end if;

        -- A waiter stays in the queue until it is his turn.
        if v_has_seat and v_seen.status = 'waitlist' then
            v_has_waited := true;
            v_ignored := settle_event_seats(p_event_id) is null;
            continue;
        end if;

        -- A hold that has expired is given back first, and others may have waited for the seat.
        if v_seen.status = 'pending' and v_seen.is_expired then
            update registrations r
            set status = 'cancelled'
            where r.id = v_seen.id and r.status = 'pending';
            continue;
        end if;

        -- The clock rather than the start of the transaction: the order of the queue is the order of arrival.
        begin
            if v_seen.id is null then
                insert into registrations (user_id, event_id, registered_at, status, hold_expires_at)
                values (p_user_id, p_event_id, clock_timestamp(), v_status, clock_timestamp() + p_hold)
                on conflict (user_id, event_id) do nothing
                returning id, registered_at, status, hold_expires_at into v_registration;
            elsif v_seen.status in ('confirmed', v_status) then
                select r.id, r.registered_at, r.status, r.hold_expires_at into v_registration
                from registrations r
                where r.id = v_seen.id and r.status = v_seen.status;
            else
                -- Who comes back comes anew; who waited or held a seat has been here since then.
                update registrations r
                set status = v_status,
                    registered_at = case when r.status = 'cancelled' then clock_timestamp() else r.registered_at end,
                    hold_expires_at = clock_timestamp() + p_hold
                where r.id = v_seen.id and r.status = v_seen.status
                returning r.id, r.registered_at, r.status, r.hold_expires_at into v_registration;
            end if;
            exit when found;
        exception
            -- Nothing but what the counter refuses; deadlocks and serialisation failures are the caller's.
            when check_violation then
                get stacked diagnostics v_constraint = constraint_name;
                if not is_registration_refusal(v_constraint) then
                    raise;
                end if;
                v_is_refused := v_constraint = 'registrations_event_has_seats';
        end;
    end loop;

    if v_registration is null then
        raise exception using
            errcode = 'serialization_failure',
            message = format('Others changed event %s in every moment between reading and registering', p_event_id),
            hint = 'Try again.';
    end if;

    -- Whoever started to wait may have been given a seat at once.
    if v_registration.status = 'waitlist' then
        select r.id, r.registered_at, r.status, r.hold_expires_at into v_registration
        from registrations r
        where r.id = v_registration.id;
    end if;

    if v_registration.status = 'confirmed' then
        return json_build_object(
            'success', true,
            'registration_id', v_registration.id,
            'event_id', p_event_id,
            'user_id', p_user_id,
            'registered_at', v_registration.registered_at,
            'status', v_registration.status,
            'message', 'Successfully registered for event'
        );
    elsif v_registration.status = 'pending' then
        return json_build_object(
            'success', true,
            'registration_id', v_registration.id,
            'event_id', p_event_id,
            'user_id', p_user_id,
            'registered_at', v_registration.registered_at,
            'status', v_registration.status,
            'hold_expires_at', v_registration.hold_expires_at,
            'message', 'Seat is held until it is confirmed'
        );
    end if;
    return json_build_object(
        'success', true,
        'registration_id', v_registration.id,
        'event_id', p_event_id,
        'user_id', p_user_id,
        'registered_at', v_registration.registered_at,
        'status', v_registration.status,
        'waitlist_position', get_waitlist_position(p_user_id, p_event_id),
        'message', 'Event is full: added to the waitlist'
    );
end
$function$;
comment on function public.safe_event_registration(integer,integer,boolean,interval) is 'Registers a user for an event, confirms a held seat, or brings a cancelled registration back. p_join_waitlist: wait where no seat is free, instead of P0004. p_hold: hold the seat for so long, at most a day, instead of confirming it. Returns {success, registration_id, event_id, user_id, registered_at, status, message}, with waitlist_position or hold_expires_at, or {success: false, error_code, error_message}: P0001 event not found or inactive, P0002 past event, P0003 already registered, P0004 full, P0006 user not found or inactive. A refusal leaves nothing; 40001 and 40P01 are raised, for the caller to try again.';
revoke execute on function public.safe_event_registration(integer,integer,boolean,interval) from public;

CREATE OR REPLACE FUNCTION public.safe_event_unregistration(p_user_id integer, p_event_id integer, p_keep boolean DEFAULT false)
 RETURNS json
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
declare
    v_ignored boolean;
    v_seen record;
    v_error_code text;
begin
    v_ignored := enter_gate();

    select
        (select u.id from users u where u.id = p_user_id for key share) as user_id,
        (
            select r.id
            from registrations r
            where r.user_id = p_user_id and r.event_id = p_event_id and r.status <> 'cancelled'
            for no key update
        ) as registration_id,
        e.date_time > clock_timestamp() as is_upcoming,
        e.is_active
    into v_seen
    from events e
    where e.id = p_event_id;

    -- The user need not be active: an account that was closed can still give its seats back.
    v_error_code := case
        when v_seen.is_active is not true then 'P0001'
        when not v_seen.is_upcoming then 'P0002'
        when v_seen.user_id is null then 'P0006'
        when v_seen.registration_id is null then 'P0005'
    end;

    if v_error_code is not null then
        return json_build_object(
            'success', false,
            'error_code', v_error_code,
            'error_message', case v_error_code
                when 'P0002' then 'Cannot unregister from past events'
                else registration_refusal(v_error_code)
            end
        );
    end if;

    if p_keep then
        update registrations
        set status = 'cancelled'
        where id = v_seen.registration_id;
    else
        delete from registrations
        where id = v_seen.registration_id;
    end if;

    return json_build_object(
        'success', true,
        'registration_id', v_seen.registration_id,
        'event_id', p_event_id,
        'user_id', p_user_id,
        'unregistered_at', now(),
        'message', 'Successfully unregistered from event'
    );
end
$function$;
comment on function public.safe_event_unregistration(integer,integer,boolean) is 'Removes a user''s registration, hold or place in the queue; a freed seat goes to the first waiter. p_keep: keep the row as cancelled instead of removing it. Returns {success, registration_id, event_id, user_id, unregistered_at, message} or {success: false, error_code, error_message}: P0001 event not found or inactive, P0002 past event, P0005 not registered, P0006 user not found.';
revoke execute on function public.safe_event_unregistration(integer,integer,boolean) from public;

CREATE OR REPLACE FUNCTION public.search_events(p_query text DEFAULT NULL::text, p_from timestamp with time zone DEFAULT now(), p_until timestamp with time zone DEFAULT NULL::timestamp with time zone, p_location text DEFAULT NULL::text, p_only_active boolean DEFAULT true, p_only_free boolean DEFAULT false, p_limit integer DEFAULT 20, p_after text DEFAULT NULL::text, p_headline boolean DEFAULT true)
 RETURNS TABLE(event_id integer, title character varying, location character varying, date_time timestamp with time zone, capacity integer, available_spots integer, is_active boolean, rank real, headline text, row_cursor text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
declare
    -- A call costs more than to see that there is nothing to read.
    v_query constant tsquery := case when p_query ~ '\S' then event_search_query(p_query) end;
    v_location constant tsquery := case when p_location ~ '\S' then event_search_query(p_location, 'B') end;
    v_terms constant tsquery := coalesce(v_query && v_location, v_query, v_location);
    v_key constant text := hashtextextended(concat_ws(chr(31), coalesce(p_query, ''), p_location), 0)::text;
    -- Without words there is no rank, and a window is a page.
    v_window_size constant integer := case when v_query is null then p_limit else 500 end;
    v_at_points integer := 2147483647;
    v_at_time timestamptz := timestamptz '-infinity';
    v_at_id integer := -2147483648;
    v_start_time timestamptz := timestamptz '-infinity';
    v_start_id integer := -2147483648;
    v_end_time timestamptz;
    v_end_id integer;
    v_window json;
    v_ids integer[];
    v_times timestamptz[];
    v_points integer[];
    v_shown integer;
    v_left integer := p_limit;
begin
    if p_limit is null or p_limit not between 1 and 100 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_limit must be 1 to 100, not %s', coalesce(p_limit::text, 'null')),
            hint = 'Ask for a page, and for the next one with p_after => the row_cursor of its last row.';
    elsif p_until <= p_from then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_until (%s) must be later than p_from (%s)', p_until, p_from),
            hint = 'p_from is now unless given; for past events give an earlier one, or null.';
    elsif numnode(v_query) = 0 or numnode(v_location) = 0 then
        return;
    end if;
    if p_after is not null then
        select c.points, c.date_time, c.event_id, c.start_time, c.start_id, c.end_time, c.end_id
        into v_at_points, v_at_time, v_at_id, v_start_time, v_start_id, v_end_time, v_end_id
        from read_event_search_cursor(p_after, v_key) c;
    end if;
    if v_start_time < p_from then
        v_start_time := p_from;
        v_start_id := -2147483648;
    end if;

    if v_terms is null then
        return query
        select e.id, e.title, e.location, e.date_time, e.capacity::integer,
            greatest(
                e.capacity - e.current_registrations - e.held_seats
                    + case when e.held_seats > 0 then count_expired_holds(e.id) else 0 end,
                0
            ),
            e.is_active, 0::real, null::text, json_build_array(v_key, 0, e.date_time, e.id, v_window)::text
        from (
            select d.date_time as found_at, e.*
            from event_search_documents d
            join events e on e.id = d.event_id
            where (d.date_time, d.event_id) > (v_start_time, v_start_id)
                -- The first is where the index scan ends, and the second leaves out what is on that time.
                and d.date_time <= coalesce(p_until, 'infinity')
                and (p_until is null or d.date_time < p_until)
                and (d.is_active or not p_only_active)
                and (
                    not p_only_free
                    or e.current_registrations + e.held_seats < e.capacity
                    or (
                        e.held_seats > 0
                        and e.current_registrations + e.held_seats - count_expired_holds(e.id) < e.capacity
                    )
                )
            order by d.date_time, d.event_id
            -- The most that p_limit can be: known to the planner, it makes it go along the dates.
            limit 100
        ) e
        order by e.found_at, e.id
        limit p_limit;
        return;
    end if;

    loop
        select m.ids, m.date_times, m.points
        into v_ids, v_times, v_points
        from find_event_search_matches(
            v_terms, v_query, v_start_time, v_start_id, v_end_time, v_end_id, p_until, p_only_active, p_only_free,
            v_window_size
        ) m;
        if v_end_time is null then
            v_end_time := coalesce(v_times[v_window_size], 'infinity');
            v_end_id := coalesce(v_ids[v_window_size], 2147483647);
        end if;
        if v_query is not null then
            v_window := json_build_array(v_start_time, v_start_id, v_end_time, v_end_id);
        end if;

        return query
        select e.id, e.title, e.location, e.date_time, e.capacity::integer,
            greatest(
                e.capacity - e.current_registrations - e.held_seats
                    + case when e.held_seats > 0 then count_expired_holds(e.id) else 0 end,
                0
            ),
            e.is_active, (p.points / 1000000.0::float8)::real,
            -- Escaped before the marks are set, because ts_headline() copies what it is given: whatever tags
            -- an organiser types, the only ones in the result are the marks.
            case
                when p_headline and v_query is not null then ts_headline(
                    'event_search',
                    replace(replace(replace(replace(replace(
                        left(coalesce(e.description, e.title), 5000),
                        '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;'),
                    v_query,
                    'StartSel=<mark>, StopSel=</mark>, MaxFragments=2, MaxWords=20, MinWords=5, FragmentDelimiter=" ... "'
                )
            end,
            json_build_array(v_key, p.points, e.date_time, e.id, v_window)::text
        from (
            select m.points, m.date_time, m.id
            from unnest(v_points, v_times, v_ids) as m (points, date_time, id)
            where m.points < v_at_points
                or (m.points = v_at_points and (m.date_time, m.id) > (v_at_time, v_at_id))
            order by m.points desc, m.date_time, m.id
            limit v_left
        ) p
        join events e on e.id = p.id
        order by p.points desc, p.date_time, p.id;

        get diagnostics v_shown = row_count;
        v_left := v_left - v_shown;
        exit when v_left = 0 or v_query is null or (v_end_time = 'infinity' and v_end_id = 2147483647);
        v_at_points := 2147483647;
        v_start_time := v_end_time;
        v_start_id := v_end_id;
        v_end_time := null;
        v_end_id := null;
    end loop;
end
$function$;
comment on function public.search_events(text,timestamp with time zone,timestamp with time zone,text,boolean,boolean,integer,text,boolean) is 'A page of the events that a query in websearch syntax finds (see event_search_query), best first; without a query those of a time, soonest first; a query without a word, such as "!!!", finds none. From p_from (now unless given, null for all) until before p_until, where the location has the words of p_location, active ones unless p_only_active is false, with free seats where p_only_free (expired holds are free seats). p_limit is 1 to 100; p_after is the row_cursor of the last row of the page before. Of more than 500 matches the 500 soonest come first, ranked among themselves, then the next 500. headline is HTML, escaped, with <mark>; null without a query or with p_headline => false. Refuses nonsense (22023) and nothing that anybody may type.';
revoke execute on function public.search_events(text,timestamp with time zone,timestamp with time zone,text,boolean,boolean,integer,text,boolean) from public;

CREATE OR REPLACE FUNCTION public.seat_new_waiters(p_event_id integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
begin
    -- Expired holds give their seats to waiters themselves.
    return expire_holds(p_event_id) > 0 or promote_waitlist(p_event_id) > 0;
end
$function$;
comment on function public.seat_new_waiters(integer) is 'Gives seats that are free or whose hold has expired to who has just started to wait. The caller has locked the event''s row.';
revoke execute on function public.seat_new_waiters(integer) from public;

CREATE OR REPLACE FUNCTION public.seat_waiters_first(p_event_id integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
begin
    perform 1 from events e where e.id = p_event_id for no key update;
    return promote_waitlist(p_event_id) > 0;
end
$function$;
comment on function public.seat_waiters_first(integer) is 'Gives free seats to who waits for an event before newcomers take them; there are both only where waiters were passed over.';
revoke execute on function public.seat_waiters_first(integer) from public;

CREATE OR REPLACE FUNCTION public.settle_event_seats(p_event_id integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_ignored boolean;
    v_expired integer;
begin
    v_ignored := enter_gate();
    -- What filling seats will lock anyway, but before the event row: a truncate could stand in between.
    lock table registrations in row exclusive mode;
    v_ignored := enter_queue(p_event_id);
    perform 1 from events e where e.id = p_event_id for no key update;
    v_expired := expire_holds(p_event_id);
    v_ignored := promote_waitlist(p_event_id) is null;
    return v_expired;
end
$function$;
comment on function public.settle_event_seats(integer) is 'Gives the seats of expired holds and all free seats of an event to its waiters, and returns how many holds had expired. Calls that need a seat do so on their own.';
revoke execute on function public.settle_event_seats(integer) from public;

CREATE OR REPLACE FUNCTION public.sync_registration_counts()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
declare
    v_user_id integer;
    v_event_id integer;
    v_is_plain boolean;
    v_change record;
    v_has_to_queue boolean;
    v_finds_waiters boolean;
    v_users_are_active boolean;
    v_ignored boolean;
begin
    -- Transition tables are read alone, and tables apart from them: Citus cannot plan a query of both.
    --
    -- Most statements register one user whom nothing speaks against. That is done here, with nothing that only
    -- others need, because each query and each call of a function costs a registration. Others come to the loops.
    if tg_op = 'INSERT' then
        select n.user_id, n.event_id,
            not exists (select from new_rows offset 1) and n.status = 'confirmed' and n.hold_expires_at is null
        into v_user_id, v_event_id, v_is_plain
        from new_rows n;

        -- Before the queue, where nobody waits for it.
        if v_is_plain then
            v_is_plain := (select u.is_active from users u where u.id = v_user_id)
                and not exists (select from registrations w where w.event_id = v_event_id and w.status = 'waitlist');
        end if;
        if v_is_plain then
            -- enter_queue() spelt out. Whoever is called by a trigger has locked an event already.
            v_ignored := case
                when pg_trigger_depth() = 1
                then pg_advisory_xact_lock('events'::regclass::oid::integer, 1 + v_event_id % 1024) is null
            end;
            update events e
            set current_registrations = e.current_registrations + 1
            where e.id = v_event_id
                and e.is_active
                and e.date_time > statement_timestamp()
                and e.current_registrations + e.held_seats < e.capacity;
            if found then
                return null;
            end if;
        end if;
    end if;

    v_has_to_queue := pg_trigger_depth() = 1;
    -- One event row after the other, by id: two statements that touch the same events cannot deadlock.
    if tg_op = 'INSERT' then
        for v_change in
            select n.event_id,
                (count(*) filter (where n.status = 'confirmed'))::integer as confirmed,
                (count(*) filter (where n.status = 'pending'))::integer as held,
                bool_or(n.status <> 'cancelled') as joins,
                bool_or(n.status = 'waitlist') as starts_waiting,
                array_agg(n.user_id) filter (where n.status <> 'cancelled') as user_ids,
                array_agg(n.id) filter (
                    where (n.status = 'pending') <> coalesce(isfinite(n.hold_expires_at), false)
                ) as wrong_holds
            from new_rows n
            where n.status <> 'cancelled' or n.hold_expires_at is not null
            group by n.event_id
            order by n.event_id
        loop
            -- Corrected here rather than by a trigger before each row, which would cost every registration. The
            -- trigger of updates gives a hold without an end the usual one, and refuses one that never ends.
            if v_change.wrong_holds is not null then
                update registrations r
                set hold_expires_at = case when r.status = 'pending' then r.hold_expires_at end
                where r.id = any (v_change.wrong_holds)
                    and (r.status = 'pending') <> coalesce(isfinite(r.hold_expires_at), false);
            end if;
            continue when not v_change.joins;

            v_users_are_active := (select bool_and(u.is_active) from users u where u.id = any (v_change.user_ids));
            v_finds_waiters := not v_change.starts_waiting and exists (
                select
                from registrations w
                where w.event_id = v_change.event_id and w.status = 'waitlist'
            );
            if v_has_to_queue then
                v_ignored := enter_queue(v_change.event_id);
                v_has_to_queue := false;
            end if;
            if v_finds_waiters then
                v_ignored := seat_waiters_first(v_change.event_id);
            elsif not v_change.starts_waiting then
                -- As in take_event_seats(), a call of which would cost every registration more than this.
                update events e
                set current_registrations = e.current_registrations + v_change.confirmed,
                    held_seats = e.held_seats + v_change.held
                where e.id = v_change.event_id
                    and e.is_active
                    and e.date_time > statement_timestamp()
                    and e.current_registrations + e.held_seats + v_change.confirmed + v_change.held <= e.capacity
                    and v_users_are_active;
                continue when found;
            end if;
            v_ignored := take_event_seats(
                v_change.event_id, v_change.confirmed, v_change.held, v_users_are_active
            );
            if v_change.starts_waiting then
                v_ignored := seat_new_waiters(v_change.event_id);
            end if;
        end loop;
    elsif tg_op = 'UPDATE' then
        -- A full join, because the planner takes both tables for short, and anything but a hash or a
        -- merge would compare every row with every other. What moved to another user or event counts as
        -- one row gone and one new.
        for v_change in
            select c.event_id,
                sum(c.confirmed)::integer as confirmed,
                sum(c.held)::integer as held,
                bool_or(c.joins) as joins,
                bool_or(c.joins and c.waits) as starts_waiting,
                bool_or(c.joins and c.is_newcomer) and not bool_or(c.joins and c.waits) as may_find_waiters,
                array_agg(c.user_id) filter (where c.joins) as user_ids
            from (
                select
                    coalesce(n.event_id, o.event_id) as event_id,
                    n.user_id,
                    coalesce((n.status = 'confirmed')::integer, 0) - coalesce((o.status = 'confirmed')::integer, 0)
                        as confirmed,
                    coalesce((n.status = 'pending')::integer, 0) - coalesce((o.status = 'pending')::integer, 0) as held,
                    n.status <> 'cancelled'
                        and coalesce(o.status, 'cancelled') not in ('confirmed', 'pending')
                        and n.status is distinct from o.status as joins,
                    n.status = 'waitlist' as waits,
                    o.status is distinct from 'waitlist' as is_newcomer
                from old_rows o
                full join new_rows n on n.id = o.id and n.user_id = o.user_id and n.event_id = o.event_id
            ) c
            group by c.event_id
            having bool_or(c.joins) or sum(c.confirmed) <> 0 or sum(c.held) <> 0
            order by c.event_id
        loop
            v_users_are_active := v_change.joins
                and (select bool_and(u.is_active) from users u where u.id = any (v_change.user_ids));
            v_finds_waiters := v_change.may_find_waiters and exists (
                select
                from registrations w
                where w.event_id = v_change.event_id and w.status = 'waitlist'
            );
            if v_has_to_queue then
                v_ignored := enter_queue(v_change.event_id);
                v_has_to_queue := false;
            end if;
            if v_finds_waiters then
                v_ignored := seat_waiters_first(v_change.event_id);
            end if;
            if v_change.joins then
                v_ignored := take_event_seats(
                    v_change.event_id, v_change.confirmed, v_change.held, v_users_are_active
                );
            else
                v_ignored := move_event_seats(v_change.event_id, v_change.confirmed, v_change.held);
            end if;
            if v_change.confirmed + v_change.held < 0 then
                v_ignored := promote_waitlist(v_change.event_id) is null;
            elsif v_change.starts_waiting then
                v_ignored := seat_new_waiters(v_change.event_id);
            end if;
        end loop;
    else
        for v_change in
            select o.event_id,
                -(count(*) filter (where o.status = 'confirmed'))::integer as confirmed,
                -(count(*) filter (where o.status = 'pending'))::integer as held
            from old_rows o
            where o.status in ('confirmed', 'pending')
            group by o.event_id
            order by o.event_id
        loop
            if v_has_to_queue then
                v_ignored := enter_queue(v_change.event_id);
                v_has_to_queue := false;
            end if;
            v_ignored := move_event_seats(v_change.event_id, v_change.confirmed, v_change.held);
            v_ignored := promote_waitlist(v_change.event_id) is null;
        end loop;
    end if;
    return null;
end
$function$;
comment on function public.sync_registration_counts() is 'Trigger: keeps events.current_registrations equal to the confirmed registrations and events.held_seats to the pending ones, one event row after the other by id; refuses registrations for inactive, past or full events and by inactive users; gives freed seats to waiters. Runs as the owner of the schema, because nobody else may write the counters.';
revoke execute on function public.sync_registration_counts() from public;

CREATE OR REPLACE FUNCTION public.take_event_seats(p_event_id integer, p_confirmed integer, p_held integer, p_users_are_active boolean)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
begin
    loop
        -- Joining the waitlist adds nothing to the counters and updates the row all the same: whoever frees
        -- a seat at this moment has to wait for the waiter, or at higher isolation levels to fail. The time
        -- is that of the statement: a call that has just found the event upcoming must not be contradicted.
        update events e
        set current_registrations = e.current_registrations + p_confirmed,
            held_seats = e.held_seats + p_held
        where e.id = p_event_id
            and e.is_active
            and e.date_time > statement_timestamp()
            and e.current_registrations + e.held_seats + p_confirmed + p_held <= e.capacity
            and p_users_are_active;
        exit when found;

        -- Expired holds may be in the way. The event's lock comes first, so that nobody else settles the
        -- same ones.
        perform 1 from events e where e.id = p_event_id for no key update;
        if expire_holds(p_event_id) = 0 then
            perform refuse_registrations(p_event_id, p_confirmed + p_held, p_users_are_active);
        end if;
    end loop;
    return true;
end
$function$;
comment on function public.take_event_seats(integer,integer,integer,boolean) is 'Adds to the counters of an event for users who join it, be it as waiters. Refuses them where the event is inactive, past or full, or one of them is inactive.';
revoke execute on function public.take_event_seats(integer,integer,integer,boolean) from public;

CREATE OR REPLACE FUNCTION public.touch_updated_at()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    new.updated_at := now();
    return new;
end
$function$;
comment on function public.touch_updated_at() is 'Trigger: sets updated_at to the start of the transaction.';
revoke execute on function public.touch_updated_at() from public;

CREATE OR REPLACE FUNCTION public.try_lock_event(p_event_id integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
declare
    v_is_locked boolean;
begin
    if pg_try_advisory_xact_lock('events'::regclass::oid::integer, 1 + p_event_id % 1024) then
        select true into v_is_locked
        from events e
        where e.id = p_event_id
        for no key update skip locked;
    end if;
    return coalesce(v_is_locked, false);
end
$function$;
comment on function public.try_lock_event(integer) is 'Locks the row of an event as a statement that changes registrations would, and says whether it could; never waits. For whoever goes through many events: waiting for one with others locked could deadlock, and whoever is busy with an event settles it anyway.';
revoke execute on function public.try_lock_event(integer) from public;

CREATE OR REPLACE FUNCTION public.update_table_statistics()
 RETURNS TABLE(schemaname text, tablename text, outcome text, reason text)
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '100ms'
AS $function$
declare
    v_table record;
    v_blocker record;
begin
    for v_table in
        with recursive parts (whole, part) as (
            select c.oid, c.oid
            from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = current_schema()
                and c.relkind in ('r', 'p', 'm')
                -- Analyzing a partitioned table analyzes its partitions; autovacuum never looks at the whole.
                and not c.relispartition
            union all
            select p.whole, h.inhrelid
            from parts p
            join pg_inherits h on h.inhparent = p.part
            join pg_class c on c.oid = h.inhrelid and c.relispartition
        )
        select w.oid, w.relname::text as relname, n.nspname::text as nspname, array_agg(c.oid) as parts,
            -- Without the right to it, analyze warns and goes on.
            bool_and(
                pg_has_role(c.relowner, 'usage')
                or pg_has_role(d.datdba, 'usage')
                or case
                    -- The privilege has a name from PostgreSQL 17 on.
                    when current_setting('server_version_num')::integer >= 170000
                    then has_table_privilege(c.oid, 'maintain')
                    else false
                end
            ) as may_analyze
        from parts p
        join pg_class c on c.oid = p.part
        join pg_class w on w.oid = p.whole
        join pg_namespace n on n.oid = w.relnamespace
        join pg_database d on d.datname = current_database()
        group by w.oid, w.relname, n.nspname
        order by w.relname
    loop
        schemaname := v_table.nspname;
        tablename := v_table.relname;
        outcome := 'skipped';
        reason := null;

        -- Those that wait count as well: whoever comes later queues behind them.
        select l.pid, l.mode, l.relation::regclass as relation into v_blocker
        from pg_locks l
        where l.locktype = 'relation'
            and l.relation = any (v_table.parts)
            and l.database = (select d.oid from pg_database d where d.datname = current_database())
            and l.pid is distinct from pg_backend_pid()
            and l.mode in (
                'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                'ExclusiveLock', 'AccessExclusiveLock'
            )
        order by l.granted desc, l.relation
        limit 1;

        if not v_table.may_analyze then
            reason := format('%s is neither the owner of the table nor of the database', current_user);
        elsif found then
            reason := format('process %s holds or wants a %s on %s',
                coalesce(v_blocker.pid::text, 'of a prepared transaction'), v_blocker.mode, v_blocker.relation);
        else
            -- One table in trouble is no reason to leave the others without statistics.
            begin
                execute format('analyze %I.%I', v_table.nspname, v_table.relname);
                if exists (select from pg_class c where c.oid = v_table.oid) then
                    outcome := 'analyzed';
                else
                    reason := 'dropped meanwhile';
                end if;
            exception
                when lock_not_available then
                    reason := 'locked by another session';
                when undefined_table or invalid_schema_name then
                    reason := 'dropped meanwhile';
                when others then
                    outcome := 'failed';
                    reason := format('%s (%s)', sqlerrm, sqlstate);
            end;
        end if;
        return next;
    end loop;
end
$function$;
comment on function public.update_table_statistics() is 'Analyzes every table of this schema and says for each whether it was analyzed, skipped (not allowed, locked, dropped meanwhile) or failed, and why; it waits for nobody. A partitioned table stands for its partitions. Each table stays locked against DDL and vacuum until the transaction ends; on large databases analyze table by table instead.';
revoke execute on function public.update_table_statistics() from public;

CREATE OR REPLACE FUNCTION public.validate_business_rules()
 RETURNS TABLE(rule_name text, violation_count integer, details text, severity text, sample_ids integer[])
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET "DateStyle" TO 'iso'
 SET "TimeZone" TO 'UTC'
 SET work_mem TO '64MB'
 SET jit TO 'off'
AS $function$
    with counted as (
        select
            r.event_id,
            count(*) filter (where r.status = 'confirmed') as confirmed,
            count(r.hold_expires_at) as holds,
            count(*) filter (
                where not r.user_id <@ (
                    select coalesce(range_agg(int4range(i.first_id, i.last_id, '[]')), '{}')
                    from (
                        select min(n.id) as first_id, max(n.id) as last_id
                        from (select u.id, u.id - row_number() over (order by u.id) as island from users u) n
                        group by n.island
                    ) i
                )
            ) as strangers
        from registrations r
        group by r.event_id
    ),
    held as (
        select
            r.event_id,
            count(*) as pending,
            count(r.hold_expires_at) as holds
        from registrations r
        where r.status = 'pending'
        group by r.event_id
    ),
    suspects as materialized (
        select *
        from (
            select
                e.id,
                c.event_id,
                e.capacity,
                e.current_registrations,
                e.held_seats,
                coalesce(c.confirmed, 0) as confirmed,
                coalesce(h.pending, 0) as pending,
                coalesce(h.holds, 0) as pending_holds,
                coalesce(c.holds, 0) as holds,
                coalesce(c.strangers, 0) as strangers
            from counted c
            left join held h on h.event_id = c.event_id
            full join events e on e.id = c.event_id
        ) s
        where s.id is null
            or s.current_registrations <> s.confirmed
            or s.held_seats <> s.pending
            or s.confirmed + s.pending > s.capacity
            or s.pending_holds <> s.pending
            or s.holds <> s.pending_holds
            or s.strangers > 0
    ),
    -- The status is looked at afterwards: comparing it for every row costs as much as the join.
    of_inactive_users as materialized (
        select r.id, r.user_id, r.event_id, r.status
        from users u
        join registrations r on r.user_id = u.id
        where not u.is_active
    ),
    queues as materialized (
        select
            e.id,
            e.capacity - e.current_registrations - e.held_seats as free_seats,
            (
                select max(r.registered_at)
                from registrations r
                where r.event_id = e.id and r.status = 'confirmed'
            ) as last_confirmed_at
        from (select r.event_id from registrations r where r.status = 'waitlist' group by r.event_id) w
        join events e on e.id = w.event_id
        where e.is_active and e.date_time > now()
    ),
    own_tables as materialized (
        select c.oid, c.relname, false as is_audit_log, null as bounds
        from pg_class c
        where c.oid in (
            'users'::regclass, 'events'::regclass, 'registrations'::regclass, 'event_search_documents'::regclass
        )
        union all
        select c.oid, c.relname, true, null
        from pg_class c
        where c.oid in ('audit_logs'::regclass, 'audit_logs_overflow'::regclass)
        union all
        select c.oid, c.relname, true, pg_get_expr(c.relpartbound, c.oid)
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'audit_logs'::regclass
    ),
    own_domains as materialized (
        select t.oid, t.typname
        from pg_type t
        where t.oid in (
            'email_address'::regtype, 'event_capacity'::regtype, 'registration_status'::regtype
        )
    ),
    violations (rule_name, id, detail) as (
        select 'registration_count_mismatch', s.id,
            format('event %s counts %s, confirmed are %s', s.id, s.current_registrations, s.confirmed)
        from suspects s
        where s.current_registrations <> s.confirmed
        union all
        select 'held_seats_mismatch', s.id,
            format('event %s counts %s, pending are %s', s.id, s.held_seats, s.pending)
        from suspects s
        where s.held_seats <> s.pending
        union all
        select 'capacity_exceeded', s.id,
            format('event %s has %s seats, taken are %s', s.id, s.capacity, s.confirmed + s.pending)
        from suspects s
        where s.confirmed + s.pending > s.capacity
        union all
        select 'impossible_hold', r.id, null
        from suspects s
        cross join lateral (
            select g.id
            from registrations g
            where g.event_id = s.event_id and (g.status = 'pending') <> (g.hold_expires_at is not null)
            offset 0
        ) r
        where s.pending_holds <> s.pending or s.holds <> s.pending_holds
        union all
        select 'registrations_without_event', r.id, format('event %s does not exist', s.event_id)
        from suspects s
        cross join lateral (select g.id from registrations g where g.event_id = s.event_id offset 0) r
        where s.id is null
        union all
        select 'registrations_without_user', r.id, format('user %s does not exist', r.user_id)
        from suspects s
        cross join lateral (
            select g.id, g.user_id
            from registrations g
            where g.event_id = s.event_id
                and not exists (select from users u where u.id = g.user_id)
            offset 0
        ) r
        where s.strangers > 0
        union all
        select 'registrations_of_inactive_users', r.id, format('user %s at event %s', r.user_id, r.event_id)
        from of_inactive_users r
        join events e on e.id = r.event_id and e.is_active and e.date_time > now()
        where r.status in ('confirmed', 'pending')
        union all
        select 'duplicate_registrations', d.id, format('user %s at event %s', d.user_id, d.event_id)
        from (
            select r.id, r.user_id, r.event_id,
                row_number() over (partition by r.user_id, r.event_id order by r.id) as occurrence
            from registrations r
            where not exists (
                select
                from pg_index i
                where i.indrelid = 'registrations'::regclass
                    and i.indisunique
                    and i.indisvalid
                    and i.indpred is null
                    and i.indexprs is null
                    and i.indnkeyatts = 2
                    and (i.indkey::smallint[])[0:1] <@ array(
                        select a.attnum
                        from pg_attribute a
                        where a.attrelid = i.indrelid and a.attname in ('user_id', 'event_id')
                    )
            )
        ) d
        where d.occurrence > 1
        union all
        select 'unknown_status', r.id, format('status %s', coalesce(r.status, 'null'))
        from registrations r
        where (r.status in ('confirmed', 'cancelled', 'waitlist', 'pending')) is not true
            and not exists (
                select
                from pg_attribute a
                join pg_constraint k on k.contypid = a.atttypid
                where a.attrelid = 'registrations'::regclass
                    and a.attname = 'status'
                    and a.attnotnull
                    and k.conname = 'registration_status_is_known'
                    and k.convalidated
            )
        union all
        select 'events_without_creator', e.id, format('user %s does not exist', e.created_by)
        from events e
        where e.created_by is not null
            and not exists (select from users u where u.id = e.created_by)
        union all
        select 'events_of_inactive_creators', e.id, format('event %s of user %s', e.id, e.created_by)
        from events e
        join users u on u.id = e.created_by and not u.is_active
        where e.is_active and e.date_time > now()
        union all
        select 'seats_free_while_waiting', q.id, format('event %s has %s free seats', q.id, q.free_seats)
        from queues q
        where q.free_seats > 0
            and exists (
                select
                from registrations r
                join users u on u.id = r.user_id
                where r.event_id = q.id and r.status = 'waitlist' and u.is_active
            )
        union all
        -- An account that changed since then may have been inactive and passed over for it.
        select 'waitlist_overtaken', r.id, format('registration %s for event %s', r.id, q.id)
        from queues q
        cross join lateral (
            select g.id
            from registrations g
            join users u on u.id = g.user_id
            where g.event_id = q.id
                and g.status = 'waitlist'
                and g.registered_at < q.last_confirmed_at
                and u.is_active
                and u.updated_at < q.last_confirmed_at
            offset 0
        ) r
        union all
        select 'expired_holds', r.id, format('registration %s for event %s', r.id, r.event_id)
        from registrations r
        where r.status = 'pending' and r.hold_expires_at <= now()
        union all
        select 'missing_audit_partition', null, format('no partition for %s', to_char(m.moment, 'YYYY-MM'))
        from (
            select now() as moment
            union all
            select date_trunc('month', now()) + interval '1 month'
        ) m
        where not exists (
            select
            from own_tables c
            where coalesce(substring(c.bounds from 'FROM \(''([^'']+)')::timestamptz, '-infinity') <= m.moment
                and coalesce(substring(c.bounds from 'TO \(''([^'']+)')::timestamptz, 'infinity') > m.moment
                and c.bounds is not null
        )
        union all
        select 'audit_overflow', null, null
        from audit_logs_overflow
        union all
        select 'stale_search_documents', e.id, format('event %s', e.id)
        from events e
        left join event_search_documents d on d.event_id = e.id
        where d.date_time is distinct from e.date_time
            or d.is_active is distinct from e.is_active
        union all
        select 'disabled_triggers', null,
            format('alter table %I enable%s trigger %I', c.relname, case when c.is_audit_log then ' always' end, t.tgname)
        from own_tables c
        join pg_trigger t on t.tgrelid = c.oid
        where case
            when c.is_audit_log then t.tgenabled <> 'A'
            else t.tgenabled in ('D', 'R')
        end
        union all
        select 'missing_guards', null, format('%s %s on %s', g.kind, g.guard_name, g.table_name)
        from (
            select l.table_name, l.kind, l.guard_name
            from list_schema_guards() l
            union all
            select c.relname::text, 'trigger', 'audit_logs_00_refuse_change'
            from own_tables c
            where c.bounds is not null
        ) g
        where case g.kind
            when 'trigger' then not exists (
                select
                from pg_trigger t
                where t.tgrelid = to_regclass(g.table_name) and t.tgname = g.guard_name
            )
            when 'unique index' then not exists (
                select
                from pg_index i
                join pg_class c on c.oid = i.indexrelid
                where i.indrelid = to_regclass(g.table_name) and c.relname = g.guard_name and i.indisunique
            )
            else not exists (
                select
                from pg_constraint k
                where k.conname = g.guard_name
                    and case
                        when g.kind = 'constraint' then k.conrelid = to_regclass(g.table_name)
                        else k.contypid = to_regtype(g.table_name)
                    end
            )
        end
        union all
        select 'unvalidated_constraints', null, case
            when k.contypid = 0 then format('alter table %I validate constraint %I', c.relname, k.conname)
            else format('alter domain %I validate constraint %I', d.typname, k.conname)
        end
        from pg_constraint k
        left join own_tables c on c.oid = k.conrelid
        left join own_domains d on d.oid = k.contypid
        where not k.convalidated
            and (c.oid is not null or d.oid is not null)
        union all
        select 'invalid_indexes', null, format('reindex index %I', x.relname)
        from own_tables c
        join pg_index i on i.indrelid = c.oid
        join pg_class x on x.oid = i.indexrelid
        where not i.indisvalid
    ),
    summed as (
        select
            v.rule_name,
            count(*)::integer as violation_count,
            (array_agg(v.id order by v.id) filter (where v.id is not null))[1:10] as sample_ids,
            (array_agg(v.detail order by v.id, v.detail) filter (where v.detail is not null))[1:5] as examples
        from violations v
        group by v.rule_name
    )
    select
        s.rule_name,
        s.violation_count,
        l.description
            || coalesce(': ' || array_to_string(s.examples, '; '), '')
            || case when cardinality(s.examples) < s.violation_count then '; ...' else '' end,
        l.severity,
        s.sample_ids
    from summed s
    join list_business_rules() l on l.rule_name = s.rule_name
    order by l.severity, s.rule_name
$function$;
comment on function public.validate_business_rules() is 'Looks for rows that break a rule in spite of constraints and triggers, as restores, disabled triggers and writes by hand can leave them, and for guards that are gone. One row a broken rule of list_business_rules(): how often, what it means with examples, severity (error or warning) and up to ten ids. A healthy database returns no row. Changes nothing.';
revoke execute on function public.validate_business_rules() from public;

CREATE OR REPLACE FUNCTION public.validate_event()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    if new.title !~ '[^\u0001-\u0020\u007f\u0085\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The title of an event cannot be blank',
            hint = 'Give a title with at least one visible character.',
            table = 'events',
            column = 'title',
            constraint = 'events_title_is_not_blank';
    elsif new.title ~ '[\u0001-\u001f\u007f\u2028\u2029]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The title of an event cannot hold control characters',
            hint = 'Give a title without line breaks, tabs and the like; the description may have them.',
            table = 'events',
            column = 'title',
            constraint = 'events_title_is_one_line';
    elsif new.location !~ '[^\u0001-\u0020\u007f\u0085\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The location of an event cannot be blank',
            hint = 'Give a location, or null while it is unknown.',
            table = 'events',
            column = 'location',
            constraint = 'events_location_is_not_blank';
    elsif new.location ~ '[\u0001-\u001f\u007f\u2028\u2029]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The location of an event cannot hold control characters',
            hint = 'Give a location on one line.',
            table = 'events',
            column = 'location',
            constraint = 'events_location_is_one_line';
    end if;

    -- Milliseconds, because an application that knows no more of a time writes it back shortened: for
    -- an event that is over, that is no move.
    if tg_op = 'INSERT'
        or date_trunc('milliseconds', new.date_time) <> date_trunc('milliseconds', old.date_time)
    then
        if new.date_time <= clock_timestamp() then
            raise exception using
                errcode = 'check_violation',
                message = format('An event cannot be set in the past: %s', new.date_time),
                hint = 'Give a date_time that is yet to come.',
                table = 'events',
                column = 'date_time',
                constraint = 'events_date_time_is_upcoming';
        elsif new.date_time > clock_timestamp() + interval '100 years' then
            raise exception using
                errcode = 'check_violation',
                message = format('An event cannot be set more than 100 years ahead: %s', new.date_time),
                hint = 'Give the date_time at which the event starts; infinity is none.',
                table = 'events',
                column = 'date_time',
                constraint = 'events_date_time_is_in_reach';
        end if;
    end if;

    if tg_op = 'INSERT' then
        if new.current_registrations <> 0 or new.held_seats <> 0 then
            raise exception using
                errcode = 'check_violation',
                message = 'A new event has no registrations yet',
                hint = 'Leave current_registrations and held_seats out: they count what is added to registrations.',
                table = 'events',
                column = case when new.held_seats <> 0 then 'held_seats' else 'current_registrations' end,
                constraint = 'events_counters_begin_at_zero';
        end if;
    elsif new.capacity < new.current_registrations + new.held_seats then
        raise exception using
            errcode = 'check_violation',
            message = format('The capacity of event %s cannot be %s: %s registrations are confirmed and %s seats held',
                new.id, new.capacity, new.current_registrations, new.held_seats),
            -- A row cannot settle its own holds while it is being updated.
            hint = case
                when new.held_seats = 0 then 'Cancel registrations first.'
                else format('Cancel registrations first, or call settle_event_seats(%s) if holds have expired.', new.id)
            end,
            table = 'events',
            column = 'capacity',
            constraint = 'events_capacity_is_not_exceeded';
    end if;
    return new;
end
$function$;
comment on function public.validate_event() is 'Trigger: title and location are one line and not blank, an event is never set in the past or more than 100 years ahead, its counters begin at zero, and the capacity never falls below the seats taken.';
revoke execute on function public.validate_event() from public;

CREATE OR REPLACE FUNCTION public.validate_user()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
    v_missing text := case
        when new.name is null then 'name'
        when new.email is null then 'email'
        when new.password_hash is null then 'password_hash'
        when new.is_active is null then 'is_active'
        when new.created_at is null then 'created_at'
        when new.updated_at is null then 'updated_at'
    end;
begin
    if v_missing is not null then
        raise exception using
            errcode = 'not_null_violation',
            message = format('A user needs a value in %s', v_missing),
            hint = 'Give a value, or leave the column out where it has a default.',
            table = 'users',
            column = v_missing;
    end if;

    -- The same patterns as in the check constraints of users, which hold whatever happens to triggers.
    if new.name !~ '[^\u0001-\u0020\u007f\u0085\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The name of a user cannot be blank',
            hint = 'Give a name with at least one visible character.',
            table = 'users',
            column = 'name',
            constraint = 'users_name_is_not_blank';
    elsif new.name ~ '[\u0001-\u001f\u007f\u2028\u2029]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The name of a user cannot hold control characters',
            hint = 'Give a name without line breaks, tabs and the like.',
            table = 'users',
            column = 'name',
            constraint = 'users_name_is_one_line';
    elsif new.password_hash !~ '^\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$' then
        -- Without the value: it may well be the password.
        raise exception using
            errcode = 'check_violation',
            message = 'The password hash of a user must be a bcrypt hash',
            hint = 'Hash the password in the application: 60 characters such as $2b$12$ and 53 more.',
            table = 'users',
            column = 'password_hash',
            constraint = 'users_password_hash_is_bcrypt';
    end if;
    return new;
end
$function$;
comment on function public.validate_user() is 'Trigger: nothing is missing, the name is one line and not blank, the hash is one of bcrypt. Raises what the constraints of users would, with a hint and without the row.';
revoke execute on function public.validate_user() from public;

CREATE OR REPLACE FUNCTION public.write_audit_entry(p_table text, p_operation text, p_row_id integer DEFAULT NULL::integer, p_old_values jsonb DEFAULT NULL::jsonb, p_new_values jsonb DEFAULT NULL::jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
    insert into audit_logs (table_name, operation, row_id, old_values, new_values)
    select p_table, p_operation, p_row_id, p_old_values, p_new_values
    where now() <@ audit_covered_time('audit_logs');

    if not found then
        insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values)
        values (p_table, p_operation, p_row_id, p_old_values, p_new_values);
    end if;
end
$function$;
comment on function public.write_audit_entry(text,text,integer,jsonb,jsonb) is 'Writes one entry into the audit log that is not about a changed row, such as a truncate or a repair.';
revoke execute on function public.write_audit_entry(text,text,integer,jsonb,jsonb) from public;

create sequence public.audit_logs_id_seq;
comment on sequence public.audit_logs_id_seq is 'Ids of audit_logs and audit_logs_overflow.';

create table public.audit_logs (
    id bigint default nextval('public.audit_logs_id_seq'::regclass) constraint audit_logs_id_not_null not null,
    created_at timestamp with time zone default now() constraint audit_logs_created_at_not_null not null,
    table_name text constraint audit_logs_table_name_not_null not null,
    operation text constraint audit_logs_operation_not_null not null,
    row_id integer,
    old_values jsonb,
    new_values jsonb,
    redacted text[],
    actor text default NULLIF(current_setting('evdb.actor'::text, true), ''::text),
    session_role text default SESSION_USER constraint audit_logs_session_role_not_null not null,
    application_name text default NULLIF(current_setting('application_name'::text, true), ''::text),
    transaction_id xid8 default pg_current_xact_id() constraint audit_logs_transaction_id_not_null not null
)
partition by RANGE (created_at);
comment on table public.audit_logs is 'Every change of users, events and registrations, written by triggers, one partition a month (UTC); secrets and the seat counters are left out. Read audit_log_entries, which has the overflow as well.';
comment on column public.audit_logs.id is 'Order of the entries within one created_at.';
comment on column public.audit_logs.created_at is 'Start of the transaction that made the change.';
comment on column public.audit_logs.table_name is 'Table that was changed.';
comment on column public.audit_logs.operation is 'INSERT, UPDATE, DELETE, TRUNCATE, or REPAIR of the counters.';
comment on column public.audit_logs.row_id is 'Primary key of the row; null for TRUNCATE.';
comment on column public.audit_logs.old_values is 'The row before, without its secrets.';
comment on column public.audit_logs.new_values is 'The row after, without its secrets.';
comment on column public.audit_logs.redacted is 'Secret columns that the change set or removed; their values are not kept.';
comment on column public.audit_logs.actor is 'Application user: what the transaction set with set_config(''evdb.actor'', ..., true).';
comment on column public.audit_logs.session_role is 'Role that logged in.';
comment on column public.audit_logs.application_name is 'application_name of the session.';
comment on column public.audit_logs.transaction_id is 'Transaction that made the change; entries of one transaction share it.';

create table public.audit_logs_overflow (
    id bigint default nextval('public.audit_logs_id_seq'::regclass),
    created_at timestamp with time zone default now(),
    table_name text,
    operation text,
    row_id integer,
    old_values jsonb,
    new_values jsonb,
    redacted text[],
    actor text default NULLIF(current_setting('evdb.actor'::text, true), ''::text),
    session_role text default SESSION_USER,
    application_name text default NULLIF(current_setting('application_name'::text, true), ''::text),
    transaction_id xid8 default pg_current_xact_id(),
    constraint audit_logs_created_at_not_null NOT NULL created_at,
    constraint audit_logs_id_not_null NOT NULL id,
    constraint audit_logs_operation_not_null NOT NULL operation,
    constraint audit_logs_overflow_pkey PRIMARY KEY (created_at, id),
    constraint audit_logs_session_role_not_null NOT NULL session_role,
    constraint audit_logs_table_name_not_null NOT NULL table_name,
    constraint audit_logs_transaction_id_not_null NOT NULL transaction_id
);
comment on table public.audit_logs_overflow is 'Entries whose month had no partition when they were written; ensure_audit_partitions() moves them to where they belong.';
comment on column public.audit_logs_overflow.id is 'Order of the entries within one created_at.';
comment on column public.audit_logs_overflow.created_at is 'Start of the transaction that made the change.';
comment on column public.audit_logs_overflow.table_name is 'Table that was changed.';
comment on column public.audit_logs_overflow.operation is 'INSERT, UPDATE, DELETE or TRUNCATE.';
comment on column public.audit_logs_overflow.row_id is 'Primary key of the row; null for TRUNCATE.';
comment on column public.audit_logs_overflow.old_values is 'The row before, without its secrets.';
comment on column public.audit_logs_overflow.new_values is 'The row after, without its secrets.';
comment on column public.audit_logs_overflow.redacted is 'Secret columns that the change set or removed; their values are not kept.';
comment on column public.audit_logs_overflow.actor is 'Application user: what the transaction set with set_config(''evdb.actor'', ..., true).';
comment on column public.audit_logs_overflow.session_role is 'Role that logged in.';
comment on column public.audit_logs_overflow.application_name is 'application_name of the session.';
comment on column public.audit_logs_overflow.transaction_id is 'Transaction that made the change; entries of one transaction share it.';
comment on constraint audit_logs_overflow_pkey on public.audit_logs_overflow is 'As in audit_logs.';

CREATE INDEX audit_logs_overflow_table_name_row_id_created_at_idx ON public.audit_logs_overflow USING btree (table_name, row_id, created_at);
comment on index public.audit_logs_overflow_table_name_row_id_created_at_idx is 'Serves the history of one row.';

create table public.event_search_documents (
    event_id integer not null,
    date_time timestamp with time zone not null,
    is_active boolean not null,
    document tsvector not null,
    constraint event_search_documents_pkey PRIMARY KEY (event_id)
);
comment on table public.event_search_documents is 'What each event is found by; kept by triggers on events.';
comment on column public.event_search_documents.event_id is 'The event.';
comment on column public.event_search_documents.date_time is 'As in events.';
comment on column public.event_search_documents.is_active is 'As in events.';
comment on column public.event_search_documents.document is 'Its words with positions and weights, see event_search_document().';

CREATE INDEX event_search_documents_date_time_idx ON public.event_search_documents USING btree (date_time, event_id);
comment on index public.event_search_documents_date_time_idx is 'Serves search_events() for very common words and without words.';

CREATE INDEX event_search_documents_document_idx ON public.event_search_documents USING gin (document);
comment on index public.event_search_documents_document_idx is 'Serves search_events() for most words.';

create table public.events (
    id integer generated by default as identity not null,
    title character varying(500) not null,
    description text,
    date_time timestamp with time zone not null,
    location character varying(500),
    capacity public.event_capacity not null,
    current_registrations integer default 0 not null,
    held_seats integer default 0 not null,
    created_by integer,
    is_active boolean default true not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    constraint events_capacity_is_not_exceeded CHECK (((current_registrations + held_seats) <= (capacity)::integer)),
    constraint events_pkey PRIMARY KEY (id)
)
with (fillfactor='80');
comment on table public.events is 'Events people register for.';
comment on column public.events.id is 'Primary key.';
comment on column public.events.title is 'Title, never blank.';
comment on column public.events.description is 'Longer text; may be absent.';
comment on column public.events.date_time is 'When the event starts.';
comment on column public.events.location is 'Where it takes place; absent while unknown.';
comment on column public.events.capacity is 'Number of seats.';
comment on column public.events.current_registrations is 'Number of confirmed registrations; kept by triggers on registrations, never written by hand.';
comment on column public.events.held_seats is 'Number of seats held by pending registrations until they are confirmed or expire; kept by triggers like the counter.';
comment on column public.events.created_by is 'The user who created the event; null once that account is deleted.';
comment on column public.events.is_active is 'False for an event that is called off or hidden: nobody can register.';
comment on column public.events.created_at is 'When the row was inserted.';
comment on column public.events.updated_at is 'When a value of the row other than the counters last changed; kept by a trigger.';
comment on constraint events_capacity_is_not_exceeded on public.events is 'The last line of defence against overselling, also against a capacity below the confirmed registrations.';

CREATE INDEX events_created_by_date_time_idx ON public.events USING btree (created_by, date_time);
comment on index public.events_created_by_date_time_idx is 'Serves a creator''s events; supports events_created_by_fkey.';

CREATE INDEX events_upcoming_idx ON public.events USING btree (date_time, id) WHERE is_active;
comment on index public.events_upcoming_idx is 'Serves the list of upcoming active events, and supports keyset paging through it.';

create table public.registrations (
    id integer generated by default as identity not null,
    user_id integer not null,
    event_id integer not null,
    registered_at timestamp with time zone default now() not null,
    status public.registration_status default 'confirmed'::text not null,
    hold_expires_at timestamp with time zone,
    constraint registrations_pkey PRIMARY KEY (id),
    constraint registrations_user_id_event_id_key UNIQUE (user_id, event_id)
);
comment on table public.registrations is 'One row for each user and event; a cancelled one stays and can come back.';
comment on column public.registrations.id is 'Primary key.';
comment on column public.registrations.user_id is 'Who takes part.';
comment on column public.registrations.event_id is 'In which event.';
comment on column public.registrations.registered_at is 'When the user registered; a registration that comes back after a cancellation gets a new time.';
comment on column public.registrations.status is 'confirmed (takes a seat), pending (holds a seat until hold_expires_at), waitlist or cancelled.';
comment on column public.registrations.hold_expires_at is 'Until when a pending registration holds its seat; null for every other status.';
comment on constraint registrations_user_id_event_id_key on public.registrations is 'A user has one registration for an event; also serves the list of a user''s registrations.';

CREATE INDEX registrations_confirmed_idx ON public.registrations USING btree (event_id, registered_at, id) WHERE ((status)::text = 'confirmed'::text);
comment on index public.registrations_confirmed_idx is 'Serves the attendees of an event in the order in which they registered, and supports keyset paging through it.';

CREATE INDEX registrations_event_id_user_id_idx ON public.registrations USING btree (event_id, user_id);
comment on index public.registrations_event_id_user_id_idx is 'Serves all registrations of an event; supports registrations_event_id_fkey.';

CREATE INDEX registrations_pending_idx ON public.registrations USING btree (event_id, hold_expires_at) WHERE ((status)::text = 'pending'::text);
comment on index public.registrations_pending_idx is 'Serves the settling of expired holds.';

CREATE INDEX registrations_waitlist_idx ON public.registrations USING btree (event_id, registered_at, id) WHERE ((status)::text = 'waitlist'::text);
comment on index public.registrations_waitlist_idx is 'Serves the promotion of waiters and their positions, in their order.';

create table public.users (
    id integer generated by default as identity not null,
    name character varying(255) not null,
    email public.email_address not null,
    password_hash character varying(255) not null,
    is_active boolean default true not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    constraint users_email_key UNIQUE (email),
    constraint users_name_is_not_blank CHECK (((name)::text ~ '[^\u0001-\u0020\u007f\u0085\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0]'::text)),
    constraint users_name_is_one_line CHECK (((name)::text !~ '[\u0001-\u001f\u007f\u2028\u2029]'::text)),
    constraint users_password_hash_is_bcrypt CHECK (((password_hash)::text ~ '^\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$'::text)),
    constraint users_pkey PRIMARY KEY (id)
);
comment on table public.users is 'People who create events and register for them.';
comment on column public.users.id is 'Primary key.';
comment on column public.users.name is 'Display name: one line, never blank.';
comment on column public.users.email is 'Login and contact address, unique whatever its capitals.';
comment on column public.users.password_hash is 'bcrypt hash of the password; never copied into audit_logs.';
comment on column public.users.is_active is 'False for a closed account: it keeps its history and cannot register.';
comment on column public.users.created_at is 'When the row was inserted; later writes to it are ignored.';
comment on column public.users.updated_at is 'When a value of the row last changed; kept by a trigger.';
comment on constraint users_email_key on public.users is 'An address belongs to one account.';
comment on constraint users_name_is_not_blank on public.users is 'A name holds at least one visible character.';
comment on constraint users_name_is_one_line on public.users is 'A name holds no control characters: in a mail header or a log, a line break would begin a forged line.';
comment on constraint users_password_hash_is_bcrypt on public.users is 'A bcrypt hash: $2a$, $2b$, $2x$ or $2y$, a cost of 04 to 31, 53 characters. Keeps plain passwords out.';

CREATE UNIQUE INDEX users_email_lower_key ON public.users USING btree (lower((email)::text));
comment on index public.users_email_lower_key is 'An address belongs to one account, however it is capitalised.';

alter table only public.audit_logs
    add constraint audit_logs_pkey PRIMARY KEY (created_at, id);
comment on constraint audit_logs_pkey on public.audit_logs is 'Time comes first: partitions by month need it in the key, and reading newest first follows it.';

CREATE INDEX audit_logs_row_idx ON ONLY public.audit_logs USING btree (table_name, row_id, created_at);
comment on index public.audit_logs_row_idx is 'Serves the history of one row.';

alter sequence public.audit_logs_id_seq owned by public.audit_logs.id;

create view public.audit_log_entries as
 SELECT a.id,
    a.created_at,
    a.table_name,
    a.operation,
    a.row_id,
    a.old_values,
    a.new_values,
    a.redacted,
    a.actor,
    a.session_role,
    a.application_name,
    a.transaction_id
   FROM public.audit_logs a
UNION ALL
 SELECT v.id,
    v.created_at,
    v.table_name,
    v.operation,
    v.row_id,
    v.old_values,
    v.new_values,
    v.redacted,
    v.actor,
    v.session_role,
    v.application_name,
    v.transaction_id
   FROM public.audit_logs_overflow v;
comment on view public.audit_log_entries is 'All entries of the audit log, wherever they are kept.';

alter table public.event_search_documents
    add constraint event_search_documents_event_id_fkey FOREIGN KEY (event_id) REFERENCES public.events(id) ON UPDATE CASCADE ON DELETE CASCADE;
comment on constraint event_search_documents_event_id_fkey on public.event_search_documents is 'Goes with its event.';

alter table public.events
    add constraint events_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;
comment on constraint events_created_by_fkey on public.events is 'An event outlives the account of its creator.';

alter table public.registrations
    add constraint registrations_event_id_fkey FOREIGN KEY (event_id) REFERENCES public.events(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
comment on constraint registrations_event_id_fkey on public.registrations is 'Goes with its event.';

alter table public.registrations
    add constraint registrations_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
comment on constraint registrations_user_id_fkey on public.registrations is 'Goes with its user.';

CREATE TRIGGER audit_logs_00_refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_logs FOR EACH STATEMENT WHEN ((current_setting('evdb.audit_maintenance'::text, true) IS DISTINCT FROM 'on'::text)) EXECUTE FUNCTION public.refuse_audit_change();
alter table public.audit_logs enable always trigger audit_logs_00_refuse_change;
comment on trigger audit_logs_00_refuse_change on public.audit_logs is 'Entries stay, and stay as they were written.';

CREATE TRIGGER audit_logs_00_refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_logs_overflow FOR EACH STATEMENT WHEN ((current_setting('evdb.audit_maintenance'::text, true) IS DISTINCT FROM 'on'::text)) EXECUTE FUNCTION public.refuse_audit_change();
alter table public.audit_logs_overflow enable always trigger audit_logs_00_refuse_change;
comment on trigger audit_logs_00_refuse_change on public.audit_logs_overflow is 'Entries stay, and stay as they were written.';

CREATE TRIGGER events_00_gate_delete BEFORE DELETE ON public.events FOR EACH STATEMENT EXECUTE FUNCTION public.close_registration_gate();
comment on trigger events_00_gate_delete on public.events is 'Keeps the cascade to registrations from deadlocking.';

CREATE TRIGGER events_00_gate_update BEFORE UPDATE OF capacity, is_active, date_time ON public.events FOR EACH STATEMENT EXECUTE FUNCTION public.prepare_to_fill();
comment on trigger events_00_gate_update on public.events is 'Takes the locks of events_30_fill in their order.';

CREATE TRIGGER events_05_keep_timestamps BEFORE UPDATE OF created_at, updated_at ON public.events FOR EACH ROW EXECUTE FUNCTION public.keep_timestamps();
comment on trigger events_05_keep_timestamps on public.events is 'Ignores what a statement writes into created_at and updated_at.';

CREATE TRIGGER events_10_touch_updated_at BEFORE UPDATE OF title, description, date_time, location, capacity, created_by, is_active ON public.events FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.touch_updated_at();
comment on trigger events_10_touch_updated_at on public.events is 'Keeps updated_at; neither a change of nothing nor the counter counts as a change.';

CREATE TRIGGER events_20_validate_insert BEFORE INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION public.validate_event();
comment on trigger events_20_validate_insert on public.events is 'A new event has a title and is yet to come.';

CREATE TRIGGER events_20_validate_update BEFORE UPDATE OF title, location, date_time, capacity ON public.events FOR EACH ROW EXECUTE FUNCTION public.validate_event();
comment on trigger events_20_validate_update on public.events is 'An event moves into the future only, and keeps a seat for everyone who has one; a past one can still be edited.';

CREATE TRIGGER events_30_fill AFTER UPDATE OF capacity, is_active, date_time ON public.events FOR EACH ROW EXECUTE FUNCTION public.fill_changed_event();
comment on trigger events_30_fill on public.events is 'Gives new seats to waiters.';

CREATE TRIGGER events_80_search_insert AFTER INSERT ON public.events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.keep_event_search_documents();
comment on trigger events_80_search_insert on public.events is 'Makes new events searchable.';

CREATE TRIGGER events_80_search_update AFTER UPDATE OF title, location, description, date_time, is_active ON public.events FOR EACH ROW EXECUTE FUNCTION public.keep_event_search_documents();
comment on trigger events_80_search_update on public.events is 'Keeps an event findable by its present words and date.';

CREATE TRIGGER events_90_audit_delete AFTER DELETE ON public.events REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.audit_changes_of_events();
comment on trigger events_90_audit_delete on public.events is 'Audits deleted rows, also those that a cascade deletes.';

CREATE TRIGGER events_90_audit_insert AFTER INSERT ON public.events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.audit_changes_of_events('left_out=current_registrations', 'left_out=held_seats');
comment on trigger events_90_audit_insert on public.events is 'Audits new rows.';

CREATE TRIGGER events_90_audit_truncate AFTER TRUNCATE ON public.events FOR EACH STATEMENT EXECUTE FUNCTION public.audit_truncate();
comment on trigger events_90_audit_truncate on public.events is 'Audits a truncate.';

CREATE TRIGGER events_90_audit_update AFTER UPDATE OF id, title, description, date_time, location, capacity, created_by, is_active, created_at ON public.events FOR EACH ROW EXECUTE FUNCTION public.audit_updates_of_events();
comment on trigger events_90_audit_update on public.events is 'Audits changed rows, not changes of current_registrations, held_seats alone.';

CREATE TRIGGER registrations_00_gate_delete BEFORE DELETE ON public.registrations FOR EACH STATEMENT WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION public.enter_registration_gate();
comment on trigger registrations_00_gate_delete on public.registrations is 'Keeps deletes and deletions of events and users from deadlocking. A cascade is behind the gate already, or has given it up.';

CREATE TRIGGER registrations_00_gate_insert BEFORE INSERT ON public.registrations FOR EACH STATEMENT EXECUTE FUNCTION public.enter_registration_gate();
comment on trigger registrations_00_gate_insert on public.registrations is 'Keeps inserts and deletions of events and users from deadlocking.';

CREATE TRIGGER registrations_00_gate_update BEFORE UPDATE ON public.registrations FOR EACH STATEMENT EXECUTE FUNCTION public.enter_registration_gate();
comment on trigger registrations_00_gate_update on public.registrations is 'Keeps updates and deletions of events and users from deadlocking.';

CREATE TRIGGER registrations_20_keep_status BEFORE UPDATE OF status, hold_expires_at ON public.registrations FOR EACH ROW EXECUTE FUNCTION public.keep_registration_status();
comment on trigger registrations_20_keep_status on public.registrations is 'Refuses a status that cannot follow, and keeps the end of the hold.';

CREATE TRIGGER registrations_90_audit_delete AFTER DELETE ON public.registrations REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.audit_changes_of_registrations();
comment on trigger registrations_90_audit_delete on public.registrations is 'Audits deleted rows, also those that a cascade deletes.';

CREATE TRIGGER registrations_90_audit_insert AFTER INSERT ON public.registrations REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.audit_changes_of_registrations();
comment on trigger registrations_90_audit_insert on public.registrations is 'Audits new rows.';

CREATE TRIGGER registrations_90_audit_truncate AFTER TRUNCATE ON public.registrations FOR EACH STATEMENT EXECUTE FUNCTION public.audit_truncate();
comment on trigger registrations_90_audit_truncate on public.registrations is 'Audits a truncate.';

CREATE TRIGGER registrations_90_audit_update AFTER UPDATE ON public.registrations REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.audit_changes_of_registrations();
comment on trigger registrations_90_audit_update on public.registrations is 'Audits changed rows.';

CREATE TRIGGER registrations_95_count_delete AFTER DELETE ON public.registrations REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.sync_registration_counts();
comment on trigger registrations_95_count_delete on public.registrations is 'Gives seats back, also when a user or event is deleted.';

CREATE TRIGGER registrations_95_count_insert AFTER INSERT ON public.registrations REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.sync_registration_counts();
comment on trigger registrations_95_count_insert on public.registrations is 'Counts new registrations.';

CREATE TRIGGER registrations_95_count_truncate AFTER TRUNCATE ON public.registrations FOR EACH STATEMENT EXECUTE FUNCTION public.reset_registration_counts();
comment on trigger registrations_95_count_truncate on public.registrations is 'Gives every seat back.';

CREATE TRIGGER registrations_95_count_update AFTER UPDATE ON public.registrations REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.sync_registration_counts();
comment on trigger registrations_95_count_update on public.registrations is 'Counts changes of status, user and event.';

CREATE TRIGGER users_00_gate_delete BEFORE DELETE ON public.users FOR EACH STATEMENT EXECUTE FUNCTION public.close_registration_gate();
comment on trigger users_00_gate_delete on public.users is 'Keeps the cascades to events and registrations from deadlocking.';

CREATE TRIGGER users_00_gate_update BEFORE UPDATE OF is_active ON public.users FOR EACH STATEMENT EXECUTE FUNCTION public.prepare_to_fill();
comment on trigger users_00_gate_update on public.users is 'Takes the locks of users_30_fill in their order.';

CREATE TRIGGER users_05_keep_timestamps BEFORE UPDATE OF created_at, updated_at ON public.users FOR EACH ROW WHEN (((old.created_at IS DISTINCT FROM new.created_at) OR (old.updated_at IS DISTINCT FROM new.updated_at))) EXECUTE FUNCTION public.keep_timestamps();
comment on trigger users_05_keep_timestamps on public.users is 'Ignores what a statement writes into created_at and updated_at.';

CREATE TRIGGER users_10_touch_updated_at BEFORE UPDATE ON public.users FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.touch_updated_at();
comment on trigger users_10_touch_updated_at on public.users is 'Keeps updated_at; a change of nothing is no change.';

CREATE TRIGGER users_20_validate_insert BEFORE INSERT ON public.users FOR EACH ROW EXECUTE FUNCTION public.validate_user();
comment on trigger users_20_validate_insert on public.users is 'A new user has a name and a bcrypt hash.';

CREATE TRIGGER users_20_validate_update BEFORE UPDATE OF name, email, password_hash, is_active, created_at, updated_at ON public.users FOR EACH ROW EXECUTE FUNCTION public.validate_user();
comment on trigger users_20_validate_update on public.users is 'A user keeps a name and a bcrypt hash.';

CREATE TRIGGER users_30_fill AFTER UPDATE OF is_active ON public.users FOR EACH ROW EXECUTE FUNCTION public.fill_events_of_user();
comment on trigger users_30_fill on public.users is 'Gives free seats to a waiter who is active again.';

CREATE TRIGGER users_90_audit_delete AFTER DELETE ON public.users REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.audit_changes_of_users();
comment on trigger users_90_audit_delete on public.users is 'Audits deleted rows, also those that a cascade deletes.';

CREATE TRIGGER users_90_audit_insert AFTER INSERT ON public.users REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.audit_changes_of_users();
comment on trigger users_90_audit_insert on public.users is 'Audits new rows.';

CREATE TRIGGER users_90_audit_truncate AFTER TRUNCATE ON public.users FOR EACH STATEMENT EXECUTE FUNCTION public.audit_truncate();
comment on trigger users_90_audit_truncate on public.users is 'Audits a truncate.';

CREATE TRIGGER users_90_audit_update AFTER UPDATE ON public.users REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.audit_changes_of_users();
comment on trigger users_90_audit_update on public.users is 'Audits changed rows.';
