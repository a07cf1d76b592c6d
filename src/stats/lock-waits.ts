import type { Session } from '../connection/session.ts';
import { maskSecrets } from '../sql/mask.ts';
import { seesRole } from './catalog-queries.ts';

/** A process that waits for a heavyweight lock. */
export interface LockWait {
  pid: number;
  lockType: string;
  /** The requested mode. */
  mode: string;
  /** Null in the first moments of a wait. */
  waitingSince: Date | null;
  waitMs: number | null;
  object: string;
  /** As pg_blocking_pids says: holders, and those ahead in the queue; 0 is a prepared transaction. */
  blockerPids: number[];
  /** Who holds that very lock, in which mode; a prepared transaction has no pid but its id. */
  holders: { pid: number | null; mode: string; transaction: string | null }[];
}

/** What is known of a process that waits or blocks. */
export interface LockSession {
  pid: number;
  leaderPid: number | null;
  user: string | null;
  application: string | null;
  client: string | null;
  database: string | null;
  backendType: string | null;
  state: string | null;
  statement: string | null;
  isHidden: boolean;
  transactionStart: Date | null;
  transactionMs: number | null;
}

/** A transaction that was prepared for a two-phase commit and is neither committed nor rolled back. */
export interface PreparedTransaction {
  transaction: string;
  gid: string;
  owner: string;
  database: string;
  preparedAt: Date;
  ageMs: number;
}

const TAG = `row(locktype, database, relation, page, tuple, virtualxid, transactionid::text, classid, objid, objsubid)::text`;

/** Advisory keys are signed, the columns are not. */
const signed = (column: string) =>
  `case when ${column}::bigint > 2147483647 then ${column}::bigint - 4294967296 else ${column}::bigint end`;

const RELATION = `coalesce(
    (select pg_catalog.format('%I.%I', n.nspname, c.relname)
     from pg_catalog.pg_class as c
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where c.oid = w.relation and w.database in (0, here.oid)),
    'relation ' || w.relation || coalesce(' in database ' || (select d.datname from pg_catalog.pg_database as d where d.oid = w.database), ''))`;

/** A waiter for a row holds the row's own lock and waits for the transaction that changed it. */
const ROW = `(select pg_catalog.format('row (%s,%s) of %s', t.page, t.tuple, coalesce(
        (select pg_catalog.format('%I.%I', n.nspname, c.relname)
         from pg_catalog.pg_class as c
         join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
         where c.oid = t.relation and t.database = here.oid),
        'relation ' || t.relation))
    from lock as t
    where t.pid = w.pid and t.locktype = 'tuple' and t.granted
    limit 1)`;

const OBJECT = `case w.locktype
    when 'relation' then ${RELATION}
    when 'extend' then 'growing ' || ${RELATION}
    when 'page' then pg_catalog.format('page %s of %s', w.page, ${RELATION})
    when 'tuple' then pg_catalog.format('row (%s,%s) of %s', w.page, w.tuple, ${RELATION})
    when 'transactionid' then coalesce(${ROW}, 'transaction ' || w.transactionid)
    when 'virtualxid' then 'virtual transaction ' || w.virtualxid
    when 'advisory' then 'advisory lock ' || case w.objsubid
        when 1 then ((w.classid::bigint << 32) | w.objid::bigint)::text
        else pg_catalog.format('(%s, %s)', ${signed('w.classid')}, ${signed('w.objid')}) end
    when 'object' then pg_catalog.format('object %s of %s', w.objid,
        coalesce((select c.relname from pg_catalog.pg_class as c where c.oid = w.classid)::text, w.classid::text))
    else w.locktype
end`;

/** Lists the waits on the whole server; the same process once for each lock it waits for. */
export async function listLockWaits(session: Session): Promise<LockWait[]> {
  const rows = await session.run(`
with lock as materialized (
    select *, ${TAG} as tag from pg_catalog.pg_locks where mode <> 'SIReadLock'
), wait as materialized (
    select *, pg_catalog.pg_blocking_pids(pid) as blockers
    from lock
    where not granted and pid <> pg_catalog.pg_backend_pid()
), prepared as materialized (
    -- its locks share a virtual transaction with the one on its own id
    select x.transaction, l.virtualtransaction
    from lock as l
    join pg_catalog.pg_prepared_xacts as x on x.transaction = l.transactionid
    where l.locktype = 'transactionid' and l.pid is null and l.granted
)
select
    w.pid as "pid",
    w.locktype as "lockType",
    w.mode as "mode",
    w.waitstart as "waitingSince",
    (extract(epoch from pg_catalog.clock_timestamp() - w.waitstart) * 1000)::float8 as "waitMs",
    ${OBJECT} as "object",
    pg_catalog.to_json(w.blockers) as "blockerPids",
    coalesce((
        select pg_catalog.json_agg(pg_catalog.json_build_object(
            'pid', h.pid,
            'mode', h.mode,
            'transaction', case when h.pid is null then coalesce((
                select p.transaction::text
                from prepared as p
                where p.virtualtransaction = h.virtualtransaction
                limit 1), h.virtualtransaction) end))
        from lock as h
        where h.tag = w.tag and h.granted), '[]') as "holders"
from wait as w
cross join (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) as here
order by w.waitstart`);
  return rows as unknown as LockWait[];
}

/** Lists the sessions among `pids`; those that ended meanwhile are not there. */
export async function listLockSessions(session: Session, pids: number[]): Promise<LockSession[]> {
  if (pids.length === 0) return [];
  const rows = await session.run(`
select
    pid as "pid",
    leader_pid as "leaderPid",
    usename::text as "user",
    nullif(application_name, '') as "application",
    coalesce(pg_catalog.host(client_addr), case when client_port = -1 then 'local socket' end) as "client",
    datname::text as "database",
    backend_type as "backendType",
    state as "state",
    case when ${seesRole('usesysid')} then nullif(query, '') end as "statement",
    not ${seesRole('usesysid')} as "isHidden",
    xact_start as "transactionStart",
    (extract(epoch from pg_catalog.clock_timestamp() - xact_start) * 1000)::float8 as "transactionMs"
from pg_catalog.pg_stat_activity
where pid in (${pids.map(Math.trunc).join(', ')})`);
  return (rows as unknown as LockSession[]).map((row) => ({
    ...row,
    statement: row.statement && maskSecrets(row.statement),
  }));
}

/** Lists the prepared transactions of the whole server, oldest first. */
export async function listPreparedTransactions(session: Session): Promise<PreparedTransaction[]> {
  const rows = await session.run(`
select
    transaction::text as "transaction",
    gid as "gid",
    owner::text as "owner",
    database::text as "database",
    prepared as "preparedAt",
    (extract(epoch from pg_catalog.clock_timestamp() - prepared) * 1000)::float8 as "ageMs"
from pg_catalog.pg_prepared_xacts
order by prepared`);
  return rows as unknown as PreparedTransaction[];
}

/** The lock modes of tables, weakest first, and which ones each excludes (manual, "Explicit Locking"). */
const MODES = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
] as const;

/** For each mode, as a place in MODES, the weakest mode that it excludes; ShareLock lets itself in. */
const WEAKEST_EXCLUDED = [7, 6, 4, 3, 2, 2, 1, 0] as const;

/** Whether two sessions cannot hold these modes of one lock at the same time. */
export function conflict(held: string, wanted: string): boolean {
  const [a, b] = [place(held), place(wanted)];
  const weakest = WEAKEST_EXCLUDED[a];
  // An unknown mode is not taken for harmless.
  if (a < 0 || b < 0 || weakest === undefined) return true;
  if (held === 'ShareLock' && wanted === 'ShareLock') return false;
  return b >= weakest;
}

function place(mode: string): number {
  return MODES.indexOf(mode as (typeof MODES)[number]);
}
