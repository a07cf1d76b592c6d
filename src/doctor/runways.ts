import type { ReportNote } from '../report/columns.ts';
import { quoteIdent } from '../sql/quote.ts';
import { type PartitionedTableRow, readPartitions } from '../stats/partitions.ts';
import { readSequences, type SequenceRow } from '../stats/sequences.ts';
import { readVacuum, type VacuumRow } from '../stats/vacuum.ts';
import { renderCount, renderPercent } from '../text/units.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

/** As long as it may take until somebody looks and has the rights. */
const PARTITION_WARNING_DAYS = 30;
const PARTITION_CRITICAL_DAYS = 7;

/** Partitioned tables that soon have no partition for a new row, or have a gap. */
export function judgePartitions(rows: PartitionedTableRow[]): DoctorFinding[] {
  return rows.flatMap((row): DoctorFinding[] => [...judgePartitionDays(row), ...judgeDefault(row)]);
}

function judgePartitionDays(row: PartitionedTableRow): DoctorFinding[] {
  const { schema, table, isByTime, isOpenEnded, daysLeft, gapFrom, defaultPartition } = row;
  if (!isByTime || (gapFrom === null && (isOpenEnded || daysLeft === null))) return [];
  const days = daysLeft ?? 0;
  const isEnding = !isOpenEnded && days < PARTITION_WARNING_DAYS;
  if (!isEnding && gapFrom === null) return [];
  // The default partition takes what no other does, so nothing fails.
  const isCritical = isEnding && days < PARTITION_CRITICAL_DAYS && defaultPartition === null;
  const object = `${schema}.${table}`;
  const reason = isEnding
    ? days <= 0
      ? `no partition of ${object} takes a row of today`
      : `the partitions of ${object} last for ${renderCount(Math.floor(days), 'day')}`
    : `the partitions of ${object} have a gap from ${gapFrom?.toISOString() ?? ''}`;
  return [{ status: isCritical ? 'critical' : 'warning', object, reason, fix: fixOf(row) }];
}

function fixOf({ schema, table }: PartitionedTableRow): string {
  return table === 'audit_logs'
    ? `select * from ${quoteIdent(schema)}.ensure_audit_partitions();`
    : `create table … partition of ${quoteIdent(schema)}.${quoteIdent(table)} for values from (…) to (…);`;
}

/** Rows in the default partition keep the partition that they belong in from being made. */
function judgeDefault({
  schema,
  table,
  defaultPartition,
  defaultRows,
}: PartitionedTableRow): DoctorFinding[] {
  if (defaultPartition === null || !defaultRows) return [];
  return [
    {
      status: 'warning',
      object: `${schema}.${table}`,
      reason: `about ${defaultRows} rows of ${schema}.${table} lie in its default partition ${defaultPartition}`,
      fix: 'Move them out before the partition that they belong in is made: with them it cannot be.',
    },
  ];
}

/** Half detached partitions, and entries of the audit log that had none. */
function warningsOf(notes: ReportNote[]): DoctorFinding[] {
  return notes
    .filter(({ level }) => level === 'warning')
    .map(({ text, hint }) => ({
      status: 'warning',
      object: null,
      reason: text,
      fix: hint ?? null,
    }));
}

export const PARTITION_RUNWAY: DoctorCheck = {
  name: 'partition-runway',
  group: 'tables',
  command: 'stats partitions',
  async examine(session) {
    const { rows, notes } = await readPartitions(session);
    return {
      findings: [...judgePartitions(rows), ...warningsOf(notes), ...unknownsOf(notes)],
      summary:
        rows.length === 0
          ? 'no table is partitioned'
          : `the partitions of ${renderCount(rows.length, 'table')} last`,
    };
  },
};

/** Changing the type of a column rewrites its table, which wants planning. */
const WARNING_PERCENT = 75;
const CRITICAL_PERCENT = 90;
const SEQUENCE_WARNING_DAYS = 90;
const SEQUENCE_CRITICAL_DAYS = 14;
/** A rate says nothing of a sequence that has hardly begun. */
const RATE_PERCENT = 10;

/** Sequences that run out, by how full they are or by how fast they fill. */
export function judgeSequences(rows: SequenceRow[]): DoctorFinding[] {
  return rows.flatMap((row): DoctorFinding[] => {
    const status = judgeSequenceDays(row);
    if (status === undefined) return [];
    const { schema, sequence, limit, limitedBy, usedPercent, daysLeft } = row;
    const days = daysLeft === null ? '' : `, about ${Math.floor(daysLeft)} days are left`;
    const end = limitedBy === 'sequence' ? 'its own limit' : `what ${limitedBy} can hold`;
    return [
      {
        status,
        object: `${schema}.${sequence}`,
        reason: `sequence ${schema}.${sequence} is at ${renderPercent(usedPercent ?? 0)} of ${end} (${limit})${days}`,
        fix:
          limitedBy === 'sequence'
            ? null
            : `Change ${limitedBy} to bigint (a new column, filled in batches and swapped in, does not lock the table for long).`,
      },
    ];
  });
}

function judgeSequenceDays({
  usedPercent,
  daysLeft,
  isCycling,
  limitedBy,
}: SequenceRow): 'warning' | 'critical' | undefined {
  if (usedPercent === null || (isCycling && limitedBy === 'sequence')) return undefined;
  const days =
    usedPercent >= RATE_PERCENT ? (daysLeft ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
  if (usedPercent >= CRITICAL_PERCENT || days < SEQUENCE_CRITICAL_DAYS) return 'critical';
  return usedPercent >= WARNING_PERCENT || days < SEQUENCE_WARNING_DAYS ? 'warning' : undefined;
}

export const SEQUENCE_RUNWAY: DoctorCheck = {
  name: 'sequence-runway',
  group: 'sequences',
  command: 'stats sequences',
  async examine(session) {
    const { rows, notes } = await readSequences(session);
    const fullest = Math.max(0, ...rows.map(({ usedPercent }) => usedPercent ?? 0));
    return {
      findings: [...judgeSequences(rows), ...unknownsOf(notes)],
      summary:
        rows.length === 0 ? 'there is no sequence' : `the fullest is at ${renderPercent(fullest)}`,
    };
  },
};

/** Vacuum's own failsafe begins at an age of 1.6 billion, which is about here. */
const CRITICAL_LEFT = 500_000_000;
/** Autovacuum begins at 1; where it is this late, something keeps it from freezing. */
const WARNING_SHARE = 1.5;

/** How near databases and tables are to where the server stops accepting writes. */
export function judgeWraparound(rows: VacuumRow[]): DoctorFinding[] {
  return rows.flatMap((row) =>
    [
      judgeAge(row, 'transactions', [row.xidAge, row.freezeMaxAge, row.xidsLeft]),
      judgeAge(row, 'multixacts', [
        row.multixactAge,
        row.multixactFreezeMaxAge,
        row.multixactsLeft,
      ]),
    ].flat(),
  );
}

function judgeAge(
  { kind, schema, name }: VacuumRow,
  unit: string,
  [age, freezeMax, left]: [number | null, number | null, number | null],
): DoctorFinding[] {
  if (age === null || freezeMax === null || left === null) return [];
  const isCritical = left < CRITICAL_LEFT;
  if (!isCritical && age <= freezeMax * WARNING_SHARE) return [];
  const object = schema === null ? name : `${schema}.${name}`;
  return [
    {
      status: isCritical ? 'critical' : 'warning',
      object,
      reason: `${kind} ${object} is ${age} ${unit} old (autovacuum freezes at ${freezeMax}); writes stop in ${Math.max(0, left)}`,
      fix:
        kind === 'table'
          ? `vacuum (freeze) ${quoted(schema)}${quoted(name, '')}; -- end old transactions, prepared ones and unused slots first`
          : `vacuum (freeze); -- in database ${name}, by its owner or a superuser`,
    },
  ];
}

function quoted(name: string | null, dot = '.'): string {
  return name === null ? '' : `"${name.replaceAll('"', '""')}"${dot}`;
}

export const WRAPAROUND: DoctorCheck = {
  name: 'wraparound',
  group: 'vacuum',
  command: 'stats vacuum',
  async examine(_session, context) {
    const { rows, notes } = await context.once(readVacuum);
    const left = Math.min(...rows.map((row) => row.xidsLeft ?? Number.POSITIVE_INFINITY));
    return {
      findings: [...judgeWraparound(rows), ...unknownsOf(notes)],
      summary: `${Math.floor(left / 1_000_000)} million transactions are left at least`,
    };
  },
};
