import type { AlterTableCmd, AlterTableStmt } from '@pgsql/types';
import { objectKey, resolveKey, splitKey } from '../catalog/catalog.ts';
import { notNullOf } from '../catalog/replay/constraint.ts';
import { referencesTo } from '../catalog/replay/relation.ts';
import { commandsOf } from '../sql/list-items.ts';
import { asKind, relationNameOf } from '../sql/tree.ts';
import { impactOfAddColumn } from './add-column.ts';
import { impactOfColumnChange } from './change-column.ts';
import { impactOfAddConstraint, impactOfChangeConstraint } from './constraint.ts';
import {
  type AlterCommand,
  type Draft,
  lock,
  lockTree,
  rewrite,
  type Target,
  targetOfRange,
  touchedTables,
} from './draft.ts';
import { droppedBy } from './dropped.ts';
import { isStronger, type LockMode, type RewriteReason } from './impact.ts';
import { lockSequences } from './objects.ts';
import { attachPartition, detachPartition } from './partition.ts';

/** `alter table`, and what PostgreSQL's tree calls so: `alter index`, `alter view`, `alter type`. */
export function impactOfAlterTable(draft: Draft, statement: AlterTableStmt): void {
  const commands = commandsOf(statement, draft.text);
  const all = commands.map(({ command }) => command);
  const mode = lockOfCommands(all);
  if (lockIndex(draft, statement, mode)) return;
  const target = targetOfRange(draft, statement.relation);
  if (target === undefined) return;
  // A type names no `only`: with cascade its tables follow, and without there must be none.
  const isOnly = statement.objtype !== 'OBJECT_TYPE' && statement.relation?.inh !== true;
  lock(draft, target.key, mode, 'target');
  lockChildren(draft, target, { all, mode, isOnly });
  const { constraints: dropped, indexes } = droppedBy(draft, target, commands);
  for (const key of indexes) draft.droppedIndexes.add(key);
  for (const { command, index, offset } of commands) {
    impactOfCommand({ draft, target, command, index, offset, mode, isOnly, dropped });
  }
}

interface Commands {
  all: AlterCommand['command'][];
  mode: AlterCommand['mode'];
  isOnly: boolean;
}

function lockChildren(draft: Draft, target: Target, { all, mode, isOnly }: Commands): void {
  const isPartitioned = target.relation?.kind === 'partitioned table';
  const goesDown = all.some((command) =>
    isInherited(command, draft.serverVersion)
      ? !staysHere(draft, target, command)
      : isPartitioned && isForPartitions(draft, target, command),
  );
  if (goesDown && !isOnly) lockTree(draft, target, mode, 'target');
  // What the children have of it is theirs alone from then on.
  const isLeft = all.some(
    (command) =>
      leavesToChildren(command, draft.serverVersion) && !staysHere(draft, target, command),
  );
  for (const key of isOnly && isLeft ? (target.relation?.children ?? []) : []) {
    lock(draft, key, mode, 'partition');
  }
}

/** Where the statement names an index, which `alter table` may do too. */
function lockIndex(
  draft: Draft,
  { relation, cmds, objtype }: AlterTableStmt,
  mode: AlterCommand['mode'],
): boolean {
  if (relation === undefined) return false;
  const { catalog } = draft;
  const key = resolveKey(catalog, relationNameOf(relation), catalog.indexes);
  if (objtype !== 'OBJECT_INDEX' && !catalog.indexes.has(key)) return false;
  lock(draft, key, mode, 'index');
  for (const node of cmds ?? []) {
    const command = asKind(node, 'AlterTableCmd');
    if (command?.subtype === 'AT_SetTableSpace' && command.name !== 'pg_default') {
      const detail = command.name ?? '';
      rewrite(draft, { relation: key, reason: 'set tablespace', detail, isCertain: true });
    }
    const { name } = asKind(command?.def, 'PartitionCmd') ?? {};
    if (!name) continue;
    lock(
      draft,
      resolveKey(catalog, relationNameOf(name), catalog.indexes),
      'AccessExclusive',
      'index',
    );
  }
  return true;
}

function impactOfCommand(at: AlterCommand): void {
  switch (at.command.subtype) {
    case 'AT_AddColumn':
      impactOfAddColumn(at);
      return;
    case 'AT_AddConstraint':
      impactOfAddConstraint(at);
      return;
    case 'AT_DropConstraint':
    case 'AT_ValidateConstraint':
    case 'AT_AlterConstraint':
      impactOfChangeConstraint(at);
      return;
    case 'AT_SetNotNull':
    case 'AT_AlterColumnType':
    case 'AT_DropColumn':
    case 'AT_SetExpression':
      impactOfColumnChange(at);
      return;
    default:
      impactOfTableChange(at);
  }
}

/** The lock of an `alter table`: the strongest that one of its subcommands needs. */
function lockOfCommands(commands: readonly AlterTableCmd[]): LockMode {
  return commands.reduce<LockMode>((best, command) => {
    const mode = lockOfCommand(command);
    return isStronger(mode, best) ? mode : best;
  }, 'AccessShare');
}

function lockOfCommand({ subtype, def }: AlterTableCmd): LockMode {
  switch (subtype) {
    case 'AT_SetStatistics':
    case 'AT_ClusterOn':
    case 'AT_DropCluster':
    case 'AT_SetOptions':
    case 'AT_ResetOptions':
    case 'AT_ValidateConstraint':
    case 'AT_AttachPartition':
    case 'AT_DetachPartitionFinalize':
      return 'ShareUpdateExclusive';
    case 'AT_DetachPartition':
      return asKind(def, 'PartitionCmd')?.concurrent ? 'ShareUpdateExclusive' : 'AccessExclusive';
    case 'AT_SetRelOptions':
    case 'AT_ResetRelOptions':
    case 'AT_ReplaceRelOptions':
      return lockOfOptions(def);
    case 'AT_EnableTrig':
    case 'AT_EnableAlwaysTrig':
    case 'AT_EnableReplicaTrig':
    case 'AT_EnableTrigAll':
    case 'AT_EnableTrigUser':
    case 'AT_DisableTrig':
    case 'AT_DisableTrigAll':
    case 'AT_DisableTrigUser':
      return 'ShareRowExclusive';
    case 'AT_AddConstraint':
      return asKind(def, 'Constraint')?.contype === 'CONSTR_FOREIGN'
        ? 'ShareRowExclusive'
        : 'AccessExclusive';
    default:
      return 'AccessExclusive';
  }
}

function lockOfOptions(def: AlterTableCmd['def']): LockMode {
  const names = (asKind(def, 'List')?.items ?? []).map(
    (node) => asKind(node, 'DefElem')?.defname ?? '',
  );
  return names.every((name) => WEAK_OPTION.test(name)) ? 'ShareUpdateExclusive' : 'AccessExclusive';
}

// All others, such as user_catalog_table, security_barrier and fastupdate, need the strongest.
const WEAK_OPTION =
  /^(fillfactor|parallel_workers|toast_tuple_target|deduplicate_items|pages_per_range|gin_pending_list_limit|log_autovacuum_min_duration|autovacuum_.*|vacuum_.*)$/;

/** Whether a subcommand goes on to the partitions and children, and locks them alike. */
function isInherited({ subtype, def }: AlterTableCmd, serverVersion: number): boolean {
  const constraint = asKind(def, 'Constraint');
  switch (subtype) {
    case 'AT_AddConstraint':
      if (serverVersion >= 180_000) return true;
      return constraint?.is_no_inherit !== true && !INDEXED.has(constraint?.contype ?? '');
    case 'AT_AddColumn':
    case 'AT_ColumnDefault':
    case 'AT_DropNotNull':
    case 'AT_SetNotNull':
    case 'AT_SetExpression':
    case 'AT_DropExpression':
    case 'AT_SetStatistics':
    case 'AT_SetStorage':
    case 'AT_SetCompression':
    case 'AT_DropColumn':
    case 'AT_DropConstraint':
    case 'AT_AlterColumnType':
    case 'AT_AlterConstraint':
    case 'AT_ValidateConstraint':
      return true;
    default:
      return false;
  }
}

/** Whether children keep what the table loses: with `only` they are locked to be told so. */
function leavesToChildren({ subtype }: AlterTableCmd, serverVersion: number): boolean {
  if (subtype === 'AT_DropNotNull') return serverVersion >= 180_000;
  return subtype === 'AT_DropColumn' || subtype === 'AT_DropConstraint';
}

/** Whether the children are left alone because they, or the table itself, have nothing to change. */
function staysHere(
  { serverVersion }: Draft,
  { relation }: Target,
  { subtype, name = '' }: AlterTableCmd,
): boolean {
  if (relation === undefined) return false;
  if (subtype === 'AT_DropConstraint') {
    const { kind, isOwnOnly } = relation.constraints.get(name) ?? {};
    // Partitions lose theirs with it; other children never had any.
    const isOwn = isOwnOnly || OWN_KINDS.has(kind ?? '');
    return isOwn && relation.kind !== 'partitioned table';
  }
  if (subtype === 'AT_ValidateConstraint')
    return relation.constraints.get(name)?.isValidated === true;
  const column = relation.columns.get(name);
  if (serverVersion < 180_000 || column === undefined) return false;
  if (subtype === 'AT_DropNotNull') return !column.isNotNull;
  if (subtype !== 'AT_SetNotNull' || !column.isNotNull) return false;
  return notNullOf(relation, name)?.isValidated !== false;
}

const OWN_KINDS = new Set(['primary key', 'unique', 'exclusion', 'foreign key']);

const INDEXED = new Set(['CONSTR_UNIQUE', 'CONSTR_PRIMARY', 'CONSTR_EXCLUSION']);

/** Whether a subcommand goes on to the partitions of a partitioned table only. */
function isForPartitions(draft: Draft, target: Target, { subtype, def }: AlterTableCmd): boolean {
  if (/Trig(All|User)$/.test(subtype ?? '')) {
    return hasTriggers(draft, target, subtype?.endsWith('All') === true);
  }
  return (
    subtype?.endsWith('Trig') === true ||
    subtype === 'AT_AddIdentity' ||
    subtype === 'AT_SetIdentity' ||
    subtype === 'AT_DropIdentity' ||
    asKind(def, 'Constraint')?.contype === 'CONSTR_FOREIGN'
  );
}

/** Whether there is a trigger that partitions have too; those of foreign keys are none of the user's. */
function hasTriggers(draft: Draft, { key, relation }: Target, withKeys: boolean): boolean {
  if ((relation?.triggers?.size ?? 0) > 0) return true;
  const isKey = ({ kind }: { kind: string }) => kind === 'foreign key';
  return (
    withKeys &&
    ([...(relation?.constraints.values() ?? [])].some(isKey) ||
      referencesTo(draft.catalog, key).length > 0)
  );
}

/** What changes a table as a whole, or its place among others. */
function impactOfTableChange(at: AlterCommand): void {
  const { draft, target, command } = at;
  const partition = asKind(command.def, 'PartitionCmd');
  const other = targetOfRange(draft, partition?.name ?? asKind(command.def, 'RangeVar'));
  switch (command.subtype) {
    case 'AT_AttachPartition':
      if (other) attachPartition(at, other, partition?.bound);
      return;
    case 'AT_DetachPartition':
    case 'AT_DetachPartitionFinalize':
      if (other) detachPartition(at, other);
      return;
    case 'AT_AddInherit':
      if (other) lock(draft, other.key, 'ShareUpdateExclusive', 'parent');
      return;
    case 'AT_ClusterOn':
      lock(draft, indexOf(at, command.name), 'ShareUpdateExclusive', 'index');
      return;
    case 'AT_ReplicaIdentity': {
      const name = asKind(command.def, 'ReplicaIdentityStmt')?.name;
      if (name) lock(draft, indexOf(at, name), 'Share', 'index');
      return;
    }
    case 'AT_DropIdentity':
      lockSequences(draft, target.key, 'AccessExclusive', command.name);
      return;
    case 'AT_SetIdentity':
      lockSequences(draft, target.key, 'ShareRowExclusive', command.name);
      return;
    default:
      rewriteTable(at);
  }
}

function indexOf({ target }: AlterCommand, name = ''): string {
  return objectKey(splitKey(target.key).schema, name);
}

function rewriteTable(at: AlterCommand): void {
  const { subtype, name = '' } = at.command;
  const { relation } = at.target;
  switch (subtype) {
    case 'AT_SetLogged':
    case 'AT_SetUnLogged': {
      const isUnlogged = subtype === 'AT_SetUnLogged';
      if (relation?.isUnlogged === isUnlogged) return;
      rewriteAs(at, 'set logged', isUnlogged ? 'unlogged' : 'logged');
      if (at.draft.serverVersion >= 150_000) {
        lockSequences(at.draft, at.target.key, 'AccessExclusive');
      }
      return;
    }
    case 'AT_SetTableSpace':
      // Most tables lie in the default one, and to stay there is no work.
      if (name !== 'pg_default') rewriteAs(at, 'set tablespace', name);
      return;
    case 'AT_SetAccessMethod':
      if (name !== 'heap' && name !== '') rewriteAs(at, 'set access method', name);
      return;
  }
}

function rewriteAs(at: AlterCommand, reason: RewriteReason, detail: string): void {
  for (const table of touchedTables(at, { isOnly: true })) {
    rewrite(at.draft, { ...table, reason, detail, isCertain: true });
  }
}
