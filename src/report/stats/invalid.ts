import type { InvalidRow } from '../../maintenance/stats/invalid.ts';
import type { ReportView, Tone } from '../columns.ts';

export const INVALID_VIEW: ReportView<InvalidRow> = {
  title: 'Invalid indexes and constraints',
  columns: [
    { header: 'name', value: (row) => `${row.schema}.${row.name}` },
    { header: 'table', value: (row) => row.table, priority: 3 },
    { header: 'kind', value: (row) => row.kind, priority: 5 },
    { header: 'problem', value: (row) => row.problem, tone: toneOf },
    { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes', priority: 4 },
    { header: 'being built', value: buildOf, priority: 2 },
    { header: 'to mend it', value: (row) => row.fixSql, priority: 1 },
  ],
  empty: () => 'every index is valid and every constraint is validated',
};

function toneOf({ kind, build }: InvalidRow): Tone {
  if (build) return 'muted';
  return kind === 'index' ? 'critical' : 'warning';
}

function buildOf({ build }: InvalidRow): string {
  if (!build) return '';
  const percent = build.percent === null ? '' : ` ${Math.floor(build.percent)} %`;
  return `process ${build.pid}: ${build.phase}${percent}`;
}
