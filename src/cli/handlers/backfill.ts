import { renderAsked, renderBackfills } from '../../migrate/apply/backfill-report.ts';
import { loadTable } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { loadMigrateOptions } from '../settings.ts';
import { backfillOptionsOf, runWithProgress } from './migrate.ts';

export async function handleBackfillStatus(input: CommandInput): Promise<CommandResult> {
  const { readBackfills } = await import('../../migrate/apply/backfill-control.ts');
  const { options } = await loadMigrateOptions(input);
  const status = await readBackfills(options);
  const table = await loadTable(input.context);
  return { data: status, text: renderBackfills(status.backfills, { style: input.style, table }) };
}

export async function handleBackfillRun(input: CommandInput): Promise<CommandResult> {
  const { runBackfills } = await import('../../migrate/apply/commands.ts');
  const { options } = await loadMigrateOptions(input);
  const backfill = await backfillOptionsOf(input);
  const [version] = input.args;
  return runWithProgress(input, { ...options, backfill, version }, runBackfills, 'backfill');
}

export const handleBackfillPause = asking('pause');
export const handleBackfillResume = asking('run');
export const handleBackfillCancel = asking('cancel');

/** What asks something of a runner. */
function asking(wanted: 'run' | 'pause' | 'cancel') {
  return async (input: CommandInput): Promise<CommandResult> => {
    const { requestBackfill } = await import('../../migrate/apply/backfill-control.ts');
    const { options } = await loadMigrateOptions(input);
    const [version] = input.args;
    const backfill = await requestBackfill({ ...options, version, wanted });
    return { data: { backfill }, text: renderAsked(backfill, wanted) };
  };
}
