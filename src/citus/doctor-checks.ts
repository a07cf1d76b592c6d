import type { Session } from '../connection/session.ts';
import type { DoctorCheck, DoctorExamination, DoctorFinding } from '../doctor/check.ts';
import { renderAge, renderBytes, renderCount } from '../text/units.ts';

/*
 * What doctor examines of a Citus cluster. On any other server these checks are left out.
 *
 * Source: citusdata/citus, pg_dist_node, pg_dist_shard, pg_dist_placement, pg_dist_background_job,
 * sql/udfs/get_rebalance_table_shards_plan, citus_stat_activity and run_command_on_all_nodes.
 */

interface NodeRow {
  nodeId: number;
  address: string;
  isActive: boolean;
  isSynced: boolean;
  placements: number;
  /** Null where the node was not asked. */
  isReachable: boolean | null;
  reason: string | null;
}

const NODES_SQL = `
select n.nodeid as "nodeId", pg_catalog.concat(n.nodename, ':', n.nodeport) as "address",
    n.isactive as "isActive", n.metadatasynced as "isSynced",
    (select pg_catalog.count(*) from pg_catalog.pg_dist_placement as p where p.groupid = n.groupid)::float8 as "placements",
    r.success as "isReachable", case when not r.success then r.result end as "reason"
from pg_catalog.pg_dist_node as n
left join pg_catalog.run_command_on_all_nodes('select 1') as r on r.nodeid = n.nodeid
where n.noderole = 'primary'
order by n.nodeid`;

/** Nodes that do not answer, or do not know what the others know; pure. */
function judgeNodes(rows: readonly NodeRow[]): DoctorFinding[] {
  return rows.flatMap((node): DoctorFinding[] => {
    const { address, isActive, isSynced, isReachable, placements, reason } = node;
    const objects = [address];
    const left = placements > 0 ? `, which has ${renderCount(placements, 'shard')}` : '';
    if (isReachable === false) {
      const why = reason ? `: ${reason}` : '';
      return [
        { severity: 'error', message: `node ${address} does not answer${left}${why}`, objects },
      ];
    }
    if (!isActive) {
      const severity = placements > 0 ? 'error' : 'warning';
      const [host, port] = splitAddress(address);
      const fix = `select citus_activate_node('${host}', ${port});`;
      return [{ severity, message: `node ${address} is not active${left}`, objects, fix }];
    }
    if (isSynced) return [];
    return [
      {
        severity: 'warning',
        message: `node ${address} does not have the metadata of the cluster: it takes no queries`,
        objects,
        hint: 'Citus synchronises it by itself; where it does not, look at the log of the coordinator.',
      },
    ];
  });
}

function splitAddress(address: string): [string, string] {
  const colon = address.lastIndexOf(':');
  return [address.slice(0, colon), address.slice(colon + 1)];
}

const CITUS_NODES: DoctorCheck = {
  name: 'citus-nodes',
  group: 'cluster',
  timeoutMs: 10_000,
  examine: (session) =>
    onCluster(session, async () => {
      const rows = (await session.run(NODES_SQL)) as unknown as NodeRow[];
      return { findings: judgeNodes(rows), summary: `${renderCount(rows.length, 'node')} answer` };
    }),
};

interface ShardRow {
  table: string;
  /** Of shards, without any place where they are. */
  lost: number;
  /** Of places that are not in use. */
  inactive: number;
}

const SHARDS_SQL = `
select s.logicalrelid::text as "table",
    pg_catalog.count(*) filter (where p.active is null or p.active = 0)::float8 as "lost",
    coalesce(pg_catalog.sum(p.inactive), 0)::float8 as "inactive"
from pg_catalog.pg_dist_shard as s
left join (
    select shardid, pg_catalog.count(*) filter (where shardstate = 1) as active,
        pg_catalog.count(*) filter (where shardstate <> 1) as inactive
    from pg_catalog.pg_dist_placement
    group by shardid
) as p on p.shardid = s.shardid
group by s.logicalrelid
order by 1`;

/** Shards that no node has; pure. */
function judgeShards(rows: readonly ShardRow[]): DoctorFinding[] {
  return rows.flatMap(({ table, lost, inactive }): DoctorFinding[] => {
    if (lost > 0) {
      const message = `${renderCount(lost, 'shard')} of ${table} on no node: the rows cannot be read`;
      return [{ severity: 'error', message, objects: [table] }];
    }
    if (inactive === 0) return [];
    const message = `${renderCount(inactive, 'placement')} of shards of ${table} are not in use`;
    const hint =
      'Citus removes what a move left behind; where it does not: call citus_cleanup_orphaned_resources();';
    return [{ severity: 'warning', message, objects: [table], hint }];
  });
}

const CITUS_SHARDS: DoctorCheck = {
  name: 'citus-shards',
  group: 'cluster',
  examine: (session) =>
    onCluster(session, async () => {
      const rows = (await session.run(SHARDS_SQL)) as unknown as ShardRow[];
      const summary = `the shards of ${renderCount(rows.length, 'table')} are all there`;
      return { findings: judgeShards(rows), summary };
    }),
};

interface Rebalance {
  moves: number;
  bytes: number;
  /** Background jobs that failed, with what they were to do. */
  failed: { id: number; description: string }[];
  running: number;
}

async function readRebalance(session: Session): Promise<Rebalance> {
  const [plan] = await session.run(`
select pg_catalog.count(*)::float8 as "moves", coalesce(pg_catalog.sum(shard_size), 0)::float8 as "bytes"
from pg_catalog.get_rebalance_table_shards_plan()`);
  const [has] = await session.run(
    'select pg_catalog.to_regclass(\'pg_catalog.pg_dist_background_job\') is not null as "hasJobs"',
  );
  const jobs = has?.hasJobs
    ? await session.run(`
select job_id::float8 as "id", state::text as "state", description as "description"
from pg_catalog.pg_dist_background_job
where state::text in ('running', 'scheduled', 'failed', 'failing')
order by 1`)
    : [];
  const isFailed = (state: unknown) => String(state).startsWith('fail');
  return {
    ...{ moves: Number(plan?.moves), bytes: Number(plan?.bytes) },
    failed: jobs
      .filter(({ state }) => isFailed(state))
      .map(({ id, description }) => ({ id: Number(id), description: String(description) })),
    running: jobs.filter(({ state }) => !isFailed(state)).length,
  };
}

/** Shards that lie unevenly, and moves that failed; pure. */
function judgeRebalance({ moves, bytes, failed, running }: Rebalance): DoctorFinding[] {
  const findings: DoctorFinding[] = failed.map(({ id, description }) => ({
    severity: 'warning',
    message: `background job ${id} failed: ${description}`,
    objects: [String(id)],
    hint: `Its tasks say why: select * from citus_job_list() …, or pg_dist_background_task where job_id = ${id}.`,
  }));
  if (moves > 0 && running === 0) {
    findings.push({
      severity: 'warning',
      message: `the shards lie unevenly: a rebalance would move ${moves} of them (${renderBytes(bytes)})`,
      objects: [],
      fix: 'select citus_rebalance_start();',
    });
  }
  return findings;
}

const CITUS_REBALANCE: DoctorCheck = {
  name: 'citus-rebalance',
  group: 'cluster',
  timeoutMs: 10_000,
  examine: (session) =>
    onCluster(session, async () => {
      const rebalance = await readRebalance(session);
      const { running } = rebalance;
      const summary = running > 0 ? 'a rebalance is under way' : 'no shard would be moved';
      return { findings: judgeRebalance(rebalance), summary };
    }),
};

interface ClusterTransaction {
  globalPid: number;
  node: number;
  user: string | null;
  application: string | null;
  ageMs: number;
}

interface PreparedOnNode {
  node: number;
  count: number;
}

const TRANSACTIONS_SQL = `
select a.global_pid::float8 as "globalPid", a.nodeid as "node", a.usename::text as "user",
    nullif(a.application_name, '') as "application",
    (extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) * 1000)::float8 as "ageMs"
from pg_catalog.citus_stat_activity as a
where a.is_worker_query is not true
    and a.backend_type = 'client backend'
    and a.xact_start < pg_catalog.clock_timestamp() - interval '10 minutes'
    and a.global_pid <> pg_catalog.citus_backend_gpid()
order by 5 desc`;

const PREPARED_SQL = `
select n.nodeid as "node", n.result::float8 as "count"
from pg_catalog.run_command_on_all_nodes($nodes$
    select pg_catalog.count(*)::text from pg_catalog.pg_prepared_xacts
    where gid like 'citus\\_%' and prepared < pg_catalog.now() - interval '5 minutes'
$nodes$) as n
where n.success and n.result <> '0'`;

/** From which age on somebody should look now. */
const CRITICAL_MS = 12 * 60 * 60 * 1000;

/** Transactions on any node that keep locks and old rows, and commits in two phases that are stuck; pure. */
function judgeTransactions(
  rows: readonly ClusterTransaction[],
  prepared: readonly PreparedOnNode[],
): DoctorFinding[] {
  return [
    ...rows.map(({ globalPid, node, user, application, ageMs }): DoctorFinding => {
      const who = [application, user].filter(Boolean).join(', ');
      return {
        severity: ageMs >= CRITICAL_MS ? 'error' : 'warning',
        message: `a transaction of ${who} on node ${node} (global pid ${globalPid}) has been open for ${renderAge(ageMs)}`,
        objects: user === null ? [] : [user],
        fix: `select pg_terminate_backend(${globalPid});`,
      };
    }),
    ...prepared.map(
      ({ node, count }): DoctorFinding => ({
        severity: 'error',
        message: `${renderCount(count, 'prepared transaction')} of Citus on node ${node} neither committed nor rolled back: they keep their locks`,
        objects: [String(node)],
        fix: 'select recover_prepared_transactions();',
      }),
    ),
  ];
}

const CITUS_TRANSACTIONS: DoctorCheck = {
  name: 'citus-transactions',
  group: 'cluster',
  timeoutMs: 10_000,
  examine: (session) =>
    onCluster(session, async () => {
      const rows = (await session.run(TRANSACTIONS_SQL)) as unknown as ClusterTransaction[];
      const prepared = (await session.run(PREPARED_SQL)) as unknown as PreparedOnNode[];
      return {
        findings: judgeTransactions(rows, prepared),
        summary: 'no transaction on any node has been open for 10 min',
      };
    }),
};

async function onCluster(
  { facts }: Session,
  examine: () => Promise<DoctorExamination>,
): Promise<DoctorExamination> {
  if (facts.isCitus) return examine();
  return { findings: [], summary: 'the database is of no Citus cluster', isSkipped: true };
}

export const CITUS_CHECKS: readonly DoctorCheck[] = [
  CITUS_NODES,
  CITUS_SHARDS,
  CITUS_REBALANCE,
  CITUS_TRANSACTIONS,
];
