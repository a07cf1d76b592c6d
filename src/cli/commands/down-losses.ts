import type { Loss, ReadLossesOptions } from '../../migrate/checks/losses.ts';
import type { Style } from '../../report/style.ts';

/** What `down` or `redo` would lose, as data and as text. */
export async function findLosses(
  options: ReadLossesOptions,
  rendering: { style: Style; isDryRun: boolean },
): Promise<{ losses: Loss[]; text: string }> {
  const { readLosses } = await import('../../migrate/checks/losses.ts');
  const { renderLosses } = await import('../../migrate/checks/report.ts');
  const losses = await readLosses(options);
  return { losses, text: renderLosses(losses, rendering) };
}
