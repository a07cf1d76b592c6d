import { objectKey, splitKey } from '../catalog/catalog.ts';
import { asKind } from '../sql/tree.ts';
import { type AlterCommand, touchedTables } from './alter-command.ts';
import { lock, rewrite, targetOfRange } from './draft.ts';
import type { RewriteReason } from './impact.ts';
import { lockSequences } from './owned-sequences.ts';
import { attachPartition, detachPartition } from './partition.ts';

/** What changes a table as a whole, or its place among others. */
export function impactOfTableChange(at: AlterCommand): void {
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
