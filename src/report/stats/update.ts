import type { UpdateRow } from '../../maintenance/stats/update.ts';
import { renderState } from '../../text/words.ts';
import type { ReportView, Tone } from '../columns.ts';

export const UPDATE_VIEW: ReportView<UpdateRow> = {
  title: 'Statistics update',
  columns: [
    { header: 'table', value: (row) => `${row.schema}.${row.table}` },
    { header: 'outcome', value: (row) => renderState(row.outcome), tone: toneOf },
    { header: 'time', value: (row) => row.durationMs, unit: 'ms', priority: 2 },
    { header: 'why', value: (row) => row.reason, priority: 1 },
  ],
  empty: () => 'there are no tables',
};

function toneOf({ outcome }: UpdateRow): Tone {
  if (outcome === 'analyzed') return 'good';
  return outcome === 'failed' ? 'critical' : 'warning';
}
