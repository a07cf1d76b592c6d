import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { Version } from '../files/version.ts';
import type { LedgerKey } from './ledger.ts';

/*
 * Where a backfill stands. Its row is written in the transaction of each batch, so it never says more
 * or less than what is done. It goes with the backfill's end; the history keeps what it did.
 *
 * Several workers do not share one cursor: the backfill's row hands out segments of what it has left, each
 * with a row and a cursor of its own. Whoever moves a cursor names where it stood, so that of two who
 * are at the same part only one commits.
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
  /** The last key that is done or belongs to a segment; null before the first batch. */
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
  /** How many segments were handed out, in all rounds. */
  segments: number;
  /** Those that are not done, in the order of their keys. */
  unfinished: BackfillRange[];
}

/** Keys that one worker walks: those after the cursor, up to and including the end. */
export interface BackfillRange {
  /** The number of the segment; null for what the backfill's own row has left. */
  segment: number | null;
  cursor: string[] | null;
  end: string[];
}

/** The last key up to which all rows are done; null where none is. */
export function doneUpTo({ cursor, unfinished }: BackfillRow): string[] | null {
  const [first] = unfinished;
  return first ? first.cursor : cursor;
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
  const isWalked = `not exists (select from ${segmentsOf(place.key)} where ${rowOf(place)})`;
  const sets = `round = ${round}, cursor_key = null, end_key = ${keySql(end)}, rows_walked = 0, rows_total = ${rowsTotal ?? 'null'}`;
  return `update ${tableOf(place.key)} set ${sets}, updated_at = pg_catalog.clock_timestamp() where ${rowOf(place)} and round = ${round - 1} and ${isWalked};`;
}

/** The next segment, from the cursor of the backfill's own row up to `upTo`; nothing where that stands elsewhere. */
export function handOutSql(
  place: BackfillPlace,
  { round, cursor, segments }: Pick<BackfillRow, 'round' | 'cursor' | 'segments'>,
  upTo: string[],
): string {
  const { key, version } = place;
  return `with cut as (
    update ${tableOf(key)}
    set cursor_key = ${keySql(upTo)}, segments = ${segments + 1}
    where ${rowOf(place)} and round = ${round} and segments = ${segments} and cursor_key ${isKey(cursor)}
    returning segments
)
insert into ${segmentsOf(key)} (target_schema, version, segment, cursor_key, end_key)
select ${quoteLiteral(key.targetSchema)}, ${version}, cut.segments, ${keySql(cursor)}, ${keySql(upTo)} from cut;`;
}

/** What a statement of its own may ask of a segment that was handed out. */
export function segmentExists(place: BackfillPlace, segment: number): string {
  return `exists (select from ${segmentsOf(place.key)} where ${rowOf(place)} and segment = ${segment})`;
}

/** A batch that is about to be committed. */
export interface MovedCursor {
  cursor: string[];
  rowsWalked: number;
  rowsChanged: number;
}

/**
 * Moves the cursor of a range, in the transaction of the batch. Gives no row where the cursor stands
 * elsewhere, as it does once another runner is at work, or where the table is another one by now.
 *
 * @param holdsLock an expression that is true where the runner has its lock
 */
export function moveCursorSql(
  place: BackfillPlace,
  from: Pick<BackfillRow, 'round' | 'tableOid'> & { range: BackfillRange; holdsLock: string },
  to: MovedCursor,
): string {
  const { range, round, tableOid } = from;
  const isTable = `exists (select from pg_catalog.pg_class where oid = ${tableOid}::oid)`;
  const returning = `returning ${from.holdsLock} as "holdsLock"`;
  if (range.segment === null) {
    return `update ${tableOf(place.key)}
set ${movedSql(to)}
where ${rowOf(place)} and round = ${round} and cursor_key ${isKey(range.cursor)} and ${isTable}
${returning}, wanted as "wanted"`;
  }
  const isThis = `${rowOf(place)} and segment = ${range.segment} and cursor_key ${isKey(range.cursor)} and end_key ${isKey(range.end)} and ${isTable}`;
  if (keySql(to.cursor) === keySql(range.end))
    return endSegmentSql(place, isThis, { round, returning, to });
  return `update ${segmentsOf(place.key)}
set ${movedSql(to)}
where ${isThis} and ${backfillExists(place, `round = ${round}`)}
${returning}, (${readWantedSql(place)})`;
}

/** The last batch of a segment: its row goes, and the backfill's own row counts what it did. */
function endSegmentSql(
  place: BackfillPlace,
  isThis: string,
  { round, returning, to }: { round: number; returning: string; to: MovedCursor },
): string {
  return `with done as (
    delete from ${segmentsOf(place.key)} where ${isThis} returning rows_walked, rows_changed, batches
)
update ${tableOf(place.key)} as b
set rows_walked = b.rows_walked + done.rows_walked + ${to.rowsWalked},
    rows_changed = b.rows_changed + done.rows_changed + ${to.rowsChanged},
    batches = b.batches + done.batches + 1,
    updated_at = pg_catalog.clock_timestamp()
from done
where ${rowOf(place)} and b.round = ${round}
${returning}, b.wanted as "wanted"`;
}

function movedSql({ cursor, rowsWalked, rowsChanged }: MovedCursor): string {
  return `cursor_key = ${keySql(cursor)},
    rows_walked = rows_walked + ${rowsWalked},
    rows_changed = rows_changed + ${rowsChanged},
    batches = batches + 1,
    updated_at = pg_catalog.clock_timestamp()`;
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

/** How many workers are at it, for whoever looks at the ledger. */
export function setWorkersSql(place: BackfillPlace, workers: number): string {
  return `update ${tableOf(place.key)} set workers = ${workers} where ${rowOf(place)};`;
}

export function deleteBackfillSql(place: BackfillPlace): string {
  return `delete from ${segmentsOf(place.key)} where ${rowOf(place)};
delete from ${tableOf(place.key)} where ${rowOf(place)};`;
}

/** What a statement of its own may ask of a row: `round = 2`. */
export function backfillExists(place: BackfillPlace, condition: string): string {
  return `exists (select from ${tableOf(place.key)} where ${rowOf(place)} and ${condition})`;
}

/**
 * Waits for the batches of a runner that is gone: its lock went with one of its backends, and the commit of
 * another may still be under way. Whatever is not so far yet sees that the lock is gone.
 */
export function waitForOthersSql(place: BackfillPlace): string {
  const ofThis = `where ${rowOf(place)} for update`;
  return `select from ${segmentsOf(place.key)} ${ofThis}; select from ${tableOf(place.key)} ${ofThis};`;
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
    (rows_walked + s.walked)::float8 as "rowsWalked",
    (rows_changed + s.changed)::float8 as "rowsChanged",
    (batches + s.done)::float8 as "batches",
    segments,
    s.unfinished as "unfinished"
from ${tableOf(place.key)}
cross join (
    select
        coalesce(pg_catalog.sum(rows_walked), 0) as walked,
        coalesce(pg_catalog.sum(rows_changed), 0) as changed,
        coalesce(pg_catalog.sum(batches), 0) as done,
        coalesce(
            pg_catalog.json_agg(
                pg_catalog.json_build_object('segment', segment, 'cursor', cursor_key, 'end', end_key)
                order by segment
            ),
            '[]'
        ) as unfinished
    from ${segmentsOf(place.key)}
    where ${rowOf(place)}
) as s
where ${rowOf(place)}`;
}

function tableOf({ ledgerSchema }: LedgerKey): string {
  return `${quoteIdent(ledgerSchema)}.backfill`;
}

function segmentsOf({ ledgerSchema }: LedgerKey): string {
  return `${quoteIdent(ledgerSchema)}.backfill_segment`;
}

function rowOf({ key, version }: BackfillPlace): string {
  return `target_schema = ${quoteLiteral(key.targetSchema)} and version = ${version}`;
}

/** What a column is compared with, where it may be null. */
function isKey(key: string[] | null): string {
  return key === null ? 'is null' : `= ${keySql(key)}`;
}

function keySql(key: string[] | null): string {
  return key === null ? 'null' : `array[${key.map(quoteLiteral).join(', ')}]::text[]`;
}
