import { maskSecrets } from '../sql/mask.ts';
import { renderAge } from '../text/units.ts';
import type { Asked, Row } from './session.ts';

/** A session that stands in the way. */
export interface Blocker {
  /** 0 for a prepared transaction, which no session has. */
  pid: number;
  user: string | null;
  application: string | null;
  client: string | null;
  state: string | null;
  /** Age of its transaction, or of its session where it has none. */
  sinceMs: number | null;
  query: string | null;
}

/** What `a`, a row of pg_stat_activity, runs: in one line, and as much of it as is worth to be sent. */
export const SHOWN_QUERY_SQL = `pg_catalog.left(pg_catalog.regexp_replace(a.query, '\\s+', ' ', 'g'), 1000)`;

/** Of a statement as a message shows it. */
const SHOWN_CHARACTERS = 120;

/** A row with a query as it may be shown: short, and without its secrets. */
export function withShownQuery<T extends { query: string | null }>(row: T): T {
  const query = row.query && maskSecrets(row.query).slice(0, SHOWN_CHARACTERS);
  return { ...row, query };
}

const COLUMNS = `
    a.usename as "user",
    nullif(a.application_name, '') as "application",
    coalesce(host(a.client_addr), case when a.client_port = -1 then 'local socket' end) as "client",
    a.state as "state",
    (extract(epoch from pg_catalog.clock_timestamp() - coalesce(a.xact_start, a.backend_start)) * 1000)::float8 as "sinceMs",
    ${SHOWN_QUERY_SQL} as "query"`;

/** Lists who blocks a backend, asked from another session. */
export async function listBlockers(observer: Asked, pid: number): Promise<Blocker[]> {
  const rows = await observer.run(`
select
    pid as "pid",${COLUMNS}
from pg_catalog.unnest(pg_catalog.pg_blocking_pids(${pid})) as blocker (pid)
left join pg_catalog.pg_stat_activity as a using (pid)
order by a.xact_start`);
  return rows.map(asBlocker);
}

/** Lists who holds an advisory lock given as two integers. */
export async function listLockHolders(
  session: Asked,
  [classId, objectId]: readonly [number, number],
): Promise<Blocker[]> {
  const rows = await session.run(`
select
    pid as "pid",${COLUMNS}
from pg_catalog.pg_locks as l
join pg_catalog.pg_stat_activity as a using (pid)
where l.locktype = 'advisory'
    and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
    and l.classid = ${classId >>> 0}
    and l.objid = ${objectId >>> 0}
    and l.objsubid = 2
    and l.granted`);
  return rows.map(asBlocker);
}

/** Sessions that wait because a backend stands in front of them, holding a lock or queueing for one. */
export interface BlockedSessions {
  count: number;
  /** How long the first of them has been waiting. */
  longestMs: number;
}

/** Counts who waits for a backend, asked from another session; null where nobody does. */
export async function readVictims(observer: Asked, pid: number): Promise<BlockedSessions | null> {
  const [row] = await observer.run(`
select
    pg_catalog.count(distinct waiting.pid)::integer as "count",
    (extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.min(waiting.waitstart)) * 1000)::float8 as "longestMs"
from pg_catalog.pg_locks as ours
join pg_catalog.pg_locks as waiting
    on waiting.locktype = 'relation'
    and waiting.database = ours.database
    and waiting.relation = ours.relation
where ours.pid = ${pid}
    and ours.locktype = 'relation'
    and not waiting.granted
    and waiting.pid <> ${pid}
    and ${pid} = any (pg_catalog.pg_blocking_pids(waiting.pid))`);
  return row?.count ? { count: Number(row.count), longestMs: Number(row.longestMs ?? 0) } : null;
}

function asBlocker(row: Row): Blocker {
  return withShownQuery(row as unknown as Blocker);
}

/** SQL that ends these sessions; empty where there is none to end. */
export function terminateSql(blockers: readonly Pick<Blocker, 'pid'>[]): string {
  const calls = blockers
    .filter(({ pid }) => pid !== 0)
    .map(({ pid }) => `pg_terminate_backend(${pid})`);
  return calls.length === 0 ? '' : `select ${calls.join(', ')};`;
}

/** The longest name that a session can have, in bytes. */
const LONGEST_NAME = 63;

/** The name of a runner's session while it leaves others alone; the number first, as names are cut. */
export function waitingName(nextTry: number, migration: string): string {
  const name = Buffer.from(`evdb waits for try ${nextTry} of ${migration}`);
  return name
    .subarray(0, LONGEST_NAME)
    .toString('utf8')
    .replace(/\ufffd+$/, '');
}

const WAITING_NAME = /^evdb waits for try (\d+) of (.+)$/;

/** Whether it is a runner that waits on purpose: nothing is wrong with it. */
export function isWaitingRunner({ application }: Pick<Blocker, 'application'>): boolean {
  return WAITING_NAME.test(application ?? '');
}

/**
 * `pid 4711 (evdb, app@10.0.0.7, idle in transaction for 12 s): update events …`
 *
 * @example
 * const onProgress: OnMigrationProgress = (progress) => {
 *   if (progress.kind === 'blocked') console.error(progress.blockers.map(describeBlocker));
 * };
 */
export function describeBlocker(blocker: Blocker): string {
  if (blocker.pid === 0) return 'a prepared transaction (see pg_prepared_xacts)';
  const [, nextTry, migration] = WAITING_NAME.exec(blocker.application ?? '') ?? [];
  if (migration !== undefined) {
    const who = ['evdb', [blocker.user, blocker.client].filter(Boolean).join('@')];
    return `pid ${blocker.pid} (${who.filter(Boolean).join(', ')}) waits for its next try of ${migration} (try ${nextTry})`;
  }
  const who = [
    blocker.application,
    [blocker.user, blocker.client].filter(Boolean).join('@'),
    [blocker.state, blocker.sinceMs === null ? '' : `for ${renderAge(blocker.sinceMs)}`]
      .filter(Boolean)
      .join(' '),
  ].filter(Boolean);
  const query = blocker.query ? `: ${blocker.query}` : '';
  const facts = who.length > 0 ? ` (${who.join(', ')})` : '';
  return `pid ${blocker.pid}${facts}${query}`;
}

/** Somebody who stood in the way, and how often. */
export interface SeenBlocker extends Blocker {
  /** In how many tries it was seen. */
  tries: number;
  /** ISO 8601 in UTC. */
  firstSeenAt: string;
}

/** Who stood in the way of a step so far. */
export interface SeenBlockers {
  /** Those of the last look. */
  readonly last: Blocker[];
  /** All of them, the most stubborn first. */
  list(): SeenBlocker[];
  /** Another try begins. */
  startTry(): void;
  note(blockers: Blocker[]): void;
}

export function createSeenBlockers(): SeenBlockers {
  const byPid = new Map<number, SeenBlocker & { lastTry: number }>();
  let currentTry = 0;
  let last: Blocker[] = [];
  return {
    get last() {
      return last;
    },
    list: () =>
      [...byPid.values()]
        .sort((a, b) => b.tries - a.tries)
        .map(({ lastTry: _, ...blocker }) => blocker),
    startTry: () => {
      currentTry += 1;
    },
    note: (blockers) => {
      last = blockers;
      for (const blocker of blockers) {
        const known = byPid.get(blocker.pid);
        byPid.set(blocker.pid, {
          ...blocker,
          tries: (known?.tries ?? 0) + (known?.lastTry === currentTry ? 0 : 1),
          firstSeenAt: known?.firstSeenAt ?? new Date().toISOString(),
          lastTry: currentTry,
        });
      }
    },
  };
}
