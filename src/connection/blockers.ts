import { maskSecrets } from '../sql/mask.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { renderAge } from '../text/units.ts';
import { liftTimeLimitsSql } from './options.ts';
import type { Asked, Row, Session } from './session.ts';

/** A session that blocks. */
export interface Blocker {
  /** 0 for a prepared transaction, which has no session. */
  pid: number;
  user: string | null;
  application: string | null;
  client: string | null;
  state: string | null;
  /** Age of its transaction, or of its session if it has none. */
  sinceMs: number | null;
  query: string | null;
}

/** What `a`, a row of pg_stat_activity, runs: as much of it as is worth to be sent. */
export const SHOWN_QUERY_SQL = 'pg_catalog.left(a.query, 1000)';

/** Of a statement as a message shows it. */
const SHOWN_CHARACTERS = 120;

/** A row with a query as it may be shown: in one line, short, and without its secrets, which a comment may stand before. */
export function withShownQuery<T extends { query: string | null }>(row: T): T {
  const query =
    row.query && maskSecrets(row.query).trim().replace(/\s+/g, ' ').slice(0, SHOWN_CHARACTERS);
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

/**
 * Whether any of the transactions that blocked `agoMs` ago is still open, asked from another session.
 * A session that has begun another transaction since then no longer counts.
 */
export async function isAnyStillOpen(
  observer: Asked,
  blockers: readonly Pick<Blocker, 'pid'>[],
  agoMs: number,
): Promise<boolean> {
  const pids = blockers.map(({ pid }) => pid);
  const [row] = await observer.run(`
select exists (
    select
    from pg_catalog.pg_stat_activity
    where pid = any (array[${pids.join(', ')}])
        and xact_start < pg_catalog.clock_timestamp() - interval '${Math.round(agoMs)} milliseconds'
) as "isOpen"`);
  return row?.isOpen === true;
}

/** Sessions that wait because a backend is ahead of them, holding a lock or queueing for one. */
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

/** Who holds the runner's lock, and does not get the locks of its work. */
interface Retrying {
  worker: Session;
  /** Such as the name of the migration. */
  work: string;
}

/** SQL that names the session after a try, in its transaction; the number first, as names are cut. */
export function nameTrySql(attempt: number, work: string): string {
  return `set local application_name = ${quoteLiteral(cutName(`evdb is at try ${attempt} of ${work}`))}`;
}

function cutName(name: string): string {
  return Buffer.from(name)
    .subarray(0, LONGEST_NAME)
    .toString('utf8')
    .replace(/\ufffd+$/, '');
}

/** Lets others see during a pause between two tries that the session waits on purpose, and for what. */
export function restUnderName({ worker, work }: Retrying) {
  return (nextTry: number, pause: () => Promise<void>): Promise<void> =>
    underName(worker, `evdb waits for try ${nextTry} of ${work}`, () => pause());
}

/** The same for a try that has no transaction of its own, or several; the first one needs no name. */
export function tryUnderName<T>(
  { worker, work }: Retrying,
  attempt: number,
  run: () => Promise<T>,
): Promise<T> {
  return attempt === 1 ? run() : underName(worker, `evdb is at try ${attempt} of ${work}`, run);
}

async function underName<T>(worker: Session, name: string, work: () => Promise<T>): Promise<T> {
  const [before] = await worker.run(`${liftTimeLimitsSql(worker.facts)}
select pg_catalog.current_setting('application_name') as "name",
    pg_catalog.set_config('application_name', ${quoteLiteral(cutName(name))}, false)`);
  try {
    return await work();
  } finally {
    if (!worker.isClosed) {
      const old = quoteLiteral(String(before?.name ?? ''));
      await worker.run(`set application_name = ${old}`).catch(() => undefined);
    }
  }
}

const RETRYING_NAME = /^evdb (waits for|is at) try (\d+) of (.+)$/;

/** Whether it is a runner that tries again and again on purpose: nothing is wrong with it. */
export function isRetryingRunner({ application }: Pick<Blocker, 'application'>): boolean {
  return RETRYING_NAME.test(application ?? '');
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
  const [, doing, attempt, work] = RETRYING_NAME.exec(blocker.application ?? '') ?? [];
  if (work !== undefined) {
    const who = ['evdb', [blocker.user, blocker.client].filter(Boolean).join('@')];
    return `pid ${blocker.pid} (${who.filter(Boolean).join(', ')}) ${doing} try ${attempt} of ${work}`;
  }
  const who = [
    blocker.application,
    [blocker.user, blocker.client].filter(Boolean).join('@'),
    [blocker.state, blocker.sinceMs === null ? '' : `for ${renderAge(blocker.sinceMs)}`]
      .filter(Boolean)
      .join(' '),
  ].filter(Boolean);
  // Its semicolon would stand beside that of the sentence.
  const query = blocker.query ? `: ${blocker.query.replace(/[;\s]+$/, '')}` : '';
  const facts = who.length > 0 ? ` (${who.join(', ')})` : '';
  return `pid ${blocker.pid}${facts}${query}`;
}

/** A session that blocked, and how often. */
export interface SeenBlocker extends Blocker {
  /** In how many tries it was seen. */
  tries: number;
  /** ISO 8601 in UTC. */
  firstSeenAt: string;
}

/** Who stood in the way of a step so far. */
export interface SeenBlockers {
  /** Those of the last look in this try. */
  readonly last: Blocker[];
  /** How long ago that look was, in ms. */
  readonly lastAgoMs: number;
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
  let lastAt = 0;
  return {
    get last() {
      return last;
    },
    get lastAgoMs() {
      return performance.now() - lastAt;
    },
    list: () =>
      [...byPid.values()]
        .sort((a, b) => b.tries - a.tries)
        .map(({ lastTry: _, ...blocker }) => blocker),
    startTry: () => {
      currentTry += 1;
      last = [];
    },
    note: (blockers) => {
      last = blockers;
      lastAt = performance.now();
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
