-- Purpose: attach_audit(), which gives a table the triggers that enter its changes into the audit log, and
--     those of users, events and registrations.
-- Locks: share row exclusive on users, events and registrations while the triggers are made.
-- Reversible: yes; what was written stays, and tables that were attached by hand have to be attached again.
--
-- A change is never refused because the log is not ready for it: the triggers make partitions ahead, and
-- where one is missing all the same the entry goes to audit_logs_overflow.

-- Not immutable in truth, and declared so for the reason that audit_covered_time() has.
create function audit_secret_columns(p_table regclass)
returns text[]
language sql
immutable
set search_path from current
as $$
    select coalesce(array_agg(a.attname::text order by a.attnum), '{}')
    from pg_attribute a
    where a.attrelid = p_table
        and a.attnum > 0
        and not a.attisdropped
        and a.attname ~* '(password|passwd|passphrase|passcode|secret|token|credential|api_?key|hash|salt|(^|_)(key|pin|otp|totp|pwd)(_|$))'
$$;

comment on function audit_secret_columns(regclass) is
    'Columns whose name looks like that of a secret, such as password_hash or reset_token, also ones that are added later: their values never enter the audit log.';

create function audit_redacted_columns(p_old jsonb, p_new jsonb, p_secrets text[])
returns text[]
language sql
immutable
parallel safe
set search_path from current
as $$
    select array_agg(s.name)
    from unnest(p_secrets) as s (name)
    where nullif(p_old -> s.name, 'null') is distinct from nullif(p_new -> s.name, 'null')
$$;

comment on function audit_redacted_columns(jsonb, jsonb, text[]) is
    'Which of the secret columns differ between two images of a row; null where none does.';

create function write_audit_entry(
    p_table text,
    p_operation text,
    p_row_id integer default null,
    p_old_values jsonb default null,
    p_new_values jsonb default null
)
returns void
language plpgsql
set search_path from current
as $$
begin
    insert into audit_logs (table_name, operation, row_id, old_values, new_values)
    select p_table, p_operation, p_row_id, p_old_values, p_new_values
    where now() <@ audit_covered_time('audit_logs');

    if not found then
        insert into audit_logs_overflow (table_name, operation, row_id, old_values, new_values)
        values (p_table, p_operation, p_row_id, p_old_values, p_new_values);
    end if;
end
$$;

comment on function write_audit_entry(text, text, integer, jsonb, jsonb) is
    'Writes one entry into the audit log that is not about a changed row, such as a truncate or a repair.';

-- Security definer, because whoever may truncate a table needs no right to write the log.
create function audit_truncate()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
    perform write_audit_entry(tg_table_name, 'TRUNCATE');
    return null;
end
$$;

comment on function audit_truncate() is 'Trigger: writes one entry into the audit log for a truncate.';

--
-- The generator
--
-- Each table gets functions of its own: names of tables and operations have to be literals, because a
-- statement without parameters is planned once in a session, and what the two functions above say is then
-- part of the plan.

create function build_audit_entry(
    p_table text,
    p_operation text,
    p_row_id text,
    p_old_row text,
    p_new_row text,
    p_redacted text[],
    p_left_out text[]
)
returns text
language sql
immutable
parallel safe
set search_path from current
as $build$
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
$build$;

comment on function build_audit_entry(text, text, text, text, text, text[], text[]) is
    'The values of one entry of the audit log, as text for a function that attach_audit() makes; operation, row id and rows are given as expressions.';

create function build_audit_statements(p_entry text, p_source text, p_condition text)
returns text
language sql
immutable
parallel safe
set search_path from current
as $build$
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
$build$;

comment on function build_audit_statements(text, text, text) is
    'The statements that write entries into the audit log, or into its overflow, as text for a function that attach_audit() makes.';

create function create_audit_function(p_name text, p_table text, p_statements text)
returns void
language plpgsql
set search_path from current
as $create$
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
$create$;

comment on function create_audit_function(text, text, text) is
    'Makes a trigger function of the audit log out of the statements given; it belongs to the owner of the log.';

create function check_audited_table(p_table regclass, p_redacted text[], p_left_out text[])
returns void
language plpgsql
stable
set search_path from current
as $$
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
$$;

comment on function check_audited_table(regclass, text[], text[]) is
    'Refuses a table that attach_audit() cannot audit, and columns that it does not have.';

create function describe_audit_key(p_table regclass)
returns table (key_columns text[], row_id text)
language sql
stable
set search_path from current
as $$
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
$$;

comment on function describe_audit_key(regclass) is
    'The columns of a primary key, and what row_id of an entry is for a row @: null where the key is not one integer, as it is in the images anyway.';

create function list_audit_arguments(p_table regclass, p_argument text)
returns text[]
language sql
stable
set search_path from current
as $$
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
$$;

comment on function list_audit_arguments(regclass, text) is
    'The columns that attach_audit() was given as an argument, redacted or left_out; they are the arguments of the trigger for inserts.';

create function attach_audit_trigger(p_table text, p_event text, p_definition text, p_comment text)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_trigger text := p_table || '_90_audit_' || p_event;
begin
    execute format('create or replace trigger %I after %s', v_trigger, p_definition);
    execute format('comment on trigger %I on %I is %L', v_trigger, p_table, p_comment);
end
$$;

comment on function attach_audit_trigger(text, text, text, text) is
    'Makes one trigger of an audited table, or makes it anew, and says what it is for.';

create function attach_audit_of_columns(p_table regclass, p_function text, p_left_out text[], p_statements text)
returns void
language plpgsql
set search_path from current
as $$
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
$$;

comment on function attach_audit_of_columns(regclass, text, text[], text) is
    'Makes the trigger for updates of a table that has columns nobody audits, and its function: by row, and for all the others.';

create function attach_audit(
    p_table regclass,
    p_redacted text[] default null,
    p_left_out text[] default null
)
returns void
language plpgsql
set search_path from current
as $$
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
$$;

comment on function attach_audit(regclass, text[], text[]) is
    'Enters every change of a table of this schema into the audit log from now on, whoever makes it and however. Columns whose name looks like that of a secret are redacted, and so are those in p_redacted: an entry says that they changed and keeps no value. Columns in p_left_out keep books: they are in no entry, and a change of them alone, or of updated_at, is none; the table is then audited row by row, and a column that is added later is watched once attach_audit() has run again. row_id of an entry is the primary key where that is one integer. Without these arguments a table that is audited already keeps those it has: call it again after columns were added or renamed, and detach_audit() before the table is renamed. Locks the table share row exclusive; for the owner of the schema.';

create function detach_audit(p_table regclass)
returns void
language plpgsql
set search_path from current
as $$
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
$$;

comment on function detach_audit(regclass) is
    'Ends what attach_audit() began: changes of the table are no longer entered; entries stay. Locks the table exclusively; for the owner of the schema.';

do $$
begin
    perform attach_audit('users');
    perform attach_audit('events', p_left_out => '{current_registrations,held_seats}');
    perform attach_audit('registrations');
end
$$;

revoke execute on function audit_secret_columns(regclass) from public;
revoke execute on function audit_redacted_columns(jsonb, jsonb, text[]) from public;
revoke execute on function write_audit_entry(text, text, integer, jsonb, jsonb) from public;
revoke execute on function audit_truncate() from public;
revoke execute on function build_audit_entry(text, text, text, text, text, text[], text[]) from public;
revoke execute on function build_audit_statements(text, text, text) from public;
revoke execute on function create_audit_function(text, text, text) from public;
revoke execute on function check_audited_table(regclass, text[], text[]) from public;
revoke execute on function describe_audit_key(regclass) from public;
revoke execute on function list_audit_arguments(regclass, text) from public;
revoke execute on function attach_audit_trigger(text, text, text, text) from public;
revoke execute on function attach_audit_of_columns(regclass, text, text[], text) from public;
revoke execute on function attach_audit(regclass, text[], text[]) from public;
revoke execute on function detach_audit(regclass) from public;
