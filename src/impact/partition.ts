import type { Node, PartitionBoundSpec } from '@pgsql/types';
import type { CatalogConstraint, CatalogIndex, Relation } from '../catalog/catalog.ts';
import { columnOf, conjunctsOf, provenNotNull, withoutCasts } from '../catalog/expression.ts';
import { isAlike } from '../catalog/replay/indexes.ts';
import { referencesToRows } from '../catalog/replay/relation.ts';
import { hasAlike } from '../catalog/replay/table.ts';
import { asKind, openNode, stringsOf } from '../sql/tree.ts';
import { lockOther } from './constraint.ts';
import {
  type AlterCommand,
  build,
  type Draft,
  lock,
  lockTree,
  scan,
  storedTables,
  type Target,
} from './draft.ts';

/** `attach partition` */
export function attachPartition(
  at: AlterCommand,
  partition: Target,
  bound: PartitionBoundSpec | undefined,
): void {
  const { draft, target } = at;
  const place = { command: at.index, offset: at.offset };
  lockTree(draft, partition, 'AccessExclusive', 'target');
  const proof = isBoundProven(target.relation, partition.relation, bound);
  for (const { key } of proof === true ? [] : storedTables(draft, partition)) {
    const about = { relation: key, subject: target.key, isCertain: proof === false, ...place };
    scan(draft, { ...about, reason: 'attach partition' });
  }
  scanDefaultPartition(draft, target, place);
  lockKeysOfNewPartition(draft, target, partition.relation);
  for (const constraint of missingForeignKeys(target.relation, partition.relation)) {
    scanNewForeignKey(at, partition, constraint);
  }
  for (const { key } of missingIndexes(draft, target.relation, partition.relation)) {
    for (const { key: relation } of storedTables(draft, partition)) {
      const about = { relation, subject: key, isCertain: true, isConcurrent: false, ...place };
      build(draft, { ...about, reason: 'create index' });
    }
  }
}

/** The foreign keys of the partitioned table that the partition does not have yet. */
function missingForeignKeys(
  parent: Relation | undefined,
  partition: Relation | undefined,
): CatalogConstraint[] {
  return foreignKeysOf(parent).filter((one) => !partition || !hasAlike(partition, one));
}

function foreignKeysOf(relation: Relation | undefined): CatalogConstraint[] {
  return [...(relation?.constraints.values() ?? [])].filter(({ kind }) => kind === 'foreign key');
}

function scanNewForeignKey(
  { draft, index, offset }: AlterCommand,
  partition: Target,
  { name: subject, references, isValidated }: CatalogConstraint,
): void {
  const other = draft.catalog.relations.get(references ?? '');
  if (!isValidated) return;
  const about = { subject, isCertain: true, command: index, offset };
  for (const target of [partition, other && { key: other.key, relation: other }]) {
    for (const { key } of target ? storedTables(draft, target) : []) {
      scan(draft, { ...about, relation: key, reason: 'validate constraint' });
    }
  }
}

function missingIndexes(
  { catalog }: Draft,
  parent: Relation | undefined,
  partition: Relation | undefined,
): CatalogIndex[] {
  const own = [...(partition?.indexes ?? [])].flatMap((key) => catalog.indexes.get(key) ?? []);
  return [...(parent?.indexes ?? [])]
    .flatMap((key) => catalog.indexes.get(key) ?? [])
    .filter((wanted) => !own.some((index) => isAlike(index, wanted)));
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

/** A partition gets the foreign keys of its table, and from 15 on those that point at it. */
export function lockKeysOfNewPartition(
  draft: Draft,
  { key, relation: parent }: Target,
  partition?: Relation,
): void {
  for (const constraint of foreignKeysOf(parent)) {
    // The triggers of its own, which it has then no need of, are dropped.
    const isThere = partition !== undefined && hasAlike(partition, constraint);
    const mode = isThere ? 'AccessExclusive' : 'ShareRowExclusive';
    lockOther(draft, constraint.references, mode, 'referenced table');
  }
  if (draft.serverVersion < 150_000) return;
  for (const { relation, constraint } of referencesToRows(draft.catalog, key)) {
    // Those of the partitions on the other side hang on that of their table.
    if (constraint.isInherited) continue;
    lock(draft, relation.key, 'ShareRowExclusive', 'referencing table');
  }
}

/** `detach partition`: no row may reference it, and its own foreign keys stand alone from then on. */
export function detachPartition(at: AlterCommand, partition: Target): void {
  const { draft, target } = at;
  const key = target.relation?.defaultPartition;
  lockTree(draft, partition, 'AccessExclusive', 'partition');
  if (key !== undefined && at.mode === 'AccessExclusive') {
    lock(draft, key, 'AccessExclusive', 'default partition');
  }
  for (const { references } of foreignKeysOf(partition.relation)) {
    lockOther(draft, references, 'ShareRowExclusive', 'referenced table');
  }
  for (const { relation, constraint } of referencesToRows(draft.catalog, target.key)) {
    if (constraint.isInherited) continue;
    const other = { key: relation.key, relation };
    const about = {
      subject: constraint.name,
      detail: `no row may reference ${partition.key}`,
      isCertain: true,
      command: at.index,
      offset: at.offset,
    };
    lock(draft, other.key, 'AccessExclusive', 'referencing table');
    for (const table of storedTables(draft, other)) {
      scan(draft, { ...about, relation: table.key, reason: 'validate constraint' });
    }
  }
}

/**
 * Whether the validated checks of a table say that all its rows fit a partition, so that PostgreSQL
 * does not look; undefined where that cannot be told from here.
 */
function isBoundProven(
  parent: Relation | undefined,
  partition: Relation | undefined,
  bound: PartitionBoundSpec | undefined,
): boolean | undefined {
  const key = parent?.partitionKey;
  if (parent === undefined || partition === undefined || !bound || !key) return undefined;
  if (bound.is_default) return parent.children.size === 0;
  const [column] = key.columns;
  if (key.strategy === 'hash') return false;
  if (key.columns.length > 1 || column === undefined) return undefined;
  const checks = [...partition.constraints.values()].filter(
    (one) =>
      one.kind === 'check' && one.isValidated && one.isEnforced && one.columns.includes(column),
  );
  if (checks.length === 0) return false;
  if (checks.some(({ expression }) => expression === undefined)) return undefined;
  const facts = checks.flatMap(({ expression }) => conjunctsOf(expression));
  const isNotNull =
    partition.columns.get(column)?.isNotNull === true ||
    facts.some((fact) => provenNotNull(fact).includes(column));
  const limits = facts.flatMap((fact) => limitsOf(fact, column));
  return key.strategy === 'range'
    ? isNotNull && isInRange(limits, bound)
    : isInList(facts, column, { bound, isNotNull });
}

interface Limit {
  operator: string;
  value: string;
}

const MIRRORED: Record<string, string> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=', '=': '=' };

/** What a comparison of the column with a constant says of it. */
function limitsOf(fact: Node, column: string): Limit[] {
  const comparison = asKind(fact, 'A_Expr');
  if (comparison === undefined) return [];
  const operator = stringsOf(comparison.name)[0] ?? '';
  const { lexpr, rexpr } = comparison;
  if (comparison.kind === 'AEXPR_BETWEEN' && columnOf(lexpr) === column) {
    const [from, to] = (asKind(rexpr, 'List')?.items ?? []).map(constantOf);
    return [
      ...(from === undefined ? [] : [{ operator: '>=', value: from }]),
      ...(to === undefined ? [] : [{ operator: '<=', value: to }]),
    ];
  }
  if (comparison.kind !== 'AEXPR_OP' || !(operator in MIRRORED)) return [];
  const isSwapped = columnOf(rexpr) === column;
  const value = constantOf(isSwapped ? lexpr : rexpr);
  if (value === undefined || !(isSwapped || columnOf(lexpr) === column)) return [];
  return [{ operator: isSwapped ? (MIRRORED[operator] ?? operator) : operator, value }];
}

/** A constant as text, whatever it is cast to. */
function constantOf(node: Node | undefined): string | undefined {
  const constant = asKind(withoutCasts(node), 'A_Const');
  if (constant === undefined || constant.isnull) return undefined;
  if (constant.ival) return String(constant.ival.ival ?? 0);
  return constant.fval?.fval ?? constant.sval?.sval;
}

const ISO = /^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d)?)?)?$/;

/** Below, at or above zero; undefined where the two do not compare as text. */
function compare(a: string, b: string): number | undefined {
  if (a === b) return 0;
  if (a.trim() !== '' && b.trim() !== '' && !Number.isNaN(Number(a)) && !Number.isNaN(Number(b))) {
    return Number(a) - Number(b);
  }
  return ISO.test(a) && ISO.test(b) && a.length === b.length ? (a < b ? -1 : 1) : undefined;
}

function isInRange(limits: readonly Limit[], bound: PartitionBoundSpec): boolean {
  const from = edgeOf(bound.lowerdatums);
  const to = edgeOf(bound.upperdatums);
  const isAbove =
    from === 'unbounded' ||
    limits.some(({ operator, value }) => {
      const order = from === undefined ? undefined : compare(value, from);
      return order !== undefined && order >= 0 && /^(>|>=|=)$/.test(operator);
    });
  const isBelow =
    to === 'unbounded' ||
    limits.some(({ operator, value }) => {
      const order = to === undefined ? undefined : compare(value, to);
      if (order === undefined) return false;
      return operator === '<' ? order <= 0 : /^(<=|=)$/.test(operator) && order < 0;
    });
  return isAbove && isBelow;
}

/** Where a range ends. */
function edgeOf(datums: readonly Node[] | undefined): string | undefined {
  const [datum] = datums ?? [];
  const name = columnOf(datum);
  return name === 'minvalue' || name === 'maxvalue' ? 'unbounded' : constantOf(datum);
}

function isInList(
  facts: readonly Node[],
  column: string,
  { bound, isNotNull }: { bound: PartitionBoundSpec; isNotNull: boolean },
): boolean {
  const allowed = new Set((bound.listdatums ?? []).map(constantOf));
  if (!isNotNull && !(bound.listdatums ?? []).some((node) => asKind(node, 'A_Const')?.isnull)) {
    return false;
  }
  return facts.some((fact) => {
    const values = valuesOf(fact, column);
    return values?.every((value) => allowed.has(value)) === true;
  });
}

/** The constants that `column = …`, `column in (…)` or `column = any (array[…])` allows. */
function valuesOf(fact: Node, column: string): (string | undefined)[] | undefined {
  const comparison = asKind(fact, 'A_Expr');
  if (comparison === undefined || stringsOf(comparison.name)[0] !== '=') return undefined;
  if (columnOf(comparison.lexpr) !== column || comparison.rexpr === undefined) return undefined;
  if (comparison.kind === 'AEXPR_OP') return [constantOf(comparison.rexpr)];
  const { kind, fields } = openNode(comparison.rexpr);
  const items = kind === 'List' ? fields.items : fields.elements;
  return Array.isArray(items) ? (items as Node[]).map(constantOf) : undefined;
}
