import { listColumns } from '../connection/inspection.ts';
import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport, Tone } from '../report/columns.ts';
import { hiddenNote } from './catalog-queries.ts';

/** A slot, a client that streams from this server, or the stream that this standby receives. */
export interface ReplicationRow {
  /** `subscriber`: a subscription or another reader of a logical slot; `backup`: a base backup under way. */
  kind: 'slot' | 'standby' | 'subscriber' | 'backup' | 'receiver';
  /** Of the slot, of the application that streams (a subscription has its own name there), or of the host that sends. */
  name: string;
  /** Such as `streaming`, `active`, `inactive`, `lost`; null if it is hidden. */
  state: string | null;
  /** Null if it is hidden. */
  isActive: boolean | null;
  isHidden: boolean;
  /** `physical`, or the plugin of a logical slot; of a standby `sync`, `async`, `quorum`, `potential`. */
  type: string | null;
  database: string | null;
  pid: number | null;
  client: string | null;
  /** WAL that a slot keeps on this server; null for others. */
  retainedBytes: number | null;
  /** How much WAL may still be written before the slot is lost; null without a limit. */
  safeBytes: number | null;
  /** What the other side (or this standby) has not replayed or confirmed yet. */
  lagBytes: number | null;
  /** Null if it is unknown, or nothing is behind. */
  lagMs: number | null;
  /** Since when the slot is unused; null if it is in use, or before PostgreSQL 17. */
  inactiveSince: Date | null;
  /**
   * Transactions since the snapshot that it holds: vacuum cannot remove rows that have died since.
   */
  snapshotAge: number | null;
}

/**
 * Reads the replication slots with what they retain, the standbys with their lag, and on a standby
 * the stream that it receives.
 *
 * @param session from `withInspection`
 * @throws {EvdbError} QueryError if the server refuses a statement
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readReplication(session));
 */
export async function readReplication(session: Session): Promise<StatsReport<ReplicationRow>> {
  const columns = await listColumns(session, 'pg_catalog.pg_replication_slots');
  const slots = await session.run(renderSlots(columns));
  const senders = await session.run(SENDERS);
  const receivers = session.facts.isInRecovery ? await session.run(RECEIVER) : [];
  const rows = [...receivers, ...senders, ...slots] as unknown as ReplicationRow[];
  const notes: ReportNote[] = [];
  if (rows.some(({ isHidden }) => isHidden)) {
    notes.push(hiddenNote('states and positions of what streams are', session.facts.user));
  }
  if (session.facts.isInRecovery && receivers.length === 0) {
    notes.push({
      level: 'warning',
      text: 'this standby receives nothing: no WAL receiver runs',
      hint: 'Look into its log; primary_conninfo names the server that it wants to stream from. A standby that reads archives has none either.',
    });
  }
  return { rows, countedSince: null, notes };
}

/** Where this server's WAL ends. */
const HERE = `case when pg_catalog.pg_is_in_recovery()
    then coalesce(greatest(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()), '0/0')
    else pg_catalog.pg_current_wal_lsn() end`;

function renderSlots(columns: ReadonlySet<string>): string {
  const has = (name: string, otherwise: string) => (columns.has(name) ? `s.${name}` : otherwise);
  const invalidation = has('invalidation_reason', 'null::text');
  return `
select
    'slot' as "kind",
    s.slot_name::text as "name",
    case
        when s.wal_status in ('lost', 'unreserved') then s.wal_status
        when ${invalidation} is not null then 'invalid: ' || ${invalidation}
        when s.active then 'active'
        else 'inactive'
    end as "state",
    s.active as "isActive",
    false as "isHidden",
    coalesce(s.plugin::text, s.slot_type) as "type",
    s.database::text as "database",
    s.active_pid as "pid",
    null::text as "client",
    pg_catalog.pg_wal_lsn_diff(${HERE}, s.restart_lsn)::float8 as "retainedBytes",
    s.safe_wal_size::float8 as "safeBytes",
    pg_catalog.pg_wal_lsn_diff(${HERE}, s.confirmed_flush_lsn)::float8 as "lagBytes",
    null::float8 as "lagMs",
    ${has('inactive_since', 'null::timestamptz')} as "inactiveSince",
    greatest(pg_catalog.age(s.xmin), pg_catalog.age(s.catalog_xmin))::float8 as "snapshotAge"
from pg_catalog.pg_replication_slots as s
order by s.active, "retainedBytes" desc nulls last, s.slot_name`;
}

/**
 * The state of a walsender is null only where it is hidden. A logical slot in use is what tells a
 * subscription from a standby; everybody may see slots.
 */
const SENDERS = `
select
    case when l.active_pid is not null then 'subscriber' when r.state = 'backup' then 'backup' else 'standby' end as "kind",
    coalesce(nullif(r.application_name, ''), 'pid ' || r.pid) as "name",
    r.state as "state",
    r.state = 'streaming' as "isActive",
    r.state is null as "isHidden",
    r.sync_state as "type",
    l.database::text as "database",
    r.pid as "pid",
    coalesce(pg_catalog.host(r.client_addr), case when r.client_port = -1 then 'local socket' end) as "client",
    null::float8 as "retainedBytes",
    null::float8 as "safeBytes",
    pg_catalog.pg_wal_lsn_diff(${HERE}, r.replay_lsn)::float8 as "lagBytes",
    (extract(epoch from r.replay_lag) * 1000)::float8 as "lagMs",
    null::timestamptz as "inactiveSince",
    pg_catalog.age(r.backend_xmin)::float8 as "snapshotAge"
from pg_catalog.pg_stat_replication as r
left join pg_catalog.pg_replication_slots as l on l.active_pid = r.pid and l.slot_type = 'logical'
order by "lagBytes" desc nulls last, "name"`;

/** An idle primary sends nothing new, so age alone is no lag while all that came is replayed. */
const RECEIVER = `
select
    'receiver' as "kind",
    coalesce(w.sender_host, 'pid ' || w.pid) as "name",
    w.status as "state",
    w.status = 'streaming' as "isActive",
    w.status is null as "isHidden",
    nullif(w.slot_name, '') as "type",
    null::text as "database",
    w.pid as "pid",
    null::text as "client",
    null::float8 as "retainedBytes",
    null::float8 as "safeBytes",
    pg_catalog.pg_wal_lsn_diff(
        coalesce(w.latest_end_lsn, pg_catalog.pg_last_wal_receive_lsn()),
        pg_catalog.pg_last_wal_replay_lsn()
    )::float8 as "lagBytes",
    case when pg_catalog.pg_last_wal_receive_lsn() <> pg_catalog.pg_last_wal_replay_lsn()
        then (extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) * 1000)::float8
    end as "lagMs",
    null::timestamptz as "inactiveSince",
    null::float8 as "snapshotAge"
from pg_catalog.pg_stat_wal_receiver as w
where w.pid is not null`;

function stateTone({ isActive, isHidden, state }: ReplicationRow): Tone | undefined {
  if (isHidden) return 'muted';
  if (state === 'lost' || state === 'unreserved' || state?.startsWith('invalid')) return 'critical';
  return isActive ? 'good' : 'warning';
}

export const REPLICATION_VIEW: ReportView<ReplicationRow> = {
  title: 'Replication',
  columns: [
    { header: 'kind', value: (row) => row.kind },
    { header: 'name', value: (row) => row.name },
    {
      header: 'state',
      value: (row) => (row.isHidden ? '(hidden)' : row.state),
      tone: stateTone,
    },
    { header: 'type', value: (row) => row.type, priority: 4 },
    { header: 'client', value: (row) => row.client, priority: 5 },
    { header: 'database', value: (row) => row.database, priority: 8 },
    { header: 'retained', unit: 'bytes', value: (row) => row.retainedBytes, priority: 1 },
    { header: 'until lost', unit: 'bytes', value: (row) => row.safeBytes, priority: 7 },
    { header: 'lag', unit: 'bytes', value: (row) => row.lagBytes, priority: 1 },
    { header: 'lag time', unit: 'ms', value: (row) => row.lagMs, priority: 2 },
    { header: 'inactive since', unit: 'time', value: (row) => row.inactiveSince, priority: 3 },
    { header: 'snapshot age', unit: 'count', value: (row) => row.snapshotAge, priority: 6 },
  ],
  empty: ({ notes }) =>
    notes.length > 0
      ? 'no slot, and no server streams from or to this one'
      : 'no replication slot, and nothing streams from this server',
};
