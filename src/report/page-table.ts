import { escapeXml } from '../text/markup.ts';
import { cutToWidth } from '../text/width.ts';
import {
  isNumeric,
  type ReportColumn,
  type ReportView,
  renderValue,
  type Tone,
} from './columns.ts';

/** How many rows a page shows at first; its script has the others. */
const SHOWN_ROWS = 25;
/** So many can be sorted and filtered; beyond that only the command lists them. */
const MOST_ROWS = 10_000;
const LONGEST_TEXT = 600;
/** From here on a text needs room; the page's script has the same number. */
const LONG_TEXT = 60;
/** Below this a filter is no help. */
const FILTERED_ROWS = 8;

/** What stands around a table of a page. */
export interface PageTableOptions {
  /** Unique in the page: letters, digits and hyphens. */
  id: string;
  /** The command that lists all rows, also those that a page leaves out. */
  command?: string;
  /** Columns whose texts are SQL, to copy. */
  copied?: readonly string[];
  /** Whether it is to be opened first: a chart shows the same. */
  isFolded?: boolean;
}

/** What is shown, and what it is sorted by. */
type PageValue = [text: string, order: number | string | null, tone?: Tone];

/**
 * A table by columns, each value once: names of tables and small numbers repeat a lot. `places` says
 * which value a row has.
 */
interface PackedColumn {
  values: PageValue[];
  places: number[];
}

/**
 * A table that sorts by its headers and filters by a text. Its first rows stand in it, for print and
 * for pages without scripts; the others are data beside it.
 */
export function renderPageTable<T>(
  rows: readonly T[],
  view: ReportView<T>,
  options: PageTableOptions,
): string {
  const { id, isFolded = false } = options;
  const kept = rows.slice(0, MOST_ROWS);
  const columns = usedColumns(kept, view.columns);
  const packed = columns.map((column) => packColumn(kept, column));
  const shown = kept.slice(0, SHOWN_ROWS).map((_, at) => renderRow(packed, columns, options, at));
  const head = columns.map(
    ({ header, unit }) =>
      `<th scope="col" class="${classOf(unit)}"><button type="button">${escapeXml(header)}</button></th>`,
  );
  const isLong = kept.length > SHOWN_ROWS;
  const data = isLong
    ? `<script type="application/json" class="rows">${json(packed.map(shorten))}</script>`
    : '';
  const copied = columns.map(({ header }) => (options.copied?.includes(header) ? 1 : 0)).join('');
  const table = [
    `<div class="table" id="${id}" data-copied="${copied}">`,
    `<div class="tools"><h3 id="${id}-title">${escapeXml(view.title)} <span class="count">${rows.length.toLocaleString('en')}</span></h3>`,
    kept.length >= FILTERED_ROWS
      ? `<label>Filter <input type="search" aria-controls="${id}-rows"></label>`
      : '',
    `<span class="found" role="status"></span></div>`,
    `<div class="scroll" tabindex="0" role="region" aria-labelledby="${id}-title">`,
    `<table aria-labelledby="${id}-title"><thead><tr>${head.join('')}</tr></thead><tbody id="${id}-rows">${shown.join('')}</tbody></table></div>`,
    isLong
      ? `<p class="more"><button type="button">Show all ${kept.length.toLocaleString('en')}</button><span class="printed">The first ${SHOWN_ROWS} of ${rows.length.toLocaleString('en')}.</span></p>`
      : '',
    rows.length > kept.length && options.command !== undefined
      ? `<p class="hint">The first ${MOST_ROWS.toLocaleString('en')} are here; <code>${escapeXml(options.command)}</code> lists all.</p>`
      : '',
    data,
    '</div>',
  ].join('');
  if (!isFolded) return table;
  const name = `${view.title} as a table`;
  return `<details class="folded"><summary>${escapeXml(name)}</summary>${table}</details>`;
}

/** Without those that say nothing in any row. */
function usedColumns<T>(rows: readonly T[], columns: ReportColumn<T>[]): ReportColumn<T>[] {
  const all = [...rows];
  return columns.filter((column, at) => {
    if (at === 0) return true;
    const says = (row: T, index: number) => {
      const value = column.value(row, index, all);
      return value !== null && value !== '';
    };
    return rows.some(says);
  });
}

/** As the page's script has it: null for places that are 0, 1, 2, and values as short as they get. */
function shorten({ values, places }: PackedColumn) {
  const isInOrder = values.length === places.length;
  return { values: values.map(shortenValue), places: isInOrder ? null : places };
}

/** A text that is its own order is that text, and a number that a browser writes as we do that number. */
function shortenValue([text, order, tone]: PageValue): PageValue | string | number {
  if (tone !== undefined) return [text, order, tone];
  if (order === text) return text;
  if (typeof order === 'number' && order.toLocaleString('en') === text) return order;
  return [text, order];
}

function packColumn<T>(
  rows: T[],
  { value: read, unit = 'text', tone: toneOf }: ReportColumn<T>,
): PackedColumn {
  const known = new Map<string, number>();
  const values: PageValue[] = [];
  const places = rows.map((row, at) => {
    const value = read(row, at, rows);
    const tone = toneOf?.(row);
    const order = orderOf(value, unit);
    const key = `${order} ${tone ?? ''}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    known.set(key, values.length);
    const text = cutToWidth(renderValue(value, unit), LONGEST_TEXT);
    return values.push(tone === undefined ? [text, order] : [text, order, tone]) - 1;
  });
  return { values, places };
}

function orderOf(
  value: string | number | boolean | Date | null,
  unit: NonNullable<ReportColumn<unknown>['unit']>,
): number | string | null {
  if (value === null) return null;
  if (value instanceof Date) return value.getTime();
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'string' && isNumeric(unit)) return Number(value);
  return value;
}

function renderRow<T>(
  packed: readonly PackedColumn[],
  columns: ReportColumn<T>[],
  { copied = [] }: PageTableOptions,
  at: number,
): string {
  const cells = columns.map(({ header, unit }, index) => {
    const [text = '', order, tone] = packed[index]?.values[packed[index].places[at] ?? 0] ?? [];
    const classes = [
      classOf(unit),
      ...(tone === undefined ? [] : [tone]),
      ...(text.length > LONG_TEXT ? ['long'] : []),
    ]
      .join(' ')
      .trim();
    const sorted = typeof order === 'number' ? ` data-order="${order}"` : '';
    const shown = copied.includes(header) && text !== '-' ? renderCopied(text) : escapeXml(text);
    return `<td${classes === '' ? '' : ` class="${classes}"`}${sorted}>${shown}</td>`;
  });
  return `<tr>${cells.join('')}</tr>`;
}

/** A command or SQL, with a button that copies it. */
export function renderCopied(text: string): string {
  return `<span class="copied"><code>${escapeXml(text)}</code> <button type="button" class="copy">Copy</button></span>`;
}

/** How the cells of a column stand, as the page's script copies it from the header. */
function classOf(unit: ReportColumn<unknown>['unit'] = 'text'): string {
  if (unit === 'time') return 'time';
  return isNumeric(unit) ? 'number' : '';
}

/** Within a script, only the less-than sign could end it. */
function json(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}
