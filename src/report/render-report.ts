import { renderDuration, renderTime } from '../text/units.ts';
import { fitText } from '../text/wrap.ts';
import {
  isNumeric,
  oneLine,
  type ReportColumn,
  type ReportNote,
  type ReportView,
  renderValue,
  type StatsReport,
  type Tone,
} from './columns.ts';
import { fitTable } from './fit-table.ts';
import type { Cell, Column, Style, TableRenderer } from './table.ts';

export interface ReportRenderOptions {
  style: Style;
  /** Of the terminal, in columns; default: as wide as it gets, as for a file. */
  width?: number | undefined;
  /** Default `table`. */
  format?: 'table' | 'markdown' | undefined;
  /** Neither leaves columns out nor cuts texts. */
  full?: boolean | undefined;
  /** Draws boxes where they fit, for terminals; default: `renderTable`, which draws none. */
  table?: TableRenderer | undefined;
  /** Default: the time of the call; ages are told from it. */
  now?: Date | undefined;
}

const COLOURS: Record<Tone, keyof Style> = {
  good: 'good',
  warning: 'warn',
  critical: 'bad',
  muted: 'dim',
};

/**
 * A report for people: its table sized to the terminal, or what it means that there is none, and
 * below it since when the server counts and what one should know.
 *
 * @example renderReport(report, UNUSED_VIEW, { style: PLAIN, width: 80 })
 */
export function renderReport<T>(
  report: StatsReport<T>,
  view: ReportView<T>,
  options: ReportRenderOptions,
): string {
  const { style, format = 'table', now = new Date() } = options;
  const width = options.width ?? Number.POSITIVE_INFINITY;
  const isEmpty = report.rows.length === 0;
  const head = format === 'markdown' ? [`## ${view.title}`, ''] : [];
  const body = isEmpty ? fitText(view.empty(report), options.width) : drawRows(report.rows);
  const foot = [
    ...(isEmpty || report.countedSince === null ? [] : [counted(report.countedSince, now)]),
    ...report.notes.flatMap((note) => renderNote(note, style)),
  ];
  const below = format === 'markdown' ? foot.join('\n') : fitText(foot.join('\n'), options.width);
  return [...head, body, ...(foot.length > 0 ? ['', below] : [])].join('\n');

  function drawRows(rows: T[]): string {
    const cells = rows.map((row, at) => view.columns.map((column) => renderCell(column, row, at)));
    const columns = view.columns.map(describeColumn);
    if (format === 'markdown') return renderMarkdownTable(columns, cells);
    const { table, full } = options;
    return fitTable(columns, cells, style, { width, table, full, more: '--full shows all' });
  }

  function renderCell({ value, unit = 'text', tone }: ReportColumn<T>, row: T, at: number): Cell {
    const colour = tone?.(row);
    const text = renderValue(value(row, at, report.rows), unit);
    return { text, ...(colour && { colour: COLOURS[colour] }) };
  }

  function counted(since: Date, at: Date): string {
    const age = Math.max(0, at.getTime() - since.getTime());
    const text = `counted since ${renderTime(since.toISOString())} (${renderDuration(age)})`;
    return style.dim(text);
  }
}

function describeColumn<T>({
  header: title,
  unit = 'text',
  priority = 0,
  text = 'cuts',
  usual,
}: ReportColumn<T>): Column {
  return {
    title,
    ...(isNumeric(unit) && { align: 'right' }),
    ...(unit === 'text' && { text }),
    priority,
    ...(usual !== undefined && { usual }),
  };
}

const LEVELS: Record<ReportNote['level'], [word: string, colour: keyof Style]> = {
  info: ['note', 'dim'],
  warning: ['warning', 'warn'],
  unknown: ['unknown', 'warn'],
};

function renderNote({ level, text, hint }: ReportNote, style: Style): string[] {
  const [word, colour] = LEVELS[level];
  return [
    `${style[colour](`${word}:`)} ${oneLine(text)}`,
    ...(hint === undefined ? [] : [`  ${style.bold('hint:')} ${oneLine(hint)}`]),
  ];
}

/** Characters that Markdown would take for its own. */
const MARKUP = /[\\|*<`]/g;

/** A table as GitHub and GitLab show it, for tickets and pull requests. */
export function renderMarkdownTable(columns: Column[], rows: Cell[][]): string {
  const line = (texts: string[]) => `| ${texts.join(' | ')} |`;
  return [
    line(columns.map(({ title }) => escapeMarkup(title))),
    line(columns.map(({ align }) => (align === 'right' ? '---:' : '---'))),
    ...rows.map((row) => line(row.map(({ text }) => escapeMarkup(text)))),
  ].join('\n');
}

function escapeMarkup(text: string): string {
  return text.replace(MARKUP, '\\$&');
}
