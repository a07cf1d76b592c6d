import type { Session } from '../../connection/session.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { SEED_LABEL } from '../files/version.ts';
import type { LedgerKey } from './ledger.ts';
import type { Provenance } from './provenance.ts';
import { type HistoryEntry, insertHistoryStatement, mayCommitSql } from './record.ts';

/**
 * The checksums of the seeds that were applied since the schema was last reset, as their files were the last
 * time; none where there is no ledger.
 */
export async function readAppliedSeeds(
  session: Session,
  { ledgerSchema, targetSchema }: LedgerKey,
): Promise<Map<string, string>> {
  const history = `${quoteIdent(ledgerSchema)}.history`;
  const target = `target_schema = ${quoteLiteral(targetSchema)}`;
  try {
    const rows = await session.run(`select distinct on (name) name, checksum
from ${history}
where ${target}
    and label = ${quoteLiteral(SEED_LABEL)}
    and version is null
    and action = 'up'
    and id > coalesce((select pg_catalog.max(id) from ${history} where ${target} and action = 'reset'), 0)
order by name, id desc`);
    return new Map(rows.map(({ name, checksum }) => [String(name), String(checksum)]));
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === '42P01' || code === '3F000') return new Map();
    throw error;
  }
}

/** Records an applied seed, which has a line in the history alone, and says whether it may be committed. */
export function recordSeedStatements(
  key: LedgerKey,
  entry: HistoryEntry,
  by: Provenance,
): string[] {
  return [
    insertHistoryStatement(key, [{ ...entry, durationMs: 'transaction' }], by),
    mayCommitSql(key),
  ];
}
