-- The ledger as an evdb made it whose LEDGER_FORMAT was 1. Test data: it never changes.
create schema evdb;
create table if not exists "evdb".ledger_format (
    format integer not null,
    is_only boolean not null default true,
    constraint ledger_format_pkey primary key (is_only),
    constraint ledger_format_has_one_row check (is_only)
);
insert into "evdb".ledger_format (format) values (1) on conflict do nothing;

create table if not exists "evdb".migration (
    target_schema text not null,
    version bigint not null,
    label text not null,
    name text not null,
    checksum text not null,
    token_checksum text not null,
    state text not null,
    statements_done integer not null default 0,
    statements_total integer not null,
    applied_at timestamptz not null default pg_catalog.clock_timestamp(),
    duration_ms double precision,
    transaction_id xid8 not null default pg_catalog.pg_current_xact_id(),
    constraint migration_pkey primary key (target_schema, version),
    constraint migration_state_is_known check (state in ('applied', 'applying', 'reverting')),
    constraint migration_version_is_positive check (version > 0)
);

create table if not exists "evdb".migration_text (
    target_schema text not null,
    version bigint not null,
    up_text text,
    down_text text,
    -- no foreign key: a script may switch their checks off for its own transaction
    constraint migration_text_pkey primary key (target_schema, version)
);

create table if not exists "evdb".history (
    id bigint not null generated always as identity,
    target_schema text not null,
    version bigint,
    label text,
    name text,
    action text not null,
    checksum text,
    error text,
    duration_ms double precision,
    occurred_at timestamptz not null default pg_catalog.clock_timestamp(),
    database_user text not null default session_user,
    client_address inet default pg_catalog.inet_client_addr(),
    os_user text,
    host_name text,
    tool_version text not null,
    git_commit text,
    ci_url text,
    transaction_id xid8 not null default pg_catalog.pg_current_xact_id(),
    constraint history_pkey primary key (id),
    constraint history_action_is_known
        check (action in ('up', 'down', 'failed', 'repaired', 'baseline', 'reset'))
);

create or replace function "evdb".refuse_history_change()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'the migration history is append-only: % is refused', lower(tg_op)
        using errcode = 'insufficient_privilege';
end
$$;
create or replace trigger history_is_append_only
    before update or delete or truncate on "evdb".history
    for each statement execute function "evdb".refuse_history_change();

create or replace function "evdb".record_up(
    p_target_schema text,
    p_version bigint,
    p_label text,
    p_name text,
    p_checksum text,
    p_token_checksum text,
    p_statements_total integer,
    p_up_text text,
    p_down_text text,
    p_os_user text,
    p_host_name text,
    p_tool_version text,
    p_git_commit text,
    p_ci_url text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_duration_ms constant double precision :=
        extract(epoch from clock_timestamp() - transaction_timestamp()) * 1000;
begin
    insert into "evdb".migration (
        target_schema, version, label, name, checksum, token_checksum,
        state, statements_done, statements_total, duration_ms
    )
    values (
        p_target_schema, p_version, p_label, p_name, p_checksum, p_token_checksum,
        'applied', p_statements_total, p_statements_total, v_duration_ms
    );
    insert into "evdb".migration_text (target_schema, version, up_text, down_text)
    values (p_target_schema, p_version, p_up_text, p_down_text);
    insert into "evdb".history (
        target_schema, version, label, name, action, checksum, duration_ms,
        os_user, host_name, tool_version, git_commit, ci_url
    )
    values (
        p_target_schema, p_version, p_label, p_name, 'up', p_checksum, v_duration_ms,
        p_os_user, p_host_name, p_tool_version, p_git_commit, p_ci_url
    );
end
$$;
comment on function "evdb".record_up(text, bigint, text, text, text, text, integer, text, text, text, text, text, text, text) is
    'Writes what is known of a migration, in the transaction that applied it';

comment on schema "evdb" is 'Ledger of evdb: which migrations are applied, and all that ever happened';
comment on table "evdb".ledger_format is 'Layout of this ledger; a higher number belongs to a newer evdb';
comment on table "evdb".migration is 'What is applied now, one row a migration and target schema';
comment on column "evdb".migration.label is 'The version as the file name writes it, such as 001';
comment on column "evdb".migration.checksum is 'sha-256 of the up text, without byte order mark, with LF line ends';
comment on column "evdb".migration.token_checksum is 'The same without comments and white space: tells a reworded comment from changed SQL';
comment on column "evdb".migration.state is 'applied; applying or reverting: a no-transaction migration stopped half way';
comment on column "evdb".migration.statements_done is 'How many statements have committed (no-transaction migrations)';
comment on column "evdb".migration.transaction_id is 'Tells after a lost connection whether the commit happened (pg_xact_status)';
comment on table "evdb".migration_text is 'The scripts as they ran, for down --from-ledger and for diffs; may hold secrets, so only its owner may read it';
comment on table "evdb".history is 'Append-only: every up, down, failure, repair, baseline and reset';
comment on function "evdb".refuse_history_change() is 'Keeps the history append-only';

do $$
declare
    v_grantee text;
begin
    for v_grantee in
        select distinct
            case
                when acl.grantee = 0 then 'public'
                else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee))
            end
        from pg_catalog.pg_class as rel
        cross join lateral pg_catalog.aclexplode(rel.relacl) as acl
        where rel.oid = E'"evdb".migration_text'::regclass
            and acl.grantee <> rel.relowner
    loop
        execute pg_catalog.format('revoke all on "evdb".migration_text from %s', v_grantee);
    end loop;
end
$$;
