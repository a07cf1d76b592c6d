import { type MigrationFile, readReplaces, readScript, type Script } from '../files/source.ts';
import type { Version } from '../files/version.ts';
import { isApplied, type MigrationStatus } from './compare.ts';
import type { MigrationStep } from './prepare.ts';

/** What the header of a pending migration says of when it may run. */
export interface Phase {
  isContract?: true;
  gates?: string[];
}

/** What the header of a pending file says of its phase; a file that cannot be read is told by `up`. */
export function phaseOf(
  { upPath }: Pick<MigrationFile, 'upPath'>,
  statuses: readonly MigrationStatus[],
): Phase {
  try {
    const script = readScript(upPath);
    const gates = listGatesLeft(script, statuses);
    return {
      ...(script.directives.isContract && { isContract: true }),
      ...(gates.length > 0 && { gates }),
    };
  } catch {
    return {};
  }
}

/**
 * The gates of a migration, as its header writes them, without the backfills that are done. What the others
 * find is not asked here.
 *
 * @param steps what the run does before it
 */
export function listGatesLeft(
  { directives }: Pick<Script, 'directives'>,
  statuses: readonly MigrationStatus[] = [],
  steps: readonly Pick<MigrationStep, 'version' | 'isPostponed'>[] = [],
): string[] {
  const run = new Set(steps.flatMap((step) => (step.isPostponed ? [] : [step.version])));
  const isDone = (version: Version) => run.has(version) || isThere(version, statuses);
  return (directives.gates ?? [])
    .filter((gate) => gate.kind !== 'after-backfill' || !isDone(gate.version))
    .map(({ text }) => text);
}

/** Whether the database has a migration, by itself or by a baseline that replaces it. */
function isThere(version: Version, statuses: readonly MigrationStatus[]): boolean {
  return statuses.some((status) => {
    const { file, replaced } = status;
    if (replaced?.rows.some((row) => row.version === version && row.state === 'applied'))
      return true;
    if (!isApplied(status)) return false;
    if (status.version === version) return true;
    return file !== undefined && readReplaces(file).some((one) => one.versions.includes(version));
  });
}
