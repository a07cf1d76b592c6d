import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport } from '../report/columns.ts';
import { hiddenNote, seesRole } from './catalog-queries.ts';

/** Connections of clients that are alike. */
export interface ConnectionRow {
  /** `active`, `idle`, `idle in transaction`, …; null if it is hidden. */
  state: string | null;
  user: string | null;
  application: string | null;
  database: string | null;
  connections: number;
  /** How long the oldest has been in its state. */
  oldestStateMs: number | null;
  /** Age of the oldest transaction among them; null if none is open. */
  oldestTransactionMs: number | null;
}

/** How many connections there may be, and how many there are. */
export interface ConnectionLimits {
  maxConnections: number;
  /** Kept for superusers. */
  superuserReserved: number;
  /** Reserved for members of pg_use_reserved_connections; 0 if the server has no such setting. */
  reserved: number;
  /** How many connections ordinary users may have together. */
  usable: number;
  /** Connections of clients, including the calling one. */
  taken: number;
  /** Databases and users with their own limit. */
  own: { kind: 'database' | 'user'; name: string; limit: number; taken: number }[];
}

/** Connections by what they have in common, and how many there may be. */
export interface ConnectionsReport extends StatsReport<ConnectionRow> {
  limits: ConnectionLimits;
}

/**
 * Reads the connections of the whole server by state, user, application and database, compared with
 * what it allows.
 *
 * @param session from `withInspection`
 * @throws {EvdbError} QueryError if the server refuses a statement
 * @example
 * const { rows, limits } = await withInspection(connection, (session) => readConnections(session));
 */
export async function readConnections(session: Session): Promise<ConnectionsReport> {
  const rows = (await session.run(GROUPS)) as unknown as (ConnectionRow & { isHidden: boolean })[];
  const [found] = await session.run(LIMITS);
  const limits = found as unknown as ConnectionLimits;
  const notes: ReportNote[] = [describeLimits(limits)];
  if (rows.some(({ isHidden }) => isHidden)) {
    notes.push(hiddenNote("states of other users' connections are", session.facts.user));
  }
  return {
    rows: rows.map(({ isHidden, ...row }) => row),
    countedSince: null,
    notes,
    limits,
  };
}

/** Where the kind is hidden, it counts: all but a few processes with a user are clients. */
const CLIENTS = `
    select *, ${seesRole('usesysid')} as is_seen
    from pg_catalog.pg_stat_activity
    where usesysid is not null and datid is not null
        and (backend_type is null or backend_type = 'client backend')`;

const GROUPS = `
select
    state as "state",
    usename::text as "user",
    nullif(application_name, '') as "application",
    datname::text as "database",
    pg_catalog.count(*)::int as "connections",
    pg_catalog.max(extract(epoch from pg_catalog.clock_timestamp() - state_change) * 1000)::float8 as "oldestStateMs",
    pg_catalog.max(extract(epoch from pg_catalog.clock_timestamp() - xact_start) * 1000)::float8 as "oldestTransactionMs",
    pg_catalog.bool_or(not is_seen) as "isHidden"
from (${CLIENTS}) as a
where pid <> pg_catalog.pg_backend_pid()
group by state, usename, application_name, datname
order by "connections" desc, state, usename, application_name, datname`;

const LIMITS = `
with client as materialized (${CLIENTS}), setting as (
    select
        pg_catalog.current_setting('max_connections')::int as most,
        pg_catalog.current_setting('superuser_reserved_connections')::int as superuser,
        coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int as reserved
), own as (
    select 'database' as kind, datname::text as name, datconnlimit as most,
        (select pg_catalog.count(*) from client where datid = d.oid)::int as taken
    from pg_catalog.pg_database as d
    where datconnlimit >= 0
    union all
    select 'user', rolname::text, rolconnlimit,
        (select pg_catalog.count(*) from client where usesysid = r.oid)::int
    from pg_catalog.pg_roles as r
    where rolconnlimit >= 0 and rolcanlogin
)
select
    most as "maxConnections",
    superuser as "superuserReserved",
    reserved as "reserved",
    most - superuser - reserved as "usable",
    (select pg_catalog.count(*) from client)::int as "taken",
    coalesce((
        select pg_catalog.json_agg(pg_catalog.json_build_object(
            'kind', kind, 'name', name, 'limit', most, 'taken', taken) order by kind, name)
        from own), '[]') as "own"
from setting`;

function describeLimits(limits: ConnectionLimits): ReportNote {
  const { taken, usable, maxConnections, superuserReserved, reserved } = limits;
  const kept = [
    `${superuserReserved} kept for superusers`,
    ...(reserved > 0 ? [`${reserved} for pg_use_reserved_connections`] : []),
  ];
  return {
    level: taken >= usable ? 'warning' : 'info',
    text: `${taken} of ${usable} connections are taken (max_connections ${maxConnections}, of which ${kept.join(', ')})`,
  };
}

export const CONNECTIONS_VIEW: ReportView<ConnectionRow> = {
  title: 'Connections',
  columns: [
    { header: 'connections', unit: 'count', value: (row) => row.connections },
    {
      header: 'state',
      value: (row) => row.state ?? '(hidden)',
      tone: (row) => {
        if (row.state === null) return 'muted';
        return row.state.startsWith('idle in transaction') ? 'warning' : undefined;
      },
    },
    { header: 'user', value: (row) => row.user },
    { header: 'application', value: (row) => row.application, priority: 1 },
    { header: 'database', value: (row) => row.database, priority: 2 },
    { header: 'in this state', unit: 'ms', value: (row) => row.oldestStateMs, priority: 3 },
    { header: 'transaction', unit: 'ms', value: (row) => row.oldestTransactionMs, priority: 4 },
  ],
  empty: () => 'no other session is connected',
};
