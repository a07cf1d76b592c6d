import { renderCount } from '../text/units.ts';
import { cutToWidth, displayWidth } from '../text/width.ts';
import { wrapWords } from '../text/wrap.ts';
import { type ColumnSize, type Fit, fitColumns, hasCuts } from './fit-columns.ts';
import {
  type Cell,
  type Column,
  renderTable,
  type Style,
  type TableRenderer,
  widestOf,
} from './table.ts';

export interface FitTableOptions {
  /** Of the terminal, in columns. */
  width: number;
  /** Draws boxes where they fit; default: `renderTable`, which draws none. */
  table?: TableRenderer | undefined;
  /** Neither leaves columns out nor cuts texts. */
  full?: boolean | undefined;
  /**
   * How to see what is left out, such as `--full shows all`; default `--json has all`. Nothing is said
   * where it is empty.
   */
  more?: string | undefined;
}

const GAP = 2;
/** Boxes cost a millisecond a row, and nobody reads so many. */
const MOST_BOXED_ROWS = 200;
/** A blank on either side of the line between two columns. */
const BOX_GAP = 3;
/** The same at both ends. */
const BOX_ENDS = 4;
/** Texts that are cut shorter need the room of the box. */
const READABLE = 30;

/**
 * Draws a table that is at most as wide as the terminal: columns that matter little go, texts are
 * cut or go on in further lines, and where not even that helps each row becomes a block of lines.
 * The last line says what is left out.
 */
export function fitTable(
  columns: Column[],
  cells: Cell[][],
  style: Style,
  { width, full = false, more = '--json has all', ...options }: FitTableOptions,
): string {
  const table = cells.length <= MOST_BOXED_ROWS ? options.table : undefined;
  const sizes = columns.map((column, index) => sizeOf(column, cells, index));
  if (full) {
    const natural = sizes.reduce((sum, size) => sum + size.natural, 0);
    const hasRoom = natural + BOX_GAP * sizes.length + 1 <= width;
    return (table && hasRoom ? table : renderTable)(columns, cells, style);
  }
  const plain = fitColumns(sizes, width, GAP);
  if (!plain) return drawRecords(columns, cells, style, width);
  const boxed = table && fitBox(sizes, width, plain);
  const fit = boxed ?? plain;
  const drawn = (boxed ? table : renderTable)(
    fit.kept.map((index, at) => cutTitle(columns[index] as Column, fit.widths[at] ?? 0)),
    cells.map((row) =>
      fit.kept.map((index, at) => fitCell(row[index], columns[index], fit.widths[at] ?? 0)),
    ),
    style,
  );
  const missing = describeCuts(columns, sizes, fit);
  if (missing === '' || more === '') return drawn;
  const said = wrapWords(`… ${missing}: ${more}`, width).join('\n');
  return `${drawn}\n${style.dim(said)}`;
}

function sizeOf(column: Column, cells: Cell[][], index: number): ColumnSize {
  const { title, text, priority = 0, usual = '-' } = column;
  const isQuiet = (said: string) => said === '-' || said === '' || said === usual;
  const wraps = text === 'wraps';
  return {
    natural: widestOf(title, cells, index),
    word: wraps ? longestWord(cells, index) : 0,
    header: displayWidth(title),
    isText: text === 'cuts' || wraps,
    wraps,
    says: cells.some((row) => !isQuiet(row[index]?.text ?? '')),
    priority,
  };
}

function longestWord(cells: Cell[][], index: number): number {
  const words = cells.flatMap((row) => (row[index]?.text ?? '').split(' '));
  return words.reduce((most, word) => Math.max(most, displayWidth(word)), 0);
}

function isWhole(sizes: ColumnSize[], { kept, widths }: Fit, at: number): boolean {
  const { natural = 0, wraps = false } = sizes[kept[at] ?? -1] ?? {};
  return wraps || natural <= (widths[at] ?? 0);
}

/** The box goes before it costs a column, or a text that is whole without it. */
function fitBox(sizes: ColumnSize[], width: number, plain: Fit): Fit | undefined {
  const fit = fitColumns(sizes, width - BOX_ENDS, BOX_GAP);
  if (!fit || plain.kept.some((index) => !fit.kept.includes(index))) return undefined;
  if (!hasCuts(sizes, fit)) return fit;
  const isRoomy = fit.widths.every((own, at) => own >= READABLE || isWhole(sizes, fit, at));
  return isRoomy && hasCuts(sizes, plain) ? fit : undefined;
}

function cutTitle(column: Column, width: number): Column {
  return { ...column, title: cutToWidth(column.title, width) };
}

function fitCell(cell: Cell | undefined, column: Column | undefined, width: number): Cell {
  const text = cell?.text ?? '';
  const isWrapped = column?.text === 'wraps';
  return { ...cell, text: isWrapped ? wrapWords(text, width).join('\n') : cutToWidth(text, width) };
}

function describeCuts(columns: Column[], sizes: ColumnSize[], fit: Fit): string {
  const hidden = columns.filter((_, index) => sizes[index]?.says && !fit.kept.includes(index));
  const names = hidden.map(({ title }) => title).join(', ');
  return [
    ...(hidden.length > 0 ? [`${renderCount(hidden.length, 'column')} hidden (${names})`] : []),
    ...(hasCuts(sizes, fit) ? ['texts cut'] : []),
  ].join(', ');
}

/** One line a value, for terminals too narrow for the table; what says nothing is left out. */
function drawRecords(columns: Column[], cells: Cell[][], style: Style, width: number): string {
  const longest = Math.max(...columns.map(({ title }) => displayWidth(title)));
  const indent = Math.min(longest + GAP, Math.floor(width / 2));
  const drawValue = ({ text, colour }: Cell, index: number): string[] => {
    if (text === '' || text === '-') return [];
    const title = cutToWidth(columns[index]?.title ?? '', indent - GAP);
    const hasRoom = text.split(' ').every((word) => displayWidth(word) <= width - indent);
    const start = hasRoom ? indent : GAP;
    const lines = wrapWords(text, Math.max(1, width - start)).map(
      (line) => ' '.repeat(start) + (colour ? style[colour](line) : line),
    );
    // A word that is too long beside its title has more room below it.
    if (!hasRoom) return [style.bold(title), ...lines];
    const [first = '', ...further] = lines;
    const padding = ' '.repeat(indent - displayWidth(title));
    return [style.bold(title) + padding + first.slice(indent), ...further];
  };
  return cells.map((row) => row.flatMap(drawValue).join('\n')).join('\n\n');
}
