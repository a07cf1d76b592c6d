import type { ATAlterConstraint, Constraint } from '@pgsql/types';
import { type CatalogConstraint, objectKey, splitKey } from '../catalog/catalog.ts';
import { type ConstraintPlace, nameOfConstraint } from '../catalog/replay/constraint-name.ts';
import { referencesBelow } from '../catalog/replay/relation.ts';
import { asKind, stringsOf } from '../sql/tree.ts';
import {
  type AlterCommand,
  build,
  type Draft,
  lock,
  lockTree,
  offsetOfConstraint,
  scan,
  storedTables,
  type Target,
  targetOfRange,
  touchedTables,
  unknown,
} from './draft.ts';
import type { LockMode, LockReason, ScanReason } from './impact.ts';
import { isProvenNotNull } from './proven.ts';

/** `add constraint` */
export function impactOfAddConstraint(at: AlterCommand): void {
  const constraint = asKind(at.command.def, 'Constraint');
  if (constraint) addedConstraint(at, constraint);
}

/** A new constraint, by itself or beside a new column. */
export function addedConstraint(
  at: AlterCommand,
  constraint: Constraint,
  place: ConstraintPlace = {},
): void {
  switch (constraint.contype) {
    case 'CONSTR_CHECK':
      addedCheck(at, constraint, place);
      return;
    case 'CONSTR_NOTNULL':
      addedNotNull(at, constraint);
      return;
    case 'CONSTR_FOREIGN':
      addedForeignKey(at, constraint, place);
      return;
    case 'CONSTR_PRIMARY':
    case 'CONSTR_UNIQUE':
    case 'CONSTR_EXCLUSION':
      addedIndexConstraint(at, constraint, place);
  }
}

function subjectOf(at: AlterCommand, constraint: Constraint, { column }: ConstraintPlace): string {
  return nameOfConstraint(at.draft.catalog, at.target, constraint, column);
}

function isChecked({ is_enforced, skip_validation }: Constraint, place: ConstraintPlace): boolean {
  return is_enforced === true && skip_validation !== true && place.isUnenforced !== true;
}

function addedCheck(at: AlterCommand, constraint: Constraint, place: ConstraintPlace): void {
  if (!isChecked(constraint, place)) return;
  const isOnly = at.isOnly || constraint.is_no_inherit === true;
  const subject = subjectOf(at, constraint, place);
  const offset = offsetOfConstraint(at, constraint);
  for (const table of touchedTables(at, { offset, isOnly })) {
    scan(at.draft, { ...table, reason: 'check constraint', subject, isCertain: true });
  }
}

function addedNotNull(at: AlterCommand, constraint: Constraint): void {
  const column = stringsOf(constraint.keys)[0] ?? '';
  if (constraint.skip_validation) return;
  const offset = offsetOfConstraint(at, constraint);
  for (const table of storedTables(at.draft, at.target, at.isOnly)) {
    const isProven = isProvenNotNull(table, column, at.dropped);
    if (isProven) continue;
    scan(at.draft, {
      relation: table.key,
      reason: 'not null constraint',
      subject: column,
      isCertain: isProven === false,
      command: at.index,
      offset,
    });
  }
}

function addedForeignKey(at: AlterCommand, constraint: Constraint, place: ConstraintPlace): void {
  const { draft } = at;
  const referenced = targetOfRange(draft, constraint.pktable);
  if (referenced) lockTree(draft, referenced, 'ShareRowExclusive', 'referenced table');
  // Rows get a value for a new column only by a default, also by one that is null.
  const isNewAndNull = place.column !== undefined && !hasDefault(at);
  if (isNewAndNull || !isChecked(constraint, place)) return;
  const about = {
    reason: 'foreign key',
    subject: subjectOf(at, constraint, place),
    isCertain: true,
    command: at.index,
    offset: offsetOfConstraint(at, constraint),
  } as const;
  const checked = touchedTables(at);
  for (const { relation } of checked) scan(draft, { relation, ...about });
  if (referenced === undefined || referenced.key === at.target.key) return;
  // Nothing is looked up for a table without rows.
  if (checked.every(({ relation }) => draft.catalog.unfilled.has(relation))) return;
  for (const { key } of storedTables(draft, referenced)) scan(draft, { relation: key, ...about });
}

function hasDefault({ command }: AlterCommand): boolean {
  const definition = asKind(command.def, 'ColumnDef');
  return (definition?.constraints ?? []).some((node) => {
    const contype = asKind(node, 'Constraint')?.contype;
    return contype === 'CONSTR_DEFAULT' || contype === 'CONSTR_GENERATED';
  });
}

const BUILDS = {
  CONSTR_PRIMARY: 'primary key',
  CONSTR_UNIQUE: 'unique',
  CONSTR_EXCLUSION: 'exclusion',
} as const;

function addedIndexConstraint(
  at: AlterCommand,
  constraint: Constraint,
  place: ConstraintPlace,
): void {
  const { draft } = at;
  const reason = BUILDS[constraint.contype as keyof typeof BUILDS];
  const offset = offsetOfConstraint(at, constraint);
  const subject = subjectOf(at, constraint, place);
  const columns = keyColumns(at, constraint);
  if (reason === 'primary key') lockForPrimaryKey(at, columns);
  if (reason === 'primary key' && place.column === undefined) {
    scanForNulls(at, columns, offset);
  }
  if (constraint.indexname) {
    takeIndex(at, constraint);
    return;
  }
  const isOnly = at.isOnly || at.target.relation?.kind !== 'partitioned table';
  for (const { relation } of touchedTables(at, { offset, isOnly })) {
    if (relation !== at.target.key) lock(draft, relation, 'Share', 'partition');
    const about = { relation, subject, isCertain: true, command: at.index, offset };
    build(draft, { ...about, reason, isConcurrent: false });
    if (reason === 'exclusion') scan(draft, { ...about, reason: 'exclusion constraint' });
  }
}

function keyOfIndex(at: AlterCommand, { indexname = '' }: Constraint): string {
  return objectKey(splitKey(at.target.key).schema, indexname);
}

/** An index that becomes a constraint is locked where it gets the constraint's name. */
function takeIndex(at: AlterCommand, constraint: Constraint): void {
  const isRenamed = constraint.conname && constraint.conname !== constraint.indexname;
  if (isRenamed) lock(at.draft, keyOfIndex(at, constraint), 'ShareUpdateExclusive', 'index');
}

/** The key columns; undefined where they are those of an index that the catalog does not know. */
function keyColumns(at: AlterCommand, constraint: Constraint): readonly string[] | undefined {
  if (!constraint.indexname) return stringsOf(constraint.keys);
  const index = at.draft.catalog.indexes.get(keyOfIndex(at, constraint));
  return index?.columns.filter((name) => name !== undefined);
}

/** The columns of a primary key become not null, so that those which may hold nulls are read for them. */
function scanForNulls(
  at: AlterCommand,
  columns: readonly string[] | undefined,
  offset: number,
): void {
  for (const table of storedTables(at.draft, at.target, at.isOnly)) {
    for (const column of columns ?? [undefined]) {
      const isProven =
        column === undefined ? undefined : isProvenNotNull(table, column, at.dropped);
      if (isProven) continue;
      scan(at.draft, {
        relation: table.key,
        reason: 'primary key columns',
        ...(column === undefined ? {} : { subject: column }),
        isCertain: isProven === false,
        command: at.index,
        offset,
      });
    }
  }
}

/** Before 18 partitions are locked like the table only where a column becomes not null. */
function lockForPrimaryKey(at: AlterCommand, columns: readonly string[] | undefined): void {
  const { draft, target } = at;
  const isNew = (columns ?? []).some(
    (name) => target.relation?.columns.get(name)?.isNotNull === false,
  );
  if (at.isOnly) return;
  const isPartitioned = target.relation?.kind === 'partitioned table';
  if (isNew || !isPartitioned) lockTree(draft, target, at.mode, 'target');
}

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
  for (const { relation, constraint } of referencesBelow(draft.catalog, target.key)) {
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
