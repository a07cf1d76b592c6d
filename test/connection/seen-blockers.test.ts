import { expect, it } from 'vitest';
import { type Blocker, createSeenBlockers } from '../../src/connection/blockers.ts';

const blocker = (pid: number, query = ''): Blocker => ({
  ...{ pid, query, user: null, application: null, client: null, state: null, sinceMs: 1 },
});

it('counts in how many tries a blocker was seen, once a try, the most stubborn first', () => {
  const seen = createSeenBlockers();
  for (const looks of [[[1], [1, 2]], [[2]], [], [[2], [2]]]) {
    seen.startTry();
    for (const pids of looks) seen.note(pids.map((pid) => blocker(pid)));
  }
  expect(seen.list()).toMatchObject([
    { pid: 2, tries: 3 },
    { pid: 1, tries: 1 },
  ]);
  expect(seen.last).toMatchObject([{ pid: 2 }]);
});

it('keeps what a blocker did last, and when it was seen first', () => {
  const seen = createSeenBlockers();
  seen.startTry();
  seen.note([blocker(1, 'select 1')]);
  const [first] = seen.list();
  seen.startTry();
  seen.note([blocker(1, 'select 2')]);
  expect(seen.list()).toEqual([{ ...first, query: 'select 2', tries: 2 }]);
});

it('knows of no blocker in a try that met none', () => {
  const seen = createSeenBlockers();
  seen.startTry();
  seen.note([blocker(1)]);
  seen.startTry();
  expect(seen.last).toEqual([]);
  expect(seen.list()).toMatchObject([{ pid: 1, tries: 1 }]);
});
