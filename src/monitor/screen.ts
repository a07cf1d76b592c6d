import { stripVTControlCharacters } from 'node:util';
import { oneLine, renderValue } from '../report/columns.ts';
import { fitTable } from '../report/fit-table.ts';
import type { Style } from '../report/table.ts';
import { renderDuration, renderPercent, renderTime } from '../text/units.ts';
import { cutToWidth, displayWidth } from '../text/width.ts';
import { wrapWords } from '../text/wrap.ts';
import { MONITOR_VIEWS, type MonitorLook } from './look.ts';
import { counterRate, registrationRate } from './rates.ts';
import { type MonitorState, shownTable } from './state.ts';
import { renderRate } from './views.ts';

/** How a screen is drawn. */
export interface ScreenOptions {
  width: number;
  height: number;
  style: Style;
  /** Between two looks. */
  intervalMs: number;
  /** Such as `shop at db.example.org`. */
  title: string;
  /** Whether the chosen row is marked; default true. */
  isMarked?: boolean;
}

/** The lines of the screen, each at most as wide as it is, and as many as it is high. */
export function renderMonitor(state: MonitorState, options: ScreenOptions): string[] {
  const { width, height, style } = options;
  const head = renderHead(state, options);
  const foot = renderFoot(state, options);
  const room = Math.max(0, height - head.length - foot.length);
  const body = state.isHelp ? renderHelp(width) : renderBody(state, { ...options, height: room });
  const blank = Array.from({ length: Math.max(0, room - body.length) }, () => '');
  return [...head, ...body.slice(0, room), ...blank, ...foot]
    .slice(0, height)
    .map((line) => cutLine(line, width, style));
}

/** One look as text, for files and pipes: as long as it is. */
export function renderMonitorText(
  state: MonitorState,
  { width, style }: Pick<ScreenOptions, 'width' | 'style'>,
): string[] {
  const look = state.looks.at(-1);
  if (!look) return [];
  const { rows } = shownTable(state);
  // Every row, and what is said below them.
  const height = rows.length + look.notes.length * 10 + 10;
  const options = { width, height, style, intervalMs: 0, title: '', isMarked: false };
  return [...renderSummary(state, look, options), '', ...renderBody(state, options)];
}

/** Lines that are too wide lose their colours with their end. */
function cutLine(line: string, width: number, style: Style): string {
  const plain = stripVTControlCharacters(line);
  if (displayWidth(plain) <= width) return line;
  const cut = cutToWidth(plain, width);
  return line === plain ? cut : style.bold(cut);
}

function renderHead(state: MonitorState, options: ScreenOptions): string[] {
  const { width, style, title, intervalMs } = options;
  const look = state.looks.at(-1);
  const clock = look ? renderTime(look.pulse.at.toISOString()) : '';
  const since = state.isPaused ? 'paused' : `every ${renderDuration(intervalMs)}`;
  const name = ['evdb', oneLine(title), clock, since].filter((part) => part !== '');
  return [
    style.bold(cutToWidth(name.join('  '), width)),
    renderTabs(state, options),
    ...(look ? renderSummary(state, look, options) : []),
    '',
  ];
}

function renderTabs({ view }: MonitorState, { width, style }: ScreenOptions): string {
  const whole = MONITOR_VIEWS.map((name, at) => `${at + 1} ${name}`);
  const isRoomy = displayWidth(whole.join('  ')) + 2 <= width;
  const tabs = MONITOR_VIEWS.map((name, at) => {
    if (name === view) return style.bold(`[${whole[at]}]`);
    return style.dim(isRoomy ? (whole[at] ?? '') : String(at + 1));
  });
  return tabs.join(isRoomy ? '  ' : ' ');
}

/** What matters in every view, in as many lines as it takes. */
function renderSummary(
  state: MonitorState,
  look: MonitorLook,
  { width, style }: ScreenOptions,
): string[] {
  const { total, max, active, idleInTransaction, waiting } = look.pulse.connections;
  const before = state.looks.at(-2);
  const commits = before ? counterRate(before, look, 'commits') : null;
  const hits = before ? counterRate(before, look, 'blocksHit') : null;
  const reads = before ? counterRate(before, look, 'blocksRead') : null;
  const registered = state.view === 'sale' ? registrationRate(state.looks) : null;
  const parts = [
    `${total} of ${max} connections`,
    `${active} active`,
    ...(idleInTransaction > 0 ? [`${idleInTransaction} idle in transaction`] : []),
    ...(waiting > 0 ? [`${waiting} waiting for locks`] : []),
    ...(commits === null ? [] : [`${renderRate(commits)} commits/s`]),
    ...(hits !== null && reads !== null && hits + reads > 0
      ? [`${renderPercent((hits / (hits + reads)) * 100)} from memory`]
      : []),
    ...(registered === null ? [] : [`${renderRate(registered)} registrations/s`]),
  ];
  const lines = wrapWords(parts.join(' · '), width);
  return waiting > 0 ? lines.map((line) => style.warn(line)) : lines;
}

function renderBody(state: MonitorState, options: ScreenOptions): string[] {
  const { width, height, style, isMarked: marks = true } = options;
  const look = state.looks.at(-1);
  if (!look) return [state.lost ? '' : 'looking …'];
  const { columns, rows, empty } = shownTable(state);
  const notes = look.notes.flatMap((note) => wrapWords(`note: ${oneLine(note)}`, width));
  if (rows.length === 0) return [...wrapWords(empty, width), '', ...notes];
  const room = Math.max(1, height - 1 - (notes.length === 0 ? 0 : notes.length + 1));
  // The marked row stays in sight.
  const first = Math.max(0, Math.min(state.selected - room + 1, rows.length - room));
  const marker = { title: ' ' };
  const cells = rows.slice(first, first + room).map((row, at) => {
    const isMarked = first + at === state.selected;
    const values = columns.map(({ value, unit = 'text', tone }) => {
      const colour = tone?.(row);
      const text = renderValue(value(row, first + at, rows), unit);
      return { text, ...(colour && { colour: COLOURS[colour] }) };
    });
    const mark = { text: isMarked ? '>' : ' ', colour: 'bold' as const };
    return marks ? [mark, ...values] : values;
  });
  const titled = columns.map(({ header, unit = 'text', priority = 0, text, usual }) => ({
    title: header,
    priority,
    ...(RIGHT.has(unit) && { align: 'right' as const }),
    // A line is a row here.
    ...(unit === 'text' && { text: text === 'whole' ? ('whole' as const) : ('cuts' as const) }),
    ...(usual !== undefined && { usual }),
  }));
  const drawn = fitTable(marks ? [marker, ...titled] : titled, cells, style, {
    width,
    more: '',
  }).split('\n');
  const table = drawn.slice(0, room + 1);
  return notes.length === 0 ? table : [...table, '', ...notes];
}

const RIGHT = new Set(['bytes', 'count', 'ms', 'percent', 'ratio']);

const COLOURS = { good: 'good', warning: 'warn', critical: 'bad', muted: 'dim' } as const;

const KEYS = 'q quit  ? help  Tab view  s sort  / filter  Space pause  c cancel  k end';

function renderFoot(state: MonitorState, { width, style }: ScreenOptions): string[] {
  const said = renderSaid(state, width);
  const last = state.isTypingFilter
    ? style.bold(`filter: ${state.filter}_  (Enter keeps it, Esc removes it)`)
    : style.dim(cutToWidth(KEYS, width));
  return [...said.map((line) => (state.lost ? style.bad(line) : style.bold(line))), last];
}

function renderSaid(state: MonitorState, width: number): string[] {
  const { lost, question, message, filter, isTypingFilter } = state;
  if (lost !== undefined) return wrapWords(oneLine(lost), width);
  if (question) {
    const { pid, user, application } = question.target;
    const who = [user, application].filter((name) => name !== null).join(', ');
    const what = question.action === 'end' ? 'End session' : 'Cancel the statement of session';
    const text = `${what} ${pid}${who === '' ? '' : ` (${who})`}? y/n`;
    const about = question.about === '' ? [] : [cutToWidth(`  ${oneLine(question.about)}`, width)];
    return [...about, ...wrapWords(oneLine(text), width)];
  }
  if (message !== '') return wrapWords(oneLine(message), width);
  return filter === '' || isTypingFilter
    ? []
    : [cutToWidth(`only rows that say "${oneLine(filter)}"`, width)];
}

const HELP: readonly (readonly [keys: string, does: string])[] = [
  ['1 to 7, Tab, ← →', 'another view'],
  ['↑ ↓ PgUp PgDn', 'mark another row'],
  ['s', 'sort by the next column that the view sorts by'],
  ['/ or f', 'show only rows that say a text; Esc shows all again'],
  ['Space or p', 'pause, and go on'],
  ['c', 'cancel the statement of the marked session, after a question'],
  ['k', 'end the marked session, after a question'],
  ['Ctrl-Z', 'suspend; fg goes on'],
  ['q or Ctrl-C', 'quit'],
];

function renderHelp(width: number): string[] {
  const indent = Math.min(20, Math.floor(width / 2));
  return HELP.flatMap(([keys, does]) => {
    const [first = '', ...further] = wrapWords(does, width - indent);
    const padding = ' '.repeat(Math.max(1, indent - displayWidth(keys)));
    return [`${keys}${padding}${first}`, ...further.map((line) => ' '.repeat(indent) + line)];
  });
}
