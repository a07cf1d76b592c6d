import type { Node, PartitionBoundSpec } from '@pgsql/types';
import type { Relation } from '../catalog/catalog.ts';
import { columnOf, conjunctsOf, provenNotNull, withoutCasts } from '../catalog/expression.ts';
import { asKind, openNode, stringsOf } from '../sql/tree.ts';

/**
 * Whether the validated checks of a table say that all its rows fit a partition, so that PostgreSQL
 * does not look; undefined where that cannot be told from here.
 */
export function isBoundProven(
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
