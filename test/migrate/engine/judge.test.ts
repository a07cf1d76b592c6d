import { describe, expect, it } from 'vitest';
import {
  areKept,
  type EnginePromise,
  judgeEngine,
  type Seen,
} from '../../../src/migrate/engine/judge.ts';

const POSTGRESQL: Seen = {
  lock: { isShared: false },
  within: { hasFirst: true, hasSecond: false },
  after: { isKept: true, tablesLeft: 0 },
};

const ALL: EnginePromise[] = ['lock', 'rollback', 'savepoint', 'session'];

function brokenBy(seen: Partial<Seen>, needsLock = true): EnginePromise[] {
  return judgeEngine({ ...POSTGRESQL, ...seen }, needsLock).broken.map(({ promise }) => promise);
}

/** The server refused this part of the probe, and nothing behind it ran. */
function refusedAt(at: 'begin' | 'create' | 'savepoint', sqlstate: string): Partial<Seen> {
  return { refused: { at, sqlstate }, within: undefined };
}

describe('a server', () => {
  it('that does what PostgreSQL does keeps every promise', () => {
    expect(judgeEngine(POSTGRESQL, true)).toEqual({ broken: [], held: ALL });
  });

  it.each<[string, Partial<Seen>, EnginePromise[]]>([
    ['gives a lock twice', { lock: { isShared: true } }, ['lock']],
    ['has no such lock', { lock: { sqlstate: '42883' } }, ['lock']],
    ['keeps a table after the rollback', { after: { isKept: true, tablesLeft: 1 } }, ['rollback']],
    ['refuses a second DDL in a transaction', refusedAt('create', '0A000'), ['rollback']],
    ['refuses a savepoint behind DDL', refusedAt('savepoint', '0A000'), ['savepoint']],
    [
      'does not go back to a savepoint',
      { within: { hasFirst: true, hasSecond: true } },
      ['savepoint'],
    ],
    ['goes back too far', { within: { hasFirst: false, hasSecond: false } }, ['savepoint']],
    ['forgets a setting', { after: { isKept: false, tablesLeft: 0 } }, ['session']],
    [
      'does nothing of it',
      {
        lock: { isShared: true },
        ...refusedAt('savepoint', '0A000'),
        after: { isKept: false, tablesLeft: 2 },
      },
      ALL,
    ],
  ])('that %s is unfit', (_, seen, broken) => {
    expect(brokenBy(seen)).toEqual(broken);
  });

  it.each<[string, string]>([
    ['a privilege that is missing', '42501'],
    ['a cancel', '57014'],
    ['a lock that was not to be had', '55P03'],
    ['a full disk', '53100'],
    ['an event trigger that refuses', 'P0001'],
    ['a conflict', '40001'],
  ])('is neither fit nor unfit by %s', (_, sqlstate) => {
    const { broken, held } = judgeEngine(
      { ...POSTGRESQL, ...refusedAt('create', sqlstate), lock: { sqlstate } },
      true,
    );
    expect(broken).toEqual([]);
    expect(held).toEqual(['session']);
  });

  it('needs no advisory lock where runners have a lease', () => {
    const { broken, held } = judgeEngine({ ...POSTGRESQL, lock: { isShared: true } }, false);
    expect(broken).toEqual([]);
    expect(held).not.toContain('lock');
  });
});

describe('what the ledger remembers', () => {
  it.each<[string, boolean, boolean]>([
    ['lock rollback savepoint session', true, true],
    ['rollback savepoint session', true, false],
    ['rollback savepoint session', false, true],
    ['lock rollback savepoint session', false, true],
    ['lock rollback session', true, false],
    ['', false, false],
  ])('"%s" is enough with an advisory lock %s: %s', (kept, needsLock, isEnough) => {
    expect(areKept(kept, needsLock)).toBe(isEnough);
  });
});
