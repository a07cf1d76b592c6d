import type {
  AlterFunctionStmt,
  CreateFunctionStmt,
  CreateSchemaStmt,
  CreateTableAsStmt,
  CreateTrigStmt,
  FuncCall,
  IntoClause,
  Node,
  SelectStmt,
  VariableSetStmt,
  ViewStmt,
} from '@pgsql/types';
import { readCitusCalls } from '../../citus/calls.ts';
import {
  asKind,
  kindOf,
  relationNameOf,
  schemaNameOf,
  stringsOf,
  writtenNameOf,
} from '../../sql/tree.ts';
import {
  type Catalog,
  findRelation,
  objectKey,
  type Relation,
  type RelationKind,
  type Routine,
  resolveKey,
  TEMPORARY_SCHEMA,
} from '../catalog.ts';
import { columnsIn } from '../expression.ts';
import { columnsOfQuery, linkDependents } from '../query-relations.ts';
import { replayAlterTable } from './alter.ts';
import { dropRelation, replayDrop } from './drop.ts';
import { replayIndex } from './indexes.ts';
import {
  createRelation,
  newRelationName,
  replayPublication,
  replayPublicationChange,
  withDescendants,
} from './relation.ts';
import { replayRename, replaySetSchema } from './rename.ts';
import { replayTable } from './table.ts';
import {
  addType,
  replayComposite,
  replayDomain,
  replayDomainChange,
  replayEnum,
  replayEnumChange,
  replayRange,
} from './type.ts';
import {
  dropUses,
  noteUses,
  replayPolicy,
  replayPolicyChange,
  replayRule,
  useColumns,
} from './uses.ts';

/**
 * Changes a catalog in place as a statement of a migration changes a database that accepts it.
 * Names are those of PostgreSQL 18, with a constraint for each column that is not null; what it does
 * not know changes nothing. A changed search path stays until the caller sets it back, as
 * `set local` does at the end of a transaction.
 *
 * @param text the statement, kept as the definition of a function
 * @example
 * const parser = await loadSqlParser();
 * replayStatement(catalog, parser.parse(text), text)
 */
export function replayStatement(catalog: Catalog, tree: Node, text: string): void {
  const kind = kindOf(tree);
  REPLAYS[kind]?.(catalog, (tree as Record<string, unknown>)[kind], text);
  if (MAY_FILL.has(kind)) catalog.unfilled.clear();
}

/** What may write rows into any table, by itself or by a function, and what gives its name to another. */
const MAY_FILL = new Set([
  ...['RenameStmt', 'AlterObjectSchemaStmt'],
  ...['InsertStmt', 'CopyStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'],
  ...['SelectStmt', 'DoStmt', 'CallStmt', 'ExecuteStmt', 'CreateTableAsStmt'],
]);

// biome-ignore lint/suspicious/noExplicitAny: each takes the fields of its own kind
type Replay = (catalog: Catalog, fields: any, text: string) => void;

const REPLAYS: Record<string, Replay> = {
  AlterDomainStmt: replayDomainChange,
  AlterEnumStmt: replayEnumChange,
  AlterFunctionStmt: replayRoutineChange,
  AlterObjectSchemaStmt: replaySetSchema,
  AlterPolicyStmt: replayPolicyChange,
  AlterPublicationStmt: replayPublicationChange,
  AlterSeqStmt: (catalog, { sequence, options }) => {
    const relation = sequence && findRelation(catalog, relationNameOf(sequence));
    if (relation) own(catalog, relation.key, options);
  },
  AlterTableStmt: replayAlterTable,
  CompositeTypeStmt: replayComposite,
  CreateDomainStmt: replayDomain,
  CreateEnumStmt: replayEnum,
  CreateForeignTableStmt: (catalog, { base }) => replayTable(catalog, base, 'foreign table'),
  CreateFunctionStmt: replayRoutine,
  CreatePolicyStmt: replayPolicy,
  CreatePublicationStmt: replayPublication,
  CreateRangeStmt: replayRange,
  CreateSchemaStmt: replaySchema,
  CreateSeqStmt: (catalog, { sequence, options }) => {
    const { key } = newRelationName(catalog, sequence);
    if (catalog.relations.has(key)) return;
    catalog.relations.set(key, createRelation(key, 'sequence', sequence));
    own(catalog, key, options);
  },
  CreateStmt: (catalog, statement) => replayTable(catalog, statement),
  CreateTableAsStmt: replayTableAs,
  CreateTrigStmt: replayTrigger,
  DefineStmt: (catalog, { kind, defnames }) => {
    if (kind === 'OBJECT_TYPE') addType(catalog, defnames, 'base');
  },
  DiscardStmt: (catalog, { target }) => {
    if (target === 'DISCARD_ALL' || target === 'DISCARD_TEMP') discardTemporary(catalog);
  },
  DropStmt: replayDrop,
  IndexStmt: replayIndex,
  RenameStmt: replayRename,
  RuleStmt: replayRule,
  SelectStmt: (catalog, statement) => {
    if (statement.intoClause) {
      replaySelectInto(catalog, statement.intoClause, { SelectStmt: statement });
    } else {
      replaySetConfig(catalog, statement.targetList);
      replayDistribution(catalog, statement);
    }
  },
  VariableSetStmt: replaySetting,
  ViewStmt: replayView,
};

/** `owned by` of a sequence. */
function own(catalog: Catalog, key: string, options: readonly Node[] | undefined): void {
  const sequence = catalog.relations.get(key);
  for (const node of options ?? []) {
    const option = asKind(node, 'DefElem');
    if (option?.defname !== 'owned_by' || sequence === undefined) continue;
    const names = (asKind(option.arg, 'List')?.items ?? []).map(
      (item) => asKind(item, 'String')?.sval ?? '',
    );
    const [column = '', name, schema] = names.reverse();
    // A single word is `none`.
    const table = name === undefined ? undefined : findRelation(catalog, { schema, name });
    delete sequence.ownedBy;
    if (table) sequence.ownedBy = { table: table.key, column };
    table?.everLinked?.add(sequence);
  }
}

/** What stands inside `create schema` is made in it. */
function replaySchema(catalog: Catalog, statement: CreateSchemaStmt, text: string): void {
  const outer = catalog.searchPath;
  catalog.searchPath = [schemaNameOf(statement), ...outer];
  for (const node of statement.schemaElts ?? []) replayStatement(catalog, node, text);
  catalog.searchPath = outer;
}

function discardTemporary(catalog: Catalog): void {
  const prefix = objectKey(TEMPORARY_SCHEMA, 'x').slice(0, -1);
  for (const key of [...catalog.relations.keys()]) {
    if (key.startsWith(prefix)) dropRelation(catalog, key);
  }
}

/** `set search_path`; other settings change nothing here. */
function replaySetting(catalog: Catalog, { name, kind, args }: VariableSetStmt): void {
  if (name !== 'search_path' || kind !== 'VAR_SET_VALUE') return;
  setSearchPath(
    catalog,
    (args ?? []).map((node) => asKind(node, 'A_Const')?.sval?.sval ?? ''),
  );
}

/** `select set_config('search_path', …)`, as dumps have it. */
function replaySetConfig(catalog: Catalog, targets: readonly Node[] | undefined): void {
  for (const node of targets ?? []) {
    const call: FuncCall | undefined = asKind(asKind(node, 'ResTarget')?.val, 'FuncCall');
    if (stringsOf(call?.funcname).at(-1) !== 'set_config') continue;
    const [setting, value] = (call?.args ?? []).map(
      (arg) => asKind(arg, 'A_Const')?.sval?.sval ?? '',
    );
    if (setting !== 'search_path') continue;
    const parts = (value ?? '').split(',').map((part) => part.trim());
    setSearchPath(
      catalog,
      parts.map((part) =>
        part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.toLowerCase(),
      ),
    );
  }
}

function setSearchPath(catalog: Catalog, path: readonly string[]): void {
  catalog.searchPath = path.filter((name) => !NOT_A_PLACE.has(name));
}

/** Schemas of the path in which no migration makes anything by a plain name. */
const NOT_A_PLACE = new Set(['', '$user', TEMPORARY_SCHEMA, 'pg_catalog']);

/** `create view`; one that is replaced keeps what reads it. */
function replayView(catalog: Catalog, { view, query, aliases, replace }: ViewStmt): void {
  if (view === undefined) return;
  const { key } = newRelationName(catalog, view);
  const before = catalog.relations.get(key);
  const relation = createRelation(key, 'view', view);
  if (before === undefined) relation.everLinked = new Set();
  if (before !== undefined && replace) {
    relation.dependents = before.dependents;
    if (before.everLinked !== undefined) relation.everLinked = before.everLinked;
    for (const other of before.everLinked ?? catalog.relations.values()) {
      other.dependents.delete(key);
    }
  }
  catalog.relations.set(key, relation);
  fillColumns(catalog, relation, query, aliases);
  linkDependents(catalog, relation, query);
}

/** `create table … as`, `select … into` and `create materialized view`. */
function replayTableAs(
  catalog: Catalog,
  { into, query, objtype, if_not_exists }: CreateTableAsStmt,
): void {
  const kind = objtype === 'OBJECT_MATVIEW' ? 'materialized view' : 'table';
  replayInto(catalog, into, query, { kind, isOnlyIfMissing: if_not_exists === true });
}

function replayInto(
  catalog: Catalog,
  into: IntoClause | undefined,
  query: Node | undefined,
  { kind, isOnlyIfMissing }: { kind: RelationKind; isOnlyIfMissing: boolean },
): void {
  if (into?.rel === undefined) return;
  const { key } = newRelationName(catalog, into.rel);
  if (isOnlyIfMissing && catalog.relations.has(key)) return;
  const relation = createRelation(key, kind, into.rel);
  if (!catalog.relations.has(key)) relation.everLinked = new Set();
  catalog.relations.set(key, relation);
  fillColumns(catalog, relation, query, into.colNames);
  if (kind === 'materialized view') linkDependents(catalog, relation, query);
}

/** `select … into` makes a table. */
function replaySelectInto(catalog: Catalog, into: IntoClause, query: Node): void {
  replayInto(catalog, into, query, { kind: 'table', isOnlyIfMissing: false });
}

function fillColumns(
  catalog: Catalog,
  relation: Relation,
  query: Node | undefined,
  aliases: readonly Node[] | undefined,
): void {
  const names = stringsOf(aliases);
  for (const [i, column] of columnsOfQuery(catalog, query).entries()) {
    const name = names[i] ?? column.name;
    relation.columns.set(name, { ...column, name });
  }
}

const ORDER = ['immutable', 'stable', 'volatile'] as const;

/** The more volatile of two. */
function moreVolatile(a: Routine['volatility'], b: Routine['volatility']): Routine['volatility'] {
  return ORDER.indexOf(a) > ORDER.indexOf(b) ? a : b;
}

function optionIn(options: readonly Node[] | undefined, name: string): string | undefined {
  for (const node of options ?? []) {
    const option = asKind(node, 'DefElem');
    if (option?.defname === name) return asKind(option.arg, 'String')?.sval;
  }
  return undefined;
}

function volatilityIn(options: readonly Node[] | undefined): Routine['volatility'] | undefined {
  const value = optionIn(options, 'volatility');
  return ORDER.find((one) => one === value);
}

/** `create function` and `create procedure`; a new overload leaves the more volatile one. */
function replayRoutine(catalog: Catalog, statement: CreateFunctionStmt, text: string): void {
  const { schema, name } = writtenNameOf(statement.funcname);
  const key = objectKey(schema ?? catalog.searchPath[0] ?? 'public', name);
  const volatility = volatilityIn(statement.options) ?? 'volatile';
  const known = catalog.routines.get(key);
  const existing = statement.replace ? undefined : known;
  catalog.routines.set(key, {
    key,
    volatility: existing ? moreVolatile(existing.volatility, volatility) : volatility,
    language: optionIn(statement.options, 'language')?.toLowerCase() ?? 'sql',
    definition: text,
  });
  // A new one uses nothing yet, and looking for that goes through all relations.
  if (known) dropUses(catalog, 'function', key);
  if (statement.sql_body) noteUses(catalog, { kind: 'function', name: key }, statement.sql_body);
}

/** `alter function … volatile` */
function replayRoutineChange(catalog: Catalog, { func, actions }: AlterFunctionStmt): void {
  const key = resolveKey(catalog, writtenNameOf(func?.objname), catalog.routines);
  const routine = catalog.routines.get(key);
  const volatility = volatilityIn(actions);
  if (routine && volatility) routine.volatility = volatility;
}

/** `create trigger`; one for each row of a partitioned table is in its partitions too. */
function replayTrigger(catalog: Catalog, statement: CreateTrigStmt): void {
  const relation = statement.relation && findRelation(catalog, relationNameOf(statement.relation));
  if (relation === undefined) return;
  const routine = resolveKey(catalog, writtenNameOf(statement.funcname), catalog.routines);
  const isInherited = statement.row === true && relation.kind === 'partitioned table';
  for (const one of isInherited ? withDescendants(catalog, relation) : [relation]) {
    one.triggers ??= new Map();
    one.triggers.set(statement.trigname ?? '', routine);
    const name = statement.trigname ?? '';
    const columns = [...stringsOf(statement.columns), ...columnsIn(statement.whenClause)];
    useColumns(one, { kind: 'trigger', name, columns: new Set(columns), isSure: true });
  }
}

/** What a call of Citus makes of a table: spread over a cluster, copied to all of it, or neither. */
function replayDistribution(catalog: Catalog, statement: SelectStmt): void {
  for (const { kind, target, column } of readCitusCalls({ SelectStmt: statement })) {
    if (kind === 'tenant') {
      catalog.tenantSchemas = new Set([...(catalog.tenantSchemas ?? []), target.name]);
      continue;
    }
    const relation = catalog.relations.get(resolveKey(catalog, target, catalog.relations));
    if (relation === undefined) continue;
    if (kind === 'undistribute') delete relation.distribution;
    else relation.distribution = { kind, column };
  }
}
