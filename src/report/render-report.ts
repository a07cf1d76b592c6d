import { renderCount, renderTime } from '../text/units.ts';
import { cutToWidth, displayWidth, wrapWords } from '../text/width.ts';
import {
  isNumeric,
  oneLine,
  type ReportColumn,
  type ReportNote,
  type ReportView,
  renderSpan,
  renderValue,
  type StatsReport,
  type Tone,
} from './columns.ts';
import { type ColumnSize, type Fit, fitColumns } from './fit-columns.ts';
import { renderMarkdownTable } from './markdown-table.ts';
import type { Style } from './style.ts';
import { type Cell, type Column, renderTable, type TableRenderer, widestOf } from './table.ts';

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
 * below it since when the server counts and what one should know. On a narrow terminal the columns
 * of the highest priority go, then texts are cut; the last line says how to see the whole.
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
  const body = isEmpty ? wrapWords(view.empty(report), width).join('\n') : drawRows(report.rows);
  const foot = [
    ...(isEmpty || report.countedSince === null ? [] : [counted(report.countedSince, now)]),
    ...report.notes.flatMap((note) => renderNote(note, style, width)),
  ];
  return [...head, body, ...(foot.length > 0 ? ['', ...foot] : [])].join('\n');

  function drawRows(rows: T[]): string {
    const { columns } = view;
    const cells = rows.map((row) => columns.map((column) => renderCell(column, row)));
    const titles = columns.map(
      ({ header, unit = 'text' }): Column => ({
        title: header,
        ...(isNumeric(unit) && { align: 'right' }),
      }),
    );
    if (format === 'markdown') return renderMarkdownTable(titles, cells);
    return draw(titles, cells, { columns, options, width });
  }

  function counted(since: Date, at: Date): string {
    const age = Math.max(0, at.getTime() - since.getTime());
    const text = `counted since ${renderTime(since.toISOString())} (${renderSpan(age)})`;
    return style.dim(wrapWords(text, width).join('\n'));
  }
}

function renderCell<T>({ value, unit = 'text', tone }: ReportColumn<T>, row: T): Cell {
  const colour = tone?.(row);
  return { text: renderValue(value(row), unit), ...(colour && { colour: COLOURS[colour] }) };
}

interface Drawing {
  columns: Pick<ReportColumn<never>, 'header' | 'unit' | 'priority'>[];
  options: ReportRenderOptions;
  width: number;
}

const GAP = 2;
/** Boxes cost a millisecond a row, and nobody reads so many. */
const MOST_BOXED_ROWS = 200;
/** A blank on either side of the line between two columns. */
const BOX_GAP = 3;
/** The same at both ends. */
const BOX_ENDS = 4;

function draw(titles: Column[], cells: Cell[][], { columns, options, width }: Drawing): string {
  const { style, full = false } = options;
  const table = cells.length <= MOST_BOXED_ROWS ? options.table : undefined;
  const sizes = columns.map(({ header, unit = 'text', priority = 0 }, index) => ({
    natural: widestOf(header, cells, index),
    header: displayWidth(header),
    isText: unit === 'text',
    priority,
  }));
  if (full) {
    const natural = sizes.reduce((sum, size) => sum + size.natural, 0);
    const hasRoom = natural + BOX_GAP * sizes.length + 1 <= width;
    return (table && hasRoom ? table : renderTable)(titles, cells, style);
  }
  const plain = fitColumns(sizes, width, GAP);
  if (!plain) return drawRecords(titles, cells, style, width);
  const boxed = table && fitBox(sizes, width, plain);
  const fit = boxed ?? plain;
  const drawn = (boxed ? table : renderTable)(
    fit.kept.map((index, at) => cutTitle(titles[index] as Column, fit.widths[at] ?? 0)),
    cells.map((row) => fit.kept.map((index, at) => cutCell(row[index], fit.widths[at] ?? 0))),
    style,
  );
  const missing = describeCuts(titles, sizes, fit);
  return missing === '' ? drawn : `${drawn}\n${style.dim(wrapWords(missing, width).join('\n'))}`;
}

/** The box goes before it costs a column, or a text that is whole without it. */
function fitBox(sizes: ColumnSize[], width: number, plain: Fit): Fit | undefined {
  const fit = fitColumns(sizes, width - BOX_ENDS, BOX_GAP);
  if (!fit || fit.kept.length < sizes.length) return undefined;
  return hasCuts(sizes, fit) && !hasCuts(sizes, plain) ? undefined : fit;
}

function hasCuts(sizes: ColumnSize[], { kept, widths }: Fit): boolean {
  return kept.some((index, at) => (sizes[index]?.natural ?? 0) > (widths[at] ?? 0));
}

function cutTitle(column: Column, width: number): Column {
  return { ...column, title: cutToWidth(column.title, width) };
}

function cutCell(cell: Cell | undefined, width: number): Cell {
  return { ...cell, text: cutToWidth(cell?.text ?? '', width) };
}

function describeCuts(titles: Column[], sizes: ColumnSize[], fit: Fit): string {
  const hidden = titles.filter((_, index) => !fit.kept.includes(index)).map(({ title }) => title);
  const parts = [
    ...(hidden.length > 0
      ? [`${renderCount(hidden.length, 'column')} hidden (${hidden.join(', ')})`]
      : []),
    ...(hasCuts(sizes, fit) ? ['texts cut'] : []),
  ];
  return parts.length > 0 ? `… ${parts.join(', ')}: --full shows all` : '';
}

/** One line a value, for terminals too narrow for the table. */
function drawRecords(titles: Column[], cells: Cell[][], style: Style, width: number): string {
  const label = Math.max(...titles.map(({ title }) => displayWidth(title)));
  const room = Math.max(1, width - label - GAP);
  const records = cells.map((row) =>
    row
      .map(({ text, colour }, index) => {
        const title = titles[index]?.title ?? '';
        const padding = ' '.repeat(label - displayWidth(title) + GAP);
        const cut = cutToWidth(text, room);
        return `${style.bold(title)}${padding}${colour ? style[colour](cut) : cut}`;
      })
      .join('\n'),
  );
  return records.join('\n\n');
}

const LEVELS: Record<ReportNote['level'], [word: string, colour: keyof Style]> = {
  info: ['note', 'dim'],
  warning: ['warning', 'warn'],
  unknown: ['unknown', 'warn'],
};

function renderNote({ level, text, hint }: ReportNote, style: Style, width: number): string[] {
  const [word, colour] = LEVELS[level];
  return [
    ...hang(`${word}: `, (label) => style[colour](label), text, width),
    ...(hint === undefined ? [] : hang('  hint: ', (label) => style.bold(label), hint, width)),
  ];
}

/** A label and its text, whose further lines begin below the first. */
function hang(
  label: string,
  paint: (label: string) => string,
  text: string,
  width: number,
): string[] {
  const [first = '', ...further] = wrapWords(oneLine(text), width - label.length);
  return [`${paint(label)}${first}`, ...further.map((line) => ' '.repeat(label.length) + line)];
}
