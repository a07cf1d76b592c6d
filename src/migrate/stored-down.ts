import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import type { MigrationStatus } from './compare.ts';
import { readStoredTexts } from './ledger.ts';
import { ledgerKey, type MigrateOptions } from './options.ts';
import { fullName } from './plan.ts';
import { refuseIrreversible } from './prepare.ts';
import { type Script, scriptFromText } from './source.ts';

/**
 * Reads the down scripts that the ledger kept, so that an older build can take back what a newer
 * one applied.
 *
 * @throws {EvdbError} MISSING_DOWN, IRREVERSIBLE (while the returned function runs)
 */
export async function readStoredDownScripts(
  session: Session,
  options: MigrateOptions,
  migrations: MigrationStatus[],
): Promise<(status: MigrationStatus) => Script> {
  const versions = migrations.map(({ version }) => version);
  const texts = await readStoredTexts(session, ledgerKey(options), versions);
  return (status) => {
    const stored = texts.get(status.version);
    const place = `ledger:${fullName(status)}`;
    if (stored?.up) refuseIrreversible(status, scriptFromText(place, stored.up));
    if (stored?.down) return scriptFromText(`${place}.down.sql`, stored.down);
    throw new EvdbError('MISSING_DOWN', `the ledger keeps no down script of ${fullName(status)}`, {
      hint: 'There was none when it was applied, or it was too long to keep. Bring the file back and run without --from-ledger.',
      details: { version: status.version },
    });
  };
}
