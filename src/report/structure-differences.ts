import type { StructureComparison } from '../migrate/drift.ts';
import type { StructureDifference } from '../structure/diff.ts';
import { renderCount } from '../text/units.ts';
import type { Style } from './style.ts';

export interface DifferencesRenderOptions {
  /** Such as `the migrations`. */
  from: string;
  to: string;
  /** The lines of `describeDifferences`. */
  lines: readonly string[];
  style: Style;
}

/** What differs, a line for each object and under it what changed, and a line that counts. */
export function renderDifferences(
  { differences, partitions, adoptedTables, serverVersions }: StructureComparison,
  { from, to, lines, style }: DifferencesRenderOptions,
): string {
  const majors = [serverVersions.from, serverVersions.to].map((one) => Math.floor(one / 10000));
  return [
    ...lines.map((line) => colourOf(line, style)(line)),
    ...(majors[0] === majors[1]
      ? []
      : [
          style.warn(
            `warning  PostgreSQL ${majors[0]} and ${majors[1]} word some definitions differently`,
          ),
        ]),
    ...(partitions > 0
      ? [
          style.dim(
            `${renderCount(partitions, 'partition')} on one side only, not compared (--partitions does)`,
          ),
        ]
      : []),
    ...adoptedTables.map((table) =>
      style.dim(`table ${table} is of the tool that was adopted, not compared`),
    ),
    differences.length === 0
      ? style.good(`no difference between ${from} and ${to}`)
      : `${renderCount(differences.length, 'difference')} from ${from} to ${to}: ${countChanges(differences)}`,
  ].join('\n');
}

function colourOf(line: string, style: Style): (text: string) => string {
  if (line.startsWith('+')) return style.good;
  if (line.startsWith('-')) return style.bad;
  return line.startsWith('~') ? style.warn : style.dim;
}

function countChanges(differences: readonly StructureDifference[]): string {
  return (['added', 'removed', 'changed'] as const)
    .map((change) => [change, differences.filter((one) => one.change === change).length] as const)
    .filter(([, count]) => count > 0)
    .map(([change, count]) => `${count} ${change}`)
    .join(', ');
}
