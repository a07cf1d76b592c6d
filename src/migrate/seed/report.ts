import { renderCount, renderDuration } from '../../text/units.ts';
import type { PlannedSeed, SeedPlan, SeedResult } from './seeds.ts';

/**
 * What seeds do, or did, in one line each where that is not shown as they run.
 *
 * @param isDone whether they ran
 * @example
 * console.log(renderSeeds(await planSeeds(options), { isDone: false }));
 */
export function renderSeeds(
  result: SeedPlan | SeedResult,
  { isDone }: { isDone: boolean },
): string {
  const { seeds, schema } = result;
  const count = (decision: PlannedSeed['decision']) =>
    seeds.filter((one) => one.decision === decision).length;
  const lines = seeds.flatMap(({ decision, name, statements }) => {
    if (decision === 'changed')
      return [
        `${'changed'.padEnd(12)} ${name}: it is applied once, and has changed since; write a new file`,
      ];
    if (decision === 'skip')
      return [`${'skipped'.padEnd(12)} ${name}: it is applied once, and was`];
    return isDone
      ? []
      : [`${'would run'.padEnd(12)} ${name}  ${renderCount(statements, 'statement')}`];
  });
  const ran = renderCount(count('run'), 'seed');
  const took = 'durationMs' in result ? ` in ${renderDuration(result.durationMs)}` : '';
  const summary = isDone
    ? `applied ${ran}${took} (schema ${schema})`
    : `${ran} would be applied (schema ${schema})`;
  return [...lines, summary].join('\n');
}
