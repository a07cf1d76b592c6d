import { withLockRetries } from '../connection/retry.ts';
import type { ApplyContext } from './apply-context.ts';

/**
 * Runs bookkeeping in one transaction that is whole or not at all, with short lock timeouts. The
 * caller holds the runner's lock.
 */
export async function writeLedger(
  { worker, signal }: Pick<ApplyContext, 'worker' | 'signal'>,
  sql: string,
): Promise<void> {
  await withLockRetries(
    async ({ lockTimeoutMs }) => {
      try {
        await worker.run(
          `begin isolation level read committed, read write; set local lock_timeout = ${lockTimeoutMs}; ${sql} commit;`,
        );
      } catch (error) {
        if (!worker.isClosed) await worker.run('rollback').catch(() => undefined);
        throw error;
      }
    },
    { signal },
  );
}
