import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import type { MigrationStatus } from './compare.ts';
import { readStoredTexts } from './ledger.ts';
import { ledgerKey, type MigrateOptions } from './options.ts';
import { fullName, type PlanWarning } from './plan.ts';
import { readScript } from './source.ts';
import type { Version } from './version.ts';

/**
 * Compares files that differ from what was applied with the texts that the ledger kept. A version
 * has no diff where the text was too long to keep, or is not ours to read.
 */
export async function readDiffs(
  session: Session,
  options: MigrateOptions,
  statuses: MigrationStatus[],
): Promise<Map<Version, string>> {
  const differing = statuses.filter(({ state }) => state === 'changed' || state === 'reworded');
  const versions = differing.map(({ version }) => version);
  const texts = await readStoredTexts(session, ledgerKey(options), versions).catch((error) => {
    if (error instanceof EvdbError && error.code === 'PERMISSION_DENIED') return new Map();
    throw error;
  });
  if (texts.size === 0) return new Map();
  const { createTwoFilesPatch } = await import('diff');
  const diffs = new Map<Version, string>();
  for (const { version, label, name, file } of differing) {
    const applied: string | null | undefined = texts.get(version)?.up;
    if (!file || applied == null) continue;
    const now = readScript(file.upPath);
    if (now.large) continue;
    const title = `${fullName({ label, name })}, as applied`;
    diffs.set(
      version,
      createTwoFilesPatch(title, now.path, applied, now.text, '', '', { context: 2 }),
    );
  }
  return diffs;
}

/** Gives each warning about a changed file its diff. */
export function withDiffs(warnings: PlanWarning[], diffs: Map<Version, string>): PlanWarning[] {
  return warnings.map((warning) => {
    const diff = warning.version === undefined ? undefined : diffs.get(warning.version);
    return diff === undefined ? warning : { ...warning, diff };
  });
}
