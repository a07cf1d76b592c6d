import { renderBars } from '../report/chart.ts';
import type { ReportNote, ReportView, Tone } from '../report/columns.ts';
import { renderPageNotes } from '../report/page.ts';
import { DUPLICATES_VIEW } from '../stats/duplicates.ts';
import { UNUSED_VIEW } from '../stats/unused.ts';
import { commandLine } from '../text/command-line.ts';
import { renderBytes } from '../text/units.ts';
import type { Overview } from './overview.ts';
import type { OverviewSection } from './section.ts';
import { renderRows } from './section-body.ts';
import type { OverviewIndex } from './sizes.ts';

/** So many bars fit on a screen. */
const BARS = 12;

type MarkedIndex = OverviewIndex & { marks: string[] };

/** Which are used, which are not, and what makes each that can go disappear. */
export function indexesBody(indexes: readonly OverviewIndex[], overview: Overview): string {
  const { unusedIndexes, duplicateIndexes } = overview;
  const marked = markIndexes(indexes, overview);
  const copied = ['to drop it', 'to make it again'];
  return [
    marked.length === 0 ? '' : largestChart(marked),
    renderPart('unused indexes', unusedIndexes, ({ rows }) =>
      renderRows(rows, UNUSED_VIEW, { id: 'unused', copied }),
    ),
    renderPart('needless indexes', duplicateIndexes, ({ rows }) =>
      renderRows(rows, DUPLICATES_VIEW, { id: 'needless', copied }),
    ),
    renderRows(marked, INDEXES_VIEW, { id: 'all-indexes', command: commandLine('stats indexes') }),
  ].join('');
}

function renderPart<T extends { notes: ReportNote[] }>(
  name: string,
  { data, reason }: OverviewSection<T>,
  render: (data: T) => string,
): string {
  const notes = data?.notes ?? (reason === null ? [] : [reason]);
  const named = notes.map((note) => ({ ...note, text: `${name}: ${note.text}` }));
  return (data === null ? '' : render(data)) + renderPageNotes(named);
}

function markIndexes(
  indexes: readonly OverviewIndex[],
  { unusedIndexes, duplicateIndexes }: Overview,
): MarkedIndex[] {
  const unused = namesIn(unusedIndexes.data?.rows);
  const needless = namesIn(duplicateIndexes.data?.rows);
  return indexes.map((index) => {
    const name = `${index.schema}.${index.index}`;
    const marks = [
      ...(index.isValid ? [] : ['invalid']),
      ...(unused.has(name) ? ['unused'] : []),
      ...(needless.has(name) ? ['needless'] : []),
    ];
    return { ...index, marks };
  });
}

function namesIn(rows: readonly { schema: string; index: string }[] = []): Set<string> {
  return new Set(rows.map(({ schema, index }) => `${schema}.${index}`));
}

function largestChart(marked: readonly MarkedIndex[]): string {
  return renderBars({
    title: 'The largest indexes (yellow: unused, needless or invalid; grey: not scanned so far)',
    unit: 'bytes',
    series: ['size'],
    bars: marked.slice(0, BARS).map(({ schema, index, sizeBytes, scans, marks }) => ({
      label: `${schema}.${index}`,
      values: [sizeBytes],
      note: [renderBytes(sizeBytes), ...marks].join(', '),
      ...toneOf(marks, scans),
    })),
  });
}

function toneOf(marks: readonly string[], scans: number): { tone?: Tone } {
  if (marks.length > 0) return { tone: 'warning' };
  return scans === 0 ? { tone: 'muted' } : {};
}

const INDEXES_VIEW: ReportView<MarkedIndex> = {
  title: 'All indexes',
  columns: [
    { header: 'index', value: ({ schema, index }) => `${schema}.${index}` },
    { header: 'table', value: (row) => row.table },
    { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes' },
    { header: 'growth', value: (row) => row.growthBytes, unit: 'bytes' },
    {
      header: 'scans',
      value: (row) => row.scans,
      unit: 'count',
      tone: ({ scans }) => (scans === 0 ? 'muted' : undefined),
    },
    { header: 'mark', value: ({ marks }) => marks.join(', '), tone: () => 'warning' },
  ],
  empty: () => 'there are no indexes',
};
