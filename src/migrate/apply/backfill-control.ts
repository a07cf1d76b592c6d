import { codeOf } from '../../connection/connection-error.ts';
import type { Asked, Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { commandLine } from '../../text/command-line.ts';
import { isVersion, parseVersion, type Version } from '../files/version.ts';
import { type Wanted, wantSql } from '../ledger/backfill.ts';
import { isNotThereYet, type LedgerKey } from '../ledger/ledger.ts';
import { isHeldSql, type LockKind } from '../ledger/lock.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { withSession } from '../plan/read.ts';

/** A backfill that is not done. */
export interface BackfillStatus {
  version: Version;
  label: string;
  name: string;
  direction: 'up' | 'down';
  /**
   * `working`; `resting`, between two batches; `paused`; `stopped`: no runner is at work, and the next
   * one goes on.
   */
  state: 'working' | 'resting' | 'paused' | 'stopped';
  /** Whether it waits for `backfill resume`; where it is stopped, the next runner does. */
  isPaused: boolean;
  /** Why it rests; null where it does not. */
  restsFor: string | null;
  /** The table that it walks, such as `public.events`. */
  table: string;
  /** How many workers are at it; 0 where it is stopped. */
  workers: number;
  /** By name: the last key up to which all rows are done; null before the first batch. */
  cursor: Record<string, string> | null;
  /** From 1: it walks the table again where rows still match. */
  round: number;
  /** Of this round: the rows of the table that are passed. */
  rowsWalked: number;
  /** An estimate of the rows of the table; null if unknown. */
  rowsTotal: number | null;
  /** Changed in all rounds. */
  rowsChanged: number;
  batches: number;
  /** ISO 8601. */
  startedAt: string;
  /** When the last batch was committed, ISO 8601. */
  updatedAt: string;
}

/** Where the backfills of a schema stand that are not done. */
export interface BackfillsStatus {
  schema: string;
  /** In the order of their versions. */
  backfills: BackfillStatus[];
}

/**
 * Tells where the backfills stand that are not done. Writes nothing.
 *
 * @throws {EvdbError} PERMISSION_DENIED, and those of `pingDatabase`
 * @example
 * const { backfills } = await readBackfills({ connection, directory: 'migrations' });
 */
export function readBackfills(options: MigrateOptions): Promise<BackfillsStatus> {
  const key = ledgerKey(options);
  return withSession(options, async (session) => ({
    schema: key.targetSchema,
    backfills: await listBackfills(session, key, options.lock),
  }));
}

/** What to ask of which backfill. */
export interface RequestBackfillOptions extends MigrateOptions {
  /** Default: the only one that is not done. */
  version?: string | undefined;
  /** `pause`: rest after the current batch; `run`: continue; `cancel`: end after the current batch. */
  wanted: Wanted;
}

/**
 * Asks the runner of a backfill, which may be another process, to pause, to go on, or to end. It looks
 * between two batches. One that is paused rests until it is resumed, also where `up` begins it anew.
 *
 * @returns where it stands with what was asked for
 * @throws {EvdbError} UNKNOWN_VERSION where there is no such backfill, or none to cancel; USAGE where
 *   several are meant; those of `readBackfills`
 * @example
 * await requestBackfill({ connection, directory: 'migrations', version: '014', wanted: 'pause' });
 */
export function requestBackfill(options: RequestBackfillOptions): Promise<BackfillStatus> {
  const { version, wanted } = options;
  return withSession(options, (session) =>
    askBackfill(session, ledgerKey(options), { version, wanted, lock: options.lock }),
  );
}

/** The backfills of a ledger that are not done. */
async function listBackfills(
  session: Session,
  key: LedgerKey,
  lock: LockKind | undefined,
): Promise<BackfillStatus[]> {
  if (isNotThereYet(session, key)) return [];
  try {
    const rows = await readRows(session, key, lock);
    return rows.map((row) => row as unknown as BackfillStatus);
  } catch (error) {
    // no ledger, or one that is older than backfills
    if (['42P01', '3F000'].includes(codeOf(error) ?? '')) return [];
    if (codeOf(error) !== '42501') throw error;
    throw new EvdbError(
      'PERMISSION_DENIED',
      `the ledger may not be read: ${(error as Error).message}`,
      {
        hint: `Let its owner run: grant select on ${quoteIdent(key.ledgerSchema)}.backfill, ${quoteIdent(key.ledgerSchema)}.backfill_segment, ${quoteIdent(key.ledgerSchema)}.migration to …`,
        cause: error,
      },
    );
  }
}

/** A ledger of an older format has no segments. */
async function readRows(session: Asked, key: LedgerKey, lock: LockKind | undefined) {
  try {
    return await session.run(
      listSql(key, { workers: 'b.workers', segments: segmentsSql(key), lock }),
    );
  } catch (error) {
    if (!['42P01', '42703'].includes(codeOf(error) ?? '')) throw error;
    return session.run(listSql(key, { workers: '1', segments: NO_SEGMENTS, lock }));
  }
}

/** What the unfinished segments of the backfill `b` add to its own row. */
function segmentsSql({ ledgerSchema }: LedgerKey): string {
  return `select
        pg_catalog.count(*) as unfinished,
        coalesce(pg_catalog.sum(rows_walked), 0) as rows_walked,
        coalesce(pg_catalog.sum(rows_changed), 0) as rows_changed,
        coalesce(pg_catalog.sum(batches), 0) as batches,
        pg_catalog.max(updated_at) as updated_at,
        (pg_catalog.array_agg(pg_catalog.to_json(cursor_key) order by segment))[1] as done_up_to
    from ${quoteIdent(ledgerSchema)}.backfill_segment as one
    where one.target_schema = b.target_schema and one.version = b.version`;
}

const NO_SEGMENTS = `select
        0 as unfinished, 0 as rows_walked, 0 as rows_changed, 0 as batches,
        null::timestamptz as updated_at, null::json as done_up_to`;

function listSql(
  key: LedgerKey,
  { workers, segments, lock }: { workers: string; segments: string; lock: LockKind | undefined },
): string {
  const s = quoteIdent(key.ledgerSchema);
  const iso = (column: string) =>
    `pg_catalog.to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  return `select
    b.version::text as "version",
    m.label as "label",
    m.name as "name",
    b.direction as "direction",
    case
        when not l.held then 'stopped'
        when b.wanted = 'pause' then 'paused'
        when b.rests_for is not null then 'resting'
        else 'working'
    end as "state",
    coalesce(b.wanted = 'pause', false) as "isPaused",
    case when l.held then b.rests_for end as "restsFor",
    b.table_name as "table",
    case when l.held then ${workers} else 0 end as "workers",
    (
        select pg_catalog.json_object_agg(k.name, k.value order by k.place)
        from rows from (
            pg_catalog.unnest(b.key_columns),
            pg_catalog.json_array_elements_text(
                case when seg.unfinished > 0 then seg.done_up_to else pg_catalog.to_json(b.cursor_key) end
            )
        ) with ordinality as k (name, value, place)
        where k.value is not null
    ) as "cursor",
    b.round as "round",
    (b.rows_walked + seg.rows_walked)::float8 as "rowsWalked",
    b.rows_total::float8 as "rowsTotal",
    (b.rows_changed + seg.rows_changed)::float8 as "rowsChanged",
    (b.batches + seg.batches)::float8 as "batches",
    ${iso('b.started_at')} as "startedAt",
    ${iso('greatest(b.updated_at, seg.updated_at)')} as "updatedAt"
from ${s}.backfill as b
join ${s}.migration as m using (target_schema, version)
cross join lateral (
    ${segments}
) as seg
cross join (select ${isHeldSql(key, lock)} as held) as l
where b.target_schema = ${quoteLiteral(key.targetSchema)}
order by b.version`;
}

async function askBackfill(
  session: Session,
  key: LedgerKey,
  {
    version,
    wanted,
    lock,
  }: { version: string | undefined; wanted: Wanted; lock: LockKind | undefined },
): Promise<BackfillStatus> {
  const known = await listBackfills(session, key, lock);
  const meant = chooseBackfill(known, version);
  if (wanted === 'cancel' && meant.state === 'stopped') throw nothingAtWork(meant);
  const rows = await session.run(wantSql({ key, version: meant.version }, wanted));
  // It may have ended meanwhile.
  if (rows.length === 0) throw noSuch(version, []);
  const state = { run: 'working', pause: 'paused', cancel: meant.state } as const;
  const isPaused = wanted === 'pause';
  return { ...meant, isPaused, state: meant.state === 'stopped' ? 'stopped' : state[wanted] };
}

function chooseBackfill(known: BackfillStatus[], version: string | undefined): BackfillStatus {
  if (version === undefined) {
    const [only, other] = known;
    if (only && !other) return only;
    if (!only) throw noSuch(undefined, known);
    throw new EvdbError('USAGE', 'several backfills are not done: which one is meant?', {
      hint: `Give its version, one of: ${known.map(({ label }) => label).join(', ')}.`,
    });
  }
  const found = isVersion(version)
    ? known.find((one) => one.version === parseVersion(version))
    : undefined;
  if (!found) throw noSuch(version, known);
  return found;
}

function noSuch(version: string | undefined, known: BackfillStatus[]): EvdbError {
  const names = known.map(({ label, name }) => `${label}_${name}`).join(', ');
  return new EvdbError(
    'UNKNOWN_VERSION',
    version === undefined
      ? 'no backfill is half way'
      : `no backfill with version ${version} is half way`,
    {
      hint:
        names === ''
          ? `\`${commandLine('migrate status')}\` shows what is applied.`
          : `There is: ${names}.`,
    },
  );
}

function nothingAtWork({ label, name }: BackfillStatus): EvdbError {
  return new EvdbError('UNKNOWN_VERSION', `nothing is at work on ${label}_${name}`, {
    hint: `It stays where it is. \`${commandLine('migrate up')}\` continues it, \`${commandLine('migrate down')}\` rolls it back.`,
  });
}
