import type { ConfigEntry } from '../config/resolve.ts';
import type { Style } from './style.ts';
import { type Cell, renderTable, type TableRenderer } from './table.ts';

/** Each setting with its value and its source. */
export function renderConfig(
  entries: ConfigEntry[],
  style: Style,
  table: TableRenderer = renderTable,
): string {
  const columns = [{ title: 'Setting' }, { title: 'Value' }, { title: 'Source' }];
  return table(columns, entries.map(renderRow), style);
}

function renderRow({ key, value, source }: ConfigEntry): Cell[] {
  return [
    { text: key },
    { text: renderValue(value) },
    { text: source, ...(source === 'default' && { colour: 'dim' as const }) },
  ];
}

function renderValue(value: ConfigEntry['value']): string {
  if (value === null) return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.join(', ');
  return String(value);
}
