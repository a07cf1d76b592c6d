import type { Node, RangeVar } from '@pgsql/types';
import type { Catalog, CatalogConstraint, Relation } from '../catalog/catalog.ts';
import { rangesIn } from '../catalog/query-relations.ts';
import { referencesToAllRows } from '../catalog/replay/relation.ts';
import { asKind, openNode, type TreeObject, walkTree } from '../sql/tree.ts';
import { lockOther } from './constraint.ts';
import {
  type Draft,
  lock,
  lockTree,
  scan,
  storedTables,
  type Target,
  targetOfRange,
} from './draft.ts';
import type { Change } from './impact.ts';
import { sequencesIn } from './volatility.ts';

/**
 * A statement that reads or writes rows. Whether it reads a table from end to end is the planner's
 * choice; it is certain only where nothing is asked of the rows.
 */
export function impactOfQuery(draft: Draft, tree: Node): void {
  const written = new Set<unknown>();
  walkTree(tree, (kind, fields) => {
    if (kind in VERBS) {
      written.add(fields.relation);
      impactOfWriting(draft, kind, fields);
    }
  });
  impactOfReading(draft, tree, { isRun: true, except: written });
}

const VERBS: Record<string, Change['verb']> = {
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  MergeStmt: 'merge',
};

/** What a query locks and reads; a view that is made is not run. */
export function impactOfReading(
  draft: Draft,
  query: unknown,
  { isRun, except = new Set() }: { isRun: boolean; except?: ReadonlySet<unknown> },
): void {
  const isLocking = isRun && locksRows(query);
  const isWhole = isRun && readsAll(query);
  for (const range of rangesIn(query)) {
    if (except.has(range)) continue;
    const target = targetOfRange(draft, range);
    if (target === undefined) continue;
    const mode = isLocking ? 'RowShare' : 'AccessShare';
    if (isRun && range.inh) lockTree(draft, target, mode, 'target');
    else lock(draft, target.key, mode, 'target');
    if (isRun) scanTarget(draft, target, { isCertain: isWhole, isOnly: !range.inh });
    for (const relation of isRun ? readThrough(draft.catalog, target.relation) : []) {
      const read = { key: relation.key, relation };
      lockTree(draft, read, 'AccessShare', 'dependent');
      scanTarget(draft, read, { isCertain: false, isOnly: false });
    }
  }
  if (!isRun) return;
  for (const key of sequencesIn(draft.catalog, query)) lock(draft, key, 'RowExclusive', 'sequence');
}

function scanTarget(
  draft: Draft,
  target: Target,
  { isCertain, isOnly }: { isCertain: boolean; isOnly: boolean },
): void {
  for (const { key } of storedTables(draft, target, isOnly)) {
    scan(draft, { relation: key, reason: 'query', isCertain });
  }
}

function locksRows(query: unknown): boolean {
  let found = false;
  walkTree(query, (kind) => {
    found ||= kind === 'LockingClause';
  });
  return found;
}

/** Whether nothing is asked of the rows: no condition, order, limit or join. */
function readsAll(query: unknown): boolean {
  let isAll = true;
  walkTree(query, (kind, fields) => {
    if (kind !== 'SelectStmt') return;
    const isPicky = ['whereClause', 'sortClause', 'limitCount', 'groupClause', 'distinctClause'];
    const from = (fields.fromClause as Node[] | undefined) ?? [];
    isAll &&= !isPicky.some((name) => name in fields) && from.every((node) => 'RangeVar' in node);
    isAll &&= from.length < 2;
  });
  return isAll;
}

function impactOfWriting(draft: Draft, kind: string, fields: TreeObject): void {
  const range = fields.relation as RangeVar | undefined;
  const named = targetOfRange(draft, range);
  if (named === undefined || range === undefined) return;
  const target = writtenThrough(draft, named);
  const isInsert = kind === 'InsertStmt';
  const verb = VERBS[kind];
  const isAll = !isInsert && kind !== 'MergeStmt' && fields.whereClause === undefined;
  for (const { key } of isInsert ? [target] : storedTables(draft, target, !range.inh)) {
    if (verb) draft.impact.changes.push({ relation: key, verb, isAll });
  }
  // An inserted row goes to one partition, which its values decide.
  if (isInsert || !range.inh) lock(draft, target.key, 'RowExclusive', 'target');
  else lockTree(draft, target, 'RowExclusive', 'target');
  if (!isInsert) {
    const isCertain = fields.whereClause === undefined && kind !== 'MergeStmt';
    scanTarget(draft, target, { isCertain, isOnly: !range.inh });
  }
  const written = writtenColumns(kind, fields);
  lockReferenced(draft, target, written);
  if (!isInsert) lockReferencing(draft, target, { kind, written });
}

/** Writing a view that reads one table writes that one. */
function writtenThrough(draft: Draft, target: Target): Target {
  const { kind, reads } = target.relation ?? {};
  if (kind !== 'view') return target;
  lock(draft, target.key, 'RowExclusive', 'target');
  const [key, other] = reads?.keys() ?? [];
  const relation = draft.catalog.relations.get(key ?? '');
  return relation === undefined || other !== undefined
    ? target
    : writtenThrough(draft, { key: relation.key, relation });
}

/** The columns that get values; undefined where all do. */
function writtenColumns(kind: string, { targetList }: TreeObject): Set<string> | undefined {
  if (kind === 'DeleteStmt') return new Set();
  if (kind !== 'UpdateStmt') return undefined;
  const nodes = (targetList as Node[] | undefined) ?? [];
  return new Set(nodes.map((node) => asKind(node, 'ResTarget')?.name ?? ''));
}

/** The rows that a foreign key points at are locked one by one. */
function lockReferenced(
  draft: Draft,
  { relation }: Target,
  written: Set<string> | undefined,
): void {
  for (const { kind, isEnforced, columns, references } of relation?.constraints.values() ?? []) {
    const isTouched = written === undefined || columns.some((name) => written.has(name));
    if (kind === 'foreign key' && isEnforced && isTouched && references !== relation?.key) {
      lockOther(draft, references, 'RowShare', 'referenced table');
    }
  }
}

/** Those that point at a row which goes away are looked up, or changed. */
function lockReferencing(
  draft: Draft,
  { key }: Target,
  { kind, written }: { kind: string; written: Set<string> | undefined },
): void {
  for (const { relation, constraint } of referencesToAllRows(draft.catalog, key)) {
    const isTouched =
      kind !== 'UpdateStmt' ||
      constraint.referencedColumns?.some((name) => written?.has(name) === true);
    if (!isTouched || !constraint.isEnforced || relation.key === key) continue;
    const mode = changesRows(constraint, kind) ? 'RowExclusive' : 'RowShare';
    lockTree(draft, { key: relation.key, relation }, mode, 'referencing table');
  }
}

function changesRows({ onDelete, onUpdate }: CatalogConstraint, kind: string): boolean {
  const action = kind === 'UpdateStmt' ? onUpdate : onDelete;
  return action !== undefined && action !== 'no action' && action !== 'restrict';
}

/** `copy`, of a table or of a query. */
export function impactOfCopy(draft: Draft, fields: TreeObject): void {
  const query = fields.query as Node | undefined;
  if (query !== undefined) {
    impactOfQuery(draft, query);
    return;
  }
  const target = targetOfRange(draft, fields.relation as RangeVar | undefined);
  if (target === undefined) return;
  const isIn = fields.is_from === true;
  lock(draft, target.key, isIn ? 'RowExclusive' : 'AccessShare', 'target');
  if (isIn) lockReferenced(draft, target, undefined);
  else scan(draft, { relation: target.key, reason: 'query', isCertain: true });
}

/** `explain` runs nothing unless it says `analyze`. */
export function impactOfExplain(draft: Draft, query: Node, isRun: boolean): void {
  if (isRun) impactOfQuery(draft, query);
  else impactOfReading(draft, openNode(query).fields, { isRun: false });
}

/** What a view reads, also through other views; nothing for what holds rows of its own. */
export function readThrough(
  { relations }: Catalog,
  view: Relation | undefined,
): ReadonlySet<Relation> {
  const found = new Set<Relation>();
  const readBy = ({ kind, reads }: Relation) => {
    for (const key of kind === 'view' ? (reads?.keys() ?? []) : []) {
      const read = relations.get(key);
      if (read !== undefined) found.add(read);
    }
  };
  if (view !== undefined) readBy(view);
  // A set gives what is added to it meanwhile, too.
  for (const read of found) readBy(read);
  return found;
}
