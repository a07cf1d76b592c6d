import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EvdbError } from '../../src/errors.ts';
import { compareMembers } from '../../src/fleet/matrix.ts';
import { digestOfRun, openFleetRecord } from '../../src/fleet/record.ts';
import { type MemberVerdict, type RunFleetOptions, runFleet } from '../../src/fleet/run.ts';
import { planWaves } from '../../src/fleet/waves.ts';
import { test } from '../support/fixture.ts';
import { gate } from '../support/waiting.ts';

const membersOf = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `m${index + 1}`, labels: {} }));
const failed = () => new EvdbError('MIGRATION_FAILED', 'it failed');

type Work = (name: string, signal: AbortSignal) => Promise<MemberVerdict | undefined>;

async function run(
  count: number,
  {
    canary,
    waveSize,
    ...options
  }: Partial<RunFleetOptions> & { canary?: string; waveSize?: string },
  work: Work,
) {
  const waves = planWaves(membersOf(count), { canary, waveSize });
  const result = await runFleet({ waves, ...options }, ({ name }, { signal }) =>
    work(name, signal),
  );
  return {
    ...result,
    states: Object.fromEntries(result.members.map(({ member, state }) => [member, state])),
  };
}

describe('a run over a fleet', () => {
  it('does everyone once, never more at a time than it may', async () => {
    const done: string[] = [];
    let running = 0;
    let most = 0;
    const { members } = await run(20, { concurrency: 3 }, async (name) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
      done.push(name);
      return undefined;
    });
    expect(most).toBe(3);
    expect(new Set(done).size).toBe(20);
    expect(done).toHaveLength(20);
    expect(members.every(({ state }) => state === 'done')).toBe(true);
  });

  it('goes on whatever fails, unless there is a budget', async () => {
    const fail: Work = async (name) => {
      if (['m2', 'm4'].includes(name)) throw failed();
      return undefined;
    };
    const all = await run(6, { concurrency: 1 }, fail);
    expect(all.states).toMatchObject({ m2: 'failed', m4: 'failed', m6: 'done' });
    expect(all.stopped).toBeUndefined();
    const one = await run(6, { concurrency: 1, failureBudget: 1 }, fail);
    expect(one.states).toMatchObject({ m4: 'failed', m5: 'notBegun', m6: 'notBegun' });
    expect(one.stopped).toEqual({ by: 'failures', reason: '2 members failed, and at most 1 may' });
    expect(one.members[1]?.error).toMatchObject({ code: 'MIGRATION_FAILED' });
  });

  it('counts those that fail while the others end', async () => {
    const { stopped } = await run(4, { concurrency: 3, failureBudget: 0 }, async () => {
      throw failed();
    });
    expect(stopped?.reason).toBe('3 members failed, and none may');
  });

  it('lets nobody fail in the canary group', async () => {
    const { states, stopped } = await run(9, { canary: '2', failureBudget: 5 }, async (name) => {
      if (name === 'm1') throw failed();
      return undefined;
    });
    expect(states).toMatchObject({ m1: 'failed', m2: 'done', m3: 'notBegun', m9: 'notBegun' });
    expect(stopped?.reason).toBe('1 member failed in the canary group, and none may');
  });

  it('begins a wave when the one before is done and its check is fine', async () => {
    const told: string[] = [];
    const { states, stopped } = await run(
      6,
      {
        waveSize: '2',
        checkWave: async ({ number }) => {
          told.push(`check ${number}`);
          return number === 2 ? 'too slow' : undefined;
        },
      },
      async (name) => {
        told.push(name);
        return undefined;
      },
    );
    expect(told).toEqual(['m1', 'm2', 'check 1', 'm3', 'm4', 'check 2']);
    expect(states).toMatchObject({ m4: 'done', m5: 'notBegun' });
    expect(stopped).toEqual({ by: 'check', reason: 'too slow' });
  });

  it('is not held up by a member that hangs', async () => {
    const { states, members } = await run(
      5,
      { concurrency: 2, memberTimeoutMs: 20 },
      (name, signal) =>
        new Promise((resolve, reject) => {
          if (name !== 'm1') return resolve(undefined);
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    );
    expect(states).toEqual({ m1: 'failed', m2: 'done', m3: 'done', m4: 'done', m5: 'done' });
    expect(members[0]?.error?.code).toBe('MEMBER_TIMEOUT');
  });

  it('takes a time that no timer can hold as a long one', async () => {
    const options = { concurrency: 1, memberTimeoutMs: Number.POSITIVE_INFINITY };
    const { states } = await run(1, options, async (_, signal) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      signal.throwIfAborted();
      return undefined;
    });
    expect(states).toEqual({ m1: 'done' });
  });

  it('lets what is under way wind up when it is interrupted, and begins nothing more', async () => {
    const controller = new AbortController();
    const { promise, open } = gate();
    const running = run(4, { concurrency: 2, signal: controller.signal }, async (name, signal) => {
      if (name === 'm2') open();
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new EvdbError('INTERRUPTED', 'rolled back')));
      });
    });
    await promise;
    controller.abort();
    const { states, stopped } = await running;
    expect(states).toEqual({
      m1: 'interrupted',
      m2: 'interrupted',
      m3: 'notBegun',
      m4: 'notBegun',
    });
    expect(stopped?.by).toBe('interrupt');
  });

  it('ends with what concerns all members, such as a consent that is missing', async () => {
    const work = async () => {
      throw new EvdbError('CONFIRM_REQUIRED', 'not without consent');
    };
    await expect(run(3, {}, work)).rejects.toMatchObject({ code: 'CONFIRM_REQUIRED' });
  });
});

describe('the record of a run', () => {
  const RUN = { fleet: 'tenants', command: 'migrate up', digest: 'abc' };
  const outcome = (member: string, state: 'done' | 'failed') => ({
    ...{ member, state, exitCode: state === 'done' ? 0 : 1, durationMs: 1 },
  });
  const member = (schema: string) => ({ name: schema, schema, labels: {} });
  const [a, b, c] = [member('a'), member('b'), member('c')];

  test('skips in the next part of a run who is done, and nobody else', ({ project }) => {
    const first = openFleetRecord(project.dir, RUN, false);
    first.note(outcome('a', 'done'), a);
    first.note(outcome('b', 'failed'), b);
    first.close(false);
    const second = openFleetRecord(project.dir, RUN, true);
    expect([a, b, c].map((one) => second.isDone(one))).toEqual([true, false, false]);
    // In another place it is another member.
    expect(second.isDone({ ...a, schema: 'other' })).toBe(false);
    second.close(true);
    expect(readdirSync(join(project.dir, 'fleet-runs'))).toEqual([]);
    expect(() => openFleetRecord(project.dir, RUN, true)).toThrow('left to resume');
  });

  test('is of the SQL files, those in folders too', async ({ project }) => {
    const digest = () => digestOfRun({ to: '3' }, [join(project.dir, 'migrations')]);
    await project.migration('001_a', 'select 1;\n');
    await project.write('migrations/repeatable/views.sql', 'select 2;\n');
    const first = digest();
    expect(digest()).toBe(first);
    expect(digestOfRun({ to: '4' }, [join(project.dir, 'migrations')])).not.toBe(first);
    await project.write('migrations/repeatable/views.sql', 'select 3;\n');
    expect(digest()).not.toBe(first);
    expect(digestOfRun({}, [join(project.dir, 'nowhere')])).toBe(digestOfRun({}, []));
  });

  test('is refused where the files or the options are others', ({ project }) => {
    openFleetRecord(project.dir, RUN, false).close(false);
    const other = { ...RUN, digest: 'def' };
    expect(() => openFleetRecord(project.dir, other, true)).toThrow('was another one');
  });

  test('is read up to where a runner was killed', ({ project }) => {
    openFleetRecord(project.dir, RUN, false).note(outcome('a', 'done'), a);
    const folder = join(project.dir, 'fleet-runs');
    const path = join(folder, readdirSync(folder)[0] ?? '');
    writeFileSync(path, `${readFileSync(path, 'utf8')}{"member":"b","ke`);
    const second = openFleetRecord(project.dir, RUN, true);
    second.note(outcome('c', 'done'), c);
    const third = openFleetRecord(project.dir, RUN, true);
    expect([a, b, c].map((one) => third.isDone(one))).toEqual([true, false, true]);
  });

  test('holds no URL', ({ project }) => {
    const secret = { name: 'x', url: 'postgres://app:hunter2@host/db', labels: {} };
    openFleetRecord(project.dir, RUN, false).note(outcome('x', 'done'), secret);
    const folder = join(project.dir, 'fleet-runs');
    const text = readFileSync(join(folder, readdirSync(folder)[0] ?? ''), 'utf8');
    expect(text).toContain('"member":"x"');
    expect(text).not.toMatch(/hunter2|postgres:/);
  });
});

describe('the matrix of a fleet', () => {
  const alike = (member: string, newest = '002', states = {}) => ({ member, newest, states });

  it('groups members that stand alike, outliers first', () => {
    const unreachable = {
      ...{ member: 'e', state: 'failed' as const, exitCode: 4, durationMs: 1 },
      error: { code: 'CONNECTION_REFUSED', message: 'nobody there' },
    };
    const matrix = compareMembers(
      [alike('a'), alike('b'), alike('c', '001', { '002': 'pending' }), alike('d')],
      [unreachable],
    );
    expect(matrix).toMatchObject({ versions: ['002'], structures: null, isUniform: false });
    expect(matrix.groups.map(({ members }) => members)).toEqual([['c'], ['e'], ['a', 'b', 'd']]);
    expect(compareMembers([alike('a'), alike('b')], []).isUniform).toBe(true);
    const pending = { '003': 'pending' as const };
    expect(compareMembers([alike('a', '002', pending)], []).isUniform).toBe(false);
  });
});
