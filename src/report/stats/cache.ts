import type { CacheRow } from '../../maintenance/stats/cache.ts';
import type { ReportView } from '../columns.ts';

function renderRatio({ hitRatio, isMeaningful }: CacheRow): string | null {
  if (hitRatio === null) return null;
  // Cut, not rounded: 99.99 % is not 100 %.
  const text = `${(Math.floor(hitRatio * 1000) / 10).toFixed(1)} %`;
  return isMeaningful ? text : `(${text})`;
}

export const CACHE_VIEW: ReportView<CacheRow> = {
  title: 'Cache hits',
  columns: [
    { header: 'what', value: (row) => row.kind, priority: 1 },
    {
      header: 'name',
      value: (row) => (row.schema === null ? row.name : `${row.schema}.${row.name}`),
    },
    {
      header: 'found in cache',
      value: renderRatio,
      tone: (row) => (row.isMeaningful ? undefined : 'muted'),
    },
    { header: 'hits', unit: 'count', value: (row) => row.hits, priority: 2 },
    { header: 'read', unit: 'bytes', value: (row) => row.readBytes, priority: 3 },
  ],
  empty: () => 'nothing was read yet',
};
