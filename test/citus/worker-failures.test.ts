import { describe, expect, it } from 'vitest';
import { isOnOtherNode, splitGlobalPid } from '../../src/citus/lock-waits.ts';
import { reachWorkers } from '../../src/citus/timeouts.ts';
import { hearWorkers, withReason } from '../../src/citus/worker-failures.ts';
import { isLockFailure } from '../../src/connection/retry.ts';
import type { NoticeListener, Session } from '../../src/connection/session.ts';
import { beginStatements } from '../../src/migrate/apply/worker-session.ts';

const essential = () =>
  Object.assign(new Error('failure on connection marked as essential: worker1:5432'), {
    code: 'XX000',
  });
const warning = (code: string) => ({ severity: 'WARNING', code, message: `because of ${code}` });

describe('an error of a coordinator', () => {
  it.each([
    ['XX000', '55P03', true],
    ['XX000', '40P01', true],
    ['XX000', undefined, false],
    ['42P01', '55P03', false],
    ['55P03', undefined, true],
  ] as const)('%s after a warning %s is a lock failure: %s', (code, warned, isLock) => {
    const error = Object.assign(essential(), { code });
    expect(isLockFailure(withReason(error, warned && warning(warned)))).toBe(isLock);
  });

  it('keeps where it happened, and what the coordinator said', () => {
    const error = Object.assign(essential(), { failedAt: 3, position: '7' });
    expect(withReason(error, warning('55P03'))).toMatchObject({
      ...{ code: '55P03', message: 'because of 55P03', failedAt: 3, position: '7' },
      detail: 'On a worker: failure on connection marked as essential: worker1:5432',
    });
  });
});

/** Answers messages as told, and keeps them. */
function fakeSession(answer: (text: string, hear: NoticeListener) => unknown[], isCitus = true) {
  const messages: string[] = [];
  let hear: NoticeListener = () => undefined;
  const session = {
    facts: { isCitus },
    run: async (text: string) => {
      messages.push(text);
      return answer(text, hear);
    },
    onNotice: (listener: NoticeListener) => {
      hear = listener;
    },
  } as unknown as Session;
  return { session, messages };
}

describe('a session with a coordinator', () => {
  it('sends each statement as a message of its own, and gives the last rows', async () => {
    const { session, messages } = fakeSession((text) => (text === 'b' ? [{ b: 1 }] : []));
    const done: number[] = [];
    const rows = await hearWorkers(session).runEach(['a', 'b', 'c'], (index) => done.push(index));
    expect([messages, rows, done]).toEqual([['a', 'b', 'c'], [{ b: 1 }], [0, 1, 2]]);
  });

  it('tells which statement failed, and why', async () => {
    const { session } = fakeSession((text, hear) => {
      if (text !== 'b') return [];
      hear(warning('55P03'), text);
      throw essential();
    });
    const run = hearWorkers(session).runEach(['a', 'b'], () => undefined);
    await expect(run).rejects.toMatchObject({ failedAt: 1, code: '55P03' });
  });

  it('forgets a warning once a statement is done, and passes it on', async () => {
    const { session } = fakeSession((text, hear) => {
      if (text === 'b') throw essential();
      hear(warning('55P03'), text);
      return [];
    });
    const heard: string[] = [];
    const citus = hearWorkers(session);
    citus.onNotice(({ message }) => heard.push(message));
    await citus.run('a');
    await expect(citus.run('b')).rejects.toMatchObject({ code: 'XX000' });
    expect(heard).toEqual(['because of 55P03']);
  });

  it('is the session itself on any other server', () => {
    const { session } = fakeSession(() => [], false);
    expect(hearWorkers(session)).toBe(session);
  });
});

describe('a transaction on a coordinator', () => {
  const begin = (isCitus: boolean) =>
    beginStatements({
      facts: {
        ...{ pid: 1, serverVersion: 180000, user: 'a', sessionUser: 'a', isCitus },
        ...{ isInRecovery: false, isReadOnly: false, canCheckClient: false, isPooled: false },
      },
      ...{ targetSchema: 'public', searchPath: [], createTarget: false, lockTimeoutMs: 200 },
      statementTimeoutMs: 5000,
    });

  it('makes its own settings before anything is sent on to the workers', () => {
    expect(begin(true)).toEqual([...begin(false), ...reachWorkers(200)]);
    expect(reachWorkers('3s')).toEqual([
      "set local citus.propagate_set_commands = 'local'",
      "set local lock_timeout = '3s'",
    ]);
  });
});

describe('a global pid', () => {
  it.each([
    [20000001234, 2, 1234, true],
    [10000000007, 1, 7, true],
    [4321, 0, 4321, false],
  ])('%i is of node %i, pid %i', (globalPid, node, pid, isOther) => {
    expect(splitGlobalPid(globalPid)).toEqual({ node, pid });
    expect(isOnOtherNode({ pid: globalPid })).toBe(isOther);
  });
});
