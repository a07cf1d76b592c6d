import type { ChosenRule } from './choice.ts';
import type { RawFinding } from './finding.ts';
import {
  type DirectiveProblem,
  findSuppression,
  type ReadSuppressions,
  unusedProblem,
} from './suppressions.ts';

/** Parts what is found from what a comment says is meant, and finds the comments that are wrong. */
export function settleSuppressions(
  found: readonly RawFinding[],
  { suppressions, problems }: ReadSuppressions,
  { chosen, isWhole }: { chosen: readonly ChosenRule[]; isWhole: boolean },
): {
  kept: RawFinding[];
  suppressed: { raw: RawFinding; reason: string }[];
  problems: RawFinding[];
} {
  const kept: RawFinding[] = [];
  const suppressed: { raw: RawFinding; reason: string }[] = [];
  for (const raw of found) {
    const suppression = findSuppression(suppressions, raw);
    if (suppression === undefined) kept.push(raw);
    else {
      suppression.isUsed = true;
      suppressed.push({ raw, reason: suppression.reason });
    }
  }
  const isOn = new Set(chosen.map(({ rule }) => rule.name));
  // A rule that is off, or a statement that cannot be read, proves nothing.
  const unused = suppressions.filter(({ isUsed, rule }) => !isUsed && isWhole && isOn.has(rule));
  return {
    kept,
    suppressed,
    problems: [...problems, ...unused.map(unusedProblem)].map(toRaw),
  };
}

function toRaw({ message, hint, start, end }: DirectiveProblem): RawFinding {
  return {
    rule: 'directive',
    group: 'directive',
    severity: 'error',
    message,
    hint,
    start,
    end,
    at: start,
    statementText: message,
    tables: [],
  };
}
