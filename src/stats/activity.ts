import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport, Tone } from '../report/columns.ts';
import { maskSecrets } from '../sql/mask.ts';
import { hiddenNote, seesRole } from './catalog-queries.ts';

/** A process of the server that works, or keeps a transaction open. */
export interface ActivityRow {
  pid: number;
  /** For a parallel worker: the process it works for. */
  leaderPid: number | null;
  database: string | null;
  user: string | null;
  application: string | null;
  client: string | null;
  /** Null if it is hidden. */
  backendType: string | null;
  /** `active`, `idle in transaction`, …; null if it is hidden, and for some of the server's own. */
  state: string | null;
  /** Runs now, or ran last if the session is idle; null if it is hidden. */
  statement: string | null;
  isHidden: boolean;
  /** How long the statement has been running; null unless one is. */
  statementMs: number | null;
  /** How long it has been in this state. */
  stateMs: number | null;
  transactionStart: Date | null;
  /** Age of its transaction; null if none is open. */
  transactionMs: number | null;
  /** Such as `Lock: transactionid`; null if it is on the CPU. */
  waitsFor: string | null;
  /** How many transactions old its snapshot is: vacuum cannot remove rows that have died since. */
  snapshotAge: number | null;
}

/** Which processes to show. */
export interface ReadActivityOptions {
  /** Also sessions that do nothing and have no transaction; default false. */
  includeIdle?: boolean | undefined;
}

/**
 * Reads which statements run and since when, on the whole server, oldest transaction first. The
 * calling session is left out.
 *
 * @param session from `withInspection`
 * @throws {EvdbError} QueryError if the server refuses a statement
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readActivity(session));
 */
export async function readActivity(
  session: Session,
  { includeIdle = false }: ReadActivityOptions = {},
): Promise<StatsReport<ActivityRow>> {
  const rows = (await session.run(`
select
    pid as "pid",
    leader_pid as "leaderPid",
    datname::text as "database",
    usename::text as "user",
    nullif(application_name, '') as "application",
    coalesce(pg_catalog.host(client_addr), case when client_port = -1 then 'local socket' end) as "client",
    backend_type as "backendType",
    state as "state",
    case when is_seen then nullif(query, '') end as "statement",
    not is_seen as "isHidden",
    case when state = 'active' then ${ageMs('query_start')} end as "statementMs",
    ${ageMs('state_change')} as "stateMs",
    xact_start as "transactionStart",
    ${ageMs('xact_start')} as "transactionMs",
    wait_event_type || ': ' || wait_event as "waitsFor",
    pg_catalog.age(backend_xmin)::float8 as "snapshotAge"
from (
    select *, ${seesRole('usesysid')} as is_seen
    from pg_catalog.pg_stat_activity
    where pid <> pg_catalog.pg_backend_pid()
        and leader_pid is distinct from pg_catalog.pg_backend_pid()
) as a
where ${includeIdle ? 'true' : NOT_IDLE}
order by xact_start nulls last, query_start nulls last, pid`)) as unknown as ActivityRow[];
  return {
    rows: rows.map((row) => ({ ...row, statement: row.statement && maskSecrets(row.statement) })),
    countedSince: null,
    notes: notesOn(rows, session.facts.user),
  };
}

/**
 * What a role may not see counts as at work. The server's own processes (checkpointer, …) have no
 * transaction and no user.
 */
const NOT_IDLE = `case
    when not is_seen then usesysid is not null
    else state <> 'idle' or xact_start is not null
end`;

function ageMs(column: string): string {
  return `(extract(epoch from greatest(pg_catalog.clock_timestamp(), ${column}) - ${column}) * 1000)::float8`;
}

function notesOn(rows: ActivityRow[], user: string): ReportNote[] {
  const notes: ReportNote[] = [];
  if (rows.some(({ isHidden }) => isHidden)) {
    notes.push(
      hiddenNote("states, statements and transactions of other users' sessions are", user),
    );
  }
  if (rows.some(({ state }) => state === 'disabled')) {
    notes.push({
      level: 'unknown',
      text: 'some sessions have track_activities off and do not say what they run',
      hint: 'Set track_activities to on.',
    });
  }
  return notes;
}

function renderState({ state, isHidden, backendType }: ActivityRow): string | null {
  return isHidden ? '(hidden)' : (state ?? backendType);
}

function stateTone({ state, isHidden }: ActivityRow): Tone | undefined {
  if (isHidden) return 'muted';
  if (state?.startsWith('idle in transaction')) return 'warning';
  return undefined;
}

export const ACTIVITY_VIEW: ReportView<ActivityRow> = {
  title: 'Sessions at work',
  columns: [
    {
      header: 'pid',
      value: (row) => (row.leaderPid === null ? `${row.pid}` : `${row.pid} (of ${row.leaderPid})`),
    },
    { header: 'user', value: (row) => row.user, priority: 4 },
    { header: 'database', value: (row) => row.database, priority: 6 },
    { header: 'application', value: (row) => row.application, priority: 5 },
    { header: 'client', value: (row) => row.client, priority: 8 },
    { header: 'state', value: renderState, tone: stateTone },
    { header: 'transaction', unit: 'ms', value: (row) => row.transactionMs },
    { header: 'running', unit: 'ms', value: (row) => row.statementMs, priority: 1 },
    { header: 'waits for', value: (row) => row.waitsFor, priority: 3 },
    { header: 'snapshot age', unit: 'count', value: (row) => row.snapshotAge, priority: 7 },
    {
      header: 'statement',
      value: (row) => (row.isHidden ? '(hidden)' : row.statement),
      priority: 1,
      tone: (row) => (row.isHidden ? 'muted' : undefined),
    },
  ],
  empty: () => 'no other session runs anything or has a transaction open',
};
