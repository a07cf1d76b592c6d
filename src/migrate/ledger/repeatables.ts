import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { LedgerKey } from './ledger.ts';

/** A repeatable as the ledger knows it. */
export interface RepeatableRow {
  name: string;
  checksum: string;
  tokenChecksum: string;
  /** From 1: how often it was applied, less how often it was rolled back. */
  generation: number;
  /** ISO 8601 in UTC. */
  appliedAt: string;
  durationMs: number | null;
}

const FIELD = '\u001f';
const RECORD = '\u001e';

/** One text for all rows, as `parseRepeatables` reads it; null where there are none. */
export function repeatablesSql({ ledgerSchema, targetSchema }: LedgerKey): string {
  return `(
        select pg_catalog.string_agg(
            pg_catalog.concat_ws(
                ${quoteLiteral(FIELD)}, name, checksum, token_checksum, generation,
                (extract(epoch from applied_at) * 1000)::bigint, coalesce(duration_ms::text, '')
            ),
            ${quoteLiteral(RECORD)} order by name collate "C"
        )
        from ${quoteIdent(ledgerSchema)}.repeatable
        where target_schema = ${quoteLiteral(targetSchema)}
    )`;
}

export function parseRepeatables(text: string | null): RepeatableRow[] {
  return text === null ? [] : text.split(RECORD).map(parseRepeatable);
}

function parseRepeatable(record: string): RepeatableRow {
  const [name, checksum, tokenChecksum, generation, appliedAtMs, durationMs] = record.split(
    FIELD,
  ) as [string, string, string, string, string, string];
  return {
    ...{ name, checksum, tokenChecksum },
    generation: Number(generation),
    appliedAt: new Date(Number(appliedAtMs)).toISOString(),
    durationMs: durationMs === '' ? null : Number(durationMs),
  };
}
