import { describe, expect } from 'vitest';
import { listClusterBlockers } from '../../src/citus/lock-waits.ts';
import { openSession } from '../../src/connection/session.ts';
import { test } from './kit.ts';

describe('who blocks a backend of a coordinator', () => {
  test('is read from citus_lock_waits, with a global pid where it is on a worker', async ({
    cluster,
  }) => {
    await cluster.sql`insert into stand_in_lock_wait values
      (77, 20000001234, 1234, 2, 'select 1'), (77, 10000000042, 42, 1, 'select 2'), (78, 1, 1, 1, null)`;
    await cluster.sql`insert into stand_in_activity (global_pid, nodeid, is_worker_query, usename, state, query, xact_start)
      values (20000001234, 2, false, 'reader', 'idle in transaction', 'select count(*) from orders', now() - interval '1 hour'),
        (20000001234, 1, true, 'reader', 'active', 'internal', now())`;
    const session = await openSession(cluster.options.connection);
    const blockers = await listClusterBlockers(session, 77).finally(() => session.close());
    expect(blockers.toSorted((a, b) => a.pid - b.pid)).toMatchObject([
      { pid: 42, user: null, query: 'select 2' },
      { pid: 20000001234, user: 'reader', query: 'select count(*) from orders' },
    ]);
    expect(blockers.find(({ user }) => user === 'reader')?.sinceMs).toBeGreaterThan(3_000_000);
  });
});
