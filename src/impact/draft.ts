import type { AlterTableCmd, Constraint, RangeVar } from '@pgsql/types';
import {
  type Catalog,
  type CatalogConstraint,
  type ObjectKey,
  type Relation,
  resolveKey,
} from '../catalog/catalog.ts';
import { withDescendants } from '../catalog/replay/relation.ts';
import { offsetOfByte } from '../sql/position.ts';
import { relationNameOf, type WrittenName } from '../sql/tree.ts';
import {
  type Build,
  emptyImpact,
  type Impact,
  isStronger,
  LOCK_MODES,
  type LockMode,
  type LockReason,
  type LockTaken,
  type Rewrite,
  type Scan,
} from './impact.ts';

/** An impact in the making, with what it depends on. */
export interface Draft {
  readonly catalog: Catalog;
  /** The statement's text. */
  readonly text: string;
  /** As in server_version_num. */
  readonly serverVersion: number;
  /** Whether the session's time zone is UTC; undefined where nobody knows. */
  readonly timeZoneIsUtc: boolean | undefined;
  readonly impact: Impact;
  readonly locks: Map<ObjectKey, LockTaken>;
  /** Indexes that the statement drops first, and so does not build again. */
  readonly droppedIndexes: Set<ObjectKey>;
}

export function openDraft(context: Omit<Draft, 'impact' | 'locks' | 'droppedIndexes'>): Draft {
  const { catalog, text, serverVersion, timeZoneIsUtc } = context;
  return {
    ...{ catalog, text, serverVersion, timeZoneIsUtc },
    impact: emptyImpact(),
    locks: new Map(),
    droppedIndexes: new Set(),
  };
}

const NOTHING = new Map<ObjectKey, Rewrite>();

/** The impact with its locks, strongest first, and the indexes that go with rewritten tables. */
export function closeDraft({ catalog, impact, locks, droppedIndexes }: Draft): Impact {
  const rewritten =
    impact.rewrites.length === 0
      ? NOTHING
      : new Map(impact.rewrites.map((one) => [one.relation, one]));
  for (const [key, { isCertain, reason, command, offset }] of rewritten) {
    // The table's own reason says it all where its work is to build indexes.
    if (reason === 'reindex') continue;
    for (const index of catalog.relations.get(key)?.indexes ?? []) {
      if (droppedIndexes.has(index)) continue;
      addBuild(impact.builds, {
        relation: key,
        reason: 'rewrite',
        subject: index,
        isCertain,
        isConcurrent: false,
        ...(command === undefined ? {} : { command }),
        ...(offset === undefined ? {} : { offset }),
      });
    }
  }
  // What is refused works on nothing; its locks it may take first.
  if (impact.refusals.some((one) => one.sqlstate !== null && !one.isOnlyInTransaction)) {
    for (const list of [impact.rewrites, impact.scans, impact.builds, impact.changes]) {
      list.length = 0;
    }
  }
  impact.locks = [...locks.values()];
  if (locks.size > 1) {
    impact.locks.sort((a, b) => LOCK_MODES.indexOf(b.mode) - LOCK_MODES.indexOf(a.mode));
  }
  return impact;
}

function addBuild(builds: Build[], build: Build): void {
  const isThere = builds.some(
    ({ relation, subject }) => relation === build.relation && subject === build.subject,
  );
  if (!isThere) builds.push(build);
}

/** Takes a lock; of several on one relation the strongest stays, with the first reason. */
export function lock(draft: Draft, relation: ObjectKey, mode: LockMode, reason: LockReason): void {
  const held = draft.locks.get(relation);
  if (held === undefined) draft.locks.set(relation, { relation, mode, reason });
  else if (isStronger(mode, held.mode)) held.mode = mode;
}

/** Takes the same lock on a relation and on all partitions and children. */
export function lockTree(
  draft: Draft,
  { key, relation }: Target,
  mode: LockMode,
  reason: LockReason,
): void {
  lock(draft, key, mode, reason);
  if (relation === undefined) return;
  for (const one of withDescendants(draft.catalog, relation)) {
    if (one !== relation) lock(draft, one.key, mode, 'partition');
  }
}

export function rewrite(draft: Draft, one: Rewrite): void {
  draft.impact.rewrites.push(one);
}

export function scan(draft: Draft, one: Scan): void {
  draft.impact.scans.push(one);
}

export function build(draft: Draft, one: Build): void {
  draft.impact.builds.push(one);
}

/** Notes why the impact may not be all, once. */
export function unknown(draft: Draft, why: string): void {
  if (!draft.impact.unknowns.includes(why)) draft.impact.unknowns.push(why);
}

/** A relation that a statement names. */
export interface Target {
  key: ObjectKey;
  /** Undefined where the catalog does not know it. */
  relation: Relation | undefined;
}

/**
 * What a name of a relation means; undefined where there certainly is none, or where it belongs to
 * PostgreSQL itself.
 */
export function targetOf(draft: Draft, written: WrittenName): Target | undefined {
  const { catalog } = draft;
  const key = resolveKey(catalog, written, catalog.relations);
  const relation = catalog.relations.get(key);
  if (relation === undefined) {
    if (catalog.isComplete || SYSTEM_SCHEMAS.has(written.schema ?? '')) return undefined;
    unknown(draft, `${key} is made by no migration`);
  }
  return { key, relation };
}

const SYSTEM_SCHEMAS = new Set(['pg_catalog', 'information_schema', 'pg_toast']);

export function targetOfRange(draft: Draft, range: RangeVar | undefined): Target | undefined {
  return range && targetOf(draft, relationNameOf(range));
}

/** The tables that hold the rows of a target: itself, or its partitions. */
export function storedTables(draft: Draft, target: Target, isOnly = false): Target[] {
  const { relation } = target;
  if (relation === undefined) return [target];
  const all = isOnly ? [relation] : withDescendants(draft.catalog, relation);
  return all
    .filter(({ kind }) => HAS_ROWS.has(kind))
    .map((one) => ({ key: one.key, relation: one }));
}

const HAS_ROWS = new Set(['table', 'materialized view']);

/** One subcommand of an `alter table`, with all that its impact depends on. */
export interface AlterCommand {
  draft: Draft;
  target: Target;
  command: AlterTableCmd;
  /** From 0. */
  index: number;
  /** In UTF-16 units. */
  offset: number;
  /** What the statement takes on its table. */
  mode: LockMode;
  isOnly: boolean;
  /** Constraints that the statement drops, which it does first: they prove nothing. */
  dropped: ReadonlySet<CatalogConstraint>;
}

/** Where and in which subcommand something is, for each of the tables that hold the rows. */
export function touchedTables(
  at: AlterCommand,
  { offset = at.offset, isOnly = at.isOnly }: { offset?: number; isOnly?: boolean } = {},
) {
  return storedTables(at.draft, at.target, isOnly).map(({ key }) => ({
    relation: key,
    command: at.index,
    offset,
  }));
}

/** Where a constraint is written; the subcommand where the tree does not say. */
export function offsetOfConstraint(at: AlterCommand, { location }: Constraint): number {
  return location === undefined || location <= 0
    ? at.offset
    : offsetOfByte(at.draft.text, location);
}
