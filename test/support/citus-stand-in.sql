-- A stand-in for what evdb reads of Citus, on a plain server: tables, views and functions by the names
-- and with the columns of Citus 13, in pg_catalog. It distributes nothing: a "shard" is an empty table in
-- the schema citus_shards, and there is one node. It shows that evdb's SQL runs and that its columns are
-- read as meant; what Citus itself does with a statement it does not show.
set allow_system_table_mods = on;
set client_min_messages = warning;

create table pg_catalog.pg_dist_partition (
    logicalrelid regclass primary key,
    partmethod "char" not null,
    partkey text,
    colocationid integer not null default 0,
    repmodel "char" not null default 's',
    autoconverted boolean not null default false
);
create table pg_catalog.pg_dist_shard (
    logicalrelid regclass not null,
    shardid bigint primary key,
    shardstorage "char" not null default 't',
    shardminvalue text,
    shardmaxvalue text
);
create table pg_catalog.pg_dist_placement (
    placementid bigint generated always as identity primary key,
    shardid bigint not null,
    shardstate integer not null default 1,
    shardlength bigint not null default 0,
    groupid integer not null
);
create table pg_catalog.pg_dist_node (
    nodeid integer primary key,
    groupid integer not null,
    nodename text not null,
    nodeport integer not null default 5432,
    noderack text not null default 'default',
    hasmetadata boolean not null default true,
    isactive boolean not null default true,
    noderole text not null default 'primary',
    nodecluster name not null default 'default',
    metadatasynced boolean not null default true,
    shouldhaveshards boolean not null default true
);
create table pg_catalog.pg_dist_local_group (groupid integer not null primary key);
create table pg_catalog.pg_dist_colocation (
    colocationid integer not null primary key,
    shardcount integer not null,
    replicationfactor integer not null default 1,
    distributioncolumntype oid not null,
    distributioncolumncollation oid not null default 0
);
create table pg_catalog.pg_dist_schema (schemaid oid primary key, colocationid integer not null);
create table pg_catalog.pg_dist_background_job (
    job_id bigint primary key,
    state text not null,
    job_type name not null,
    description text not null,
    started_at timestamptz,
    finished_at timestamptz
);
create table pg_catalog.pg_dist_transaction (groupid integer not null, gid text not null);
-- What the views below show, for tests to fill.
create table pg_catalog.stand_in_lock_wait (
    waiting_pid integer,
    blocking_gpid bigint,
    blocking_pid integer,
    blocking_nodeid integer,
    statement text
);
create table pg_catalog.stand_in_activity (
    global_pid bigint,
    nodeid integer,
    is_worker_query boolean,
    pid integer,
    usename name,
    application_name text,
    client_addr inet,
    client_port integer,
    backend_start timestamptz,
    xact_start timestamptz,
    state text,
    query text,
    backend_type text default 'client backend'
);
create table pg_catalog.stand_in_rebalance (
    table_name regclass,
    shardid bigint,
    shard_size bigint,
    sourcename text,
    sourceport integer,
    targetname text,
    targetport integer
);
create sequence pg_catalog.stand_in_shard start 102008;
create sequence pg_catalog.stand_in_colocation start 1;
create schema citus_shards;
insert into pg_catalog.pg_dist_local_group (groupid) values (0);
insert into pg_catalog.pg_dist_node (nodeid, groupid, nodename) values (1, 0, 'coordinator');

create function pg_catalog.citus_backend_gpid() returns bigint
language sql return 10000000000 + pg_catalog.pg_backend_pid();
create view pg_catalog.citus_lock_waits as
select 10000000000 + w.waiting_pid as waiting_gpid, w.blocking_gpid, w.waiting_pid, w.blocking_pid,
    null::text as blocked_statement, w.statement as current_statement_in_blocking_process,
    1 as waiting_nodeid, w.blocking_nodeid
from pg_catalog.stand_in_lock_wait as w;
create view pg_catalog.citus_stat_activity as select * from pg_catalog.stand_in_activity;
create function pg_catalog.column_to_column_name(table_name regclass, column_var_text text)
returns text language sql return column_var_text;
create function pg_catalog.shard_name(object_name regclass, shard_id bigint)
returns text language sql stable as $$
    select pg_catalog.format('citus_shards.%I', c.relname || '_' || shard_id)
    from pg_catalog.pg_class as c where c.oid = object_name
$$;
create function pg_catalog.citus_total_relation_size(logicalrelid regclass, fail_on_error boolean default true)
returns bigint language sql strict as $$
    select pg_catalog.sum(pg_catalog.pg_total_relation_size(pg_catalog.shard_name(s.logicalrelid, s.shardid)::regclass))::bigint
    from pg_catalog.pg_dist_shard as s where s.logicalrelid = $1
$$;
create function pg_catalog.citus_table_size(logicalrelid regclass, fail_on_error boolean default true)
returns bigint language sql strict as $$
    select pg_catalog.sum(pg_catalog.pg_table_size(pg_catalog.shard_name(s.logicalrelid, s.shardid)::regclass))::bigint
    from pg_catalog.pg_dist_shard as s where s.logicalrelid = $1
$$;
create function pg_catalog.run_command_on_all_nodes(
    command text, parallel boolean default true, give_warning_for_connection_errors boolean default false,
    out nodeid integer, out success boolean, out result text
) returns setof record language plpgsql as $$
begin
    nodeid := 1;
    success := true;
    execute command into result;
    return next;
end
$$;
create function pg_catalog.get_rebalance_table_shards_plan()
returns setof pg_catalog.stand_in_rebalance language sql as $$ select * from pg_catalog.stand_in_rebalance $$;

create function pg_catalog.stand_in_distribute(
    relation regclass, method "char", key text, model "char", colocation integer, shards integer
) returns void language plpgsql as $$
declare
    shard bigint;
    type_of_key oid := coalesce((select atttypid from pg_catalog.pg_attribute where attrelid = relation and attname = key), 0);
    colocated integer := colocation;
begin
    if colocated is null then
        colocated := pg_catalog.nextval('pg_catalog.stand_in_colocation');
        insert into pg_catalog.pg_dist_colocation (colocationid, shardcount, distributioncolumntype)
        values (colocated, shards, type_of_key);
    end if;
    insert into pg_catalog.pg_dist_partition (logicalrelid, partmethod, partkey, colocationid, repmodel)
    values (relation, method, key, colocated, model);
    for i in 1 .. shards loop
        shard := pg_catalog.nextval('pg_catalog.stand_in_shard');
        insert into pg_catalog.pg_dist_shard (logicalrelid, shardid) values (relation, shard);
        insert into pg_catalog.pg_dist_placement (shardid, groupid) values (shard, 0);
        execute pg_catalog.format('create table %s (like %s)', pg_catalog.shard_name(relation, shard), relation);
    end loop;
end
$$;
create function pg_catalog.create_distributed_table(
    table_name regclass, distribution_column text, distribution_type text default 'hash',
    colocate_with text default 'default', shard_count integer default null
) returns void language plpgsql as $$
declare
    wanted integer := coalesce(shard_count, 4);
    beside integer;
begin
    if distribution_column is null then
        perform pg_catalog.stand_in_distribute(table_name, 'n', null, 's', null, 1);
        return;
    end if;
    if colocate_with = 'default' then
        beside := (
            select pg_catalog.min(c.colocationid)
            from pg_catalog.pg_dist_colocation as c
            join pg_catalog.pg_attribute as a on a.atttypid = c.distributioncolumntype
            where a.attrelid = table_name and a.attname = distribution_column and c.shardcount = wanted
        );
    elsif colocate_with <> 'none' then
        beside := (select colocationid from pg_catalog.pg_dist_partition where logicalrelid = colocate_with::regclass);
        wanted := (select shardcount from pg_catalog.pg_dist_colocation where colocationid = beside);
    end if;
    perform pg_catalog.stand_in_distribute(table_name, 'h', distribution_column, 's', beside, wanted);
end
$$;
create function pg_catalog.create_reference_table(table_name regclass)
returns void language sql as $$ select pg_catalog.stand_in_distribute(table_name, 'n', null, 't', null, 1) $$;
create function pg_catalog.citus_schema_distribute(schemaname regnamespace)
returns void language plpgsql as $$
declare
    colocated integer := pg_catalog.nextval('pg_catalog.stand_in_colocation');
    one regclass;
begin
    insert into pg_catalog.pg_dist_colocation (colocationid, shardcount, distributioncolumntype) values (colocated, 1, 0);
    insert into pg_catalog.pg_dist_schema (schemaid, colocationid) values (schemaname, colocated);
    for one in select oid::regclass from pg_catalog.pg_class where relnamespace = schemaname and relkind in ('r', 'p') loop
        perform pg_catalog.stand_in_distribute(one, 'n', null, 's', colocated, 1);
    end loop;
end
$$;
