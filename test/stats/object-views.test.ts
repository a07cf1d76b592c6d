import { describe, expect, test } from 'vitest';
import type { ReportView, StatsReport } from '../../src/report/columns.ts';
import { INDEXES_VIEW, type IndexRow } from '../../src/stats/indexes.ts';
import { PARTITIONS_VIEW, type PartitionedTableRow } from '../../src/stats/partitions.ts';
import { SEQUENCES_VIEW, type SequenceRow } from '../../src/stats/sequences.ts';
import { UNUSED_VIEW } from '../../src/stats/unused.ts';

function column<T>({ columns }: ReportView<T>, header: string) {
  const found = columns.find((one) => one.header === header);
  if (!found) throw new Error(`no column ${header}`);
  return found;
}

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000 - 60_000);

describe('an empty report on unused indexes', () => {
  const empty: StatsReport<never> = { rows: [], countedSince: daysAgo(34), notes: [] };

  test('says how long nothing was found', () => {
    expect(UNUSED_VIEW.empty(empty)).toBe('no unused indexes in 34 days of statistics');
    expect(UNUSED_VIEW.empty({ ...empty, countedSince: daysAgo(1) })).toContain('in 1 day of');
  });

  test('is no good news where nothing was judged', () => {
    const notes = [{ level: 'unknown' as const, text: 'nothing is judged' }];
    expect(UNUSED_VIEW.empty({ ...empty, notes })).toBe('not known yet');
  });
});

test('an index is shown with all it is for', () => {
  const row = {
    schema: 's',
    index: 'i',
    partitions: 2,
    isPrimary: false,
    isUnique: false,
    constraint: 'i_excl',
    supportsForeignKeys: ['fk'],
    isReplicaIdentity: false,
    isClustered: true,
  } as unknown as IndexRow;
  expect(column(INDEXES_VIEW, 'purpose').value(row)).toBe('constraint, foreign key, clustered');
  expect(column(INDEXES_VIEW, 'index').value(row)).toBe('s.i (2 partitions)');
  const primary = { ...row, isPrimary: true, isUnique: true, isClustered: false };
  expect(column(INDEXES_VIEW, 'purpose').value(primary)).toBe('primary key, foreign key');
});

test('a sequence is coloured by how full it is, unless it begins anew', () => {
  const tone = (row: Partial<SequenceRow>) =>
    column(SEQUENCES_VIEW, 'used').tone?.({
      usedPercent: 50,
      isCycling: false,
      limitedBy: 'sequence',
      ...row,
    } as SequenceRow);
  expect(tone({})).toBeUndefined();
  expect(tone({ usedPercent: 70 })).toBe('warning');
  expect(tone({ usedPercent: 90 })).toBe('critical');
  expect(tone({ usedPercent: null })).toBe('muted');
  expect(tone({ usedPercent: 100, isCycling: true })).toBeUndefined();
  // The column overflows before the sequence begins anew.
  expect(tone({ usedPercent: 100, isCycling: true, limitedBy: 's.t.c' })).toBe('critical');
});

test('the cover of a partitioned table is a time, no end, or none', () => {
  const until = column(PARTITIONS_VIEW, 'covered until');
  const row = { isByTime: true, isOpenEnded: false, coveredUntil: null } as PartitionedTableRow;
  expect(until.value({ ...row, isByTime: false })).toBeNull();
  expect(until.value(row)).toBe('not even now');
  expect(until.value({ ...row, isOpenEnded: true })).toBe('no end');
  const end = new Date();
  expect(until.value({ ...row, coveredUntil: end })).toBe(end);
  const tone = (daysLeft: number | null, defaultPartition: string | null = null) =>
    until.tone?.({ ...row, daysLeft, defaultPartition });
  expect([tone(null), tone(30), tone(29), tone(6), tone(6, 'rest')]).toEqual([
    undefined,
    undefined,
    'warning',
    'critical',
    'warning',
  ]);
});
