import type { ReportNote } from '../../report/columns.ts';
import { quoteIdent } from '../../sql/quote.ts';
import { type PartitionsRow, readPartitions } from '../../stats/partitions.ts';
import { describeCount } from '../../text/units.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

/** As long as it may take until somebody looks and has the rights. */
const WARNING_DAYS = 30;
const CRITICAL_DAYS = 7;

/** Partitioned tables that soon have no partition for a new row, or have a gap. */
export function judgePartitions(rows: PartitionsRow[]): DoctorFinding[] {
  return rows.flatMap((row): DoctorFinding[] => [...judgeRunway(row), ...judgeDefault(row)]);
}

function judgeRunway(row: PartitionsRow): DoctorFinding[] {
  const { schema, table, isByTime, isOpenEnded, daysLeft, gapFrom, defaultPartition } = row;
  if (!isByTime || (gapFrom === null && (isOpenEnded || daysLeft === null))) return [];
  const days = daysLeft ?? 0;
  const isEnding = !isOpenEnded && days < WARNING_DAYS;
  if (!isEnding && gapFrom === null) return [];
  // The default partition takes what no other does, so nothing fails.
  const isCritical = isEnding && days < CRITICAL_DAYS && defaultPartition === null;
  const object = `${schema}.${table}`;
  const reason = isEnding
    ? days <= 0
      ? `no partition of ${object} takes a row of today`
      : `the partitions of ${object} last for ${describeCount(Math.floor(days), 'day')}`
    : `the partitions of ${object} have a gap from ${gapFrom?.toISOString() ?? ''}`;
  return [{ status: isCritical ? 'critical' : 'warning', object, reason, fix: fixOf(row) }];
}

function fixOf({ schema, table }: PartitionsRow): string {
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
}: PartitionsRow): DoctorFinding[] {
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
          : `the partitions of ${describeCount(rows.length, 'table')} last`,
    };
  },
};
