import type { Session } from '../connection/session.ts';
import type { Statement } from '../sql/statements.ts';

/*
 * A scratch database is of no cluster: it has not the extension, and made there that has no workers. So
 * what migrations say of distribution is written down there instead of done: functions by the names of
 * Citus' own, in a schema of evdb's, keep who is distributed how. What they make can then be compared with
 * a cluster, table by table; whether Citus would take it cannot be proved there.
 */

/** The schema of the functions; no structure shows it. */
export const MODEL_SCHEMA = 'evdb_citus';

const FUNCTIONS = [
  ...['create_distributed_table', 'create_distributed_table_concurrently'],
  ...['create_reference_table', 'undistribute_table', 'citus_add_local_table_to_metadata'],
  ...['citus_schema_distribute', 'citus_schema_undistribute', 'create_distributed_function'],
];

const CALL = new RegExp(
  `(?<![\\w."])(?:pg_catalog\\.)?(?=(?:${FUNCTIONS.join('|')})\\s*\\()`,
  'gi',
);

/** Statements that call functions at once; bodies of functions are left as they are. */
const CALLING = new Set(['select', 'do', 'with', 'perform']);

/** Whether a statement has to be adapted before it runs in a scratch database; pure. */
export function saysDistribution({ command, text }: Pick<Statement, 'command' | 'text'>): boolean {
  return CALLING.has(command) && text.search(CALL) >= 0;
}

/** Whether it makes or drops the extension, which a scratch database goes without; pure. */
export function isAboutExtension({ command, text }: Pick<Statement, 'command' | 'text'>): boolean {
  return /^(?:create|alter|drop) extension$/.test(command) && /\bcitus(?:_columnar)?\b/i.test(text);
}

/** The same statement with the functions of the model; pure. */
export function callModel(text: string): string {
  return text.replaceAll(CALL, `${MODEL_SCHEMA}.`);
}

/** Names of scratch databases that have the model: other sessions read it too. */
const modelled = new Set<string>();

/** Whether something was written down in the database of a session. */
export function isModelled({ options }: Pick<Session, 'options'>): boolean {
  return modelled.has(options.database);
}

/**
 * Makes a statement one that runs in a scratch database. Any other statement, and any session on a
 * cluster, is given back as it is.
 *
 * @param session on the scratch database; gets the model where it has none
 * @returns undefined for what is left out there
 */
export async function adaptToScratch(
  session: Session,
  statement: Statement,
): Promise<Statement | undefined> {
  if (session.facts.isCitus) return statement;
  if (isAboutExtension(statement)) return undefined;
  if (!saysDistribution(statement)) return statement;
  if (!isModelled(session)) {
    await session.run(MODEL_SQL);
    modelled.add(session.options.database);
  }
  return { ...statement, text: callModel(statement.text) };
}

/** Reads what was written down, in the columns of `distributionSql`. */
export const MODEL_ROWS_SQL = `
select c.oid as "oid", false as "isSchema", pg_catalog.format('%I.%I', n.nspname, c.relname) as "name",
    d.method as "method", d.key as "column", d.colocation as "colocation",
    d.replication as "replication", d.shards as "shards"
from ${MODEL_SCHEMA}.distribution as d
join pg_catalog.pg_class as c on c.oid = d.relation
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
union all
select n.oid, true, pg_catalog.quote_ident(n.nspname), null, null, 0, null, null
from ${MODEL_SCHEMA}.tenant as t
join pg_catalog.pg_namespace as n on n.oid = t.schema`;

/** As by default of Citus tables with the same type of column are together; how many shards that makes is its setting. */
const MODEL_SQL = `
create schema if not exists ${MODEL_SCHEMA};
create table if not exists ${MODEL_SCHEMA}.distribution (
    relation oid not null,
    method text not null,
    key text,
    key_type oid,
    colocation integer not null,
    replication text not null,
    shards integer,
    constraint distribution_pkey primary key (relation)
);
create table if not exists ${MODEL_SCHEMA}.tenant (
    schema oid not null,
    constraint tenant_pkey primary key (schema)
);
create sequence if not exists ${MODEL_SCHEMA}.colocation;

create or replace function ${MODEL_SCHEMA}.create_distributed_table(
    table_name regclass, distribution_column text, distribution_type text default 'hash',
    colocate_with text default 'default', shard_count integer default null
) returns void language plpgsql as $$
declare
    beside ${MODEL_SCHEMA}.distribution;
    type_of_key oid := (select atttypid from pg_catalog.pg_attribute where attrelid = table_name and attname = distribution_column);
    wanted integer := case when distribution_column is null then 1 else shard_count end;
begin
    if distribution_column is not null and type_of_key is null then
        raise exception 'column "%" of relation "%" does not exist', distribution_column, table_name using errcode = '42703';
    end if;
    if colocate_with = 'default' then
        select d.* into beside from ${MODEL_SCHEMA}.distribution as d
        where d.replication <> 't' and d.shards is not distinct from wanted and d.key_type is not distinct from type_of_key
        order by d.colocation limit 1;
    elsif colocate_with <> 'none' then
        select d.* into beside from ${MODEL_SCHEMA}.distribution as d where d.relation = colocate_with::regclass;
    end if;
    insert into ${MODEL_SCHEMA}.distribution values (
        table_name,
        case when distribution_column is null then 'n' else pg_catalog.left(distribution_type, 1) end,
        distribution_column, type_of_key,
        coalesce(beside.colocation, pg_catalog.nextval('${MODEL_SCHEMA}.colocation')), 's',
        coalesce(beside.shards, wanted)
    );
end
$$;
create or replace function ${MODEL_SCHEMA}.create_distributed_table_concurrently(
    table_name regclass, distribution_column text, distribution_type text default 'hash',
    colocate_with text default 'default', shard_count integer default null
) returns void language sql as $$
    select ${MODEL_SCHEMA}.create_distributed_table($1, $2, $3, $4, $5)
$$;
create or replace function ${MODEL_SCHEMA}.create_reference_table(table_name regclass)
returns void language sql as $$
    insert into ${MODEL_SCHEMA}.distribution values ($1, 'n', null, null, -1, 't', 1)
$$;
create or replace function ${MODEL_SCHEMA}.citus_add_local_table_to_metadata(table_name regclass, cascade_via_foreign_keys boolean default false)
returns void language sql as $$
    insert into ${MODEL_SCHEMA}.distribution values ($1, 'n', null, null, 0, 's', 1)
$$;
create or replace function ${MODEL_SCHEMA}.undistribute_table(table_name regclass, cascade_via_foreign_keys boolean default false)
returns void language sql as $$ delete from ${MODEL_SCHEMA}.distribution where relation = $1 $$;
create or replace function ${MODEL_SCHEMA}.citus_schema_distribute(schemaname regnamespace)
returns void language sql as $$ insert into ${MODEL_SCHEMA}.tenant values ($1) $$;
create or replace function ${MODEL_SCHEMA}.citus_schema_undistribute(schemaname regnamespace)
returns void language sql as $$ delete from ${MODEL_SCHEMA}.tenant where schema = $1 $$;
create or replace function ${MODEL_SCHEMA}.create_distributed_function(
    function_name regprocedure, distribution_arg_name text default null,
    colocate_with text default 'default', force_delegation boolean default null
) returns void language sql as $$ select null::void where false $$;`;
