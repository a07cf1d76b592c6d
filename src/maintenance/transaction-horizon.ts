import type { Session } from '../connection/session.ts';

/** Tells how far back the beginning of a transaction can lie that has not been seen yet. */
export interface TransactionHorizon {
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
export function createTransactionHorizon(): TransactionHorizon {
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
