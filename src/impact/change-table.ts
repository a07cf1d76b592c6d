import type { PartitionBoundSpec } from '@pgsql/types';
import { objectKey, splitKey } from '../catalog/catalog.ts';
import { asKind } from '../sql/tree.ts';
import { type AlterCommand, touchedTables } from './alter-command.ts';
import { isBoundProven } from './bound-proof.ts';
import { lockOther } from './change-constraint.ts';
import {
  type Draft,
  lock,
  lockTree,
  rewrite,
  scan,
  storedTables,
  type Target,
  targetOfRange,
} from './draft.ts';
import type { RewriteReason } from './impact.ts';

/** What changes a table as a whole, or its place among others. */
export function impactOfTableChange(at: AlterCommand): void {
  const { draft, target, command } = at;
  const partition = asKind(command.def, 'PartitionCmd');
  const other = targetOfRange(draft, partition?.name ?? asKind(command.def, 'RangeVar'));
  switch (command.subtype) {
    case 'AT_AttachPartition':
      if (other) attach(at, other, partition?.bound);
      return;
    case 'AT_DetachPartition':
    case 'AT_DetachPartitionFinalize':
      if (other) detach(draft, target, other, { isConcurrent: at.mode !== 'AccessExclusive' });
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

function attach(at: AlterCommand, partition: Target, bound: PartitionBoundSpec | undefined): void {
  const { draft, target } = at;
  lockTree(draft, partition, 'AccessExclusive', 'target');
  lockForeignKeys(draft, target);
  const proof = isBoundProven(target.relation, partition.relation, bound);
  if (proof !== true) {
    for (const { key } of storedTables(draft, partition)) {
      scan(draft, {
        relation: key,
        reason: 'attach partition',
        subject: target.key,
        isCertain: proof === false,
        command: at.index,
        offset: at.offset,
      });
    }
  }
  scanDefaultPartition(draft, target, { command: at.index, offset: at.offset });
}

/** A new partition may take over what the default one holds, so that one is read. */
export function scanDefaultPartition(
  draft: Draft,
  { relation: parent }: Target,
  place: { command?: number; offset?: number } = {},
): void {
  const key = parent?.defaultPartition;
  const relation = draft.catalog.relations.get(key ?? '');
  if (parent === undefined || key === undefined) return;
  lockTree(draft, { key, relation }, 'AccessExclusive', 'default partition');
  for (const table of storedTables(draft, { key, relation })) {
    const about = { relation: table.key, subject: parent.key, isCertain: true, ...place };
    scan(draft, { ...about, reason: 'default partition' });
  }
}

/** A partition gets the foreign keys of its table. */
export function lockForeignKeys(draft: Draft, { relation }: Target): void {
  for (const { kind, references } of relation?.constraints.values() ?? []) {
    if (kind === 'foreign key') {
      lockOther(draft, references, 'ShareRowExclusive', 'referenced table');
    }
  }
}

function detach(
  draft: Draft,
  { relation: parent }: Target,
  partition: Target,
  { isConcurrent }: { isConcurrent: boolean },
): void {
  lockTree(draft, partition, 'AccessExclusive', 'partition');
  const key = parent?.defaultPartition;
  if (key !== undefined && !isConcurrent) lock(draft, key, 'AccessExclusive', 'default partition');
}
