import type { Node } from '@pgsql/types';
import { isOnOtherNode } from '../../citus/lock-waits.ts';
import {
  type BlockedSessions,
  type Blocker,
  isAnyStillOpen,
  type listBlockers,
  readVictims,
  type SeenBlockers,
  SHOWN_QUERY_SQL,
  withShownQuery,
} from '../../connection/blockers.ts';
import type { Pause } from '../../connection/retry.ts';
import type { Asked } from '../../connection/session.ts';
import { classifyStatement } from '../../sql/kind.ts';
import { loadSqlParser } from '../../sql/parser.ts';
import type { Statement } from '../../sql/statements.ts';
import { relationNameOf, walkTree, writtenNameOf } from '../../sql/tree.ts';
import type { IndexBuildProgress, LockHolder } from '../progress.ts';

/** Shorter transactions are gone before it matters. */
const OLD_MS = 5000;

/** Tells before the first try who will be in the way; nothing waits for it. */
export interface Preflight {
  /** The old transactions that hold locks on the tables that these statements lock strongly. */
  look(statements: Statement[]): Promise<LockHolder[]>;
}

interface HeldLock extends Blocker {
  schema: string;
  table: string;
  /** Whether only readers of the table would not mind. */
  isWeak: boolean;
}

/** What a look has found, and when. */
interface Look {
  held: HeldLock[];
  /** As `performance.now()`. */
  at: number;
}

/** By whom it is for: a session that is kept for many targets looks once for all of them. */
const looks = new WeakMap<object, Look>();

/**
 * @param runner whom it is for
 * @param own backends of this runner
 * @param schemas where a name without a schema is looked for
 * @param oldMs how long a transaction must have been open to be told of, in ms; default 5000
 */
export function createPreflight(
  observer: Asked,
  {
    runner = observer,
    own,
    schemas,
    oldMs = OLD_MS,
  }: { runner?: object; own: () => number[]; schemas: string[]; oldMs?: number },
): Preflight {
  return {
    look: async (statements) => {
      if (!statements.some((one) => classifyStatement(one).lockClass === 'ddl')) return [];
      let look = looks.get(runner);
      // A transaction that was not old at the last look is not old now.
      if (!look || performance.now() - look.at > oldMs) {
        look = { held: await listHeldLocks(observer, own(), oldMs), at: performance.now() };
        looks.set(runner, look);
      }
      const { held } = look;
      return held.length === 0 ? [] : holdersOf(await readTargets(statements), held, schemas);
    },
  };
}

/** The relations that a statement locks, and whether that collides with readers too. */
interface Target {
  schema: string | undefined;
  name: string;
  blocksReaders: boolean;
}

async function readTargets(statements: Statement[]): Promise<Target[]> {
  const parser = await loadSqlParser();
  return statements.flatMap((statement) => {
    if (classifyStatement(statement).lockClass !== 'ddl') return [];
    const tree = parser.parse(statement.text);
    return tree === null ? [] : targetsOf(tree);
  });
}

/** Where it is not certain the stronger lock is meant: this is a warning, not a verdict. */
function targetsOf(tree: Node): Target[] {
  const [kind = ''] = Object.keys(tree);
  if (!LOCKING.has(kind)) return [];
  const blocksReaders = !ONLY_WRITERS.has(kind);
  const targets: Target[] = [];
  walkTree(tree, (inner, fields) => {
    if (inner === 'SelectStmt') return false;
    for (const name of ['relation', 'pktable', 'name'] as const) {
      const relation = fields[name];
      if (isRangeVar(relation)) targets.push({ ...relationNameOf(relation), blocksReaders });
    }
    if (inner === 'RangeVar') targets.push({ ...relationNameOf(fields), blocksReaders });
    if (inner === 'DropStmt') {
      for (const object of (fields.objects ?? []) as Node[]) {
        const { items } = (object as { List?: { items?: Node[] } }).List ?? {};
        targets.push({ ...writtenNameOf(items), blocksReaders });
      }
    }
    return true;
  });
  return targets;
}

function isRangeVar(value: unknown): value is { relname?: string; schemaname?: string } {
  return typeof value === 'object' && value !== null && 'relname' in value;
}

const LOCKING = new Set([
  ...['AlterTableStmt', 'RenameStmt', 'AlterObjectSchemaStmt', 'DropStmt', 'TruncateStmt'],
  ...['ClusterStmt', 'LockStmt', 'RuleStmt', 'CreatePolicyStmt', 'AlterPolicyStmt'],
  ...['IndexStmt', 'CreateTrigStmt', 'ReindexStmt', 'CreateStmt'],
]);

const ONLY_WRITERS = new Set(['IndexStmt', 'CreateTrigStmt', 'ReindexStmt', 'CreateStmt']);

function holdersOf(targets: Target[], held: HeldLock[], schemas: string[]): LockHolder[] {
  const byPid = new Map<number, LockHolder>();
  for (const { schema, table, isWeak, ...blocker } of held) {
    const isMeant = targets.some(
      (target) =>
        target.name === table &&
        (target.schema === undefined ? schemas.includes(schema) : target.schema === schema) &&
        (target.blocksReaders || !isWeak),
    );
    if (!isMeant) continue;
    const known = byPid.get(blocker.pid) ?? { ...blocker, tables: [] };
    known.tables.push(`${schema}.${table}`);
    byPid.set(blocker.pid, known);
  }
  return [...byPid.values()];
}

/** Relation locks of transactions that are old, prepared ones among them. */
async function listHeldLocks(observer: Asked, own: number[], oldMs: number): Promise<HeldLock[]> {
  const rows = await observer.run(`
select
    coalesce(l.pid, 0) as "pid",
    coalesce(a.usename, p.owner) as "user",
    nullif(a.application_name, '') as "application",
    coalesce(host(a.client_addr), case when a.client_port = -1 then 'local socket' end) as "client",
    a.state as "state",
    (extract(epoch from pg_catalog.now() - coalesce(a.xact_start, p.prepared)) * 1000)::float8 as "sinceMs",
    ${SHOWN_QUERY_SQL} as "query",
    n.nspname as "schema",
    c.relname as "table",
    pg_catalog.bool_and(l.mode in ('AccessShareLock', 'RowShareLock')) as "isWeak"
from pg_catalog.pg_locks as l
left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
left join pg_catalog.pg_prepared_xacts as p on l.pid is null and l.virtualtransaction = '-1/' || p.transaction
join pg_catalog.pg_class as c on c.oid = l.relation
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where l.locktype = 'relation'
    and l.granted
    and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
    and coalesce(a.xact_start, p.prepared) < pg_catalog.now() - interval '${oldMs} milliseconds'
    and coalesce(l.pid, 0) <> all (array[${own.join(', ')}])
    and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
group by 1, 2, 3, 4, 5, 6, 7, 8, 9
order by 6 desc`);
  return (rows as unknown as HeldLock[]).map(withShownQuery);
}

/** Doubles up to the longest: a build can wait for hours. */
const LOOK_AGAIN_MS = 5000;

const LONGEST_LOOK_AGAIN_MS = 60_000;

/**
 * Runs work, and asks the observer from `afterMs` on who blocks the backend that does it, and who
 * waits for that one in turn.
 */
export function watchBlockers<T>(
  work: () => Promise<T>,
  options: {
    observer: Asked;
    pid: number;
    list: typeof listBlockers;
    afterMs: number;
    onBlocked: (blockers: Blocker[], victims: BlockedSessions | null) => void;
  },
): Promise<T> {
  let againMs = LOOK_AGAIN_MS;
  return lookWhile(work, options.afterMs, async () => {
    const { observer, pid } = options;
    const [blockers, victims] = await Promise.all([
      options.list(observer, pid),
      readVictims(observer, pid),
    ]).catch(() => [[], null] as const);
    // Also where the wait has just ended: it was so when the server looked.
    if (blockers.length > 0) options.onBlocked([...blockers], victims);
    const nextMs = againMs;
    againMs = Math.min(againMs * 2, LONGEST_LOOK_AGAIN_MS);
    return nextMs;
  });
}

const LOOK_EVERY_MS = 1000;

/**
 * Rests between two tries, and no longer than the transactions last that were in the way. Only where
 * all of them are old: short ones are the traffic of a busy table, to which the pause gives its turn.
 */
export function pauseWhileBlocked(
  pause: Pause,
  { observer, seen }: { observer: Asked; seen: SeenBlockers },
): Promise<void> {
  const { last: blockers } = seen;
  // A prepared transaction has no session to look at, and one without a transaction holds no table.
  const hasSession = (one: Blocker) => one.pid !== 0 && !isOnOtherNode(one);
  const areOld = blockers.every((one) => hasSession(one) && (one.sinceMs ?? 0) >= OLD_MS);
  if (blockers.length === 0 || !areOld) return pause();
  const gone = new AbortController();
  return lookWhile(
    () => pause(gone.signal),
    LOOK_EVERY_MS,
    async () => {
      const isOpen = await isAnyStillOpen(observer, blockers, seen.lastAgoMs).catch(() => true);
      if (!isOpen) gone.abort();
      return LOOK_EVERY_MS;
    },
  );
}

/** Runs work that builds an index in the backend `pid`, and tells how far that is when it changes. */
export function watchBuild<T>(
  work: () => Promise<T>,
  options: { observer: Asked; pid: number; onProgress: (progress: IndexBuildProgress) => void },
): Promise<T> {
  let last = '';
  return lookWhile(work, LOOK_EVERY_MS, async (isDone) => {
    const progress = await readBuildProgress(options.observer, options.pid).catch(() => undefined);
    const text = JSON.stringify(progress);
    if (progress && text !== last && !isDone()) options.onProgress(progress);
    last = text;
    return LOOK_EVERY_MS;
  });
}

/**
 * Runs work and looks on meanwhile, first after `firstMs`, and again as long after each look as that
 * says. Whoever looks must not fail the one who works.
 */
async function lookWhile<T>(
  work: () => Promise<T>,
  firstMs: number,
  look: (isDone: () => boolean) => Promise<number>,
): Promise<T> {
  let isDone = false;
  let looking: Promise<void> | undefined;
  const start = () => {
    looking = look(() => isDone).then((againMs) => {
      if (!isDone) timer = setTimeout(start, againMs);
    });
  };
  let timer = setTimeout(start, firstMs);
  try {
    return await work();
  } finally {
    isDone = true;
    clearTimeout(timer);
    await looking;
  }
}

async function readBuildProgress(
  observer: Asked,
  pid: number,
): Promise<IndexBuildProgress | undefined> {
  const [row] = await observer.run(`
select
    phase as "phase",
    blocks_total::float8 as "blocksTotal",
    blocks_done::float8 as "blocksDone",
    tuples_total::float8 as "tuplesTotal",
    tuples_done::float8 as "tuplesDone",
    lockers_total::float8 as "lockersTotal",
    lockers_done::float8 as "lockersDone",
    nullif(current_locker_pid, 0)::integer as "lockerPid"
from pg_catalog.pg_stat_progress_create_index
where pid = ${pid}`);
  return row === undefined ? undefined : toProgress(row as unknown as ProgressRow);
}

interface ProgressRow {
  phase: string;
  blocksTotal: number;
  blocksDone: number;
  tuplesTotal: number;
  tuplesDone: number;
  lockersTotal: number;
  lockersDone: number;
  lockerPid: number | null;
}

function toProgress(row: ProgressRow): IndexBuildProgress {
  const { phase, lockerPid } = row;
  if (phase.startsWith('waiting')) {
    const { lockersDone: done, lockersTotal: total } = row;
    return { phase, unit: total > 0 ? 'transactions' : null, done, total, lockerPid };
  }
  const isByBlock = row.blocksTotal > 0;
  const total = isByBlock ? row.blocksTotal : row.tuplesTotal;
  const done = isByBlock ? row.blocksDone : row.tuplesDone;
  const unit = total === 0 ? null : isByBlock ? 'blocks' : 'rows';
  return { phase, unit, done, total, lockerPid: null };
}
