import type { Node } from '@pgsql/types';
import { asKind, relationNameOf, type WrittenName, writtenNameOf } from '../../sql/tree.ts';
/**
 * What is known of a statement that runs outside of any transaction: how to tell afterwards
 * whether it was done.
 */
export type LoneStatement =
  | {
      kind: 'create-index';
      table: WrittenName;
      /** Undefined where PostgreSQL chooses it. */
      name: string | undefined;
      isUnique: boolean;
      ifNotExists: boolean;
    }
  | { kind: 'drop-index'; index: WrittenName }
  | { kind: 'reindex'; scope: ReindexScope }
  | { kind: 'detach'; parent: WrittenName; partition: WrittenName }
  | { kind: 'existence'; catalog: GlobalCatalog; name: string; isWanted: boolean }
  /** Running it again does no harm, and is the same as running it once. */
  | { kind: 'repeatable' }
  | { kind: 'unknown' };

export type ReindexScope =
  | { of: 'index' | 'table'; relation: WrittenName }
  | { of: 'schema'; name: string }
  | { of: 'database' };

/** The catalog and its column with the name. */
type GlobalCatalog = 'pg_database.datname' | 'pg_tablespace.spcname' | 'pg_subscription.subname';

/** Reads from the tree of a statement what it does; null stands for what could not be parsed. */
export function readLoneStatement(tree: Node | null): LoneStatement {
  if (tree === null) return { kind: 'unknown' };
  return (
    readIndexStatement(tree) ??
    readDetach(tree) ??
    readExistence(tree) ??
    (isRepeatable(tree) ? { kind: 'repeatable' } : { kind: 'unknown' })
  );
}

function readIndexStatement(tree: Node): LoneStatement | undefined {
  const create = asKind(tree, 'IndexStmt');
  if (create?.relation) {
    return {
      kind: 'create-index',
      table: relationNameOf(create.relation),
      name: create.idxname || undefined,
      isUnique: create.unique === true,
      ifNotExists: create.if_not_exists === true,
    };
  }
  const drop = asKind(tree, 'DropStmt');
  if (drop?.removeType === 'OBJECT_INDEX') {
    const list = asKind(drop.objects?.[0], 'List');
    return { kind: 'drop-index', index: writtenNameOf(list?.items) };
  }
  const reindex = asKind(tree, 'ReindexStmt');
  if (reindex === undefined) return undefined;
  const { kind, relation, name = '' } = reindex;
  if (relation) {
    const of = kind === 'REINDEX_OBJECT_INDEX' ? 'index' : 'table';
    return { kind: 'reindex', scope: { of, relation: relationNameOf(relation) } };
  }
  const isSchema = kind === 'REINDEX_OBJECT_SCHEMA';
  return { kind: 'reindex', scope: isSchema ? { of: 'schema', name } : { of: 'database' } };
}

function readDetach(tree: Node): LoneStatement | undefined {
  const { relation, cmds = [] } = asKind(tree, 'AlterTableStmt') ?? {};
  const command = asKind(cmds[0], 'AlterTableCmd');
  if (!relation || cmds.length !== 1 || command?.subtype !== 'AT_DetachPartition') return undefined;
  const partition = asKind(command.def, 'PartitionCmd')?.name;
  if (!partition) return undefined;
  return {
    kind: 'detach',
    parent: relationNameOf(relation),
    partition: relationNameOf(partition),
  };
}

function readExistence(tree: Node): LoneStatement | undefined {
  const found = (catalog: GlobalCatalog, name: string | undefined, isWanted: boolean) =>
    name === undefined ? undefined : { kind: 'existence' as const, catalog, name, isWanted };
  return (
    found('pg_database.datname', asKind(tree, 'CreatedbStmt')?.dbname, true) ??
    found('pg_database.datname', asKind(tree, 'DropdbStmt')?.dbname, false) ??
    found('pg_tablespace.spcname', asKind(tree, 'CreateTableSpaceStmt')?.tablespacename, true) ??
    found('pg_tablespace.spcname', asKind(tree, 'DropTableSpaceStmt')?.tablespacename, false) ??
    found('pg_subscription.subname', asKind(tree, 'CreateSubscriptionStmt')?.subname, true) ??
    found('pg_subscription.subname', asKind(tree, 'DropSubscriptionStmt')?.subname, false)
  );
}

function isRepeatable(tree: Node): boolean {
  const refreshes = asKind(tree, 'AlterSubscriptionStmt')?.kind === 'ALTER_SUBSCRIPTION_REFRESH';
  return refreshes || Object.keys(tree).some((kind) => REPEATABLE.has(kind));
}

const REPEATABLE = new Set([
  'VacuumStmt',
  'ClusterStmt',
  'AlterSystemStmt',
  'AlterDatabaseStmt',
  'DiscardStmt',
  'VariableSetStmt',
  'CheckPointStmt',
  // outside of a transaction these do nothing, or are refused
  'LockStmt',
  'DeclareCursorStmt',
  'ConstraintsSetStmt',
  'TransactionStmt',
]);
