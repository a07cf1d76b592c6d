import type { Node } from '@pgsql/types';
import type { WrittenName } from '../sql/tree.ts';

/** `schema.name`, quoted if SQL needs it: unique, and ready to be shown. */
export type ObjectKey = string;

export function objectKey(schema: string, name: string): ObjectKey {
  return `${quoteWhereNeeded(schema)}.${quoteWhereNeeded(name)}`;
}

/** The parts of a key, unquoted. */
export function splitKey(key: ObjectKey): { schema: string; name: string } {
  const dot = key.includes('"') ? -1 : key.indexOf('.');
  if (dot >= 0) return { schema: key.slice(0, dot), name: key.slice(dot + 1) };
  const parts = PARTS.exec(key);
  return { schema: unquote(parts?.[1] ?? ''), name: unquote(parts?.[2] ?? key) };
}

const PARTS = /^("(?:[^"]|"")*"|[^."]*)\.(.*)$/s;

function unquote(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;
}

/**
 * A name as messages and keys write it: quoted only where it has to be. It takes every name, as the
 * model must never fail: what is sent to a server is quoted by `quoteIdent`, which refuses.
 */
export function quoteWhereNeeded(name: string): string {
  return isPlain(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** What `/^[a-z_][a-z0-9_$]*$/` matches; lint asks this more often than anything else. */
function isPlain(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    const isLetter = (code >= 0x61 && code <= 0x7a) || code === 0x5f;
    const mayFollow = (code >= 0x30 && code <= 0x39) || code === 0x24;
    if (!isLetter && (i === 0 || !mayFollow)) return false;
  }
  return name !== '';
}

export type RelationKind =
  | 'table'
  | 'partitioned table'
  | 'foreign table'
  | 'view'
  | 'materialized view'
  | 'index'
  | 'sequence'
  | 'composite type';

/** A type as a column has it. */
export interface ColumnType {
  /** Canonical and unquoted: `integer` is `int4`, `varchar(10)` is `varchar`; user types by `ObjectKey`. */
  name: string;
  /** What stands in parentheses, such as `[10]` or `[12, 2]`. */
  modifiers: readonly number[];
  isArray: boolean;
}

export interface CatalogColumn {
  name: string;
  type: ColumnType;
  isNotNull: boolean;
  /** Whether it has a default, an identity or an expression. */
  hasDefault: boolean;
  generated: 'stored' | 'virtual' | 'identity' | undefined;
  /** Where it is not that of its type, such as `C`. */
  collation?: string;
  /** Of a generated column: the columns that its expression mentions. */
  reads?: readonly string[];
}

/** What depends on columns, so that PostgreSQL lets them neither go nor change their types. */
export interface ColumnUse {
  kind: 'trigger' | 'policy' | 'rule' | 'function' | 'publication';
  name: string;
  columns: Set<string>;
  /** The table whose policy or rule it is, where that is another one. */
  owner?: Relation;
  /** Whether the database says so, or its text can mean no other columns. */
  isSure?: boolean;
}

/** What a publication publishes. */
export interface Publication {
  name: string;
  /** Whether it is `for all tables`. */
  isForAll: boolean;
  schemas: Set<string>;
  /** Whether it publishes updates and deletes, which need a replica identity. */
  needsIdentity: boolean;
}

export type ReferentialAction = 'no action' | 'restrict' | 'cascade' | 'set null' | 'set default';

export interface CatalogConstraint {
  name: string;
  kind: 'check' | 'not null' | 'foreign key' | 'primary key' | 'unique' | 'exclusion';
  isValidated: boolean;
  isEnforced: boolean;
  /** Columns of the table that it mentions. */
  columns: readonly string[];
  /** For a check: columns that it proves to hold no null, as `x is not null` alone or under `and` does. */
  provesNotNull: readonly string[];
  /** For a foreign key. */
  references?: ObjectKey;
  /** Empty where the statement names none and the catalog does not know the primary key. */
  referencedColumns?: readonly string[];
  /** For a foreign key: what happens to its rows when the referenced one is deleted or updated. */
  onDelete?: ReferentialAction;
  onUpdate?: ReferentialAction;
  /** For a check: what it says. */
  expression?: Node;
  /** Whether children do without it, as `no inherit` says. */
  isOwnOnly?: boolean;
  /** Whether a child has it from its parent. */
  isInherited?: boolean;
  /** The index behind a primary key, unique or exclusion constraint. */
  index?: ObjectKey;
}

export interface CatalogIndex {
  key: ObjectKey;
  table: ObjectKey;
  /** Plain key columns, in order; undefined stands for an expression. */
  columns: readonly (string | undefined)[];
  /** Every column it depends on: of keys, `include`, expressions and predicate. */
  mentions: readonly string[];
  /** What PostgreSQL calls its columns, for the names of its copies. */
  attributes: readonly string[];
  isUnique: boolean;
  isPartial: boolean;
  /** Where it is not `btree`. */
  method?: string;
  /** By key column: operator class and order, where they are written; from files only. */
  orders?: readonly (string | undefined)[];
  /** Whether it is the replica identity of its table. */
  isIdentity?: boolean;
  /** By key column, where one is written; any other follows the column's. */
  collations?: readonly (string | undefined)[];
  /** False where a concurrent build was interrupted; from files nobody knows, so true. */
  isValid: boolean;
  /** The index of the partitioned table that it belongs to. */
  parent?: ObjectKey;
}

export interface PartitionKey {
  strategy: 'range' | 'list' | 'hash';
  /** Undefined stands for an expression. */
  columns: readonly (string | undefined)[];
}

export interface Relation {
  key: ObjectKey;
  kind: RelationKind;
  columns: Map<string, CatalogColumn>;
  /** By name. */
  constraints: Map<string, CatalogConstraint>;
  /** Keys of its indexes. */
  indexes: Set<ObjectKey>;
  /**
   * All that have ever had a foreign key to it, been owned by it, or had it among their dependents or
   * children, so that not every relation has to be asked; undefined where nobody has kept it.
   */
  everLinked?: Set<Relation>;
  /** Of a partition or child. */
  parent?: ObjectKey;
  /** Partitions and children. */
  children: Set<ObjectKey>;
  /** The default partition of a partitioned table. */
  defaultPartition?: ObjectKey;
  /** Of a partitioned table. */
  partitionKey?: PartitionKey;
  /** Of a sequence: the column it goes away with. */
  ownedBy?: { table: ObjectKey; column: string };
  /** The functions of its triggers, by the triggers' names. */
  triggers?: Map<string, ObjectKey>;
  /** Views and materialized views that read it. */
  dependents: Set<ObjectKey>;
  /** Of a view: the columns that it uses, of each relation that it reads. */
  reads?: Map<ObjectKey, ReadonlySet<string>>;
  /** Whether the database says so, and not the text of the view. */
  areReadsSure?: boolean;
  /** What its policies and rules read besides itself, by `kind name`; of a view's own query see `reads`. */
  rulesRead?: Map<string, Set<ObjectKey>>;
  /** What else than views and indexes uses columns of it, by `kind name`, and `kind name of table` for others'. */
  uses?: Map<string, ColumnUse>;
  /** The publications that name it. */
  publishedBy?: Set<string>;
  /** How the subscribers of a publication find its rows; undefined for the primary key. */
  replicaIdentity?: 'full' | 'nothing' | 'index';
  /** How a Citus cluster spreads it, where a migration says so. */
  distribution?: { kind: 'distributed' | 'reference'; column: string | undefined };
  /** Whether row security is enabled. */
  hasRowSecurity?: boolean;
  isUnlogged: boolean;
  /** Whether it lasts as long as the session. */
  isTemporary: boolean;
  /** Planner's estimate, where somebody has noted it. */
  rows?: number;
}

export interface UserType {
  key: ObjectKey;
  kind: 'enum' | 'domain' | 'composite' | 'range' | 'base';
  /** Of an enum, in order. */
  labels: string[];
  /** Whether a domain has a check or is not null. */
  isConstrained: boolean;
  /** Of a domain: its check constraints, by name. */
  checks?: Map<string, { isValidated: boolean }>;
  /** Of a domain. */
  isNotNull?: boolean;
  /** Of a domain: what a column has by default that says nothing else. */
  default?: Node;
  /** What a domain is over. */
  base?: ColumnType;
  /** Of a domain, where it is not that of its type. */
  collation?: string;
}

export interface Routine {
  key: ObjectKey;
  volatility: 'immutable' | 'stable' | 'volatile';
  /** In lower case, such as `sql` or `plpgsql`. */
  language: string;
  /** The text of its `create` statement, where it is known. */
  definition?: string;
}

/**
 * What a database holds, as far as locks, rewrites and rules depend on it. Made by replaying
 * migrations (`replay.ts`) or by reading a database (`read-catalog.ts`); replaying changes it in place.
 */
export interface Catalog {
  /** Read from a database: what is not here does not exist. */
  isComplete: boolean;
  /** Schemas that are those of tenants on a Citus cluster, where a migration says so. */
  tenantSchemas?: ReadonlySet<string>;
  /** Where unqualified names are looked for; new objects land in the first. */
  searchPath: string[];
  relations: Map<ObjectKey, Relation>;
  indexes: Map<ObjectKey, CatalogIndex>;
  types: Map<ObjectKey, UserType>;
  /** By name without arguments; the most volatile one where several share it. */
  routines: Map<ObjectKey, Routine>;
  /** By name. */
  publications: Map<string, Publication>;
  /** Tables that the script under way has made and put nothing into; cleared at its end. */
  unfilled: Set<ObjectKey>;
}

export function createCatalog(searchPath: readonly string[] = ['public']): Catalog {
  return {
    isComplete: false,
    searchPath: [...searchPath],
    relations: new Map(),
    indexes: new Map(),
    types: new Map(),
    routines: new Map(),
    publications: new Map(),
    unfilled: new Set(),
  };
}

/** The schema of temporary objects in keys, whatever its real name is. */
export const TEMPORARY_SCHEMA = 'pg_temp';

/** The key of what a name means: where it is on the search path, else where it would be made. */
export function resolveKey(
  { searchPath }: Catalog,
  { schema, name }: WrittenName,
  among: ReadonlyMap<ObjectKey, unknown>,
): ObjectKey {
  if (schema !== undefined) return objectKey(schema, name);
  const own = quoteWhereNeeded(name);
  const first = `${quoteWhereNeeded(searchPath[0] ?? 'public')}.${own}`;
  if (among.size === 0) return first;
  const temporary = `${TEMPORARY_SCHEMA}.${own}`;
  if (among.has(temporary)) return temporary;
  for (let i = 0; i < searchPath.length; i++) {
    const key = i === 0 ? first : objectKey(searchPath[i] ?? '', name);
    if (among.has(key)) return key;
  }
  return first;
}

/** The relation a name means, undefined where the catalog does not know it. */
export function findRelation(catalog: Catalog, written: WrittenName): Relation | undefined {
  return catalog.relations.get(resolveKey(catalog, written, catalog.relations));
}
