import type { ColumnFacts, TableFacts } from './facts.ts';
import { substituteColumn } from './names.ts';
import type { ColumnName } from './replacement.ts';

/** A column whose values become ones of another type. */
interface Conversion {
  table: TableFacts;
  old: ColumnFacts;
  young: ColumnName;
  type: { sql: string; keeps: 'whole' | 'by length' | 'unknown' };
  using: string | undefined;
  back: string | undefined;
  castToCompare: '' | '::text';
}

/** What is said of values that may not survive, and the query that counts them. */
export interface LossWarning {
  /** Up to the query. */
  text: string;
  query: string;
}

/**
 * Warns where a value may come out as another one, or not at all. What is not known to keep every value
 * gets a query that tries the way there and back: only the rows know.
 */
export function lossWarning(conversion: Conversion): LossWarning | undefined {
  const { old, type, using } = conversion;
  const keepsAll =
    (type.keeps === 'whole' && hasNoLength(type.sql)) ||
    (type.keeps === 'by length' && (hasNoLength(type.sql) || isNoShorter(old.type, type.sql)));
  if (using === undefined && keepsAll) return undefined;
  return {
    text: `${type.sql} may not hold every value of ${old.sql}: one that does not fit is changed, or refused. This counts those that do not come back the same, and fails where one is refused:`,
    query: countSql(conversion),
  };
}

function countSql({ table, old, young, type, using, back, castToCompare }: Conversion): string {
  const there = `${using === undefined ? old.sql : `(${using})`}::${type.sql}`;
  const again = back === undefined ? there : `(${substituteColumn(back, young.name, there)})`;
  const returned = `${again}::${old.type}${castToCompare}`;
  return `select count(*) from ${table.sql} where ${returned} is distinct from ${old.sql}${castToCompare}`;
}

/** `char` and `bit` have the length 1 without a number. */
function hasNoLength(type: string): boolean {
  return !/\(|^(bpchar|character|char|bit)\b(?! varying)|^interval \w/.test(type);
}

/** Whether one spelling of a type with a length, or with digits, holds all that the other one does. */
function isNoShorter(from: string, to: string): boolean {
  const [before, after] = [modifiersOf(from), modifiersOf(to)];
  if (before.length === 0 || /^bit\b(?! varying)|^interval \w/.test(to)) return from === to;
  const [a = 0, b = 0] = before;
  const [c = 1, d = 0] = after;
  return d >= b && c - d >= a - b;
}

function modifiersOf(type: string): number[] {
  const [, list] = /\(([^)]*)\)/.exec(type) ?? [];
  return list?.split(',').map(Number) ?? [];
}
