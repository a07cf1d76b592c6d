import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  backOffMs,
  doubledMs,
  type FailedTry,
  isConflict,
  isLockFailure,
  LADDER,
  type Rung,
  transactionConflict,
  withConflictRetries,
  withLockRetries,
} from '../../src/connection/retry.ts';

const ladder: Rung[] = [
  { lockTimeoutMs: 1, pauseMs: 0 },
  { lockTimeoutMs: 2, pauseMs: 0 },
  { lockTimeoutMs: 3, pauseMs: 0 },
];

const serverError = (code: string) => Object.assign(new Error(code), { code });

/** Fails with these codes, one a call, then succeeds; tells the rungs it was called with. */
function failing(...codes: string[]) {
  const rungs: number[] = [];
  const attempt = async ({ lockTimeoutMs }: Rung) => {
    rungs.push(lockTimeoutMs);
    const code = codes.shift();
    if (code) throw serverError(code);
    return 'done';
  };
  return { rungs, attempt };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('withLockRetries', () => {
  it('stops at the first success', async () => {
    const { rungs, attempt } = failing('55P03');
    expect(await withLockRetries(attempt, { ladder })).toBe('done');
    expect(rungs).toEqual([1, 2]);
  });

  it('tells of each failed try before its pause', async () => {
    const told: unknown[] = [];
    const { attempt } = failing('55P03', '40P01');
    await withLockRetries(attempt, { ladder, onRetry: (failed) => told.push(failed) });
    expect(told).toMatchObject([
      { attempt: 1, attempts: 3, pauseMs: 0, cause: { code: '55P03' } },
      { attempt: 2, attempts: 3, pauseMs: 0, cause: { code: '40P01' } },
    ]);
  });

  it('throws the last failure when the ladder ends, and never tries without a timeout', async () => {
    const { rungs, attempt } = failing('55P03', '55P03', '40P01', '55P03');
    await expect(withLockRetries(attempt, { ladder })).rejects.toMatchObject({ code: '40P01' });
    expect(rungs).toEqual([1, 2, 3]);
    expect(LADDER.every(({ lockTimeoutMs }) => lockTimeoutMs > 0)).toBe(true);
  });

  it('does not try again what fails for another reason', async () => {
    const { rungs, attempt } = failing('42P01');
    await expect(withLockRetries(attempt, { ladder })).rejects.toMatchObject({ code: '42P01' });
    expect(rungs).toEqual([1]);
  });

  it('climbs the ladder again until its budget is used up, and tries once more at its end', async () => {
    const { rungs, attempt } = failing(...Array.from({ length: 20 }, () => '55P03'));
    const told: FailedTry[] = [];
    const run = withLockRetries(attempt, {
      ladder: [
        { lockTimeoutMs: 2, pauseMs: 4 },
        { lockTimeoutMs: 3, pauseMs: 0 },
      ],
      budgetMs: 40,
      onRetry: (failed) => told.push(failed),
    });
    await expect(run).rejects.toMatchObject({ code: '55P03' });
    // the second pause is the one between two ladders, and would be longer than what is left
    expect(rungs).toEqual([2, 3, 2]);
    expect(told.map(({ attempts }) => attempts)).toEqual([null, null]);
    const [first, second] = told as [FailedTry, FailedTry];
    expect(first.waitedMs).toBe(2);
    expect(second.waitedMs).toBe(2 + first.pauseMs + 3);
    expect(second.waitedMs + second.pauseMs).toBe(40);
  });

  it('leaves the ladder early where its budget is shorter', async () => {
    for (const [budgetMs, tries] of [
      [0, 1],
      [1, 1],
      [2, 2],
    ] as const) {
      const { rungs, attempt } = failing('55P03', '55P03', '55P03');
      await expect(withLockRetries(attempt, { ladder, budgetMs })).rejects.toThrow('55P03');
      expect(rungs).toHaveLength(tries);
    }
  });

  it('counts no more of a pause than was waited when it ends early', async () => {
    const { rungs, attempt } = failing('55P03', '55P03');
    const told: FailedTry[] = [];
    await withLockRetries(attempt, {
      ladder: [{ lockTimeoutMs: 1, pauseMs: 1_000_000 }, ...ladder],
      budgetMs: 2_000_000,
      rest: (_, pause) => pause(AbortSignal.abort()),
      onRetry: (failed) => told.push(failed),
    });
    expect(rungs).toEqual([1, 1, 2]);
    expect(told[1]?.waitedMs).toBeLessThan(1000);
  });

  it('ends its pause when it is interrupted', async () => {
    const controller = new AbortController();
    const { rungs, attempt } = failing('55P03');
    const run = withLockRetries(attempt, {
      ladder: [{ lockTimeoutMs: 1, pauseMs: 1_000_000 }, ...ladder],
      signal: controller.signal,
      onRetry: () => controller.abort(),
    });
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    expect(rungs).toEqual([1]);
  });
});

describe('the pauses of a ladder', () => {
  const pausesOf = async (options: { budgetMs?: number; random: number }) => {
    vi.spyOn(Math, 'random').mockReturnValue(options.random);
    const pauses: number[] = [];
    const { attempt } = failing('55P03', '55P03', '55P03', '55P03');
    await withLockRetries(attempt, {
      ladder: [
        { lockTimeoutMs: 1, pauseMs: 1000 },
        { lockTimeoutMs: 1, pauseMs: 2000 },
      ],
      ...(options.budgetMs !== undefined && { budgetMs: options.budgetMs }),
      rest: async () => {},
      onRetry: ({ pauseMs }) => pauses.push(pauseMs),
    }).catch(() => {});
    return pauses;
  };

  it('are as long as the ladder says, a quarter less or more', async () => {
    expect(await pausesOf({ random: 0 })).toEqual([750]);
    expect(await pausesOf({ random: 0.5 })).toEqual([1000]);
    expect(await pausesOf({ random: 1 })).toEqual([1250]);
  });

  it('are longer between two ladders', async () => {
    expect(await pausesOf({ random: 0.5, budgetMs: 100_000 })).toEqual([
      1000, 30_000, 1000, 30_000,
    ]);
  });

  it('are told with the number of tries of a ladder that ends', async () => {
    const told: unknown[] = [];
    const { attempt } = failing('55P03');
    await withLockRetries(attempt, { ladder, onRetry: (failed) => told.push(failed) });
    expect(told).toMatchObject([{ attempt: 1, attempts: 3, waitedMs: 1 }]);
  });
});

it('gives up a ladder where there is no more hope, whatever failed', async () => {
  const { rungs, attempt } = failing('55P03', '55P03');
  const run = withLockRetries(attempt, { ladder, isHopeless: () => rungs.length > 1 });
  await expect(run).rejects.toThrow('55P03');
  expect(rungs).toEqual([1, 2]);
});

it('climbs a ladder for other failures too where it is told which', async () => {
  const { rungs, attempt } = failing('42P01');
  const isWorthARetry = (error: unknown) => (error as { code: string }).code === '42P01';
  expect(await withLockRetries(attempt, { ladder, isWorthARetry })).toBe('done');
  expect(rungs).toEqual([1, 2]);
});

it('tells each try its number, and the rest which try comes next', async () => {
  const seen: unknown[] = [];
  const codes = ['55P03', '55P03'];
  await withLockRetries(
    async (_, count) => {
      seen.push(`try ${count}`);
      const code = codes.shift();
      if (code) throw serverError(code);
    },
    {
      ladder,
      rest: async (nextTry, pause) => {
        seen.push(`rest before ${nextTry}`);
        await pause();
      },
    },
  );
  expect(seen).toEqual(['try 1', 'rest before 2', 'try 2', 'rest before 3', 'try 3']);
});

describe('withConflictRetries', () => {
  const backOff = { firstMs: 0, longestMs: 0 };
  const failingCall = (...codes: string[]) => {
    const { rungs, attempt } = failing(...codes);
    return { rungs, call: () => attempt({ lockTimeoutMs: 0, pauseMs: 0 }) };
  };

  it('tries again where others were in the way, so often as it is told', async () => {
    const enough = failingCall('40001', '40P01');
    expect(await withConflictRetries(enough.call, { attempts: 3, backOff })).toBe('done');
    const tooFew = failingCall('40001', '40P01', '55P03');
    await expect(withConflictRetries(tooFew.call, { attempts: 3, backOff })).rejects.toThrow(
      '55P03',
    );
    expect(tooFew.rungs).toHaveLength(3);
  });

  it('tries nothing again that failed for another reason, unless it is told to', async () => {
    const other = failingCall('42P01');
    await expect(withConflictRetries(other.call, { attempts: 3, backOff })).rejects.toThrow();
    expect(other.rungs).toHaveLength(1);
    const told = failingCall('42P01');
    const options = { attempts: 3, backOff, isWorthARetry: () => true };
    expect(await withConflictRetries(told.call, options)).toBe('done');
  });

  it('tells of each failed try', async () => {
    const told: unknown[] = [];
    const { call } = failingCall('40001', '40P01');
    const onRetry = (failed: unknown) => told.push(failed);
    await withConflictRetries(call, { attempts: 4, backOff, onRetry });
    expect(told).toEqual([
      { attempt: 1, attempts: 4, pauseMs: 0, cause: expect.objectContaining({ code: '40001' }) },
      { attempt: 2, attempts: 4, pauseMs: 0, cause: expect.objectContaining({ code: '40P01' }) },
    ]);
  });

  it('tries nothing again once it is interrupted', async () => {
    const before = failingCall('40001');
    const options = { attempts: 3, backOff, signal: AbortSignal.abort() };
    await expect(withConflictRetries(before.call, options)).rejects.toThrow('40001');
    const controller = new AbortController();
    const inPause = failingCall('40001');
    const run = withConflictRetries(inPause.call, {
      attempts: 3,
      backOff: { firstMs: 1_000_000, longestMs: 1_000_000 },
      signal: controller.signal,
      onRetry: () => controller.abort(),
    });
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('a back-off', () => {
  it('doubles with each failure until it is as long as it may be', () => {
    const backOff = { firstMs: 10, longestMs: 50 };
    expect([1, 2, 3, 4, 9].map((failures) => doubledMs(failures, backOff))).toEqual([
      10, 20, 40, 50, 50,
    ]);
  });

  it('leaves out up to half of it by chance', () => {
    const backOff = { firstMs: 100, longestMs: 1000 };
    expect([0, 0.5, 1].map((random) => backOffMs(2, backOff, () => random))).toEqual([
      100, 150, 200,
    ]);
    expect(backOffMs(1, undefined, () => 1)).toBe(100);
    expect(backOffMs(20, undefined, () => 1)).toBe(3000);
  });
});

describe('the failures that are tried again', () => {
  it('are, for calls of evdb, those in which others were in the way', () => {
    const tried = ['55P03', '40P01', '40001', '23505', '57014'];
    expect(tried.map((code) => isConflict(serverError(code)))).toEqual([
      ...[true, true, true],
      ...[false, false],
    ]);
    expect(isLockFailure(serverError('40001'))).toBe(false);
  });

  it('are, for transactions of applications, not the locks that they asked for in vain', () => {
    expect(transactionConflict(serverError('40001'))).toBe('40001');
    expect(transactionConflict(new Error('x', { cause: serverError('40P01') }))).toBe('40P01');
    expect(transactionConflict(serverError('55P03'))).toBeUndefined();
    expect(transactionConflict(new Error('without a code'))).toBeUndefined();
  });

  it('are plans that no longer fit, told from other failures of the same code', () => {
    const stale = (code: string, routine?: string) =>
      Object.assign(serverError(code), routine !== undefined && { routine });
    expect(transactionConflict(stale('0A000', 'RevalidateCachedQuery'))).toBe('0A000');
    expect(transactionConflict(stale('26000', 'FetchPreparedStatement'))).toBe('26000');
    expect(transactionConflict(stale('0A000', 'transformXmlExpr'))).toBeUndefined();
    expect(transactionConflict(stale('0A000'))).toBeUndefined();
    expect(transactionConflict(stale('42P01'))).toBeUndefined();
  });

  it('are looked for at most five errors deep', () => {
    const wrapped = (depth: number): Error =>
      depth === 0 ? serverError('40001') : new Error('outer', { cause: wrapped(depth - 1) });
    expect([3, 4, 5].map((depth) => isConflict(wrapped(depth)))).toEqual([true, true, false]);
  });
});

describe('isLockFailure', () => {
  it('looks through the errors that wrap the one of the server', () => {
    const wrapped = new Error('outer', {
      cause: new Error('inner', { cause: serverError('55P03') }),
    });
    expect(isLockFailure(wrapped)).toBe(true);
    expect(isLockFailure(new Error('outer', { cause: serverError('23505') }))).toBe(false);
    expect(isLockFailure('55P03')).toBe(false);
    expect(isLockFailure(undefined)).toBe(false);
  });
});
