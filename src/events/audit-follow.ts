import { setTimeout as sleep } from 'node:timers/promises';
import type { Row, Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { timerMs } from '../text/units.ts';
import { type AuditEntry, type AuditFilter, entryColumns, parseEntry } from './audit-log.ts';
import {
  type EventSchemaTarget,
  type InstalledEventSchema,
  onEventSchema,
  type SchemaNeed,
} from './event-schema.ts';

/** Which entries are followed, and how often to poll. */
export interface FollowAuditLogOptions extends EventSchemaTarget, AuditFilter {
  /** How many existing entries come first; default 20, 0 for none. */
  limit?: number | undefined;
  /** Pause between two polls, in ms; default 1000. */
  intervalMs?: number | undefined;
  /** Ends the following; default: nothing does. */
  signal?: AbortSignal | undefined;
}

const NEED: SchemaNeed = { functions: { audit_log_changes: [] }, access: 'audit' };

/** Polls the audit log, on any session. */
export interface AuditFollower {
  /**
   * Returns the last entries the first time, and then those of the transactions that have committed
   * since the previous poll. A failed poll can be repeated, also on another session.
   *
   * @throws {EvdbError} READ_ONLY on a standby, which does not know which transactions are open;
   *   POOLER_DETECTED; those of `onEventSchema`
   */
  look(session: Session): Promise<AuditEntry[]>;
}

/**
 * Follows the audit log so that each entry is returned exactly once.
 *
 * IDs and times are assigned while transactions run, so entries that commit later may come before
 * those already read. Therefore a poll uses neither: it takes the entries of those transactions
 * that the previous poll's snapshot did not see and its own does. `TransactionHorizon` tells from
 * what time on to look for them.
 *
 * @example
 * const follower = createAuditFollower({ table: 'events' });
 * const entries = await follower.look(session);
 */
export function createAuditFollower(options: FollowAuditLogOptions = {}): AuditFollower {
  const horizon = createTransactionHorizon();
  let seen: { snapshot: string; from: string } | undefined;
  return {
    async look(session) {
      if (session.facts.isInRecovery) throw onStandby();
      if (session.facts.isPooled) throw behindPooler();
      return onEventSchema(session, options, NEED, async (installed) => {
        // Before the snapshot: whoever ends in between is seen by it.
        const from = await horizon.read(session);
        const { snapshot, entries } = await (seen
          ? readNew(session, installed, { ...options, ...seen })
          : readLast(session, installed, options));
        seen = { snapshot, from };
        return entries;
      });
    },
  };
}

/**
 * Yields the last entries, then new ones as their transactions commit, until the signal aborts.
 *
 * @param session a separate one; it is in a transaction during each poll
 * @throws {EvdbError} as `AuditFollower.look`
 * @example
 * for await (const entries of followAuditLog(session, { table: 'events' })) console.log(entries);
 */
export async function* followAuditLog(
  session: Session,
  options: FollowAuditLogOptions = {},
): AsyncGenerator<AuditEntry[], void> {
  const { intervalMs = 1000, signal } = options;
  const follower = createAuditFollower(options);
  do {
    yield await follower.look(session);
  } while (await pause(intervalMs, signal));
}

interface Look {
  /** Which transactions it saw, as `pg_snapshot`. */
  snapshot: string;
  /** The oldest first. */
  entries: AuditEntry[];
}

async function pause(intervalMs: number, signal: AbortSignal | undefined): Promise<boolean> {
  await sleep(timerMs(intervalMs), undefined, { signal }).catch(() => undefined);
  return !signal?.aborted;
}

const FILTERS = `($1::text is null or e.table_name = $1) and ($2::integer is null or e.row_id = $2)
  and ($3::text is null or e.actor = $3) and ($4::text is null or e.created_at >= $4::text::timestamptz)
  and ($5::text is null or e.created_at < $5::text::timestamptz)`;

async function readLast(
  session: Session,
  { prefix, query }: InstalledEventSchema,
  { limit = 20, table, record, actor, since, until }: FollowAuditLogOptions,
): Promise<Look> {
  return inSnapshot(session, async () => {
    const { rows } = await query<Row>(
      `select ${entryColumns('e')} from ${prefix}audit_log_entries e where ${FILTERS}
      order by e.created_at desc, e.id desc limit $6::integer`,
      [table, record, actor, since, until, limit],
    );
    return rows.map(parseEntry).reverse();
  });
}

async function readNew(
  session: Session,
  { prefix, query }: InstalledEventSchema,
  options: AuditFilter & { snapshot: string; from: string },
): Promise<Look> {
  const { table, record, actor, since, until, snapshot, from } = options;
  return inSnapshot(session, async () => {
    // What a restore brought has ids of transactions of another server, perhaps of the future.
    const { rows } = await query<Row>(
      `select ${entryColumns('e')} from ${prefix}audit_log_entries e where ${FILTERS}
        and e.created_at >= $6::text::timestamptz
        and not pg_catalog.pg_visible_in_snapshot(e.transaction_id, $7::pg_catalog.pg_snapshot)
        and pg_catalog.pg_visible_in_snapshot(e.transaction_id, pg_catalog.pg_current_snapshot())
      order by e.created_at, e.id`,
      [table, record, actor, since, until, from, snapshot],
    );
    return rows.map(parseEntry);
  });
}

/** What is read and the name of the snapshot have to be of the same moment. */
async function inSnapshot(session: Session, read: () => Promise<AuditEntry[]>): Promise<Look> {
  const [row] = await session.run(
    'begin isolation level repeatable read, read only; select pg_catalog.pg_current_snapshot()::text as "snapshot"',
  );
  try {
    return { snapshot: String(row?.snapshot), entries: await read() };
  } finally {
    if (!session.isClosed) await session.run('rollback');
  }
}

function onStandby(): EvdbError {
  return new EvdbError('READ_ONLY', 'a standby does not tell which transactions are open', {
    hint: 'Follow the audit log on the primary; without --watch it can be read here.',
  });
}

function behindPooler(): EvdbError {
  return new EvdbError(
    'POOLER_DETECTED',
    'the connection goes through a pooler, which may change sessions',
    {
      hint: 'Following needs a session of its own: name the server itself as migrationUrl. Without --watch the log can be read here.',
    },
  );
}

/** Tells how far back the beginning of a transaction can lie that has not been seen yet. */
interface TransactionHorizon {
  /**
   * Looks which transactions are open and returns a moment, as ISO 8601: every transaction that
   * ends after this look began no earlier. Never waits, and needs no privilege.
   */
  read(session: Session): Promise<string>;
}

/** A transaction has its time a moment before others can see it. */
const MARGIN_MS = 10_000;
/** How old a transaction may be that was open at the first look, where its begin is hidden. */
const HIDDEN_AGE_MS = 24 * 60 * 60 * 1000;

/**
 * Every open transaction holds a lock on its own virtual id, which everybody may see, where the
 * time of its begin is hidden from most. So the begin is worked out from when it first showed up:
 * after the look before. Prepared transactions have no such id, but are listed too; each began
 * before it was prepared, so it keeps the bound where it was.
 */
const OPEN = `
select 'v' || l.virtualxid as "key", a.xact_start as "startedAt"
from pg_catalog.pg_locks l
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.locktype = 'virtualxid' and l.granted and l.mode = 'ExclusiveLock'
  and l.pid is distinct from pg_catalog.pg_backend_pid()
union all
select 'p' || p.transaction::text, null
from pg_catalog.pg_prepared_xacts p`;

/** Begins to keep track; every call of `read` has to be made, in order. */
function createTransactionHorizon(): TransactionHorizon {
  let open = new Map<string, number>();
  let lookedAtMs: number | undefined;
  let boundMs: number | undefined;
  return {
    async read(session) {
      const [clock] = await session.run(
        'select extract(epoch from pg_catalog.clock_timestamp()) * 1000 as "nowMs"',
      );
      const nowMs = Number(clock?.nowMs);
      const rows = await session.run(OPEN);
      const bornAfterMs = (lookedAtMs ?? nowMs - HIDDEN_AGE_MS) - MARGIN_MS;
      open = new Map(
        (rows as unknown as { key: string; startedAt: Date | null }[]).map(({ key, startedAt }) => {
          const isPrepared = key.startsWith('p');
          const guessMs = isPrepared ? (boundMs ?? bornAfterMs) : bornAfterMs;
          return [key, open.get(key) ?? (startedAt ? startedAt.getTime() - MARGIN_MS : guessMs)];
        }),
      );
      lookedAtMs = nowMs;
      boundMs = Math.min(nowMs - MARGIN_MS, ...open.values());
      return new Date(boundMs).toISOString();
    },
  };
}
