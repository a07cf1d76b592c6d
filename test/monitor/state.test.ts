import { describe, expect, it } from 'vitest';
import { monitorStep, shownTable, startMonitor } from '../../src/monitor/state.ts';
import { lookAt, play, sessionRow } from './monitor-kit.ts';

const busy = lookAt(0, { activity: [sessionRow(10), sessionRow(30), sessionRow(20)] });
const pidsOf = (state: Parameters<typeof shownTable>[0]) =>
  shownTable(state).rows.map((row) => (row as { pid: number }).pid);

describe('keys', () => {
  it.each([
    ['q', { kind: 'quit', isInterrupt: false }],
    ['C-c', { kind: 'quit', isInterrupt: true }],
    ['C-z', { kind: 'suspend' }],
    ['3', { kind: 'look' }],
    ['tab', { kind: 'look' }],
    ['1', undefined],
    ['x', undefined],
  ])('%s asks for %o', (key, effect) => {
    expect(play([busy, key]).effect).toEqual(effect);
  });

  it.each([
    [['3'], 'locks'],
    [['7'], 'sale'],
    [['tab'], 'waits'],
    [['left'], 'sale'],
    [['tab', 'tab', 'left'], 'waits'],
    [['9'], 'activity'],
  ])('%j lead to the view %s', (keys, view) => {
    expect(play([busy, ...keys]).state.view).toBe(view);
  });

  it('sort by one column after the other, and say which', () => {
    expect(pidsOf(play([busy]).state)).toEqual([30, 20, 10]);
    const { state } = play([busy, 's', 's']);
    expect(state.message).toBe('sorted by pid');
    expect(pidsOf(state)).toEqual([10, 20, 30]);
    expect(play([busy, '3', 's']).state.message).toBe('this view has one order');
  });

  it('filter by what a row says, until Esc', () => {
    const typed = play([busy, '/', '2', '0']).state;
    expect(typed).toMatchObject({ filter: '20', isTypingFilter: true });
    expect(pidsOf(typed)).toEqual([20]);
    const kept = play(['return', 's'], typed).state;
    expect(kept).toMatchObject({ filter: '20', isTypingFilter: false });
    expect(pidsOf(play(['escape'], kept).state)).toHaveLength(3);
    expect(play([busy, '/', 'q', 'k', 'backspace', 'up']).state).toMatchObject({ filter: 'q' });
    expect(play([busy, '/', 'a', 'C-c']).effect).toEqual({ kind: 'quit', isInterrupt: true });
  });

  it('pause, and look at once when it goes on', () => {
    expect(play([busy, ' ']).state.isPaused).toBe(true);
    expect(play([busy, ' ', 'p'])).toMatchObject({
      state: { isPaused: false },
      effect: { kind: 'look' },
    });
  });

  it('show help, which the next key ends without doing anything', () => {
    const { state, effect } = play([busy, '?', 'q']);
    expect({ isHelp: state.isHelp, effect }).toEqual({ isHelp: false, effect: undefined });
  });
});

describe('a session', () => {
  it('is ended only after a yes to a question that names it', () => {
    const asked = play([busy, 'down', 'k']).state;
    expect(asked.question).toEqual({
      action: 'end',
      target: { pid: 20, user: 'app', application: 'api' },
      about: 'select 20',
    });
    expect(play(['y'], asked)).toMatchObject({
      effect: { kind: 'act', action: 'end', target: { pid: 20 } },
      state: { question: undefined },
    });
    for (const key of ['n', 'return', 'escape', 'k', 'q']) {
      expect(play([key], asked)).toMatchObject({
        effect: undefined,
        state: { question: undefined, message: 'session 20 was left alone' },
      });
    }
  });

  it('stays marked where rows move, and stays the one that is asked about', () => {
    const { state } = play([busy, 'down']);
    const moved = lookAt(1, { activity: [sessionRow(40), sessionRow(20), sessionRow(50)] });
    expect(play([moved, 'c'], state).state.question).toMatchObject({
      action: 'cancel',
      target: { pid: 20 },
    });
    const asked = play(['k'], state).state;
    expect(play([moved, 'y'], asked).effect).toMatchObject({ target: { pid: 20 } });
  });

  it('is asked about only in views of sessions', () => {
    expect(play([busy, '4', 'k']).state).toMatchObject({
      question: undefined,
      message: 'no session is marked: choose one in activity or locks',
    });
    expect(play(['k']).state.question).toBeUndefined();
  });
});

describe('a mark', () => {
  it('stays within the rows', () => {
    expect(play([busy, 'down', 'down', 'down', 'pagedown']).state.selected).toBe(2);
    expect(play([busy, 'end', 'up', 'home']).state.selected).toBe(0);
    const fewer = lookAt(1, { activity: [sessionRow(99)] });
    expect(play([busy, 'end', fewer]).state.selected).toBe(0);
  });
});

describe('a lost connection', () => {
  it('is said until the next look, and takes its question with it', () => {
    const asked = play([busy, 'k']).state;
    const { state } = monitorStep(asked, { kind: 'lost', message: 'the server is gone' });
    expect(state).toMatchObject({ lost: 'the server is gone', question: undefined });
    expect(play([lookAt(2)], state).state.lost).toBeUndefined();
  });
});

it('keeps the looks of a minute', () => {
  const looks = Array.from({ length: 100 }, (_, at) => lookAt(at));
  const { looks: kept } = play(looks, startMonitor()).state;
  expect(kept).toHaveLength(61);
  expect(kept.at(-1)).toBe(looks[99]);
});
