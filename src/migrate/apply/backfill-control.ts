import { codeOf } from '../../connection/connection-error.ts';
import type { Asked } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { commandLine } from '../../text/command-line.ts';
import { isVersion, parseVersion, type Version } from '../files/version.ts';
import { type Wanted, wantSql } from '../ledger/backfill.ts';
import type { LedgerKey } from '../ledger/ledger.ts';
import { runnerLock } from '../ledger/lock.ts';
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
  /** Why it rests; null where it does not. */
  restsFor: string | null;
  /** The table that it walks, such as `public.events`. */
  table: string;
  /** By name: the last key that is done; null before the first batch. */
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
    backfills: await listBackfills(session, key),
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
    askBackfill(session, ledgerKey(options), { version, wanted }),
  );
}

/** The backfills of a ledger that are not done. */
async function listBackfills(session: Asked, key: LedgerKey): Promise<BackfillStatus[]> {
  try {
    const rows = await session.run(listSql(key));
    return rows.map((row) => row as unknown as BackfillStatus);
  } catch (error) {
    // no ledger, or one that is older than backfills
    if (['42P01', '3F000'].includes(codeOf(error) ?? '')) return [];
    if (codeOf(error) !== '42501') throw error;
    throw new EvdbError(
      'PERMISSION_DENIED',
      `the ledger may not be read: ${(error as Error).message}`,
      {
        hint: `Let its owner run: grant select on ${quoteIdent(key.ledgerSchema)}.backfill, ${quoteIdent(key.ledgerSchema)}.migration to …`,
        cause: error,
      },
    );
  }
}

function listSql(key: LedgerKey): string {
  const s = quoteIdent(key.ledgerSchema);
  const [classId, objectId] = runnerLock(key);
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
    case when l.held then b.rests_for end as "restsFor",
    b.table_name as "table",
    case when b.cursor_key is not null then pg_catalog.json_object(b.key_columns, b.cursor_key) end as "cursor",
    b.round as "round",
    b.rows_walked::float8 as "rowsWalked",
    b.rows_total::float8 as "rowsTotal",
    b.rows_changed::float8 as "rowsChanged",
    b.batches::float8 as "batches",
    ${iso('b.started_at')} as "startedAt",
    ${iso('b.updated_at')} as "updatedAt"
from ${s}.backfill as b
join ${s}.migration as m using (target_schema, version)
cross join (
    select exists (
        select
        from pg_catalog.pg_locks
        where locktype = 'advisory'
            and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
            and (classid::bigint, objid::bigint, objsubid) = (${classId}, ${objectId} & 4294967295, 2)
    ) as held
) as l
where b.target_schema = ${quoteLiteral(key.targetSchema)}
order by b.version`;
}

async function askBackfill(
  session: Asked,
  key: LedgerKey,
  { version, wanted }: { version: string | undefined; wanted: Wanted },
): Promise<BackfillStatus> {
  const known = await listBackfills(session, key);
  const meant = chooseBackfill(known, version);
  if (wanted === 'cancel' && meant.state === 'stopped') throw nothingAtWork(meant);
  const rows = await session.run(wantSql({ key, version: meant.version }, wanted));
  // It may have ended meanwhile.
  if (rows.length === 0) throw noSuch(version, []);
  const state = { run: 'working', pause: 'paused', cancel: meant.state } as const;
  return { ...meant, state: meant.state === 'stopped' ? 'stopped' : state[wanted] };
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
