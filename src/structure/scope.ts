import { quoteLiteral } from '../sql/quote.ts';

/** Which part of a database is read. */
export interface StructureScope {
  /** The schemas to read; undefined for all, and with them what belongs to no schema. */
  schemas: readonly string[] | undefined;
  /** Schemas to leave out, such as the ledger's. */
  exceptSchemas: readonly string[];
}

/** What the queries need to know. */
export interface QueryContext {
  scope: StructureScope;
  /** As in server_version_num. */
  version: number;
}

/** A condition on the name of a schema. */
export function schemaCondition({ schemas, exceptSchemas }: StructureScope, name: string): string {
  const excluded =
    exceptSchemas.length === 0 ? '' : ` and ${name} not in (${listLiterals(exceptSchemas)})`;
  return schemas === undefined
    ? `${name} !~ '^pg_' and ${name} <> 'information_schema'${excluded}`
    : `${name} in (${listLiterals(schemas)})${excluded}`;
}

function listLiterals(names: readonly string[]): string {
  return names.length === 0 ? 'null' : names.map(quoteLiteral).join(', ');
}

/** A condition that the namespace of an object is read. */
export function inScope({ scope }: QueryContext, namespaceColumn: string): string {
  return `${namespaceColumn} in (select oid from pg_catalog.pg_namespace where ${schemaCondition(scope, 'nspname')})`;
}

/** A condition that keeps out what an extension brought, or an object that belongs to another one. */
export function standsAlone(catalog: number, oid: string, types = "'e'"): string {
  return `not exists (select from pg_catalog.pg_depend as alone where alone.classid = ${catalog} and alone.objid = ${oid} and alone.deptype in (${types}))`;
}

/** For objects without a schema, read where the whole database is, or where `tied` says that they belong. */
export function databaseWide({ scope }: QueryContext, tied = 'false'): string {
  return scope.schemas === undefined ? 'true' : `(${tied})`;
}

/** Options of foreign objects as `name 'value', …`, without those that may hold a secret. */
export function foreignOptionsSql(column: string): string {
  return `(select pg_catalog.string_agg(pg_catalog.concat(pg_catalog.quote_ident(pg_catalog.split_part(o, '=', 1)), ' ', pg_catalog.quote_literal(pg_catalog.substr(o, pg_catalog.strpos(o, '=') + 1))), ', ' order by o) from pg_catalog.unnest(${column}) as o where pg_catalog.split_part(o, '=', 1) !~* '(pass|pwd|secret|token|key|credential)')`;
}

/** `schema.name`, quoted where needed. */
export function qualified(schema: string, name: string): string {
  return `pg_catalog.format('%I.%I', ${schema}, ${name})`;
}
