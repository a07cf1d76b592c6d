import type {
  ClusterStmt,
  LockStmt,
  Node,
  RefreshMatViewStmt,
  ReindexStmt,
  TruncateStmt,
  VacuumStmt,
} from '@pgsql/types';
import { type ObjectKey, type Relation, resolveKey, splitKey } from '../catalog/catalog.ts';
import {
  referencesToAllRows,
  referencesToRows,
  withDescendants,
} from '../catalog/replay/relation.ts';
import { asKind, relationNameOf } from '../sql/tree.ts';
import {
  build,
  type Draft,
  lock,
  lockTree,
  rewrite,
  scan,
  storedTables,
  type Target,
  targetOfRange,
  unknown,
} from './draft.ts';
import { LOCK_MODES } from './impact.ts';
import { readThrough } from './query.ts';

/** `truncate` */
export function impactOfTruncate(draft: Draft, statement: TruncateStmt): void {
  const { catalog } = draft;
  const isCascade = statement.behavior === 'DROP_CASCADE';
  const emptied = new Set<ObjectKey>();
  const empty = (target: Target, reason: 'target' | 'referencing table', isOnly: boolean) => {
    if (emptied.has(target.key)) return;
    emptied.add(target.key);
    lock(draft, target.key, 'AccessExclusive', reason);
    if (!isOnly) lockTree(draft, target, 'AccessExclusive', reason);
    for (const { key } of storedTables(draft, target, isOnly)) {
      rewrite(draft, { relation: key, reason: 'truncate', isCertain: true });
    }
    const find = isOnly ? referencesToRows : referencesToAllRows;
    for (const { relation } of isCascade ? find(catalog, target.key) : []) {
      empty({ key: relation.key, relation }, 'referencing table', false);
    }
  };
  for (const node of statement.relations ?? []) {
    const range = asKind(node, 'RangeVar');
    const target = targetOfRange(draft, range);
    if (target) empty(target, 'target', range?.inh !== true);
  }
  if (!statement.restart_seqs) return;
  for (const { key, ownedBy } of catalog.relations.values()) {
    if (emptied.has(ownedBy?.table ?? '')) lock(draft, key, 'AccessExclusive', 'sequence');
  }
}

/** `lock table`; a view passes the lock on to what it reads. */
export function impactOfLock(draft: Draft, { relations, mode = 8 }: LockStmt): void {
  const name = LOCK_MODES[mode - 1] ?? 'AccessExclusive';
  for (const node of relations ?? []) {
    const range = asKind(node, 'RangeVar');
    const target = targetOfRange(draft, range);
    if (target === undefined) continue;
    if (range?.inh) lockTree(draft, target, name, 'target');
    else lock(draft, target.key, name, 'target');
    for (const relation of readThrough(draft.catalog, target.relation)) {
      lockTree(draft, { key: relation.key, relation }, name, 'dependent');
    }
  }
}

/** `vacuum` and `analyze` */
export function impactOfVacuum(draft: Draft, { rels, options }: VacuumStmt): void {
  const isFull = isOn(options, 'full');
  const targets =
    rels === undefined
      ? tablesOf(draft, isFull)
      : rels.flatMap(
          (node) => targetOfRange(draft, asKind(node, 'VacuumRelation')?.relation) ?? [],
        );
  for (const target of targets) {
    if (!isFull) {
      const isPartitioned = target.relation?.kind === 'partitioned table';
      if (isPartitioned || draft.serverVersion >= 180_000) {
        lockTree(draft, target, 'ShareUpdateExclusive', 'target');
      } else lock(draft, target.key, 'ShareUpdateExclusive', 'target');
      continue;
    }
    lockTree(draft, target, 'AccessExclusive', 'target');
    for (const { key } of storedTables(draft, target)) {
      rewrite(draft, { relation: key, reason: 'vacuum full', isCertain: true });
    }
  }
}

function isOn(options: readonly Node[] | undefined, name: string): boolean {
  return (options ?? []).some((node) => {
    const option = asKind(node, 'DefElem');
    if (option?.defname !== name) return false;
    const value = asKind(option.arg, 'String')?.sval ?? '';
    return !/^(false|off|0)$/i.test(value) && asKind(option.arg, 'Integer')?.ival !== 0;
  });
}

function tablesOf({ catalog }: Draft, _isFull: boolean): Target[] {
  return [...catalog.relations.values()].filter(isAnalyzed).map((relation) => ({
    key: relation.key,
    relation,
  }));
}

function isAnalyzed({ kind }: Relation): boolean {
  return kind === 'table' || kind === 'partitioned table' || kind === 'materialized view';
}

/** `cluster` */
export function impactOfCluster(draft: Draft, { relation: range, indexname }: ClusterStmt): void {
  if (range === undefined) {
    unknown(draft, 'which tables were clustered before');
    return;
  }
  const target = targetOfRange(draft, range);
  if (target === undefined) return;
  const isPartitioned = target.relation?.kind === 'partitioned table';
  if (isPartitioned) lockTree(draft, target, 'AccessExclusive', 'target');
  else lock(draft, target.key, 'AccessExclusive', 'target');
  const subject = indexname === undefined ? {} : { subject: indexname };
  for (const { key } of storedTables(draft, target, !isPartitioned)) {
    rewrite(draft, { relation: key, reason: 'cluster', ...subject, isCertain: true });
  }
}

/** `refresh materialized view`; concurrently it is read meanwhile, but not changed. */
export function impactOfRefresh(draft: Draft, statement: RefreshMatViewStmt): void {
  const target = targetOfRange(draft, statement.relation);
  if (target === undefined) return;
  const isConcurrent = statement.concurrent === true;
  lock(draft, target.key, isConcurrent ? 'Exclusive' : 'AccessExclusive', 'target');
  if (isConcurrent) scan(draft, { relation: target.key, reason: 'query', isCertain: false });
  else rewrite(draft, { relation: target.key, reason: 'refresh', isCertain: true });
  if (statement.skipData) return;
  for (const key of target.relation?.reads?.keys() ?? []) {
    const relation = draft.catalog.relations.get(key);
    lock(draft, key, 'AccessShare', 'dependent');
    for (const table of storedTables(draft, { key, relation })) {
      scan(draft, { relation: table.key, reason: 'query', isCertain: false });
    }
  }
}

/** `reindex` */
export function impactOfReindex(draft: Draft, statement: ReindexStmt): void {
  const isConcurrent = isOn(statement.params, 'concurrently');
  const mode = isConcurrent ? 'ShareUpdateExclusive' : 'Share';
  const rebuild = (table: ObjectKey, indexes: Iterable<ObjectKey>) => {
    lock(draft, table, mode, 'target');
    for (const subject of indexes) {
      if (!isConcurrent) lock(draft, subject, 'AccessExclusive', 'index');
      build(draft, { relation: table, reason: 'reindex', subject, isCertain: true, isConcurrent });
    }
  };
  for (const { key, indexes } of reindexed(draft, statement)) rebuild(key, indexes);
}

/** The tables whose indexes a `reindex` builds anew, and which of them. */
function reindexed(
  draft: Draft,
  { kind, relation: range, name }: ReindexStmt,
): { key: ObjectKey; indexes: Iterable<ObjectKey> }[] {
  const { catalog } = draft;
  if (kind === 'REINDEX_OBJECT_INDEX' && range) {
    const key = resolveKey(catalog, relationNameOf(range), catalog.indexes);
    const index = catalog.indexes.get(key);
    if (index) return [{ key: index.table, indexes: [key] }];
    if (!catalog.isComplete) unknown(draft, `the table of index ${key}`);
    return [];
  }
  if (kind === 'REINDEX_OBJECT_TABLE') {
    const target = targetOfRange(draft, range);
    if (target === undefined) return [];
    const { key, relation } = target;
    // Children that only inherit have indexes of their own.
    if (relation?.kind !== 'partitioned table') return [{ key, indexes: relation?.indexes ?? [] }];
    return withDescendants(catalog, relation);
  }
  const all = [...catalog.relations.values()].filter(isAnalyzed);
  return kind === 'REINDEX_OBJECT_SCHEMA'
    ? all.filter(({ key }) => splitKey(key).schema === name)
    : all;
}
