import type { CleanupProgress, CleanupResult } from '../maintenance/audit-cleanup.ts';
import type { CleanupPreview } from '../maintenance/audit-preview.ts';
import type { AuditDimension, AuditSummaryRow } from '../maintenance/audit-summary.ts';
import { renderCount } from '../text/units.ts';
import type { ReportColumn, ReportView } from './columns.ts';
import { oneLine, renderBytes, renderSpan } from './report-value.ts';
import type { Style } from './style.ts';

/** What a cleanup would do. */
export function previewView(days: number): ReportView<CleanupPreview> {
  return {
    title: `What a cleanup of ${renderCount(days, 'day')} would remove`,
    columns: [
      { header: 'partition', value: ({ partition }) => partition },
      { header: 'action', value: ({ action }) => action },
      { header: 'entries', value: ({ entries }) => entries, unit: 'count' },
      { header: 'freed', value: ({ freedBytes }) => freedBytes, unit: 'bytes' },
    ],
    empty: () => `nothing to remove: no entry is older than ${renderCount(days, 'day')}`,
  };
}

/** One line of progress, for stderr. */
export function renderCleanupProgress(progress: CleanupProgress): string {
  switch (progress.kind) {
    case 'dropped': {
      const { partition, entries, freedBytes } = progress.partition;
      return `dropped ${oneLine(partition)}: ${entries} entries, ${renderBytes(freedBytes)}`;
    }
    case 'deleted':
      return `deleted ${progress.done.deletedEntries} entries so far`;
    case 'blocked':
      return `waiting for locks (try ${progress.attempt} of ${progress.attempts}): ${oneLine(progress.reason)}`;
  }
}

/** What a cleanup did, and what it left. */
export function renderCleanup(result: CleanupResult, style: Style): string {
  const { partitions, droppedEntries, deletedEntries, freedBytes, days, durationMs } = result;
  const isNothing = partitions.length === 0 && deletedEntries === 0;
  const done = isNothing
    ? `nothing removed: no entry is older than ${renderCount(days, 'day')}`
    : [
        `dropped ${renderCount(partitions.length, 'partition')} with ${droppedEntries} entries`,
        `deleted ${deletedEntries} entries`,
        `freed ${renderBytes(freedBytes)} in ${renderSpan(durationMs)}`,
      ].join(', ');
  if (result.stoppedBy === 'max-duration') {
    const said = isNothing ? 'nothing removed' : done;
    return `${said}\n${style.warn('stopped by --max-duration')}: run it again for the rest`;
  }
  if (result.stoppedBy === 'locks') {
    const said = isNothing ? 'nothing removed' : done;
    return `${said}\n${style.warn('left for the next run')}: others hold the audit log. ${oneLine(result.blockedBy ?? '')}`;
  }
  return done;
}

const SUMMARY_COLUMNS: Record<AuditDimension, ReportColumn<AuditSummaryRow>> = {
  day: { header: 'day (UTC)', value: ({ day }) => day ?? null },
  table: { header: 'table', value: ({ table }) => table ?? null },
  operation: { header: 'operation', value: ({ operation }) => operation ?? null },
  actor: { header: 'actor', value: ({ actor }) => actor ?? null },
};

export function summaryView(by: readonly AuditDimension[]): ReportView<AuditSummaryRow> {
  return {
    title: `Audit log by ${by.join(', ')}`,
    columns: [
      ...by.map((name) => SUMMARY_COLUMNS[name]),
      { header: 'entries', value: ({ entries }) => entries, unit: 'count' },
      { header: 'first', value: ({ firstAt }) => new Date(firstAt), unit: 'time', priority: 2 },
      { header: 'last', value: ({ lastAt }) => new Date(lastAt), unit: 'time', priority: 1 },
    ],
    empty: () => 'no entry in this time',
  };
}
