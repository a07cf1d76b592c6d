import type { Finding } from '../finding.ts';
import { displayWidth } from '../text/width.ts';

export interface Column {
  title: string;
  align?: 'right';
}

export interface Cell {
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
  const head = line(columns.map(({ title }) => ({ text: title, colour: 'bold' })));
  return [head, ...rows.map(line)].join('\n');
}

/** How wide a column has to be. A loop, because there may be more rows than a call takes arguments. */
export function widestOf(title: string, rows: Cell[][], index: number): number {
  let width = displayWidth(title);
  for (const row of rows) width = Math.max(width, displayWidth(row[index]?.text ?? ''));
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
