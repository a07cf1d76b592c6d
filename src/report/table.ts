import type { Finding } from '../finding.ts';
import { displayWidth } from '../text/width.ts';

export interface Column {
  title: string;
  align?: 'right';
  /** What becomes of a text that is too long for its column; default `whole`: it is never narrower. */
  text?: 'cuts' | 'wraps' | 'whole';
  /** How little it matters: a narrow terminal drops the highest first; 0, the default, stays. */
  priority?: number;
  /** What a cell of it mostly says; a column that says nothing else is the first to go. */
  usual?: string;
}

export interface Cell {
  /** May have several lines. */
  text: string;
  colour?: keyof Style;
}

/** How a table is drawn: `renderTable` for logs and files, `renderTerminalTable` for people. */
export type TableRenderer = (columns: Column[], rows: Cell[][], style: Style) => string;

/**
 * A borderless table with aligned columns. It stays readable in a log, and a thousand rows cost a
 * few milliseconds.
 */
export function renderTable(columns: Column[], rows: Cell[][], style: Style): string {
  const widths = columns.map(({ title }, index) => widestOf(title, rows, index));
  // One text grows, because an array of cells for each line is as much garbage as the table.
  const line = (cells: Cell[]) => {
    let said = '';
    cells.forEach(({ text, colour }, index) => {
      const isRight = columns[index]?.align === 'right';
      const isLast = index === cells.length - 1;
      const padding =
        isLast && !isRight ? '' : ' '.repeat((widths[index] ?? 0) - displayWidth(text));
      const padded = isRight ? padding + text : text + padding;
      said += (index === 0 ? '' : '  ') + (colour ? style[colour](padded) : padded);
    });
    return said.trimEnd();
  };
  const lines = (cells: Cell[]) =>
    cells.some(({ text }) => text.includes('\n'))
      ? linesOf(cells).map(line).join('\n')
      : line(cells);
  const head = line(columns.map(({ title }) => ({ text: title, colour: 'bold' })));
  return [head, ...rows.map(lines)].join('\n');
}

/** A row whose cells have several lines as that many rows. */
function linesOf(cells: Cell[]): Cell[][] {
  const parts = cells.map(({ text }) => text.split('\n'));
  const height = Math.max(...parts.map((part) => part.length));
  return Array.from({ length: height }, (_, at) =>
    cells.map((cell, index) => ({ ...cell, text: parts[index]?.[at] ?? '' })),
  );
}

/** How wide a column has to be. A loop, because there may be more rows than a call takes arguments. */
export function widestOf(title: string, rows: Cell[][], index: number): number {
  let width = displayWidth(title);
  for (const row of rows) {
    const text = row[index]?.text ?? '';
    if (!text.includes('\n')) width = Math.max(width, displayWidth(text));
    else for (const line of text.split('\n')) width = Math.max(width, displayWidth(line));
  }
  return width;
}

/** Colours that mean something; on a plain terminal each is the identity. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
}

const same = (text: string) => text;

export const PLAIN: Style = { bold: same, dim: same, good: same, warn: same, bad: same };

/** A unified diff, indented. */
export function renderDiff(diff: string, style: Style): string {
  return diff
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith('====') && !line.startsWith('\\ No newline'))
    .map((line) => {
      const colour = line.startsWith('+')
        ? style.good
        : line.startsWith('-')
          ? style.bad
          : style.dim;
      return `    ${colour(line)}`;
    })
    .join('\n');
}

/** A finding on a line, such as `warning  db/1_a.sql: it is pending, although …`, and what to do. */
export function renderFindingLine(
  { severity, message, hint, location }: Finding,
  style: Style,
): string {
  const word = severity === 'info' ? 'note' : severity;
  const colour = { error: style.bad, warning: style.warn, unknown: style.warn, info: style.dim };
  const head = `${colour[severity](word.padEnd(7))}  ${location ? `${location.file}: ` : ''}${message}`;
  return hint ? `${head}\n         ${style.bold('hint:')} ${hint}` : head;
}
