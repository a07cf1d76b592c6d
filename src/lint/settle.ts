import type { Catalog } from '../catalog/catalog.ts';
import type { Statement } from '../sql/statements.ts';
import type { ChosenRule } from './choice.ts';
import { type LintFinding, placeFindings, type RawFinding } from './finding.ts';
import type { JudgedFile } from './lint-file.ts';
import { type DirectiveProblem, findSuppression, unusedProblem } from './suppressions.ts';

export interface SettledFile {
  findings: LintFinding[];
  /** What a comment in the script says is meant. */
  suppressed: (LintFinding & { reason: string })[];
  path: string;
  statements: readonly Statement[];
  /** What the rules found and nothing suppresses. */
  kept: RawFinding[];
}

/**
 * Leaves out what a later migration mended, parts what is found from what a comment says is meant,
 * and finds the comments that are wrong.
 *
 * @param after what the database holds when all migrations have run
 */
export function settleFile(
  { script, statements, found, syntax, directives }: JudgedFile,
  after: Catalog,
  chosen: readonly ChosenRule[],
): SettledFile {
  const place = (raw: RawFinding[]) => placeFindings(script.path, script.text, raw);
  const kept: RawFinding[] = [];
  const suppressed: SettledFile['suppressed'] = [];
  for (const raw of found) {
    if (raw.stillHolds?.(after) === false) continue;
    const suppression = findSuppression(directives.suppressions, raw);
    if (suppression === undefined) kept.push(raw);
    else {
      suppression.isUsed = true;
      const { reason } = suppression;
      suppressed.push(...place([raw]).map((finding) => ({ ...finding, reason })));
    }
  }
  const folded = foldFindings(kept);
  const isOn = new Set(chosen.map(({ rule }) => rule.name));
  // A rule that is off, or a statement that cannot be read, proves nothing.
  const unused = directives.suppressions.filter(
    ({ isUsed, rule }) => !isUsed && syntax.length === 0 && isOn.has(rule),
  );
  const problems = [...directives.problems, ...unused.map(unusedProblem)].map(toRaw);
  return {
    findings: place([...syntax, ...folded, ...problems]),
    suppressed,
    path: script.path,
    statements,
    kept: folded,
  };
}

/** One finding for all that say the same of a transaction, at the first of its statements. */
function foldFindings(kept: readonly RawFinding[]): RawFinding[] {
  const counts = new Map<string, number>();
  const keyOf = ({ rule, foldAs }: RawFinding) => `${rule} ${foldAs}`;
  const firsts = kept.filter((raw) => {
    if (raw.foldAs === undefined) return true;
    const before = counts.get(keyOf(raw)) ?? 0;
    counts.set(keyOf(raw), before + 1);
    return before === 0;
  });
  return firsts.map((raw) => {
    const more = raw.foldAs === undefined ? 0 : (counts.get(keyOf(raw)) ?? 1) - 1;
    if (more === 0) return raw;
    const others = more === 1 ? '1 more statement' : `${more} more statements`;
    return { ...raw, message: `${raw.message} (and ${others} of this transaction)` };
  });
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
