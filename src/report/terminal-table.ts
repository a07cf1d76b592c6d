import Table from 'cli-table3';
import type { Cell, Column, Style } from './table.ts';

/** A boxed table for terminals; knows the widths of wide characters. */
export function renderTerminalTable(columns: Column[], rows: Cell[][], style: Style): string {
  const table = new Table({
    head: columns.map(({ title }) => style.bold(title)),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    // the colours are ours: the library's own ignore NO_COLOR
    style: { head: [], border: [], compact: true },
  });
  table.push(
    ...rows.map((row) => row.map(({ text, colour }) => (colour ? style[colour](text) : text))),
  );
  return table.toString();
}
