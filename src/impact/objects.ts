import type {
  AlterDomainStmt,
  AlterSeqStmt,
  CommentStmt,
  CreateStatsStmt,
  Node,
  RangeVar,
  RenameStmt,
} from '@pgsql/types';
import { type CatalogConstraint, type ObjectKey, resolveKey } from '../catalog/catalog.ts';
import { asKind, relationNameOf, writtenNameOf } from '../sql/tree.ts';
import {
  type Draft,
  lock,
  lockTree,
  scan,
  storedTables,
  targetOf,
  targetOfRange,
  unknown,
} from './draft.ts';
import type { LockMode } from './impact.ts';

/** `alter … set schema`, which takes the sequences of the columns along. */
export function impactOfSetSchema(draft: Draft, range: RangeVar | undefined): void {
  const target = targetOfRange(draft, range);
  if (target === undefined) return;
  lock(draft, target.key, 'AccessExclusive', 'target');
  lockSequences(draft, target.key, 'AccessExclusive');
}

/** Locks the one relation that a statement names. */
export function lockTarget(draft: Draft, range: RangeVar | undefined, mode: LockMode): void {
  const target = targetOfRange(draft, range);
  if (target) lock(draft, target.key, mode, 'target');
}

/** What has rows of its own, of which the server looks through each. */
const STORES = new Set(['table', 'materialized view']);

/** `alter domain`: a rule that is checked reads every table with a column of the domain. */
export function impactOfDomainChange(draft: Draft, statement: AlterDomainStmt): void {
  const { catalog } = draft;
  const { subtype, typeName, def } = statement;
  const constraint = asKind(def, 'Constraint');
  const isChecked =
    subtype === 'V' || subtype === 'O' || (subtype === 'C' && !constraint?.skip_validation);
  if (!isChecked) return;
  const domain = resolveKey(catalog, writtenNameOf(typeName), catalog.types);
  if (!catalog.types.has(domain) && !catalog.isComplete) {
    unknown(draft, `which tables use domain ${domain}`);
  }
  const domains = new Set([domain]);
  for (const one of domains) {
    for (const { key, base } of catalog.types.values()) if (base?.name === one) domains.add(key);
  }
  const name = statement.name || constraint?.conname;
  for (const relation of catalog.relations.values()) {
    const { key, kind } = relation;
    const isUser = [...relation.columns.values()].some(({ type }) => domains.has(type.name));
    if (!isUser || !STORES.has(kind)) continue;
    lock(draft, key, 'Share', 'dependent');
    for (const table of storedTables(draft, { key, relation }, true)) {
      const subject = name ? { subject: name } : {};
      const about = { relation: table.key, detail: domain, ...subject, isCertain: true };
      scan(draft, { ...about, reason: 'domain constraint' });
    }
  }
}

/** `comment on …` and `security label on …` */
export function impactOfComment(draft: Draft, { objtype, object }: CommentStmt): void {
  const items = asKind(object, 'List')?.items ?? [];
  switch (objtype) {
    case 'OBJECT_COLUMN': {
      const target = targetOf(draft, writtenNameOf(items.slice(0, -1)));
      if (target) lock(draft, target.key, 'ShareUpdateExclusive', 'target');
      return;
    }
    case 'OBJECT_INDEX':
      lock(draft, indexKey(draft, items), 'ShareUpdateExclusive', 'index');
      return;
    case 'OBJECT_TABLE':
    case 'OBJECT_FOREIGN_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_SEQUENCE': {
      const target = targetOf(draft, writtenNameOf(items));
      if (target) lock(draft, target.key, 'ShareUpdateExclusive', 'target');
      return;
    }
  }
}

function indexKey({ catalog }: Draft, items: readonly Node[]): ObjectKey {
  return resolveKey(catalog, writtenNameOf(items), catalog.indexes);
}

/** `alter … rename` */
export function impactOfRename(draft: Draft, statement: RenameStmt): void {
  const { relation: range, renameType } = statement;
  if (range === undefined) return;
  const { catalog } = draft;
  const index = resolveKey(catalog, relationNameOf(range), catalog.indexes);
  if (renameType === 'OBJECT_INDEX' || catalog.indexes.has(index)) {
    const isSaid = renameType === 'OBJECT_INDEX';
    lock(draft, index, isSaid ? 'ShareUpdateExclusive' : 'AccessExclusive', 'index');
    return;
  }
  const target = targetOfRange(draft, range);
  if (target === undefined) return;
  const constraint = target.relation?.constraints.get(statement.subname ?? '');
  const isInherited =
    renameType === 'OBJECT_COLUMN' ||
    renameType === 'OBJECT_ATTRIBUTE' ||
    (renameType === 'OBJECT_TABCONSTRAINT' && isHandedDown(constraint)) ||
    (renameType === 'OBJECT_TRIGGER' &&
      target.relation?.kind === 'partitioned table' &&
      draft.serverVersion >= 150_000);
  if (isInherited && (range.inh || renameType === 'OBJECT_ATTRIBUTE'))
    lockTree(draft, target, 'AccessExclusive', 'target');
  else lock(draft, target.key, 'AccessExclusive', 'target');
}

/** Whether children have the constraint under the same name. */
function isHandedDown({ kind, isOwnOnly }: Partial<CatalogConstraint> = {}): boolean {
  return (kind === 'check' || kind === 'not null') && !isOwnOnly;
}

/** `create` and `alter publication`: the tables that they name. */
export function impactOfPublication(
  draft: Draft,
  { pubobjects }: { pubobjects?: readonly Node[] },
): void {
  for (const node of pubobjects ?? []) {
    const range = asKind(node, 'PublicationObjSpec')?.pubtable?.relation;
    const target = targetOfRange(draft, range);
    if (target === undefined) continue;
    const isPartitioned = target.relation?.kind === 'partitioned table';
    if (range?.inh && !isPartitioned) lockTree(draft, target, 'ShareUpdateExclusive', 'target');
    else lock(draft, target.key, 'ShareUpdateExclusive', 'target');
  }
}

/** `create statistics` */
export function impactOfStatistics(draft: Draft, { relations }: CreateStatsStmt): void {
  for (const node of relations ?? []) {
    lockTarget(draft, asKind(node, 'RangeVar'), 'ShareUpdateExclusive');
  }
}

/** `alter sequence` */
export function impactOfSequenceChange(draft: Draft, { sequence }: AlterSeqStmt): void {
  lockTarget(draft, sequence, 'ShareRowExclusive');
}

/** `alter table all in tablespace` moves what only the database knows. */
export function impactOfOwnPart(draft: Draft): void {
  unknown(draft, 'which tables are in the tablespace');
}

/** Locks the sequences of a table's columns, or of one column. */
export function lockSequences(
  draft: Draft,
  table: ObjectKey,
  mode: LockMode,
  column?: string,
): void {
  for (const { key, ownedBy } of draft.catalog.relations.values()) {
    const isOwned = ownedBy?.table === table && (column === undefined || ownedBy.column === column);
    if (isOwned) lock(draft, key, mode, 'sequence');
  }
}
