import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport } from '../report/columns.ts';
import { hiddenNote } from './catalog-queries.ts';
import {
  conflict,
  type LockSession,
  type LockWait,
  listLockSessions,
  listLockWaits,
  listPreparedTransactions,
  type PreparedTransaction,
} from './lock-waits.ts';

/** A session in the tree: roots block others and do not wait. */
export interface LockRow {
  /** 0 for a root. */
  depth: number;
  /** Its place, such as `4711/4712`: the ids from the root down. */
  path: string;
  /** 0 for a prepared transaction, which has no session. */
  pid: number;
  /** The name of a prepared transaction. */
  gid: string | null;
  user: string | null;
  application: string | null;
  client: string | null;
  database: string | null;
  backendType: string | null;
  state: string | null;
  /** The statement it runs, or ran last; null if it is hidden. */
  statement: string | null;
  isHidden: boolean;
  transactionStart: Date | null;
  transactionMs: number | null;
  waitingSince: Date | null;
  waitMs: number | null;
  /** The requested mode, such as `ACCESS EXCLUSIVE`; null for a root. */
  wantedMode: string | null;
  /** The mode in which the row above holds that lock; null if that one only waits ahead of it. */
  heldMode: string | null;
  lockType: string | null;
  /** Such as `public.events`, `row (0,1) of public.events`, `advisory lock 42`. */
  object: string | null;
  /** Everything it waits for: pids, and names of prepared transactions. */
  blockedBy: (number | string)[];
  /** How many sessions wait until it is done, directly and through others. */
  blockedCount: number;
  /** Whether it only queues after the row above, which waits itself. */
  isQueued: boolean;
  /** Whether the session already has a row; what waits for it is listed there. */
  isRepeated: boolean;
}

/**
 * Reads who blocks whom on the whole server, as the rows of a tree, each below what it waits for.
 * No rows: no session waits for a lock.
 *
 * @param session from `withInspection`
 * @throws {EvdbError} QueryError if the server refuses a statement
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readLocks(session));
 */
export async function readLocks(session: Session): Promise<StatsReport<LockRow>> {
  const waits = await listLockWaits(session);
  if (waits.length === 0) return { rows: [], countedSince: null, notes: [] };
  const holders = waits.flatMap((wait) => wait.holders);
  const pids = new Set(
    [
      ...waits.flatMap(({ pid, blockerPids }) => [pid, ...blockerPids]),
      ...holders.map(({ pid }) => pid ?? 0),
    ].filter((pid) => pid > 0),
  );
  const sessions = await listLockSessions(session, [...pids]);
  // A worker's leader need not wait or hold anything here itself.
  const leaders = sessions
    .map(({ leaderPid }) => leaderPid ?? 0)
    .filter((pid) => pid > 0 && !pids.has(pid));
  sessions.push(...(await listLockSessions(session, [...new Set(leaders)])));
  const hasPrepared = waits.some(({ blockerPids }) => blockerPids.includes(0));
  const prepared = hasPrepared ? await listPreparedTransactions(session) : [];
  const rows = buildLockTree({ waits, sessions, prepared });
  return { rows, countedSince: null, notes: notesOn(rows, session.facts.user) };
}

function notesOn(rows: LockRow[], user: string): ReportNote[] {
  const notes: ReportNote[] = [];
  if (rows.some(({ isHidden }) => isHidden)) {
    notes.push(hiddenNote("states and statements of other users' sessions are", user));
  }
  if (rows.some((row) => row.depth === 0 && row.blockedBy.length > 0)) {
    notes.push({
      level: 'warning',
      text: 'some sessions wait for each other in a circle',
      hint: 'PostgreSQL ends one of them after deadlock_timeout.',
    });
  }
  for (const { gid } of rows.filter((row) => row.gid !== null)) {
    notes.push({
      level: 'warning',
      text: `the prepared transaction ${gid} holds locks, and no session will end it`,
      hint: `Commit or roll it back: rollback prepared '${(gid ?? '').replaceAll("'", "''")}';`,
    });
  }
  return notes;
}

interface Edge {
  blocker: string;
  /** Null where the blocker is ahead in the queue without holding the lock. */
  heldMode: string | null;
}

interface Waiter {
  wait: LockWait;
  edges: Edge[];
}

interface LockFacts {
  waits: LockWait[];
  sessions: LockSession[];
  prepared: PreparedTransaction[];
}

/**
 * Makes a tree of who waits for whom. A waiter hangs below a session that holds what it asks for,
 * below one that is ahead in the queue only where nobody does; it is repeated below each further
 * holder. Sessions that wait for each other in a circle begin with the longest waiter.
 */
export function buildLockTree(facts: LockFacts): LockRow[] {
  const waiters = findWaiters(facts);
  const children = new Map<string, { id: string; edge: Edge; isRepeated: boolean }[]>();
  for (const [id, { edges }] of waiters) {
    for (const [index, edge] of rank(edges, waiters).entries()) {
      if (index > 0 && edge.heldMode === null) continue;
      const list = children.get(edge.blocker) ?? [];
      list.push({ id, edge, isRepeated: index > 0 });
      children.set(edge.blocker, list);
    }
  }
  const counts = new Map([...children.keys()].map((id) => [id, countBlocked(id, children)]));
  const rows: LockRow[] = [];
  const visited = new Set<string>();
  const visit = (id: string, path: string[], edge: Edge | null, isRepeated: boolean) => {
    const isAgain = isRepeated || visited.has(id);
    const waiter = waiters.get(id);
    rows.push({
      ...describe(id, facts),
      depth: path.length,
      path: [...path, id].join('/'),
      ...describeWait(waiter, edge),
      blockedBy: (waiter?.edges ?? []).map(({ blocker }) => nameOf(blocker, facts)),
      blockedCount: counts.get(id) ?? 0,
      isRepeated: isAgain,
    });
    if (isAgain) return;
    visited.add(id);
    for (const child of children.get(id) ?? []) {
      visit(child.id, [...path, id], child.edge, child.isRepeated);
    }
  };
  const roots = [...children.keys()].filter((id) => !waiters.has(id));
  roots.sort((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0));
  for (const id of roots) visit(id, [], null, false);
  for (const id of waiters.keys()) if (!visited.has(id)) visit(id, [], null, false);
  return rows;
}

function findWaiters({ waits, sessions, prepared }: LockFacts): Map<string, Waiter> {
  const leaders = new Map(sessions.map(({ pid, leaderPid }) => [pid, leaderPid ?? pid]));
  const leaderOf = (pid: number) => String(leaders.get(pid) ?? pid);
  const waiters = new Map<string, Waiter>();
  for (const wait of waits) {
    const id = leaderOf(wait.pid);
    const holders = wait.holders
      .filter(({ mode }) => conflict(mode, wait.mode))
      .map((holder) => ({
        ...holder,
        id: holder.pid === null ? `prepared:${holder.transaction}` : leaderOf(holder.pid),
      }));
    const blockers = wait.blockerPids.flatMap((pid) =>
      pid === 0
        ? holders.filter((holder) => holder.pid === null).map((holder) => holder.id)
        : [leaderOf(pid)],
    );
    const edges = [...new Set(blockers)]
      .filter((blocker) => blocker !== id)
      .map((blocker) => ({
        blocker,
        heldMode: holders.find((holder) => holder.id === blocker)?.mode ?? null,
      }));
    const known = waiters.get(id);
    // Workers of one query wait as one session.
    if (known) known.edges.push(...edges.filter((edge) => !hasEdge(known, edge)));
    else if (edges.length > 0) waiters.set(id, { wait, edges });
  }
  return prepared.length === 0 ? dropUnknown(waiters) : waiters;
}

function hasEdge({ edges }: Waiter, { blocker }: Edge): boolean {
  return edges.some((edge) => edge.blocker === blocker);
}

/** Committed between the two readings. */
function dropUnknown(waiters: Map<string, Waiter>): Map<string, Waiter> {
  for (const [id, { wait, edges }] of waiters) {
    const left = edges.filter(({ blocker }) => !blocker.startsWith('prepared:'));
    if (left.length === 0) waiters.delete(id);
    else waiters.set(id, { wait, edges: left });
  }
  return waiters;
}

/** Holders first, of them those that wait themselves: they lead on to the cause. */
function rank(edges: Edge[], waiters: ReadonlyMap<string, Waiter>): Edge[] {
  const weight = ({ blocker, heldMode }: Edge) =>
    (heldMode === null ? 2 : 0) + (waiters.has(blocker) ? 0 : 1);
  return [...edges].sort((a, b) => weight(a) - weight(b));
}

function countBlocked(id: string, children: ReadonlyMap<string, { id: string }[]>): number {
  const found = new Set([id]);
  // A set gives what is added to it while it is walked through.
  for (const one of found) for (const child of children.get(one) ?? []) found.add(child.id);
  return found.size - 1;
}

function nameOf(id: string, { prepared }: LockFacts): number | string {
  if (!id.startsWith('prepared:')) return Number(id);
  const found = prepared.find(({ transaction }) => `prepared:${transaction}` === id);
  return found?.gid ?? id;
}

/** As statements write it: pg_locks says `AccessExclusiveLock`. */
function modeName(mode: string): string {
  const words = mode.replace(/Lock$/, '').replace(/(?<=[a-z])(?=[A-Z])/g, ' ');
  return words.toUpperCase();
}

function describeWait(waiter: Waiter | undefined, edge: Edge | null) {
  const wait = waiter?.wait;
  return {
    waitingSince: wait?.waitingSince ?? null,
    waitMs: wait?.waitMs ?? null,
    wantedMode: wait ? modeName(wait.mode) : null,
    heldMode: edge?.heldMode ? modeName(edge.heldMode) : null,
    lockType: wait?.lockType ?? null,
    object: wait?.object ?? null,
    isQueued: edge !== null && edge.heldMode === null,
  };
}

function describe(id: string, { sessions, prepared }: LockFacts) {
  const transaction = prepared.find((one) => `prepared:${one.transaction}` === id);
  const session = sessions.find(({ pid }) => String(pid) === id);
  return {
    pid: id.startsWith('prepared:') ? 0 : Number(id),
    gid: transaction?.gid ?? null,
    user: session?.user ?? transaction?.owner ?? null,
    application: session?.application ?? null,
    client: session?.client ?? null,
    database: session?.database ?? transaction?.database ?? null,
    backendType: session?.backendType ?? null,
    state: transaction ? 'prepared' : (session?.state ?? null),
    statement: session?.statement ?? null,
    isHidden: session?.isHidden ?? false,
    transactionStart: session?.transactionStart ?? transaction?.preparedAt ?? null,
    transactionMs: session?.transactionMs ?? transaction?.ageMs ?? null,
  };
}

/** `4711`, `├── 4712`, `│   └── 4713 (queued)`: each below what it waits for. */
function renderPlace(row: LockRow, at = 0, rows: LockRow[] = [row]): string {
  const { pid, gid, isQueued, isRepeated } = row;
  const branch = drawBranch(rows, at);
  const name = pid === 0 ? `prepared ${gid ?? ''}`.trim() : String(pid);
  return `${branch}${name}${isQueued ? ' (queued)' : ''}${isRepeated ? ' (again)' : ''}`;
}

/** The lines of a tree in front of a row: whether another one follows below the same, at each depth. */
function drawBranch(rows: LockRow[], at: number): string {
  const depth = rows[at]?.depth ?? 0;
  const goesOn = (level: number) => {
    const next = rows.slice(at + 1).find((row) => row.depth <= level);
    return next?.depth === level;
  };
  const lines = Array.from({ length: depth }, (_, index) => {
    const level = index + 1;
    if (level === depth) return goesOn(level) ? '├── ' : '└── ';
    return goesOn(level) ? '│   ' : '    ';
  });
  return lines.join('');
}

export const LOCKS_VIEW: ReportView<LockRow> = {
  title: 'Who blocks whom',
  columns: [
    {
      header: 'session',
      value: renderPlace,
      text: 'whole',
      tone: (row) => (row.depth === 0 ? 'critical' : row.isRepeated ? 'muted' : undefined),
    },
    { header: 'waits', unit: 'ms', value: (row) => row.waitMs },
    {
      header: 'blocks',
      unit: 'count',
      value: (row) => (row.blockedCount > 0 ? row.blockedCount : null),
      priority: 5,
    },
    { header: 'user', value: (row) => row.user, priority: 6 },
    { header: 'application', value: (row) => row.application, priority: 2 },
    { header: 'state', value: (row) => row.state, priority: 4, usual: 'active' },
    { header: 'transaction', unit: 'ms', value: (row) => row.transactionMs, priority: 7 },
    { header: 'wants', value: (row) => row.wantedMode, priority: 3 },
    { header: 'on', value: (row) => row.object, priority: 1 },
    {
      header: 'statement',
      value: (row) => (row.isHidden ? '(hidden)' : row.statement),
      priority: 1,
      tone: (row) => (row.isHidden ? 'muted' : undefined),
    },
  ],
  empty: () => 'no session waits for a lock',
};
