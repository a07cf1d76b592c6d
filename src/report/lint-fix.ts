import type { FixPlan } from '../migrate/lint-fix.ts';
import { renderCount } from '../text/units.ts';
import { renderLint } from './lint.ts';
import { renderDiff } from './migration.ts';
import type { Style } from './style.ts';

/**
 * What `--fix` wrote, or would write, what it left alone and why, and what is found after it.
 *
 * @param diffs one for each file of the plan; shown in a dry run
 */
export function renderFixes(
  { files, fixed, left, report }: FixPlan,
  { isDry, diffs, style }: { isDry: boolean; diffs: readonly string[]; style: Style },
): string {
  const changes = files.flatMap(({ file, before }, index) => {
    const verb = isDry
      ? before === undefined
        ? 'would create'
        : 'would change'
      : before === undefined
        ? 'created'
        : 'changed';
    return [
      `${style.good(verb)}  ${file}`,
      ...(isDry ? [renderDiff(diffs[index] ?? '', style)] : []),
    ];
  });
  const kept = left.map(
    ({ file, line, rule, reason }) =>
      `${style.warn('left alone')}  ${file}:${line}: ${rule}: ${reason}`,
  );
  const done = isDry ? 'could be mended' : 'mended';
  return [
    ...changes,
    ...kept,
    `${renderCount(fixed, 'finding')} ${done}${isDry ? '; nothing was written (--dry-run)' : ''}`,
    '',
    renderLint(report, style),
  ].join('\n');
}
