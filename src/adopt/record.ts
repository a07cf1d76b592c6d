import { hash } from 'node:crypto';
import { scriptFromText } from '../migrate/files/source.ts';
import { ledgerEntry } from '../migrate/ledger/ledger.ts';
import type { Provenance } from '../migrate/ledger/provenance.ts';
import {
  type HistoryEntry,
  insertHistoriesSql,
  insertTakenOverSql,
  type TakenOver,
} from '../migrate/ledger/record.ts';
import {
  DEFAULT_STORED_TEXT_LIMIT_BYTES,
  ledgerKey,
  type MigrateOptions,
} from '../migrate/options.ts';
import { splitStatements } from '../sql/statements.ts';
import type { AdoptableTool } from './foreign.ts';
import type { AdoptionPlan } from './plan.ts';
import type { PlannedMigration } from './plan-migration.ts';

/** What one adoption did, as the history keeps it, so that it can be undone. */
export interface AdoptionRecord {
  tool: AdoptableTool;
  table: string | null;
  reason?: string;
  /** The files that were written, with the checksum of each. */
  files: Record<string, string>;
}

/** The rows of the ledger, and the history: one entry a migration, and one of the adoption. */
export function adoptionSql(
  plan: AdoptionPlan,
  from: MigrateOptions & {
    from: AdoptableTool;
    table: string | null;
    reason?: string | undefined;
    provenance: Provenance;
  },
): string {
  const key = ledgerKey(from);
  const rows = plan.adopted.map((one) => takenOver(one, from));
  const histories: HistoryEntry[] = rows.map(({ entry }, index) => ({
    action: 'adopted',
    version: entry.version,
    label: entry.label,
    name: entry.name,
    checksum: entry.checksum,
    detail: `from ${from.table} of ${from.from}, there ${plan.adopted[index]?.key}, compared by ${plan.adopted[index]?.verifiedBy}`,
  }));
  const detail = JSON.stringify(makeRecord(plan, from));
  return [
    ...(rows.length > 0 ? [insertTakenOverSql(key, rows)] : []),
    insertHistoriesSql(key, [...histories, { action: 'adopted', detail }], from.provenance),
  ].join('\n');
}

function takenOver(
  { version, label, name, upText, downText, row }: PlannedMigration,
  { from, storedTextLimitBytes }: MigrateOptions & { from: AdoptableTool },
): TakenOver {
  const up = scriptFromText(`${label}_${name}.sql`, upText);
  const limitBytes = storedTextLimitBytes ?? DEFAULT_STORED_TEXT_LIMIT_BYTES;
  return {
    entry: ledgerEntry(
      { version, label, name },
      { up, statements: splitStatements(upText), downText, limitBytes },
    ),
    origin: `adopted:${from}`,
    appliedAt: row?.appliedAt ?? null,
    durationMs: row?.durationMs ?? null,
  };
}

function makeRecord(
  { adopted, known, pending }: AdoptionPlan,
  {
    from,
    table,
    reason,
  }: { from: AdoptableTool; table: string | null; reason?: string | undefined },
): AdoptionRecord {
  const files = [...adopted, ...known, ...pending].flatMap((one) => one.files);
  return {
    tool: from,
    table,
    ...(reason !== undefined && { reason }),
    files: Object.fromEntries(files.map(({ name, text }) => [name, hash('sha256', text, 'hex')])),
  };
}
