import type { Session } from '../../connection/session.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { readChecksum } from '../files/source.ts';
import type { Version } from '../files/version.ts';
import type { LedgerKey } from './ledger.ts';
import type { Provenance } from './provenance.ts';
import { insertHistorySql, writeLedger } from './record.ts';

/** A baseline that never ran here, and the path of its file. */
interface Counted {
  version: Version;
  label: string;
  name: string;
  file: string;
  replaces: string;
}

/**
 * Writes down that baselines count as applied, because what they replace is. The row of such a version is of
 * the migration that it replaces: its checksum and texts stay, so that a build with the old files goes on.
 */
export async function recordCounted(
  baselines: readonly Counted[],
  by: { worker: Session; signal: AbortSignal | undefined; key: LedgerKey; provenance: Provenance },
): Promise<void> {
  const { key, provenance } = by;
  const statements = baselines.map(({ version, label, name, file, replaces }) => {
    const detail = `replaces ${replaces}, which are applied`;
    const entry = { version, label, name, checksum: readChecksum(file), detail };
    return `update ${quoteIdent(key.ledgerSchema)}.migration set origin = 'baseline'
where target_schema = ${quoteLiteral(key.targetSchema)} and version = ${version};
${insertHistorySql(key, { action: 'baseline', ...entry }, provenance)}`;
  });
  await writeLedger(by, statements.join('\n'));
}
