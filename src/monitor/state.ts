import type { SessionAction, SessionTarget } from './end-session.ts';
import { MONITOR_VIEWS, type MonitorLook, type MonitorView } from './look.ts';
import { tableOf } from './views.ts';

/** All that the screen is made of. */
export interface MonitorState {
  view: MonitorView;
  /** Of each view: which of its sorts. */
  sorts: Partial<Record<MonitorView, number>>;
  filter: string;
  isTypingFilter: boolean;
  isPaused: boolean;
  isHelp: boolean;
  /** The row that is marked, from 0. */
  selected: number;
  /** What was asked, and waits for `y`. */
  question: { action: SessionAction; target: SessionTarget; about: string } | undefined;
  /** What was done, or why nothing was. */
  message: string;
  /** Why there is no connection now; undefined while there is one. */
  lost: string | undefined;
  /** The last minute, oldest first. */
  looks: readonly MonitorLook[];
}

/** A key as `node:readline` reports it. */
export interface MonitorKey {
  name?: string | undefined;
  sequence?: string | undefined;
  ctrl?: boolean | undefined;
}

/** What happens to a monitor. */
export type MonitorEvent =
  | { kind: 'look'; look: MonitorLook }
  | { kind: 'lost'; message: string }
  | { kind: 'said'; message: string }
  | { kind: 'key'; key: MonitorKey };

/** What has to be done beside drawing the screen again. */
export type MonitorEffect =
  | { kind: 'quit'; isInterrupt: boolean }
  | { kind: 'suspend' }
  /** Look at once: another view needs other facts. */
  | { kind: 'look' }
  | { kind: 'act'; action: SessionAction; target: SessionTarget };

/**
 * The state before the first look.
 *
 * @example
 * const state = startMonitor('sale');
 */
export function startMonitor(view: MonitorView = 'activity'): MonitorState {
  return {
    ...{ view, sorts: {}, filter: '', isTypingFilter: false, isPaused: false, isHelp: false },
    ...{ selected: 0, question: undefined, message: '', lost: undefined, looks: [] },
  };
}

const MOST_LOOKS = 61;

/**
 * The state after an event, and what has to be done.
 *
 * @example
 * const { state, effect } = monitorStep(startMonitor(), { kind: 'key', key: { name: 'q' } });
 */
export function monitorStep(
  state: MonitorState,
  event: MonitorEvent,
): { state: MonitorState; effect?: MonitorEffect } {
  switch (event.kind) {
    case 'look':
      return { state: withLook(state, event.look) };
    case 'lost':
      return { state: { ...state, lost: event.message, question: undefined } };
    case 'said':
      return { state: { ...state, message: event.message } };
    default:
      return pressKey(state, event.key);
  }
}

function withLook(state: MonitorState, look: MonitorLook): MonitorState {
  const looks = [...state.looks, look].slice(-MOST_LOOKS);
  const seen = { ...state, looks, lost: undefined };
  // The mark follows its session: rows move, and a key must not hit the one that came in between.
  const marked = markedTarget(state);
  const { rows, targetOf } = shownTable(seen);
  const at = marked ? rows.findIndex((row) => targetOf(row)?.pid === marked.pid) : -1;
  return keepSelection(at < 0 ? seen : { ...seen, selected: at });
}

/** The session of the marked row. */
function markedTarget(state: MonitorState): SessionTarget | undefined {
  const { rows, targetOf } = shownTable(state);
  const row = rows[state.selected];
  return row === undefined ? undefined : targetOf(row);
}

function keepSelection(state: MonitorState): MonitorState {
  const { rows } = shownTable(state);
  return { ...state, selected: Math.max(0, Math.min(state.selected, rows.length - 1)) };
}

/** The table of the view that is shown. */
export function shownTable(state: MonitorState) {
  const { view, looks, sorts, filter } = state;
  return tableOf(view, looks, { sort: sorts[view] ?? 0, filter });
}

type Step = ReturnType<typeof monitorStep>;

function pressKey(state: MonitorState, key: MonitorKey): Step {
  if (key.ctrl && key.name === 'c') return { state, effect: { kind: 'quit', isInterrupt: true } };
  if (key.ctrl && key.name === 'z') return { state, effect: { kind: 'suspend' } };
  if (state.question) return answer(state, state.question, key);
  if (state.isTypingFilter) return { state: keepSelection(typeFilter(state, key)) };
  if (state.isHelp) return { state: { ...state, isHelp: false } };
  return command({ ...state, message: '' }, key);
}

function answer(
  state: MonitorState,
  { action, target }: NonNullable<MonitorState['question']>,
  key: MonitorKey,
): Step {
  const answered = { ...state, question: undefined };
  if (key.name === 'y' || key.name === 'Y') {
    return { state: answered, effect: { kind: 'act', action, target } };
  }
  return { state: { ...answered, message: `session ${target.pid} was left alone` } };
}

function typeFilter(state: MonitorState, { name, sequence = '', ctrl }: MonitorKey): MonitorState {
  const { filter } = state;
  if (name === 'return' || name === 'enter') return { ...state, isTypingFilter: false };
  if (name === 'escape') return { ...state, isTypingFilter: false, filter: '' };
  if (name === 'backspace') return { ...state, filter: [...filter].slice(0, -1).join('') };
  // Keys without a character, such as arrows, come as sequences of control characters.
  if (ctrl || sequence === '' || /\p{Cc}/u.test(sequence)) return state;
  return { ...state, filter: filter + sequence };
}

const PAGE = 10;

const MOVES: Record<string, number> = {
  up: -1,
  down: 1,
  pageup: -PAGE,
  pagedown: PAGE,
  home: Number.NEGATIVE_INFINITY,
  end: Number.POSITIVE_INFINITY,
};

function command(state: MonitorState, key: MonitorKey): Step {
  const { name = '', sequence = '' } = key;
  const number = Number(sequence);
  if (/^[1-9]$/.test(sequence)) return toView(state, MONITOR_VIEWS[number - 1]);
  const move = MOVES[name];
  if (move !== undefined) {
    const { rows } = shownTable(state);
    const selected = Math.max(0, Math.min(state.selected + move, rows.length - 1));
    return { state: { ...state, selected } };
  }
  switch (name === '' ? sequence : name) {
    case 'q':
      return { state, effect: { kind: 'quit', isInterrupt: false } };
    case 'tab':
    case 'right':
      return toView(state, nextView(state.view, 1));
    case 'left':
      return toView(state, nextView(state.view, -1));
    case 's':
      return { state: sortOtherwise(state) };
    case 'space':
    case 'p':
      return {
        state: { ...state, isPaused: !state.isPaused },
        ...(state.isPaused && { effect: { kind: 'look' } }),
      };
    case '/':
    case 'f':
      return { state: { ...state, isTypingFilter: true } };
    case 'escape':
      return { state: keepSelection({ ...state, filter: '' }) };
    case '?':
    case 'h':
      return { state: { ...state, isHelp: true } };
    case 'c':
      return { state: askAbout(state, 'cancel') };
    case 'k':
      return { state: askAbout(state, 'end') };
    default:
      return { state };
  }
}

function nextView(view: MonitorView, by: number): MonitorView {
  const at = MONITOR_VIEWS.indexOf(view) + by + MONITOR_VIEWS.length;
  return MONITOR_VIEWS[at % MONITOR_VIEWS.length] as MonitorView;
}

function toView(state: MonitorState, view: MonitorView | undefined): Step {
  if (view === undefined || view === state.view) return { state };
  return { state: { ...state, view, selected: 0 }, effect: { kind: 'look' } };
}

function sortOtherwise(state: MonitorState): MonitorState {
  const { sorts } = shownTable(state);
  if (sorts.length < 2) return { ...state, message: 'this view has one order' };
  const at = ((state.sorts[state.view] ?? 0) + 1) % sorts.length;
  const message = `sorted by ${sorts[at]}`;
  return { ...state, message, selected: 0, sorts: { ...state.sorts, [state.view]: at } };
}

function askAbout(state: MonitorState, action: SessionAction): MonitorState {
  const { rows, targetOf } = shownTable(state);
  const row = rows[state.selected];
  const target = row === undefined ? undefined : targetOf(row);
  if (!target) {
    return { ...state, message: 'no session is marked: choose one in activity or locks' };
  }
  const { statement } = row as { statement?: string | null };
  return { ...state, question: { action, target, about: statement ?? '' } };
}
