import { describe, expect, it } from 'vitest';
import {
  type FailedTry,
  isLockFailure,
  LADDER,
  type Rung,
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
