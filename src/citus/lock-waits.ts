import {
  type Blocker,
  listBlockers,
  SHOWN_QUERY_SQL,
  withShownQuery,
} from '../connection/blockers.ts';
import type { Asked } from '../connection/session.ts';

/** A global pid is the node's number times this, plus the pid there. */
const NODE_FACTOR = 10_000_000_000;

/** The highest pid that a server gives; what is above is a global pid. */
const HIGHEST_PID = 2 ** 31 - 1;

/**
 * Whether it is a backend of another node, whose number is a global pid: `pg_terminate_backend` of a
 * coordinator takes those too, and `pg_stat_activity` does not list them.
 */
export function isOnOtherNode({ pid }: Pick<Blocker, 'pid'>): boolean {
  return pid > HIGHEST_PID;
}

/** The node and the pid of a global pid, such as 20000001234; pure. */
export function splitGlobalPid(globalPid: number): { node: number; pid: number } {
  return { node: Math.floor(globalPid / NODE_FACTOR), pid: globalPid % NODE_FACTOR };
}

/**
 * Lists who blocks a backend of this node, on whichever node of the cluster: `pg_blocking_pids` sees
 * nothing of a worker. The pid of a blocker on another node is its global one.
 *
 * @param observer another session on the node of the backend
 *
 * Source: citusdata/citus, sql/udfs/citus_lock_waits and citus_stat_activity, from Citus 11.0 on.
 */
export async function listClusterBlockers(observer: Asked, pid: number): Promise<Blocker[]> {
  const [here, everywhere] = await Promise.all([
    listBlockers(observer, pid),
    observer.run(lockWaitsSql(pid)).catch(() => []),
  ]);
  const known = new Set(here.map((one) => one.pid));
  const others = (everywhere as unknown as Blocker[]).filter((one) => !known.has(one.pid));
  return [...here, ...others.map(withShownQuery)];
}

/** The view joins what waits on each node, so it is asked for the one backend alone. */
function lockWaitsSql(pid: number): string {
  const node = `(pg_catalog.citus_backend_gpid() / ${NODE_FACTOR})`;
  return `
select distinct
    (case when w.blocking_gpid / ${NODE_FACTOR} = ${node} then w.blocking_gpid % ${NODE_FACTOR} else w.blocking_gpid end)::float8 as "pid",
    a.usename as "user",
    nullif(a.application_name, '') as "application",
    coalesce(host(a.client_addr), case when a.client_port = -1 then 'local socket' end) as "client",
    a.state as "state",
    (extract(epoch from pg_catalog.clock_timestamp() - coalesce(a.xact_start, a.backend_start)) * 1000)::float8 as "sinceMs",
    coalesce(${SHOWN_QUERY_SQL}, pg_catalog.left(w.current_statement_in_blocking_process, 1000)) as "query"
from pg_catalog.citus_lock_waits as w
left join pg_catalog.citus_stat_activity as a on a.global_pid = w.blocking_gpid and a.is_worker_query is not true
where w.waiting_gpid = ${node} * ${NODE_FACTOR} + ${pid}`;
}
