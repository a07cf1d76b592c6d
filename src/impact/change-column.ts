import type { CatalogConstraint, ObjectKey } from '../catalog/catalog.ts';
import { columnTypeOf, showType } from '../catalog/column-type.ts';
import { collationOf } from '../catalog/replay/column.ts';
import { type Reference, referencesBelow } from '../catalog/replay/relation.ts';
import { asKind } from '../sql/tree.ts';
import { lockOther, lockTriggersOf } from './constraint.ts';
import { dropDependent } from './create-drop.ts';
import {
  type AlterCommand,
  build,
  lock,
  lockTree,
  rewrite,
  scan,
  storedTables,
  type Target,
} from './draft.ts';
import type { Build } from './impact.ts';
import { lockSequences } from './objects.ts';
import { isProvenNotNull } from './proven.ts';
import { generatedFrom } from './still-needed.ts';
import { changeOfType, comparesAlike, keepsIndex } from './type-change.ts';

/** What changes a column that is there. */
export function impactOfColumnChange(at: AlterCommand): void {
  const { subtype, name = '' } = at.command;
  switch (subtype) {
    case 'AT_SetNotNull':
      setNotNull(at, name);
      return;
    case 'AT_AlterColumnType':
      changeType(at, name);
      return;
    case 'AT_DropColumn':
      dropColumn(at, name);
      return;
    default:
      setExpression(at, name);
  }
}

function about(at: AlterCommand, { key }: Target) {
  return { relation: key, command: at.index, offset: at.offset };
}

function setNotNull(at: AlterCommand, name: string): void {
  for (const table of storedTables(at.draft, at.target, at.isOnly)) {
    const isProven = isProvenNotNull(table, name, at.dropped);
    if (isProven) continue;
    scan(at.draft, {
      ...about(at, table),
      reason: 'set not null',
      subject: name,
      isCertain: isProven === false,
    });
  }
}

function setExpression(at: AlterCommand, name: string): void {
  for (const table of storedTables(at.draft, at.target, at.isOnly)) {
    const generated = table.relation?.columns.get(name)?.generated;
    if (generated === 'virtual') continue;
    rewrite(at.draft, {
      ...about(at, table),
      reason: 'set expression',
      subject: name,
      isCertain: generated === 'stored' || at.draft.serverVersion < 180_000,
    });
  }
}

function changeType(at: AlterCommand, name: string): void {
  const { draft, target } = at;
  const definition = asKind(at.command.def, 'ColumnDef');
  const to = columnTypeOf(draft.catalog, definition?.typeName);
  const from = target.relation?.columns.get(name)?.type;
  const using = { column: name, using: definition?.raw_default };
  const change = changeOfType(from, to, using, draft);
  const isPartitioned = target.relation?.kind === 'partitioned table';
  lockKeysOf(at, name);
  if (target.relation?.columns.get(name)?.generated === 'identity') {
    lockSequences(draft, target.key, 'ShareRowExclusive', name);
  }
  for (const table of storedTables(draft, target, at.isOnly)) {
    if (isPartitioned) fillIndexes(at, table, name);
    if (change === 'none') {
      verifyChecks(at, table, name);
      rebuildIndexes(at, table, name);
      const isAlike = from === undefined || comparesAlike(draft.catalog, from, to);
      if (!isAlike) verifyKeys(at, table, { name, isCertain: true });
      continue;
    }
    const isCertain = change === 'rewrite';
    const detail = `${from === undefined ? '' : `${showType(from)} `}to ${showType(to)}`;
    rewrite(draft, {
      ...about(at, table),
      reason: 'type change',
      subject: name,
      detail,
      isCertain,
    });
    verifyKeys(at, table, { name, isCertain });
  }
}

/** A check that mentions the column is tried on every row again, even where nothing is rewritten. */
function verifyChecks(at: AlterCommand, table: Target, name: string): void {
  for (const one of table.relation?.constraints.values() ?? []) {
    if (one.kind !== 'check' || !one.isValidated || !one.columns.includes(name)) continue;
    if (at.dropped.has(one)) continue;
    scan(at.draft, {
      ...about(at, table),
      reason: 'check of a column whose type changes',
      subject: one.name,
      isCertain: true,
    });
  }
}

/** The indexes that are built anew though the values stay as they are. */
function rebuildIndexes(at: AlterCommand, table: Target, name: string): void {
  const { catalog } = at.draft;
  const column = table.relation?.columns.get(name);
  const definition = asKind(at.command.def, 'ColumnDef');
  if (column === undefined || definition === undefined) return;
  const to = columnTypeOf(catalog, definition.typeName);
  const change = { column, to, collation: collationOf(catalog, definition, to) };
  for (const key of table.relation?.indexes ?? []) {
    const index = catalog.indexes.get(key);
    if (!index?.mentions.includes(name) || keepsIndex(catalog, index, change)) continue;
    rebuild(at, table, key);
  }
}

function rebuild(at: AlterCommand, table: Target, subject: ObjectKey): void {
  if (at.draft.droppedIndexes.has(subject)) return;
  const isThis = (one: Build) => one.subject === subject && one.relation === table.key;
  if (at.draft.impact.builds.some(isThis)) return;
  const rebuilt = { reason: 'type change', subject, isCertain: true } as const;
  build(at.draft, { ...about(at, table), ...rebuilt, isConcurrent: false });
}

/**
 * The index of a partitioned table is made again for all partitions, also for those that had none
 * because it was made with `only`.
 */
function fillIndexes(at: AlterCommand, table: Target, name: string): void {
  const { catalog } = at.draft;
  const covered = new Set<ObjectKey>();
  for (const one of table.relation?.indexes ?? []) {
    for (let key = catalog.indexes.get(one)?.parent; key; key = catalog.indexes.get(key)?.parent) {
      covered.add(key);
    }
  }
  let above = table.relation;
  while (above && above !== at.target.relation) {
    above = catalog.relations.get(above.parent ?? '');
    for (const key of above?.indexes ?? []) {
      const index = catalog.indexes.get(key);
      const isRoot = index?.parent === undefined;
      if (isRoot && index?.mentions.includes(name) && !covered.has(key)) rebuild(at, table, key);
    }
  }
}

function foreignKeysOn({ relation }: Target, name: string): CatalogConstraint[] {
  return [...(relation?.constraints.values() ?? [])].filter(
    ({ kind, columns }) => kind === 'foreign key' && columns.includes(name),
  );
}

function referencesOn({ draft, target }: AlterCommand, name: string): Reference[] {
  return referencesBelow(draft.catalog, target.key).filter(({ constraint }) =>
    constraint.referencedColumns?.includes(name),
  );
}

/** The foreign keys of a column are made anew with its type, which locks the tables on both sides. */
function lockKeysOf(at: AlterCommand, name: string): void {
  for (const { references } of foreignKeysOn(at.target, name)) {
    lockOther(at.draft, references, 'AccessExclusive', 'referenced table');
  }
  for (const { relation } of referencesOn(at, name)) {
    lockTree(at.draft, { key: relation.key, relation }, 'AccessExclusive', 'referencing table');
  }
}

function verifyKeys(
  at: AlterCommand,
  table: Target,
  { name, isCertain }: { name: string; isCertain: boolean },
): void {
  const verify = (relation: string, constraint: CatalogConstraint) => {
    const { name: subject, isValidated, references } = constraint;
    if (!isValidated || at.dropped.has(constraint)) return;
    const place = {
      ...about(at, table),
      reason: 'validate constraint',
      subject,
      isCertain,
    } as const;
    scan(at.draft, { ...place, relation });
    const other = at.draft.catalog.relations.get(references ?? '');
    if (other === undefined || other.key === table.key) return;
    for (const { key } of storedTables(at.draft, { key: other.key, relation: other })) {
      scan(at.draft, { ...place, relation: key });
    }
  };
  for (const constraint of foreignKeysOn(table, name)) verify(table.key, constraint);
  for (const { relation, constraint } of referencesOn(at, name)) verify(relation.key, constraint);
}

function dropColumn(at: AlterCommand, name: string): void {
  const { columns = new Map() } = at.target.relation ?? {};
  const isCascade = at.command.behavior === 'DROP_CASCADE';
  dropOneColumn(at, name, isCascade);
  // Before 15 the columns that are generated from it go with it in any case.
  if (!isCascade && at.draft.serverVersion >= 150_000) return;
  for (const { name: other } of generatedFrom(columns, name)) dropOneColumn(at, other, isCascade);
}

function dropOneColumn(at: AlterCommand, name: string, isCascade: boolean): void {
  const { draft, target } = at;
  for (const constraint of foreignKeysOn(target, name)) lockTriggersOf(draft, constraint);
  lockSequences(draft, target.key, 'AccessExclusive', name);
  if (!isCascade) return;
  for (const { relation } of referencesOn(at, name)) {
    lockTree(draft, { key: relation.key, relation }, 'AccessExclusive', 'referencing table');
  }
  for (const view of target.relation?.dependents ?? []) {
    const used = draft.catalog.relations.get(view)?.reads?.get(target.key);
    if (used === undefined || used.has(name)) dropDependent(draft, view);
  }
  // The policies and rules of other tables that use it go too.
  for (const { owner, columns } of target.relation?.uses?.values() ?? []) {
    if (owner && columns.has(name)) lock(draft, owner.key, 'AccessExclusive', 'dependent');
  }
}
