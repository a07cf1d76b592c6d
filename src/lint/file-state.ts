import type { Node, RangeVar } from '@pgsql/types';
import {
  type Catalog,
  type ObjectKey,
  objectKey,
  resolveKey,
  TEMPORARY_SCHEMA,
} from '../catalog/catalog.ts';
import { withDescendants } from '../catalog/replay/relation.ts';
import { isStronger, type LockTaken } from '../impact/impact.ts';
import type { Statement } from '../sql/statements.ts';
import {
  asKind,
  kindOf,
  relationNameOf,
  schemaNameOf,
  type WrittenName,
  writtenNameOf,
} from '../sql/tree.ts';
import type { FileState, LintScript } from './rule.ts';

/** The state before the first statement. */
export function openFileState(
  { direction, isTransactional, isBackfill = false, isGatedContract = false }: LintScript,
  statements: Statement[],
  trees: (Node | null)[],
): FileState {
  return {
    // Where the script begins and commits itself, nothing else is one transaction.
    isTransactional: isTransactional && !trees.some((tree) => tree && 'TransactionStmt' in tree),
    isBackfill,
    isGatedContract,
    direction,
    fresh: new Set(),
    freshTypes: new Set(),
    held: new Map(),
    enumValues: new Map(),
    timeZoneIsUtc: undefined,
    checksBodies: true,
    statements,
    trees,
  };
}

/** What is known of the database, and of whether a statement takes effect. */
export interface Surroundings {
  /** As it is before the statement. */
  catalog: Catalog;
  /** Whether what the catalog does not know is surely not there. */
  isHistoryWhole: boolean;
  /** Whether the statement may not take effect: what it makes is then not surely new. */
  isConditional: boolean;
  /** The oldest server that the script is for, as in server_version_num. */
  serverVersion: number;
}

/** Notes what a statement does to the state of its file. */
export function advanceFileState(file: FileState, tree: Node, around: Surroundings): void {
  const note = NOTES[kindOf(tree)] ?? noteCreated;
  note(file, tree, around);
}

function noteEnumValue(file: FileState, tree: Node, around: Surroundings): void {
  const { typeName, newVal = '', oldVal, skipIfNewValExists } = asKind(tree, 'AlterEnumStmt') ?? {};
  const { catalog, serverVersion } = around;
  const type = resolveKey(catalog, writtenNameOf(typeName), catalog.types);
  const values = file.enumValues.get(type) ?? [];
  if (oldVal !== undefined) {
    if (!values.includes(oldVal)) return;
    file.enumValues.set(
      type,
      values.map((one) => (one === oldVal ? newVal : one)),
    );
    return;
  }
  const isThere = skipIfNewValExists && catalog.types.get(type)?.labels.includes(newVal);
  // Before 17 a value that is added to a type of the same transaction is no safer than others.
  const isSafe = serverVersion >= 170_000 && file.freshTypes.has(type);
  if (!isThere && !isSafe) file.enumValues.set(type, [...values, newVal]);
}

/** Notes the locks that a statement leaves behind until the transaction ends. */
export function holdLocks(file: FileState, locks: readonly LockTaken[], line: number): void {
  if (!file.isTransactional) return;
  for (const { relation, mode, reason } of locks) {
    if (file.fresh.has(relation)) continue;
    const before = file.held.get(relation);
    if (before === undefined || isStronger(mode, before.mode))
      file.held.set(relation, { mode, line, reason });
  }
}

interface Created {
  relation?: RangeVar | undefined;
  type?: WrittenName;
  /** Whether it leaves alone, or replaces, what is there already. */
  isOptional: boolean;
}

function createdBy(tree: Node): Created | undefined {
  switch (kindOf(tree)) {
    case 'CreateStmt':
    case 'CreateForeignTableStmt': {
      const table = asKind(tree, 'CreateStmt') ?? asKind(tree, 'CreateForeignTableStmt')?.base;
      return { relation: table?.relation, isOptional: table?.if_not_exists === true };
    }
    case 'CreateTableAsStmt': {
      const filled = asKind(tree, 'CreateTableAsStmt');
      return { relation: filled?.into?.rel, isOptional: filled?.if_not_exists === true };
    }
    case 'SelectStmt':
      return { relation: asKind(tree, 'SelectStmt')?.intoClause?.rel, isOptional: false };
    case 'ViewStmt': {
      const view = asKind(tree, 'ViewStmt');
      return { relation: view?.view, isOptional: view?.replace === true };
    }
    case 'CreateSeqStmt': {
      const sequence = asKind(tree, 'CreateSeqStmt');
      return { relation: sequence?.sequence, isOptional: sequence?.if_not_exists === true };
    }
    case 'IndexStmt':
      return indexCreatedBy(tree);
    default:
      return typeCreatedBy(tree);
  }
}

function indexCreatedBy(tree: Node): Created | undefined {
  const index = asKind(tree, 'IndexStmt');
  if (!index?.idxname) return undefined;
  const { catalogname: _, ...relation } = { ...index.relation, relname: index.idxname };
  return { relation, isOptional: index.if_not_exists === true };
}

function typeCreatedBy(tree: Node): Created | undefined {
  const composite = asKind(tree, 'CompositeTypeStmt')?.typevar;
  if (composite) return { type: relationNameOf(composite), isOptional: false };
  const names =
    asKind(tree, 'CreateEnumStmt')?.typeName ??
    asKind(tree, 'CreateDomainStmt')?.domainname ??
    asKind(tree, 'CreateRangeStmt')?.typeName;
  return names && { type: writtenNameOf(names), isOptional: false };
}

function noteCreated(file: FileState, tree: Node, around: Surroundings): void {
  const { catalog, isHistoryWhole, isConditional } = around;
  const schema = asKind(tree, 'CreateSchemaStmt');
  if (schema?.schemaElts) {
    const searchPath = [schemaNameOf(schema), ...catalog.searchPath];
    const inside = { ...around, catalog: { ...catalog, searchPath } };
    for (const element of schema.schemaElts) noteCreated(file, element, inside);
  }
  const created = createdBy(tree);
  if (created === undefined) return;
  const { relation, type, isOptional } = created;
  if (type !== undefined) file.freshTypes.add(keyOfNew(catalog, type));
  if (relation === undefined) return;
  const isTemporary = relation.relpersistence === 't' || relation.schemaname === TEMPORARY_SCHEMA;
  const key = isTemporary
    ? objectKey(TEMPORARY_SCHEMA, relation.relname ?? '')
    : keyOfNew(catalog, relationNameOf(relation));
  const isKnown = catalog.relations.has(key) || catalog.indexes.has(key);
  const mayBeThere = isOptional || isConditional;
  if (isTemporary || !mayBeThere || (isHistoryWhole && !isKnown)) file.fresh.add(key);
}

/** New objects land in the first schema of the search path. */
function keyOfNew({ searchPath }: Catalog, { schema, name }: WrittenName): ObjectKey {
  return objectKey(schema ?? searchPath[0] ?? 'public', name);
}

function noteMoved(file: FileState, tree: Node, { catalog }: Surroundings): void {
  const rename = asKind(tree, 'RenameStmt');
  if (rename?.relation && RELATION_KINDS.has(rename.renameType ?? '')) {
    move(file, catalog, rename.relation, (written) => ({ ...written, name: rename.newname ?? '' }));
  }
  const moved = asKind(tree, 'AlterObjectSchemaStmt');
  if (moved?.relation) {
    move(file, catalog, moved.relation, (written) => ({
      ...written,
      schema: moved.newschema ?? '',
    }));
  }
}

const RELATION_KINDS = new Set([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_INDEX',
  'OBJECT_SEQUENCE',
  'OBJECT_FOREIGN_TABLE',
]);

function move(
  file: FileState,
  catalog: Catalog,
  relation: RangeVar,
  change: (written: WrittenName) => WrittenName,
): void {
  const written = relationNameOf(relation);
  const from = keyAmongRelations(catalog, written);
  const found = catalog.searchPath.find((one) => objectKey(one, written.name) === from);
  const changed = change({ schema: written.schema ?? found, name: written.name });
  const to = keyOfNew(catalog, changed);
  if (file.fresh.delete(from)) file.fresh.add(to);
  const held = file.held.get(from);
  if (held === undefined) return;
  file.held.delete(from);
  file.held.set(to, held);
}

function keyAmongRelations(catalog: Catalog, written: WrittenName): ObjectKey {
  const key = resolveKey(catalog, written, catalog.relations);
  return catalog.relations.has(key) ? key : resolveKey(catalog, written, catalog.indexes);
}

function noteDropped(file: FileState, tree: Node, { catalog }: Surroundings): void {
  const drop = asKind(tree, 'DropStmt');
  for (const node of drop?.objects ?? []) {
    const items = asKind(node, 'List')?.items;
    if (items) file.fresh.delete(keyAmongRelations(catalog, writtenNameOf(items)));
  }
}

/** A table that holds rows is everybody's once it is part of one that is. */
function noteAttached(file: FileState, tree: Node, { catalog }: Surroundings): void {
  const alter = asKind(tree, 'AlterTableStmt');
  const named = alter?.relation && keyAmongRelations(catalog, relationNameOf(alter.relation));
  for (const node of alter?.cmds ?? []) {
    const { subtype, def } = asKind(node, 'AlterTableCmd') ?? {};
    const range = asKind(def, 'PartitionCmd')?.name ?? asKind(def, 'RangeVar');
    const other = range && keyAmongRelations(catalog, relationNameOf(range));
    if (subtype === 'AT_AttachPartition') share(file, catalog, { parent: named, child: other });
    if (subtype === 'AT_AddInherit') share(file, catalog, { parent: other, child: named });
  }
}

function share(
  file: FileState,
  catalog: Catalog,
  { parent = '', child = '' }: { parent: ObjectKey | undefined; child: ObjectKey | undefined },
): void {
  const relation = catalog.relations.get(child);
  if (file.fresh.has(parent) || relation === undefined) return;
  for (const { key, indexes } of withDescendants(catalog, relation)) {
    // Work on what is empty takes no time.
    if (catalog.unfilled.has(key)) continue;
    for (const one of [key, ...indexes]) file.fresh.delete(one);
  }
}

function noteTransaction(file: FileState, tree: Node): void {
  const { kind, chain } = asKind(tree, 'TransactionStmt') ?? {};
  switch (kind) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      file.isTransactional = true;
      return;
    case 'TRANS_STMT_COMMIT':
    case 'TRANS_STMT_ROLLBACK':
    case 'TRANS_STMT_PREPARE':
      file.isTransactional = chain === true;
      file.held.clear();
      file.enumValues.clear();
  }
}

function noteSetting(file: FileState, tree: Node): void {
  const { name, kind, args } = asKind(tree, 'VariableSetStmt') ?? {};
  const value = asKind(args?.[0], 'A_Const')?.sval?.sval ?? '';
  if (name === 'check_function_bodies') {
    file.checksBodies = kind !== 'VAR_SET_VALUE' || !/^(off|false|no|0)$/i.test(value);
  }
  if (name !== 'timezone') return;
  file.timeZoneIsUtc = kind === 'VAR_SET_VALUE' ? /^utc$/i.test(value) : undefined;
}

type Note = (file: FileState, tree: Node, around: Surroundings) => void;

const nothing: Note = () => undefined;

/** By kind of statement; any other may create something. */
const NOTES: Record<string, Note> = {
  RenameStmt: noteMoved,
  AlterObjectSchemaStmt: noteMoved,
  DropStmt: noteDropped,
  AlterEnumStmt: noteEnumValue,
  VariableSetStmt: noteSetting,
  TransactionStmt: noteTransaction,
  AlterTableStmt: noteAttached,
  InsertStmt: nothing,
  UpdateStmt: nothing,
  DeleteStmt: nothing,
};
