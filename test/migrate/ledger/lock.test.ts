import { describe, expect, it } from 'vitest';
import { type Blocker, describeBlocker } from '../../../src/connection/blockers.ts';
import type { Session } from '../../../src/connection/session.ts';
import { ledgerLock, refusePooler, runnerLock } from '../../../src/migrate/ledger/lock.ts';

/** A session whose server answers with these process ids, one a question. */
function answering(...pids: number[]): Session {
  return { run: async () => [{ pid: pids.shift() }] } as unknown as Session;
}

describe('refusePooler', () => {
  it('is content with two sessions that keep their backends', async () => {
    await expect(refusePooler(answering(1, 1), answering(2, 2))).resolves.toBeUndefined();
  });

  it.each([
    ['share a backend', [1, 1], [1, 1]],
    ['swap their backends', [1, 2], [2, 1]],
    ['change one backend', [1, 1], [2, 3]],
  ])('refuses two sessions that %s', async (_, worker, observer) => {
    await expect(refusePooler(answering(...worker), answering(...observer))).rejects.toMatchObject({
      code: 'POOLER_DETECTED',
      hint: expect.stringContaining('EVDB_MIGRATION_URL'),
    });
  });
});

describe('the locks', () => {
  it('differ by ledger, target and purpose, and fit two integers', () => {
    const keys = [
      { ledgerSchema: 'evdb', targetSchema: 'a' },
      { ledgerSchema: 'evdb', targetSchema: 'b' },
      { ledgerSchema: 'other', targetSchema: 'a' },
      { ledgerSchema: 'evdb\0a', targetSchema: '' },
    ];
    const ids = [...keys.map(runnerLock), ...keys.slice(1, 3).map(ledgerLock)];
    expect(new Set(ids.map(String)).size).toBe(6);
    for (const number of ids.flat()) expect(number).toBe(number | 0);
  });

  it('are the same in every version, so that two of them keep apart', () => {
    expect(runnerLock({ ledgerSchema: 'evdb', targetSchema: 'public' })).toEqual([
      0x65766462, 1_538_699_137,
    ]);
  });
});

describe('describeBlocker', () => {
  const blocker: Blocker = {
    pid: 4711,
    user: 'app',
    application: 'billing',
    client: '10.0.0.7',
    state: 'idle in transaction',
    sinceMs: 12_345,
    query: 'update events set title = $1',
  };

  it.each([
    [
      {},
      'pid 4711 (billing, app@10.0.0.7, idle in transaction for 12 s): update events set title = $1',
    ],
    [
      { sinceMs: 5, state: 'active' },
      'pid 4711 (billing, app@10.0.0.7, active for 5 ms): update events set title = $1',
    ],
    [
      { sinceMs: 3_600_000, query: null },
      'pid 4711 (billing, app@10.0.0.7, idle in transaction for 60 min)',
    ],
    [
      { application: null, client: null, query: '' },
      'pid 4711 (app, idle in transaction for 12 s)',
    ],
    [
      {
        state: null,
        sinceMs: null,
        user: null,
        client: null,
        application: 'autovacuum',
        query: null,
      },
      'pid 4711 (autovacuum)',
    ],
    [
      { state: null, sinceMs: null, user: null, client: null, application: null, query: null },
      'pid 4711',
    ],
    [{ pid: 0 }, 'a prepared transaction (see pg_prepared_xacts)'],
  ])('with %o says %s', (change, text) => {
    expect(describeBlocker({ ...blocker, ...change })).toBe(text);
  });
});
