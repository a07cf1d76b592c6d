import { quoteLiteral } from '../sql/quote.ts';

/** What objects a database has, in the words of PostgreSQL's statements and in the order of a structure. */
export const STRUCTURE_KINDS = [
  'schema',
  'extension',
  'language',
  'access method',
  'foreign data wrapper',
  'server',
  'user mapping',
  'collation',
  'conversion',
  'enum',
  'domain',
  'composite type',
  'range',
  'base type',
  'text search parser',
  'text search template',
  'text search dictionary',
  'text search configuration',
  'function',
  'procedure',
  'aggregate',
  'operator',
  'operator family',
  'operator class',
  'cast',
  'transform',
  'sequence',
  'identity',
  'table',
  'foreign table',
  'column',
  'constraint',
  'index',
  'statistics',
  'view',
  'materialized view',
  'rule',
  'trigger',
  'policy',
  'event trigger',
  'publication',
  'default privileges',
  // on what PostgreSQL or an extension made
  'privileges',
] as const;

/** What an object of a structure is, such as `table` or `index`. */
export type StructureKind = (typeof STRUCTURE_KINDS)[number];

/** One object, as plain data. */
export interface StructureObject {
  kind: StructureKind;
  /**
   * Qualified and quoted if SQL needs it; unique among its kind, such as
   * `users_pkey on public.users`.
   */
  name: string;
  /** Its own name, quoted if SQL needs it, such as `users_pkey`. */
  own: string;
  /** The key of the table, view or type that it is a part of. */
  of?: string;
  /**
   * The parts that are compared, each under a word that names it, as SQL text: `type`, `default`,
   * `definition`, `comment`, `grants`. PostgreSQL's defaults are left out.
   */
  parts: Record<string, string>;
  /** Keys of the objects that must exist first, sorted. */
  dependsOn: string[];
}

/** The structure of a database, without its rows. */
export interface Structure {
  /** As in server_version_num. */
  serverVersion: number;
  /** The requested ones, sorted. */
  schemas: string[];
  /**
   * Schemas that have to be on the search path when it is created, quoted if SQL needs it: the text
   * of some expressions does not say which operator or function they use.
   */
  searchPath: string[];
  /** Sorted by kind and name; columns are in the order of their table. */
  objects: StructureObject[];
}

/** What an object is found by: `table public.users`. */
export function objectKeyOf({ kind, name }: Pick<StructureObject, 'kind' | 'name'>): string {
  return `${kind} ${name}`;
}

/**
 * The structure without partitions and all that is theirs; pure.
 *
 * @example
 * const structure = withoutPartitions(await readDatabaseStructure(connection));
 */
export function withoutPartitions(structure: Structure): Structure {
  const isPartition = ({ parts }: StructureObject) => parts['partition of'] !== undefined;
  const gone = new Set(structure.objects.filter(isPartition).map(objectKeyOf));
  return {
    ...structure,
    objects: structure.objects.filter(
      (object) => !gone.has(objectKeyOf(object)) && !gone.has(object.of ?? ''),
    ),
  };
}

/** Which part of a database is read. */
interface StructureScope {
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
