import { codeOf, queryError } from '../connection/connection-error.ts';
import { describeUser, type Row, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { revokeFromOthersSql } from '../sql/privileges.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { commandLine } from '../text/command-line.ts';
import { DAY_MS, renderTime } from '../text/units.ts';
import {
  decodeSnapshot,
  encodeSnapshot,
  SNAPSHOT_FORMAT,
  type SnapshotReason,
  type StatsSnapshot,
} from './snapshot-format.ts';

/** Where the history of a database is. */
export interface HistoryOptions {
  /** The PostgreSQL schema of evdb's own tables; default `evdb`. */
  ledgerSchema?: string | undefined;
}

/** What is kept, and for how long. */
export interface KeepSnapshotsOptions extends HistoryOptions {
  /** Snapshots older than this are removed; default 90 days. */
  keepMs?: number | undefined;
}

/** A snapshot of the history, without its contents. */
export interface SnapshotEntry {
  id: number;
  takenAt: Date;
  reason: SnapshotReason;
  /** In the table, compressed. */
  sizeBytes: number;
}

const DEFAULT_KEEP_MS = 90 * DAY_MS;

/** Two sessions must not create the table at once, and both have to find the same base. */
const LOCK_KEY = 7_210_480_333;

/**
 * Adds snapshots to the history in the ledger's schema, creates its table the first time, and removes
 * what is too old. For a day all are kept, for a week one an hour, then one a day; those around
 * migrations stay.
 *
 * @param session from `withWriting`
 * @throws {EvdbError} READ_ONLY on a standby; PERMISSION_DENIED if the role may not create or write
 *   the table
 * @example
 * const snapshot = await readStatsSnapshot(connection);
 * await withWriting(connection, (session) => keepSnapshots(session, [snapshot]));
 */
export async function keepSnapshots(
  session: Session,
  snapshots: readonly StatsSnapshot[],
  { ledgerSchema = 'evdb', keepMs = DEFAULT_KEEP_MS }: KeepSnapshotsOptions = {},
): Promise<SnapshotEntry[]> {
  const table = `${quoteIdent(ledgerSchema)}.snapshot`;
  try {
    if (!(await findTable(session, ledgerSchema))) await createTable(session, ledgerSchema);
    const kept: SnapshotEntry[] = [];
    for (const snapshot of snapshots) kept.push(await insert(session, table, snapshot));
    await session.run(pruneSql(table, keepMs));
    return kept;
  } catch (error) {
    throw explain(error, session, ledgerSchema);
  }
}

function explain(error: unknown, session: Session, schema: string): unknown {
  const toFile = `\`${commandLine('stats snapshot')} --to <file>\` needs no table.`;
  switch (codeOf(error)) {
    case '25006':
      return new EvdbError('READ_ONLY', 'this server only reads, so it keeps no snapshot', {
        hint: toFile,
        cause: error,
      });
    case '42501':
      return new EvdbError(
        'PERMISSION_DENIED',
        `${describeUser(session.facts)} may not keep snapshots in schema "${schema}"`,
        {
          hint: `Let the owner of the schema take them, or run: grant usage, create on schema ${quoteIdent(schema)} to ${quoteIdent(session.facts.user)}; ${toFile}`,
          cause: error,
        },
      );
    default:
      return queryError(error);
  }
}

/** Whether it is there, and may be read: of a hidden one a report says nothing. */
async function findTable(session: Session, schema: string): Promise<boolean> {
  const [row] = await session.run(`select exists (
      select from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${quoteLiteral(schema)} and c.relname = 'snapshot' and c.relkind = 'r'
        and pg_catalog.has_schema_privilege(n.oid, 'usage')
        and pg_catalog.has_table_privilege(c.oid, 'select')
    ) as "isThere"`);
  return row?.isThere === true;
}

async function createTable(session: Session, schema: string): Promise<void> {
  const s = quoteIdent(schema);
  const lock = `select pg_catalog.pg_advisory_xact_lock(${LOCK_KEY});`;
  const [found] = await session.run(
    `select pg_catalog.count(*)::int as n from pg_catalog.pg_namespace where nspname = ${quoteLiteral(schema)}`,
  );
  // `if not exists` asks for the privilege to create even where nothing has to be created
  const create = found?.n === 0 ? `create schema if not exists ${s};` : '';
  await inTransaction(
    session,
    `${lock} ${create}
create table if not exists ${s}.snapshot (
    id bigint not null generated always as identity,
    taken_at timestamptz not null,
    reason text not null,
    format integer not null,
    base_id bigint,
    content bytea not null,
    constraint snapshot_pkey primary key (id)
);
-- it is compressed already
alter table ${s}.snapshot alter column content set storage external;
comment on table ${s}.snapshot is 'Counters of this database over time, by the command "stats snapshot"; has texts of statements, so only its owner may read it';
comment on column ${s}.snapshot.base_id is 'The snapshot of the same day that content differs from; null where it is complete';
comment on column ${s}.snapshot.content is 'JSON, compressed with brotli';
${revokeFromOthersSql(schema, 'snapshot')}`,
  );
}

async function inTransaction(session: Session, sql: string): Promise<Row[]> {
  try {
    return await session.run(`begin; ${sql} commit;`);
  } catch (error) {
    if (!session.isClosed) await session.run('rollback').catch(() => undefined);
    throw error;
  }
}

async function insert(
  session: Session,
  table: string,
  snapshot: StatsSnapshot,
): Promise<SnapshotEntry> {
  const takenAt = quoteLiteral(snapshot.takenAt);
  const [found] = await session.run(`select id::float8 as "id",
      pg_catalog.encode(content, 'base64') as "content"
    from ${table}
    where base_id is null and format = ${SNAPSHOT_FORMAT}
      and (taken_at at time zone 'UTC')::date = (${takenAt}::timestamptz at time zone 'UTC')::date
      and taken_at <= ${takenAt}
    order by taken_at desc limit 1`);
  const whole = encodeSnapshot(snapshot);
  const beside = found && encodeSnapshot(snapshot, decodeSnapshot(unpack(found)));
  // Where much has changed, the next ones find a better base in this one.
  const isBeside = beside !== undefined && beside.length < whole.length / 2;
  const content = isBeside ? beside : whole;
  const [row] = await session.run(`insert into ${table} (taken_at, reason, format, base_id, content)
    values (${takenAt}, ${quoteLiteral(snapshot.reason)}, ${SNAPSHOT_FORMAT},
      ${isBeside ? Number(found?.id) : 'null'}, '\\x${content.toString('hex')}')
    returning ${ENTRY}`);
  return row as unknown as SnapshotEntry;
}

/** Of the server, the same on its standbys; null if this role may not ask for it. */
export async function readSystem(session: Session): Promise<string | null> {
  const asked = 'select system_identifier::text as "system" from pg_catalog.pg_control_system()';
  return session.run(asked).then(
    ([row]) => String(row?.system),
    (error: unknown) => {
      if (codeOf(error) !== '42501') throw error;
      return null;
    },
  );
}

const ENTRY = `id::float8 as "id", taken_at as "takenAt", reason as "reason",
    pg_catalog.octet_length(content) as "sizeBytes"`;

function unpack(row: Row): Buffer {
  return Buffer.from(String(row.content), 'base64');
}

/** A base stays as long as what differs from it. */
function pruneSql(table: string, keepMs: number): string {
  const keep = `interval '1 ms' * ${Math.round(keepMs)}`;
  return `with placed as (
    select id, taken_at, reason, base_id, pg_catalog.row_number() over (
      partition by pg_catalog.date_trunc('hour', taken_at), reason order by taken_at) as place
    from ${table}
  )
  delete from ${table} s using placed p
  where p.id = s.id and (
    (s.taken_at < pg_catalog.clock_timestamp() - ${keep} and not exists (
      select from ${table} d
      where d.base_id = s.id and d.taken_at >= pg_catalog.clock_timestamp() - ${keep}))
    or s.base_id is not null and s.reason = 'requested' and (
      s.taken_at < pg_catalog.clock_timestamp() - interval '7 days'
      or s.taken_at < pg_catalog.clock_timestamp() - interval '1 day' and p.place > 1)
  )`;
}

/** Which snapshots to list. */
export interface ListSnapshotsOptions extends HistoryOptions {
  /** Not older than this; default: all. */
  from?: Date | undefined;
}

/**
 * Lists the snapshots of the history, the oldest first; none if there is no history or this role may
 * not read it.
 *
 * @throws {EvdbError} QueryError if the server refuses a statement
 * @example
 * const snapshots = await withInspection(connection, (session) => listSnapshots(session));
 */
export async function listSnapshots(
  session: Session,
  { ledgerSchema = 'evdb', from }: ListSnapshotsOptions = {},
): Promise<SnapshotEntry[]> {
  if (!(await findTable(session, ledgerSchema))) return [];
  const since = from ? `and taken_at >= ${quoteLiteral(from.toISOString())}` : '';
  const rows = await session.run(`select ${ENTRY} from ${quoteIdent(ledgerSchema)}.snapshot
    where format <= ${SNAPSHOT_FORMAT} ${since} order by taken_at, id`);
  return rows as unknown as SnapshotEntry[];
}

/**
 * Reads one snapshot of the history.
 *
 * @param id from `listSnapshots`
 * @throws {EvdbError} USAGE if it is not there
 * @example
 * const [first] = await listSnapshots(session);
 * if (first) console.log(await readSnapshot(session, first.id));
 */
export async function readSnapshot(
  session: Session,
  id: number,
  { ledgerSchema = 'evdb' }: HistoryOptions = {},
): Promise<StatsSnapshot> {
  const rows =
    await session.run(`select s.id::float8 as "id", pg_catalog.encode(s.content, 'base64') as "content"
    from ${quoteIdent(ledgerSchema)}.snapshot s
    where s.id in (${id}, (select b.base_id from ${quoteIdent(ledgerSchema)}.snapshot b where b.id = ${id}))`);
  const found = rows.find((row) => row.id === id);
  if (!found) throw new EvdbError('USAGE', `snapshot ${id} is not in the history any more`);
  const base = rows.find((row) => row !== found);
  return decodeSnapshot(unpack(found), base && decodeSnapshot(unpack(base)));
}

/**
 * Chooses the snapshot that shows how things were at a time: the last one before it. If the history
 * begins later, that is the first one, with a warning.
 *
 * @param entries from `listSnapshots`
 * @throws {EvdbError} USAGE if there is none
 * @example
 * const yesterday = new Date(Date.now() - 24 * 60 * 60 * 1000);
 * const { entry } = chooseSnapshot(await listSnapshots(session), yesterday);
 */
export function chooseSnapshot(
  entries: readonly SnapshotEntry[],
  at: Date,
): { entry: SnapshotEntry; warning?: string } {
  const [first] = entries;
  if (first === undefined) {
    throw new EvdbError('USAGE', 'there is no snapshot to compare with', {
      hint: `\`${commandLine('stats snapshot')}\` takes one. A role that may not read evdb's table does not see any.`,
    });
  }
  const entry = entries.filter(({ takenAt }) => takenAt.getTime() <= at.getTime()).at(-1);
  if (entry) return { entry };
  const begin = renderTime(first.takenAt.toISOString());
  return { entry: first, warning: `the history begins at ${begin}, after the time asked for` };
}
