import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { Version } from '../files/version.ts';
import type { LedgerKey } from './ledger.ts';
import { retakeLockSql, runnerLock } from './lock.ts';

/*
 * Where a backfill stands. Its row is written in the transaction of each batch, so it never says more
 * or less than what is done. It goes with the backfill's end; the history keeps what it did.
 */

/** How far a backfill is, as the ledger keeps it. Keys are in the server's text format. */
export interface BackfillRow {
  direction: 'up' | 'down';
  statementChecksum: string;
  /** Such as `public.events`. */
  tableName: string;
  tableOid: string;
  keyColumns: string[];
  /** From 1: how often the table is walked. */
  round: number;
  /** The last key that is done; null before the first batch. */
  cursor: string[] | null;
  /** The last key of this round; null where the table was empty. */
  end: string[] | null;
  /** An estimate of the rows that this round passes; null if unknown. */
  rowsTotal: number | null;
  /** Of this round. */
  rowsWalked: number;
  /** Of all rounds. */
  rowsChanged: number;
  batches: number;
}

/** Which backfill, and in which ledger. */
export interface BackfillPlace {
  key: LedgerKey;
  version: Version;
}

/** The row as it begins; one that was left of the other direction goes. */
export function startBackfillSql(place: BackfillPlace, row: BackfillRow): string {
  const { key, version } = place;
  const values = [
    quoteLiteral(key.targetSchema),
    version,
    ...[row.direction, row.statementChecksum, row.tableName].map(quoteLiteral),
    `${row.tableOid}::oid`,
    keySql(row.keyColumns),
    keySql(row.end),
    row.rowsTotal ?? 'null',
  ];
  return `${deleteBackfillSql(place)}
insert into ${tableOf(key)} (target_schema, version, direction, statement_checksum, table_name, table_oid, key_columns, end_key, rows_total)
values (${values.join(', ')});`;
}

/** One more walk over the table. */
export function nextRoundSql(
  place: BackfillPlace,
  { round, end, rowsTotal }: Pick<BackfillRow, 'round' | 'end' | 'rowsTotal'>,
): string {
  const sets = `round = ${round}, cursor_key = null, end_key = ${keySql(end)}, rows_walked = 0, rows_total = ${rowsTotal ?? 'null'}`;
  return `update ${tableOf(place.key)} set ${sets}, updated_at = pg_catalog.clock_timestamp() where ${rowOf(place)} and round = ${round - 1};`;
}

/**
 * Moves the cursor, in the transaction of the batch. Gives no row where the cursor stands elsewhere, as
 * it does once another runner is at work, or where the table is another one by now.
 */
export function moveCursorSql(
  place: BackfillPlace,
  from: Pick<BackfillRow, 'round' | 'cursor' | 'tableOid'>,
  to: { cursor: string[]; rowsWalked: number; rowsChanged: number },
): string {
  const before = from.cursor === null ? 'is null' : `= ${keySql(from.cursor)}`;
  return `update ${tableOf(place.key)}
set cursor_key = ${keySql(to.cursor)},
    rows_walked = rows_walked + ${to.rowsWalked},
    rows_changed = rows_changed + ${to.rowsChanged},
    batches = batches + 1,
    updated_at = pg_catalog.clock_timestamp()
where ${rowOf(place)}
    and round = ${from.round}
    and cursor_key ${before}
    and exists (select from pg_catalog.pg_class where oid = ${from.tableOid}::oid)
returning ${retakeLockSql(runnerLock(place.key))} as "holdsLock", wanted as "wanted"`;
}

/** What `evdb backfill` asks of a runner. */
export type Wanted = 'run' | 'pause' | 'cancel';

/** Gives a row where there is such a backfill. */
export function wantSql(place: BackfillPlace, wanted: Wanted): string {
  return `update ${tableOf(place.key)} set wanted = '${wanted}' where ${rowOf(place)} returning version;`;
}

export function readWantedSql(place: BackfillPlace): string {
  return `select wanted as "wanted" from ${tableOf(place.key)} where ${rowOf(place)}`;
}

/** Why it rests, for whoever looks at the ledger; null while it works. */
export function setRestSql(place: BackfillPlace, reason: string | null): string {
  return `update ${tableOf(place.key)} set rests_for = ${reason === null ? 'null' : quoteLiteral(reason)} where ${rowOf(place)};`;
}

export function deleteBackfillSql(place: BackfillPlace): string {
  return `delete from ${tableOf(place.key)} where ${rowOf(place)};`;
}

/** What a statement of its own may ask of a row: `round = 2`. */
export function backfillExists(place: BackfillPlace, condition: string): string {
  return `exists (select from ${tableOf(place.key)} where ${rowOf(place)} and ${condition})`;
}

/** Gives at most one row, which is a `BackfillRow`. */
export function readBackfillSql(place: BackfillPlace): string {
  return `select direction,
    statement_checksum as "statementChecksum",
    table_name as "tableName",
    table_oid::text as "tableOid",
    pg_catalog.to_json(key_columns) as "keyColumns",
    round,
    pg_catalog.to_json(cursor_key) as "cursor",
    pg_catalog.to_json(end_key) as "end",
    rows_total::float8 as "rowsTotal",
    rows_walked::float8 as "rowsWalked",
    rows_changed::float8 as "rowsChanged",
    batches::float8 as "batches"
from ${tableOf(place.key)}
where ${rowOf(place)}`;
}

function tableOf({ ledgerSchema }: LedgerKey): string {
  return `${quoteIdent(ledgerSchema)}.backfill`;
}

function rowOf({ key, version }: BackfillPlace): string {
  return `target_schema = ${quoteLiteral(key.targetSchema)} and version = ${version}`;
}

function keySql(key: string[] | null): string {
  return key === null ? 'null' : `array[${key.map(quoteLiteral).join(', ')}]::text[]`;
}
