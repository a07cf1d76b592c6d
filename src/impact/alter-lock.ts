import type { AlterTableCmd } from '@pgsql/types';
import { asKind } from '../sql/tree.ts';
import { isStronger, type LockMode } from './impact.ts';

/** The lock of an `alter table`: the strongest that one of its subcommands needs. */
export function lockOfCommands(commands: readonly AlterTableCmd[]): LockMode {
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
export function isInherited({ subtype, def }: AlterTableCmd, serverVersion: number): boolean {
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

const INDEXED = new Set(['CONSTR_UNIQUE', 'CONSTR_PRIMARY', 'CONSTR_EXCLUSION']);

/** Whether a subcommand goes on to the partitions of a partitioned table only. */
export function isForPartitions({ subtype, def }: AlterTableCmd): boolean {
  return (
    subtype?.endsWith('Trig') === true ||
    subtype?.endsWith('TrigAll') === true ||
    subtype?.endsWith('TrigUser') === true ||
    subtype === 'AT_AddIdentity' ||
    subtype === 'AT_SetIdentity' ||
    subtype === 'AT_DropIdentity' ||
    asKind(def, 'Constraint')?.contype === 'CONSTR_FOREIGN'
  );
}
