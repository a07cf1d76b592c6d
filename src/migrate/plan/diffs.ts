import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { maskSecrets } from '../../sql/mask.ts';
import { readScript } from '../files/source.ts';
import type { Version } from '../files/version.ts';
import { readStoredTexts } from '../ledger/ledger.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import type { MigrationPlanWarning } from '../progress.ts';
import type { MigrationStatus } from './compare.ts';
import { fullName } from './plan.ts';

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
      createTwoFilesPatch(title, now.path, maskSecrets(applied), maskSecrets(now.text), '', '', {
        context: 2,
      }),
    );
  }
  return diffs;
}

/** Gives each warning about a changed file its diff. */
export function withDiffs(
  warnings: MigrationPlanWarning[],
  diffs: Map<Version, string>,
): MigrationPlanWarning[] {
  return warnings.map((warning) => {
    const diff = warning.version === undefined ? undefined : diffs.get(warning.version);
    return diff === undefined ? warning : { ...warning, diff };
  });
}

/** Refusing a changed file shows what changed. */
export async function explainingChanges<T>(
  session: Session,
  options: MigrateOptions,
  statuses: MigrationStatus[],
  work: () => T,
): Promise<T> {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof EvdbError) || error.code !== 'CHANGED_MIGRATION') throw error;
    const diffs = await readDiffs(session, options, statuses);
    const { code, message, hint, details } = error;
    const diff = [...diffs.values()].join('\n') || undefined;
    throw new EvdbError(code, message, { hint, details: { ...details, diff } });
  }
}
