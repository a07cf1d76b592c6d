import type { ReportNote, ReportView, StatsReport } from '../report/columns.ts';
import { type ReportRenderOptions, renderReport } from '../report/render-report.ts';
import type { SnapshotEntry } from '../stats/history.ts';
import { renderBytes, renderDuration, renderTime } from '../text/units.ts';
import type {
  FindingChangeRow,
  IndexChangeRow,
  QueryChangeRow,
  ScanChangeRow,
  SettingChangeRow,
  SnapshotHead,
  StatsDiff,
  TableChangeRow,
} from './diff.ts';

/** What changed, part by part, for people; parts without a change are named at the end. */
export function renderDiff(diff: StatsDiff, options: ReportRenderOptions): string {
  const { style, format = 'table' } = options;
  const parts = PARTS.map(({ view, rowsOf }) => ({ view, rows: rowsOf(diff) as unknown[] }));
  const changed = parts.filter(({ rows }) => rows.length > 0);
  const same = parts.filter(({ rows }) => rows.length === 0);
  const texts = changed.map(({ view, rows }) => {
    const text = renderReport(reportOf(rows), view as ReportView<unknown>, options);
    return format === 'markdown' ? text : `${style.bold(view.title)}\n${text}`;
  });
  const unchanged =
    same.length > 0
      ? [`no change: ${same.map(({ view }) => lowerFirst(view.title)).join(', ')}`]
      : [];
  const notes = renderReport(reportOf([], diff.notes), { ...NO_ROWS, empty: () => '' }, options);
  const foot = format === 'markdown' ? notes.replace(/^## .*\n+/, '') : notes;
  return [describePeriod(diff), ...texts, ...unchanged, foot.trim()].filter(Boolean).join('\n\n');
}

function describePeriod({ before, after, durationMs }: StatsDiff): string {
  return `from ${describe(before)} to ${describe(after)}: ${renderDuration(durationMs)}`;
}

function describe({ takenAt, reason }: SnapshotHead): string {
  return `${renderTime(takenAt)}${reason === 'requested' ? '' : ` (${reason})`}`;
}

function lowerFirst(title: string): string {
  return title.slice(0, 1).toLowerCase() + title.slice(1);
}

function reportOf<T>(rows: T[], notes: ReportNote[] = []): StatsReport<T> {
  return { rows, countedSince: null, notes };
}

const QUERIES: ReportView<QueryChangeRow> = {
  title: 'Slower or new statements',
  columns: [
    { header: 'change', value: (row) => row.change, usual: 'slower', priority: 5 },
    { header: 'mean before', value: (row) => row.meanBeforeMs, unit: 'ms' },
    { header: 'mean since', value: (row) => row.meanMs, unit: 'ms', tone: () => 'warning' },
    { header: 'calls', value: (row) => row.calls, unit: 'count', priority: 3 },
    { header: 'extra time', value: (row) => row.extraMs, unit: 'ms', priority: 2 },
    { header: 'user', value: (row) => row.user, priority: 4 },
    { header: 'statement', value: (row) => row.query ?? '(hidden)' },
  ],
  empty: () => '',
};

const SCANS: ReportView<ScanChangeRow> = {
  title: 'Scans that became sequential',
  columns: [
    { header: 'table', value: (row) => `${row.schema}.${row.table}` },
    { header: 'sequential before', value: (row) => row.shareBefore, unit: 'ratio' },
    { header: 'since', value: (row) => row.shareAfter, unit: 'ratio', tone: () => 'warning' },
    { header: 'scans', value: (row) => row.sequentialScans, unit: 'count', priority: 2 },
    {
      header: 'rows a scan',
      value: (row) => Math.round(row.rowsPerScan),
      unit: 'count',
      priority: 1,
    },
  ],
  empty: () => '',
};

const TABLES: ReportView<TableChangeRow> = {
  title: 'Tables that grew, shrank, came or went',
  columns: [
    { header: 'table', value: (row) => `${row.schema}.${row.table}` },
    { header: 'change', value: (row) => row.change },
    { header: 'before', value: (row) => row.bytesBefore, unit: 'bytes', priority: 2 },
    { header: 'now', value: (row) => row.bytesAfter, unit: 'bytes', priority: 1 },
    { header: 'difference', value: (row) => signed(row.changeBytes) },
    {
      header: 'a day',
      value: (row) => (row.bytesPerDay === null ? null : signed(row.bytesPerDay)),
      priority: 3,
    },
  ],
  empty: () => '',
};

function signed(bytes: number): string {
  return `${bytes > 0 ? '+' : ''}${renderBytes(bytes)}`;
}

const CHANGES: Record<IndexChangeRow['change'], string> = {
  began: 'is used now',
  ceased: 'is not used any more',
  created: 'is new',
  dropped: 'was dropped',
  invalid: 'is invalid now',
};

const INDEXES: ReportView<IndexChangeRow> = {
  title: 'Indexes that began or ceased to be used, came or went',
  columns: [
    { header: 'index', value: (row) => `${row.schema}.${row.index}` },
    { header: 'table', value: (row) => row.table, priority: 3 },
    {
      header: 'change',
      value: (row) => CHANGES[row.change],
      tone: (row) => (row.change === 'ceased' || row.change === 'invalid' ? 'warning' : undefined),
    },
    { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes', priority: 2 },
    { header: 'scans before', value: (row) => row.scansBefore, unit: 'count', priority: 1 },
    { header: 'since', value: (row) => row.scans, unit: 'count', priority: 1 },
  ],
  empty: () => '',
};

const SETTINGS: ReportView<SettingChangeRow> = {
  title: 'Settings',
  columns: [
    { header: 'setting', value: (row) => row.setting },
    { header: 'before', value: (row) => row.before ?? '(default)', text: 'wraps' },
    { header: 'now', value: (row) => row.after ?? '(default)', text: 'wraps' },
  ],
  empty: () => '',
};

const FINDINGS: ReportView<FindingChangeRow> = {
  title: 'Findings of doctor',
  columns: [
    {
      header: 'change',
      value: (row) => row.change,
      tone: (row) => (row.change === 'gone' ? 'good' : 'warning'),
    },
    { header: 'check', value: (row) => row.code },
    { header: 'finding', value: (row) => row.message, text: 'wraps' },
  ],
  empty: () => '',
};

const NO_ROWS: ReportView<unknown> = { title: 'Notes', columns: [], empty: () => '' };

const PARTS: readonly {
  view: ReportView<never>;
  rowsOf: (diff: StatsDiff) => readonly unknown[];
}[] = [
  { view: FINDINGS, rowsOf: ({ findings }) => findings },
  { view: QUERIES, rowsOf: ({ queries }) => queries },
  { view: SCANS, rowsOf: ({ scans }) => scans },
  { view: INDEXES, rowsOf: ({ indexes }) => indexes },
  { view: TABLES, rowsOf: ({ tables }) => tables },
  { view: SETTINGS, rowsOf: ({ settings }) => settings },
];

/** Which snapshots there are, the newest first. */
export function renderSnapshots(
  entries: readonly SnapshotEntry[],
  options: ReportRenderOptions,
): string {
  return renderReport(reportOf(entries.toReversed()), SNAPSHOTS, options);
}

const SNAPSHOTS: ReportView<SnapshotEntry> = {
  title: 'Snapshots',
  columns: [
    { header: 'id', value: (row) => row.id, unit: 'count' },
    { header: 'taken', value: (row) => row.takenAt, unit: 'time' },
    { header: 'reason', value: (row) => row.reason },
    { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes' },
  ],
  empty: () => 'there is no snapshot yet',
};
