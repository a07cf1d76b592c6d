import { renderCount, renderDuration, renderTime } from '../text/units.ts';
import { cutToWidth, displayWidth, wrapWords } from '../text/width.ts';
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
import {
  type Cell,
  type Column,
  renderTable,
  type Style,
  type TableRenderer,
  widestOf,
} from './table.ts';

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
    const text = `counted since ${renderTime(since.toISOString())} (${renderDuration(age)})`;
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

/** What is known of a column before its width is decided. */
interface ColumnSize {
  /** Of its widest cell or its header. */
  natural: number;
  header: number;
  /** Whether its cells may be cut; numbers never are. */
  isText: boolean;
  priority: number;
}

interface Fit {
  /** Indexes of the columns that stay, in order. */
  kept: number[];
  /** Of each column that stays. */
  widths: number[];
}

/** No other column has to go so that a text column is wider than this. */
const COMFORTABLE = 24;
/** Narrower than this a text says nothing. */
const FLOOR = 8;

/**
 * Decides which columns fit into `available` columns of the terminal, `gap` between two: first the
 * highest priorities go, then texts are cut, the longest first.
 *
 * @returns undefined where not even the columns that must stay fit
 */
function fitColumns(sizes: ColumnSize[], available: number, gap: number): Fit | undefined {
  const wanted = sizes.map(({ natural, header, isText }) =>
    isText ? Math.min(natural, Math.max(header, COMFORTABLE)) : natural,
  );
  let kept = sizes.map((_, index) => index);
  const spare = (of: number[], widths: number[]) =>
    available - gap * (of.length - 1) - of.reduce((sum, index) => sum + (widths[index] ?? 0), 0);
  while (spare(kept, wanted) < 0) {
    const least = leastImportant(sizes, kept);
    if (least === undefined) break;
    kept = kept.filter((index) => index !== least);
  }
  const widths = [...wanted];
  const texts = kept.filter((index) => sizes[index]?.isText);
  const isFitted =
    spare(kept, widths) < 0
      ? shrink(widths, texts, sizes, -spare(kept, widths))
      : grow(widths, texts, sizes, spare(kept, widths));
  return isFitted ? { kept, widths: kept.map((index) => widths[index] ?? 0) } : undefined;
}

function leastImportant(sizes: ColumnSize[], kept: number[]): number | undefined {
  const highest = Math.max(...kept.map((index) => sizes[index]?.priority ?? 0));
  return highest > 0 ? kept.findLast((index) => sizes[index]?.priority === highest) : undefined;
}

/** Takes from the widest text, column by column. */
function shrink(widths: number[], texts: number[], sizes: ColumnSize[], missing: number): boolean {
  const floor = (index: number) => Math.min(FLOOR, sizes[index]?.natural ?? 0);
  for (let left = missing; left > 0; left -= 1) {
    const shrinkable = texts.filter((index) => (widths[index] ?? 0) > floor(index));
    const widest = Math.max(...shrinkable.map((index) => widths[index] ?? 0));
    const at = shrinkable.find((index) => widths[index] === widest);
    if (at === undefined) return false;
    widths[at] = widest - 1;
  }
  return true;
}

/** Gives to the narrowest text that is cut. */
function grow(widths: number[], texts: number[], sizes: ColumnSize[], spare: number): true {
  for (let left = spare; left > 0; left -= 1) {
    const cut = texts.filter((index) => (widths[index] ?? 0) < (sizes[index]?.natural ?? 0));
    const narrowest = Math.min(...cut.map((index) => widths[index] ?? 0));
    const at = cut.find((index) => widths[index] === narrowest);
    if (at === undefined) return true;
    widths[at] = narrowest + 1;
  }
  return true;
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
