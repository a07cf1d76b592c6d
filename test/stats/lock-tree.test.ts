import { describe, expect, it } from 'vitest';
import { conflict, type LockSession, type LockWait } from '../../src/stats/lock-waits.ts';
import { buildLockTree, type LockRow } from '../../src/stats/locks.ts';

function waitOf(
  pid: number,
  mode: string,
  blockerPids: number[],
  holders: [pid: number | null, mode: string, transaction?: string][],
): LockWait {
  return {
    pid,
    lockType: 'relation',
    mode,
    waitingSince: null,
    waitMs: null,
    object: 'public.events',
    blockerPids,
    holders: holders.map(([holder, held, transaction = null]) => ({
      pid: holder,
      mode: held,
      transaction,
    })),
  };
}

function sessionOf(pid: number, leaderPid: number | null = null): LockSession {
  return {
    pid,
    leaderPid,
    user: 'app',
    application: null,
    client: null,
    database: 'shop',
    backendType: 'client backend',
    state: 'active',
    statement: `of ${pid}`,
    isHidden: false,
    transactionStart: null,
    transactionMs: null,
  };
}

function treeOf(waits: LockWait[], sessions: LockSession[] = []): LockRow[] {
  return buildLockTree({ waits, sessions, prepared: [] });
}

const paths = (rows: LockRow[]) => rows.map(({ path }) => path);

describe('the lock tree', () => {
  it('hangs each waiter below the one that holds what it asks for', () => {
    const rows = treeOf([
      waitOf(2, 'RowExclusiveLock', [1], [[1, 'ShareLock']]),
      waitOf(3, 'RowExclusiveLock', [2], [[2, 'ExclusiveLock']]),
    ]);
    expect(paths(rows)).toEqual(['1', '1/2', '1/2/3']);
    expect(rows.map(({ blockedCount }) => blockedCount)).toEqual([2, 1, 0]);
    expect(rows[1]).toMatchObject({ heldMode: 'SHARE', wantedMode: 'ROW EXCLUSIVE' });
  });

  it('hangs a reader below the waiter ahead of it where no holder is in its way', () => {
    const rows = treeOf([
      waitOf(2, 'AccessExclusiveLock', [1], [[1, 'AccessShareLock']]),
      waitOf(3, 'AccessShareLock', [2], [[1, 'AccessShareLock']]),
      waitOf(4, 'AccessShareLock', [2], [[1, 'AccessShareLock']]),
    ]);
    expect(paths(rows)).toEqual(['1', '1/2', '1/2/3', '1/2/4']);
    expect(rows.map(({ isQueued }) => isQueued)).toEqual([false, false, true, true]);
  });

  it('hangs a waiter below the holder, also where others stand in the queue before it', () => {
    const holders: [number, string][] = [[1, 'AccessExclusiveLock']];
    const rows = treeOf([
      waitOf(2, 'AccessExclusiveLock', [1], holders),
      waitOf(3, 'AccessExclusiveLock', [1, 2], holders),
      waitOf(4, 'AccessExclusiveLock', [1, 2, 3], holders),
    ]);
    expect(paths(rows)).toEqual(['1', '1/2', '1/3', '1/4']);
    expect(rows[3]?.blockedBy).toEqual([1, 2, 3]);
  });

  it('names a waiter below each of its holders, and what waits for it only once', () => {
    const rows = treeOf([
      waitOf(
        3,
        'AccessExclusiveLock',
        [1, 2],
        [
          [1, 'AccessShareLock'],
          [2, 'RowShareLock'],
        ],
      ),
      waitOf(4, 'AccessShareLock', [3], []),
    ]);
    expect(paths(rows)).toEqual(['1', '1/3', '1/3/4', '2', '2/3']);
    expect(rows.map(({ isRepeated }) => isRepeated)).toEqual([false, false, false, false, true]);
    expect(rows.map(({ blockedCount }) => blockedCount)).toEqual([2, 1, 0, 2, 1]);
  });

  it('counts the workers of a parallel query as its leader', () => {
    const rows = treeOf(
      [
        waitOf(11, 'AccessShareLock', [1], [[1, 'AccessExclusiveLock']]),
        waitOf(12, 'AccessShareLock', [1], [[1, 'AccessExclusiveLock']]),
        waitOf(20, 'AccessExclusiveLock', [10], [[12, 'AccessShareLock']]),
      ],
      [sessionOf(10), sessionOf(11, 10), sessionOf(12, 10)],
    );
    expect(paths(rows)).toEqual(['1', '1/10', '1/10/20']);
    expect(rows[1]).toMatchObject({ pid: 10, statement: 'of 10' });
    expect(rows[2]).toMatchObject({ isQueued: false, heldMode: 'ACCESS SHARE' });
  });

  it('names a prepared transaction, which has no process', () => {
    const rows = buildLockTree({
      waits: [waitOf(2, 'ShareLock', [0], [[null, 'ExclusiveLock', '755']])],
      sessions: [],
      prepared: [
        {
          transaction: '755',
          gid: 'payment 1',
          owner: 'app',
          database: 'shop',
          preparedAt: new Date(0),
          ageMs: 5,
        },
      ],
    });
    expect(rows[0]).toMatchObject({
      pid: 0,
      gid: 'payment 1',
      state: 'prepared',
      transactionMs: 5,
      blockedCount: 1,
    });
    expect(rows[1]).toMatchObject({ pid: 2, blockedBy: ['payment 1'] });
  });

  it('forgets the wait for a prepared transaction that was committed meanwhile', () => {
    expect(treeOf([waitOf(2, 'ShareLock', [0], [[null, 'ExclusiveLock', '755']])])).toEqual([]);
  });

  it('ends where sessions wait for each other', () => {
    const rows = treeOf([
      waitOf(1, 'ShareLock', [2], [[2, 'ExclusiveLock']]),
      waitOf(2, 'ShareLock', [1], [[1, 'ExclusiveLock']]),
      waitOf(3, 'ShareLock', [2], [[2, 'ExclusiveLock']]),
    ]);
    expect(paths(rows)).toEqual(['1', '1/2', '1/2/1', '1/2/3']);
    expect(rows[2]).toMatchObject({ isRepeated: true });
    expect(rows[0]).toMatchObject({ blockedBy: [2], wantedMode: 'SHARE' });
  });

  it('shows the cause with the most waiters first', () => {
    const rows = treeOf([
      waitOf(2, 'ShareLock', [1], [[1, 'ExclusiveLock']]),
      waitOf(4, 'ShareLock', [3], [[3, 'ExclusiveLock']]),
      waitOf(5, 'ShareLock', [3], [[3, 'ExclusiveLock']]),
    ]);
    expect(paths(rows)).toEqual(['3', '3/4', '3/5', '1', '1/2']);
  });
});

describe('lock modes', () => {
  it('exclude each other as the manual says', () => {
    const modes = [
      ['AccessShareLock', '.......X'],
      ['RowShareLock', '......XX'],
      ['RowExclusiveLock', '....XXXX'],
      ['ShareUpdateExclusiveLock', '...XXXXX'],
      ['ShareLock', '..XX.XXX'],
      ['ShareRowExclusiveLock', '..XXXXXX'],
      ['ExclusiveLock', '.XXXXXXX'],
      ['AccessExclusiveLock', 'XXXXXXXX'],
    ] as const;
    for (const [held, row] of modes) {
      const found = modes.map(([wanted]) => (conflict(held, wanted) ? 'X' : '.')).join('');
      expect([held, found]).toEqual([held, row]);
    }
  });

  it('that nobody knows are not taken for harmless', () => {
    expect(conflict('NewLock', 'AccessShareLock')).toBe(true);
  });
});
