import type { Impact } from '../../src/impact/impact.ts';

/**
 * Leaves out of the differences between impact and server what only the rows decide, or what impact itself
 * says that it does not know.
 */
export function withoutUnknowable(
  text: string,
  { unknowns }: Pick<Impact, 'unknowns'>,
  differences: readonly string[],
): string[] {
  return differences.filter((difference) => {
    if (unknowns.length > 0 && / is missing: /.test(difference)) return false;
    return !UNKNOWABLE.some(([statement, told]) => statement.test(text) && told.test(difference));
  });
}

const UNKNOWABLE: [statement: RegExp, difference: RegExp][] = [
  // Which partition a row goes to, and the sequences that give its defaults.
  [/^(insert|merge|copy) /, /lock is missing: .* RowExclusive$/],
  // Partitions that the planner sees it needs nothing of.
  [/^merge /, /lock is not taken: .* RowExclusive$/],
  // Which tables are of a composite type.
  [/^(drop|alter) type .*cascade/, /lock is missing: /],
  // Triggers for each statement stay with the partitioned table.
  [/ trigger /, /lock is not taken: .* ShareRowExclusive$/],
];
