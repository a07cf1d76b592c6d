import { describe, expect, it } from 'vitest';
import type { DoctorFinding } from '../../src/doctor/check.ts';
import {
  judgeDuplicateIndexes,
  judgeInvalidIndexes,
  judgeMissingFk,
  judgeUnusedIndexes,
  judgeUnvalidatedConstraints,
} from '../../src/doctor/indexes.ts';
import { judgePartitions, judgeSequences } from '../../src/doctor/runways.ts';
import { judgeCollationVersions } from '../../src/doctor/server.ts';
import type { DuplicateIndexRow } from '../../src/stats/duplicates.ts';
import type { InvalidObjectRow } from '../../src/stats/invalid.ts';
import type { MissingForeignKeyIndexRow } from '../../src/stats/missing-fk.ts';
import type { PartitionedTableRow } from '../../src/stats/partitions.ts';
import type { SequenceRow } from '../../src/stats/sequences.ts';
import type { UnusedIndexRow } from '../../src/stats/unused.ts';
import { told } from './told.ts';

const statuses = (findings: DoctorFinding[]) => told(findings).map(({ status }) => status);
const MIB = 1024 ** 2;

describe('sequence-runway', () => {
  const sequence = (facts: Partial<SequenceRow>): SequenceRow => ({
    schema: 'public',
    sequence: 'events_id_seq',
    columns: [],
    type: 'bigint',
    lastValue: '1',
    increment: '1',
    limit: '2147483647',
    limitedBy: 'public.events.id',
    isCycling: false,
    isKnown: true,
    unknownBecause: null,
    usedPercent: 0,
    remaining: '5',
    perDay: null,
    daysLeft: null,
    ...facts,
  });

  it.each([
    [{ usedPercent: 74.9 }, []],
    [{ usedPercent: 75 }, ['warning']],
    [{ usedPercent: 89.9 }, ['warning']],
    [{ usedPercent: 90 }, ['critical']],
    [{ usedPercent: 120 }, ['critical']],
    [{ usedPercent: 10, daysLeft: 90 }, []],
    [{ usedPercent: 10, daysLeft: 89.9 }, ['warning']],
    [{ usedPercent: 10, daysLeft: 14 }, ['warning']],
    [{ usedPercent: 10, daysLeft: 13.9 }, ['critical']],
    [{ usedPercent: 9.9, daysLeft: 1 }, []],
    [{ usedPercent: null, isKnown: false }, []],
    [{ usedPercent: 99, isCycling: true, limitedBy: 'sequence' }, []],
    [{ usedPercent: 99, isCycling: true }, ['critical']],
  ])('with %j is %j', (facts, expected) => {
    expect(statuses(judgeSequences([sequence(facts)]))).toEqual(expected);
  });

  it('says which column is too narrow', () => {
    expect(told(judgeSequences([sequence({ usedPercent: 95 })]))).toMatchObject([
      {
        object: 'public.events_id_seq',
        reason: expect.stringContaining('95.0 % of what public.events.id can hold (2147483647)'),
        hint: expect.stringContaining('Change public.events.id to bigint first'),
        fix: null,
      },
    ]);
  });

  const owner = { schema: 'public', table: 'T', column: 'id', type: 'integer' };
  it.each([
    [
      { type: 'integer' },
      /^Change public.events.id to .*\| alter sequence "public"."events_id_seq" as bigint;$/,
    ],
    [
      { type: 'integer', limitedBy: 'sequence', columns: [{ ...owner, role: 'owner' as const }] },
      /^Change public\."T"\.id to bigint .*\| alter sequence "public"\."events_id_seq" as bigint;$/,
    ],
    [
      { type: 'integer', limitedBy: 'sequence' },
      /^alter sequence "public"\."events_id_seq" as bigint;$/,
    ],
    [
      { limitedBy: 'sequence', limit: '1000' },
      /^alter sequence "public"\."events_id_seq" no maxvalue;$/,
    ],
    [
      { limitedBy: 'sequence', limit: '-1000', increment: '-1' },
      /^alter sequence "public"\."events_id_seq" no minvalue;$/,
    ],
    [{ limitedBy: 'sequence', limit: '9223372036854775807' }, /^No type holds more/],
  ])('says how to go on with %j', (facts, expected) => {
    const [finding] = judgeSequences([sequence({ usedPercent: 95, ...facts })]);
    expect([finding?.hint, finding?.fix].filter(Boolean).join(' | ')).toMatch(expected);
  });
});

describe('partition-runway', () => {
  const partitioned = (facts: Partial<PartitionedTableRow>): PartitionedTableRow => ({
    schema: 'public',
    table: 'log',
    strategy: 'range',
    key: 'RANGE (at)',
    partitions: 3,
    rows: 0,
    isByTime: true,
    coveredUntil: null,
    daysLeft: 60,
    isOpenEnded: false,
    gapFrom: null,
    defaultPartition: null,
    defaultRows: null,
    ...facts,
  });

  it.each([
    [{ daysLeft: 30 }, []],
    [{ daysLeft: 29.9 }, ['warning']],
    [{ daysLeft: 7 }, ['warning']],
    [{ daysLeft: 6.9 }, ['critical']],
    [{ daysLeft: 0 }, ['critical']],
    [{ daysLeft: 0, defaultPartition: 'log_rest' }, ['warning']],
    [{ daysLeft: null, isOpenEnded: true }, []],
    [{ daysLeft: null, isByTime: false }, []],
    [{ gapFrom: new Date() }, ['warning']],
    [{ defaultPartition: 'log_rest', defaultRows: 5 }, ['warning']],
    [{ defaultPartition: 'log_rest', defaultRows: 0 }, []],
  ])('with %j is %j', (facts, expected) => {
    expect(statuses(judgePartitions([partitioned(facts)]))).toEqual(expected);
  });

  it('names the function that makes partitions of the audit log', () => {
    const [finding] = judgePartitions([partitioned({ table: 'audit_logs', daysLeft: 3 })]);
    expect(finding?.fix).toBe('select * from "public".ensure_audit_partitions();');
  });
});

describe('collation-versions', () => {
  it('compares what is recorded with what the system has, where both are known', () => {
    const row = (recorded: string | null, actual: string | null) => ({
      kind: 'collation' as const,
      schema: 'public',
      name: 'my "german"',
      recorded,
      actual,
    });
    expect(judgeCollationVersions([row('1', '1'), row(null, '1'), row('1', null)])).toEqual([]);
    expect(told(judgeCollationVersions([row('1', '2')]))).toMatchObject([
      {
        status: 'critical',
        fix: expect.stringContaining('alter collation "public"."my ""german""" refresh version;'),
      },
    ]);
  });
});

describe('indexes', () => {
  const unused = (facts: Partial<UnusedIndexRow>): UnusedIndexRow => ({
    schema: 'public',
    table: 'events',
    index: 'events_idx',
    definition: null,
    sizeBytes: 10 * MIB,
    isSizeEstimated: false,
    tableScans: 5,
    tableWrites: 9,
    partitions: 0,
    oldScans: 0,
    idleSince: null,
    caveat: null,
    dropSql: 'drop index concurrently public.events_idx;',
    revertSql: null,
    ...facts,
  });

  it('that are unused count from 10 MB on, and where somebody reads the table', () => {
    expect(told(judgeUnusedIndexes([unused({})]))).toMatchObject([
      {
        status: 'warning',
        object: 'public.events_idx',
        fix: expect.stringContaining('drop index'),
      },
    ]);
    expect(judgeUnusedIndexes([unused({ sizeBytes: 10 * MIB - 1 })])).toEqual([]);
    expect(judgeUnusedIndexes([unused({ caveat: 'nobody reads the table' })])).toEqual([]);
    expect(judgeUnusedIndexes([unused({ isSizeEstimated: true })])[0]?.message).toContain(
      'about 10 MB',
    );
  });

  it('that are equal count, those on the first columns of another do not', () => {
    const duplicate = (kind: DuplicateIndexRow['kind']): DuplicateIndexRow => ({
      schema: 'public',
      table: 'events',
      index: 'b',
      definition: null,
      sizeBytes: 8192,
      isSizeEstimated: false,
      scans: 0,
      keptIndex: 'a',
      keptDefinition: null,
      kind,
      reason: 'same columns',
      partitions: 0,
      dropSql: 'drop index b;',
      revertSql: null,
    });
    expect(judgeDuplicateIndexes([duplicate('prefix')])).toEqual([]);
    expect(told(judgeDuplicateIndexes([duplicate('duplicate')]))).toMatchObject([
      { status: 'warning', object: 'public.b', fix: 'drop index b;' },
    ]);
  });

  it('that a foreign key lacks count from a table of 10 MB on', () => {
    const key = (tableBytes: number): MissingForeignKeyIndexRow => ({
      schema: 'public',
      table: 'seats',
      constraint: 'seats_event_fkey',
      columns: ['event_id'],
      tableBytes,
      isSizeEstimated: false,
      tableRows: 5,
      tableWrites: 0,
      partitions: 0,
      referencedSchema: 'public',
      referencedTable: 'events',
      referencedDeletes: 0,
      referencedUpdates: 0,
      onDelete: 'cascade',
      fixSql: 'create index concurrently on public.seats (event_id);',
    });
    expect(judgeMissingFk([key(10 * MIB - 1)])).toEqual([]);
    expect(told(judgeMissingFk([key(10 * MIB)]))).toMatchObject([
      { status: 'warning', object: 'public.seats.seats_event_fkey' },
    ]);
  });

  it('that are invalid count unless somebody is building them; constraints have their own check', () => {
    const invalid = (facts: Partial<InvalidObjectRow>): InvalidObjectRow => ({
      kind: 'index',
      schema: 'public',
      table: 'events',
      name: 'events_idx',
      problem: 'invalid',
      definition: null,
      sizeBytes: 0,
      isSizeEstimated: false,
      build: null,
      fixSql: 'reindex index concurrently public.events_idx;',
      violationsSql: null,
      ...facts,
    });
    const build = {} as NonNullable<InvalidObjectRow['build']>;
    expect(judgeInvalidIndexes([invalid({ build })])).toEqual([]);
    expect(told(judgeInvalidIndexes([invalid({})]))).toMatchObject([
      { status: 'warning', object: 'public.events_idx' },
    ]);
    const constraint = invalid({ kind: 'constraint', name: 'c', problem: 'not-validated' });
    expect(judgeInvalidIndexes([constraint])).toEqual([]);
    expect(told(judgeUnvalidatedConstraints([constraint]))).toMatchObject([
      { status: 'warning', object: 'public.events.c' },
    ]);
    const unenforced = invalid({ kind: 'constraint', problem: 'not-enforced' });
    expect(judgeUnvalidatedConstraints([unenforced, invalid({})])).toEqual([]);
  });
});
