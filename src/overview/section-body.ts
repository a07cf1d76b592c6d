import type { ReportView } from '../report/columns.ts';
import { renderPageNotes } from '../report/page.ts';
import { type PageTableOptions, renderPageTable } from '../report/page-table.ts';
import type { OverviewSection } from './section.ts';

/** Why there is nothing, where nothing is known; what is absent its lead says. */
export function renderKnown<T>(
  { state, data, reason }: OverviewSection<T>,
  render: (data: T) => string,
): string {
  if (data !== null) return render(data);
  return state === 'unknown' && reason?.hint !== undefined ? renderPageNotes([reason]) : '';
}

/** No table where it would be empty. */
export function renderRows<T>(
  rows: readonly T[],
  view: ReportView<T>,
  options: PageTableOptions,
): string {
  return rows.length === 0 ? '' : renderPageTable(rows, view, options);
}
