import type { Statement } from '../sql/statements.ts';
import type { LedgerEntry } from './record.ts';
import type { Script } from './source.ts';
import { tokenChecksum } from './token-checksum.ts';
import type { Version } from './version.ts';

/** A migration as the ledger keeps it. */
export function ledgerEntry(
  { version, label, name }: { version: Version; label: string; name: string },
  from: { up: Script; statements: Statement[]; downText: string | null; limitBytes: number },
): LedgerEntry {
  const { up, statements, downText, limitBytes } = from;
  const keep = (text: string | null) =>
    text !== null && Buffer.byteLength(text) <= limitBytes ? text : null;
  return {
    version,
    label,
    name,
    checksum: up.checksum,
    tokenChecksum: up.large?.tokenChecksum ?? tokenChecksum(up.text, statements),
    statementsTotal: up.large?.statementsTotal ?? statements.length,
    upText: up.large ? null : keep(up.text),
    downText: keep(downText),
  };
}
