import type { ATAlterConstraint } from '@pgsql/types';
import type { CatalogConstraint } from '../catalog/catalog.ts';
import { referencesTo } from '../catalog/replay/relation.ts';
import type { AlterCommand } from './alter-command.ts';
import { type Draft, lock, lockTree, scan, storedTables, type Target, unknown } from './draft.ts';
import type { LockMode, LockReason, ScanReason } from './impact.ts';

/** `drop constraint`, `validate constraint` and `alter constraint` */
export function impactOfChangeConstraint(at: AlterCommand): void {
  const { subtype, name = '' } = at.command;
  if (subtype === 'AT_DropConstraint') {
    dropped(at, name);
    return;
  }
  if (subtype === 'AT_ValidateConstraint') {
    validated(at, name);
    return;
  }
  const { ATAlterConstraint: change } = at.command.def as { ATAlterConstraint?: ATAlterConstraint };
  const constraint = at.target.relation?.constraints.get(change?.conname ?? '');
  if (!change?.alterEnforceability || constraint?.kind !== 'foreign key') return;
  if (constraint.isEnforced === (change.is_enforced === true)) return;
  // Its triggers are made on the way in, and dropped on the way out.
  const mode = change.is_enforced ? 'ShareRowExclusive' : 'AccessExclusive';
  lockOther(at.draft, constraint.references, mode, 'referenced table');
  if (change.is_enforced) scanForeignKey(at, constraint, 'foreign key');
}

/** Takes a lock on the other table of a foreign key, by its key. */
export function lockOther(
  draft: Draft,
  key: string | undefined,
  mode: LockMode,
  reason: LockReason,
): void {
  if (key === undefined) return;
  const relation = draft.catalog.relations.get(key);
  if (relation !== undefined || !draft.catalog.isComplete) {
    lockTree(draft, { key, relation }, mode, reason);
  }
}

/** Locks the tables that hold the triggers of a foreign key which goes away with its table or column. */
export function lockTriggersOf(draft: Draft, { references, isInherited }: CatalogConstraint): void {
  const relation = draft.catalog.relations.get(references ?? '');
  // The triggers of a partition's belong to that of its table.
  if (isInherited) return;
  if (relation?.kind !== 'partitioned table' || draft.serverVersion >= 150_000) {
    lockOther(draft, references, 'AccessExclusive', 'referenced table');
    return;
  }
  for (const { key } of storedTables(draft, { key: relation.key, relation })) {
    lock(draft, key, 'AccessExclusive', 'referenced table');
  }
}

function dropped(at: AlterCommand, name: string): void {
  const { draft, target } = at;
  const constraint = target.relation?.constraints.get(name);
  if (constraint === undefined) {
    if (!draft.catalog.isComplete) unknown(draft, `what constraint ${name} of ${target.key} is`);
    return;
  }
  if (constraint.kind === 'foreign key') {
    lockOther(draft, constraint.references, 'AccessExclusive', 'referenced table');
  }
  if (at.command.behavior === 'DROP_CASCADE') lockReferencing(draft, target, constraint);
}

/** With a key go the foreign keys that need it. */
function lockReferencing(
  draft: Draft,
  target: Target,
  { index, columns }: CatalogConstraint,
): void {
  if (index === undefined) return;
  for (const { relation, constraint } of referencesTo(draft.catalog, target.key)) {
    const isOnIt = constraint.referencedColumns?.join() === columns.join();
    if (isOnIt)
      lockTree(draft, { key: relation.key, relation }, 'AccessExclusive', 'referencing table');
  }
}

function validated(at: AlterCommand, name: string): void {
  const { draft, target } = at;
  const constraint = target.relation?.constraints.get(name);
  if (constraint?.isValidated) return;
  if (constraint?.kind === 'foreign key') {
    lockOther(draft, constraint.references, 'RowShare', 'referenced table');
    scanForeignKey(at, constraint);
    return;
  }
  if (constraint === undefined) unknown(draft, `what constraint ${name} of ${target.key} is`);
  for (const table of storedTables(draft, target, at.isOnly)) {
    scan(draft, { relation: table.key, ...aboutValidation(at, name) });
  }
}

function scanForeignKey(
  at: AlterCommand,
  { name, references }: CatalogConstraint,
  reason: ScanReason = 'validate constraint',
): void {
  const { draft, target } = at;
  const about = { ...aboutValidation(at, name), reason };
  for (const { key } of storedTables(draft, target)) scan(draft, { relation: key, ...about });
  const other = draft.catalog.relations.get(references ?? '');
  if (other === undefined || other === target.relation) return;
  for (const { key } of storedTables(draft, { key: other.key, relation: other })) {
    scan(draft, { relation: key, ...about });
  }
}

function aboutValidation({ index, offset }: AlterCommand, subject: string) {
  return {
    reason: 'validate constraint',
    subject,
    isCertain: true,
    command: index,
    offset,
  } as const;
}
