import type { VacuumRow } from '../../maintenance/stats/vacuum.ts';
import type { ReportView, Tone } from '../columns.ts';

/** Autovacuum begins at 1, and has had a long time to finish at 1.5. */
function ageTone(age: number | null, max: number | null, left: number | null): Tone | undefined {
  if (age === null || max === null || left === null) return undefined;
  if (left < 500_000_000) return 'critical';
  return age > max * 1.5 ? 'warning' : undefined;
}

function renderRunning({ running, isAutovacuumOff }: VacuumRow): string | null {
  if (!running) return isAutovacuumOff ? 'autovacuum is off' : null;
  const { phase, progress, pid, isForWraparound } = running;
  const part = progress === null ? '' : ` ${Math.floor(progress * 100)} %`;
  return `${phase ?? 'running'}${part} (pid ${pid}${isForWraparound ? ', against wraparound' : ''})`;
}

export const VACUUM_VIEW: ReportView<VacuumRow> = {
  title: 'Vacuum and wraparound',
  columns: [
    { header: 'kind', value: (row) => row.kind, priority: 4 },
    {
      header: 'name',
      value: (row) => (row.schema === null ? row.name : `${row.schema}.${row.name}`),
    },
    {
      header: 'age',
      unit: 'count',
      value: (row) => row.xidAge,
      tone: (row) => ageTone(row.xidAge, row.freezeMaxAge, row.xidsLeft),
    },
    { header: 'freeze at', unit: 'count', value: (row) => row.freezeMaxAge, priority: 3 },
    { header: 'left', unit: 'count', value: (row) => row.xidsLeft, priority: 2 },
    {
      header: 'multixact age',
      unit: 'count',
      value: (row) => row.multixactAge,
      priority: 5,
      tone: (row) => ageTone(row.multixactAge, row.multixactFreezeMaxAge, row.multixactsLeft),
    },
    { header: 'multixacts left', unit: 'count', value: (row) => row.multixactsLeft, priority: 6 },
    { header: 'last vacuum', unit: 'time', value: (row) => row.lastVacuumAt, priority: 2 },
    {
      header: 'now',
      value: renderRunning,
      priority: 1,
      tone: (row) => (row.isAutovacuumOff && !row.running ? 'warning' : undefined),
    },
  ],
  empty: () => 'no database is visible',
};
