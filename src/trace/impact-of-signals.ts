import type { ObjectKey } from '../catalog/catalog.ts';
import {
  type Build,
  type Impact,
  isStronger,
  type LockMode,
  type LockReason,
  type LockTaken,
  type Rewrite,
  type RewriteReason,
  type Scan,
  type ScanReason,
} from '../impact/impact.ts';
import type { KnownRelation, KnownRelations } from './known-relations.ts';
import type { Signal, Signals } from './signals.ts';

/** How often a table was read from end to end, and how many rows that gave. */
export interface TableRead {
  relation: ObjectKey;
  scans: number;
  rows: number;
}

/** What the difference between two readings says. */
export interface SignalDifference {
  impact: Impact;
  reads: TableRead[];
}

/**
 * Says what a statement did, from the readings before and after it. What the transaction made
 * itself is left out: nobody else uses it. Sequences have a new file whenever they are altered.
 *
 * @param command the statement's leading keywords, such as `alter table`
 * @param known relations as they were before the transaction, with their present files: kept up to date
 */
export function impactOfSignals(
  { before, after }: { before: Signals; after: Signals },
  known: KnownRelations,
  { command, messages }: { command: string; messages: string[] },
): SignalDifference {
  const files = new Set([...known.values()].map(({ filenode }) => filenode));
  const seen = [...after].flatMap(([id, signal]) => {
    const relation = known.get(id);
    return relation ? [{ id, relation, signal, was: before.get(id) }] : [];
  });
  const locks = seen.flatMap(({ relation, signal, was }) => newLock(relation, signal, was));
  const changed = seen.filter(
    ({ relation, signal }) =>
      relation.kind !== 'sequence' &&
      signal.filenode !== undefined &&
      signal.filenode !== relation.filenode,
  );
  const rewrites = changed
    .filter(({ relation }) => relation.kind === 'table')
    .map(({ relation }): Rewrite => ({ ...certain(relation.key), reason: rewriteReason(command) }));
  const rewritten = new Set(rewrites.map(({ relation }) => relation));
  const builds = [
    ...changed.flatMap(({ relation }) => rebuiltIndex(relation, known, rewritten)),
    ...[...after].flatMap(([id, signal]) =>
      known.has(id) || files.has(signal.filenode) || before.get(id)?.filenode === signal.filenode
        ? []
        : newIndex(signal, known, rewritten),
    ),
  ];
  const reads = seen.flatMap(({ relation, signal, was }) => tableRead(relation, signal, was));
  for (const { relation, signal } of changed) relation.filenode = signal.filenode;
  return {
    impact: {
      locks: sortLocks(locks),
      rewrites,
      scans: remainingScans(reads, { rewrites, builds, command, messages }),
      builds,
      changes: [],
      refusals: [],
      unknowns: [],
    },
    reads,
  };
}

/** The strongest of the modes that were not held before; reading alone is left out. */
function newLock(relation: KnownRelation, signal: Signal, was: Signal | undefined): LockTaken[] {
  const modes = signal.modes.filter((mode) => mode !== 'AccessShare' && !was?.modes.includes(mode));
  const mode = strongestOf(modes);
  return mode === undefined ? [] : [{ relation: relation.key, mode, reason: lockReason(relation) }];
}

/** The strongest mode that is held on each relation which was there before the transaction. */
export function heldLocks(signals: Signals, known: KnownRelations): LockTaken[] {
  return sortLocks(
    [...signals].flatMap(([id, signal]) => {
      const relation = known.get(id);
      return relation ? newLock(relation, signal, undefined) : [];
    }),
  );
}

function strongestOf(modes: LockMode[]): LockMode | undefined {
  return modes.reduce<LockMode | undefined>(
    (best, mode) => (best === undefined || isStronger(mode, best) ? mode : best),
    undefined,
  );
}

function sortLocks(locks: LockTaken[]): LockTaken[] {
  return locks.sort((a, b) => {
    if (a.mode !== b.mode) return isStronger(a.mode, b.mode) ? -1 : 1;
    return a.relation < b.relation ? -1 : 1;
  });
}

function lockReason({ kind, isPartition }: KnownRelation): LockReason {
  if (kind === 'index' || kind === 'sequence') return kind;
  return isPartition ? 'partition' : 'target';
}

function certain(relation: ObjectKey) {
  return { relation, isCertain: true };
}

function rewriteReason(command: string): RewriteReason {
  switch (command) {
    case 'truncate':
    case 'cluster':
      return command;
    case 'refresh materialized view':
      return 'refresh';
    default:
      return 'traced';
  }
}

function rebuiltIndex(
  { kind, key, table }: KnownRelation,
  known: KnownRelations,
  rewritten: Set<ObjectKey>,
): Build[] {
  const owner = known.get(table ?? '')?.key;
  if (kind !== 'index' || owner === undefined) return [];
  return [
    {
      ...certain(owner),
      reason: rewritten.has(owner) ? 'rewrite' : 'reindex',
      subject: key,
      isConcurrent: false,
    },
  ];
}

/** An index on a table of before: a new one, or one that was made again under a new id. */
function newIndex({ index }: Signal, known: KnownRelations, rewritten: Set<ObjectKey>): Build[] {
  const owner = known.get(index?.table ?? '')?.key;
  if (index === undefined || owner === undefined) return [];
  return [
    {
      ...certain(owner),
      reason: rewritten.has(owner) ? 'rewrite' : 'create index',
      subject: index.key,
      isConcurrent: false,
    },
  ];
}

function tableRead(relation: KnownRelation, signal: Signal, was: Signal | undefined): TableRead[] {
  const scans = signal.scans - (was ?? relation).scans;
  if (relation.kind !== 'table' || scans <= 0) return [];
  return [{ relation: relation.key, scans, rows: signal.rows - (was ?? relation).rows }];
}

/** Building an index and writing a table anew read the table too; what remains reads it for itself. */
function remainingScans(
  reads: TableRead[],
  {
    rewrites,
    builds,
    command,
    messages,
  }: { rewrites: Rewrite[]; builds: Build[]; command: string; messages: string[] },
): Scan[] {
  const by = (list: { relation: ObjectKey }[], wanted: ObjectKey) =>
    list.filter(({ relation }) => relation === wanted).length;
  return reads
    .filter(({ relation, scans }) => by(rewrites, relation) === 0 && scans > by(builds, relation))
    .map(({ relation }) => ({ ...certain(relation), reason: scanReason(command, messages) }));
}

function scanReason(command: string, messages: string[]): ScanReason {
  if (QUERIES.has(command)) return 'query';
  return messages.some((message) => message.startsWith('validating foreign key'))
    ? 'foreign key'
    : 'traced';
}

const QUERIES = new Set(['select', 'insert', 'update', 'delete', 'merge', 'with', 'copy', 'table']);
