import type { Session } from '../connection/session.ts';
import type { Statement } from '../sql/statements.ts';

/*
 * One rule for how long a statement waits for locks: evdb's limit holds, and a script's own
 * `set lock_timeout` holds where it is shorter. It never takes the limit away, and never lengthens
 * it; the directive `lock-timeout` does.
 */

/** Where a script's own limit is kept while evdb's is in force; a transaction forgets it. */
const OWN = 'evdb.own_lock_timeout';

/** A text setting in ms; 0 is no limit. */
function milliseconds(setting: string): string {
  return `(extract(epoch from coalesce(nullif(${setting}, ''), '0')::pg_catalog.interval) * 1000)::bigint`;
}

/** Sets evdb's limit, or the script's own where that is shorter. */
function limitSql(limitMs: number, own: string, isLocal: boolean): string {
  const ownMs = milliseconds(own);
  return `pg_catalog.set_config('lock_timeout', (case when ${ownMs} > 0 then least(${ownMs}, ${limitMs}) else ${limitMs} end)::text, ${isLocal})`;
}

/** For a session where nobody but the script sets it: its own limit is what is in force. */
export function limitLocksSql(limitMs: number, isLocal: boolean): string {
  return limitSql(limitMs, "pg_catalog.current_setting('lock_timeout')", isLocal);
}

/** Keeps the rule inside one transaction, whose statements have limits of different lengths. */
export interface LockLimit {
  /** What is to be sent before the statement; empty where the limit is in force. */
  before(limitMs: number): string;
  /** What is to be sent behind the statement; empty where it does not change the limit. */
  after(statement: Pick<Statement, 'command' | 'text'>): string;
}

/** @param currentMs the limit with which the transaction begins */
export function createLockLimit(currentMs: number): LockLimit {
  let current: number | undefined = currentMs;
  let hasOwn = false;
  return {
    before: (limitMs) => {
      if (current === limitMs) return '';
      current = limitMs;
      if (!hasOwn) return `set local lock_timeout = ${limitMs}`;
      return `select ${limitSql(limitMs, `pg_catalog.current_setting('${OWN}', true)`, true)}`;
    },
    after: ({ command, text }) => {
      const isNamed = MAY_NAME_IT.has(command) && /lock_timeout/i.test(text);
      if (!isNamed && !BRINGS_ANOTHER.has(command)) return '';
      current = undefined;
      if (!isNamed) return '';
      hasOwn = true;
      return `select pg_catalog.set_config('${OWN}', pg_catalog.current_setting('lock_timeout'), true)`;
    },
  };
}

const MAY_NAME_IT = new Set(['set', 'select', 'do', 'call', 'with']);
/** Behind these the limit is whatever it was once. */
const BRINGS_ANOTHER = new Set(['reset', 'discard', 'rollback']);

/** Sends what there is to send. */
export function sendLimit(worker: Session, sql: string): Promise<unknown>[] {
  return sql === '' ? [] : [worker.run(sql)];
}
