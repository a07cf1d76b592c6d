import { quoteIdent } from '../sql/quote.ts';
import { type PartitionedTableRow, readPartitions } from '../stats/partitions.ts';
import { readSequences, type SequenceRow } from '../stats/sequences.ts';
import { readVacuum, type VacuumRow } from '../stats/vacuum.ts';
import { renderCount, renderNumber, renderPercent } from '../text/units.ts';
import {
  type DoctorCheck,
  type DoctorFinding,
  severityOf,
  unknownsOf,
  warningsOf,
} from './check.ts';

/** Autovacuum begins at 1; where it is this late, something keeps it from freezing. */
const LATE_FREEZE_SHARE = 1.5;
/** Vacuum's own failsafe begins at an age of 1.6 billion, which is about here. */
const FEW_IDS = 500_000_000;

/** How near databases and tables are to where the server stops accepting writes. */
export function judgeWraparound(
  rows: VacuumRow[],
  transactionsPerDay: number | null = null,
): DoctorFinding[] {
  return rows.flatMap((row) =>
    [
      judgeAge(
        row,
        'transactions',
        [row.xidAge, row.freezeMaxAge, row.xidsLeft],
        transactionsPerDay,
      ),
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
  perDay: number | null = null,
): DoctorFinding[] {
  if (age === null || freezeMax === null || left === null) return [];
  const isBad = left < FEW_IDS;
  if (!isBad && age <= freezeMax * LATE_FREEZE_SHARE) return [];
  const object = schema === null ? name : `${schema}.${name}`;
  const days =
    perDay === null
      ? ''
      : `, at the present rate in ${renderCount(Math.floor(Math.max(0, left) / perDay), 'day')}`;
  return [
    {
      severity: isBad ? 'error' : 'warning',
      message: `${kind} ${object} is ${age} ${unit} old (autovacuum freezes at ${freezeMax}); writes stop in ${Math.max(0, left)}${days}`,
      objects: [object],
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
    const trends = await context.readTrends();
    const left = Math.min(...rows.map((row) => row.xidsLeft ?? Number.POSITIVE_INFINITY));
    return {
      findings: [...judgeWraparound(rows, trends?.transactionsPerDay), ...unknownsOf(notes)],
      summary: `at least ${renderNumber(Math.floor(left / 1_000_000))} million transactions are left`,
    };
  },
};

/** As long as it may take until somebody looks and has the rights. */
const PARTITION_DAYS = { warning: 30, error: 7 };

/** Partitioned tables that soon have no partition for a new row, or have a gap. */
export function judgePartitions(rows: PartitionedTableRow[]): DoctorFinding[] {
  return rows.flatMap((row) => [...judgePartitionDays(row), ...judgeDefault(row)]);
}

function judgePartitionDays(row: PartitionedTableRow): DoctorFinding[] {
  const { schema, table, isByTime, isOpenEnded, daysLeft, gapFrom, defaultPartition } = row;
  if (!isByTime || (gapFrom === null && (isOpenEnded || daysLeft === null))) return [];
  const days = daysLeft ?? 0;
  const isEnding = !isOpenEnded && days < PARTITION_DAYS.warning;
  if (!isEnding && gapFrom === null) return [];
  // The default partition takes what no other does, so nothing fails.
  const isBad = isEnding && days < PARTITION_DAYS.error && defaultPartition === null;
  const object = `${schema}.${table}`;
  const message = isEnding
    ? days <= 0
      ? `no partition of ${object} accepts rows of today`
      : `the partitions of ${object} last for ${renderCount(Math.floor(days), 'day')}`
    : `the partitions of ${object} have a gap from ${gapFrom?.toISOString() ?? ''}`;
  const severity = isBad ? 'error' : 'warning';
  return [{ severity, message, objects: [object], fix: newPartition(row) }];
}

function newPartition({ schema, table }: PartitionedTableRow): string {
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
      severity: 'warning',
      message: `about ${renderCount(defaultRows, 'row')} of ${schema}.${table} ${defaultRows === 1 ? 'is' : 'are'} in its default partition ${defaultPartition}`,
      objects: [`${schema}.${table}`],
      hint: 'Move them out before you create the partition that they belong in: until then PostgreSQL refuses to create it.',
    },
  ];
}

export const PARTITION_RUNWAY: DoctorCheck = {
  name: 'partition-runway',
  group: 'tables',
  command: 'stats partitions',
  async examine(session) {
    const { rows, notes } = await readPartitions(session);
    return {
      // It warns of half detached partitions, and of entries of the audit log that had none.
      findings: [...judgePartitions(rows), ...warningsOf(notes), ...unknownsOf(notes)],
      summary:
        rows.length === 0
          ? 'no table is partitioned'
          : `the partitions of ${renderCount(rows.length, 'table')} last`,
    };
  },
};

/** Changing the type of a column rewrites its table, which wants planning. */
const SEQUENCE_PERCENT = { warning: 75, error: 90 };
const SEQUENCE_DAYS = { warning: 90, error: 14 };
/** A rate says nothing of a sequence that has hardly begun. */
const RATE_PERCENT = 10;

/** Sequences that run out, by how full they are or by how fast they fill. */
export function judgeSequences(rows: SequenceRow[]): DoctorFinding[] {
  return rows.flatMap((row): DoctorFinding[] => {
    const severity = severityOfSequence(row);
    if (severity === undefined) return [];
    const { schema, sequence, limit, limitedBy, usedPercent, daysLeft } = row;
    const days = daysLeft === null ? '' : `, about ${Math.floor(daysLeft)} days are left`;
    const end = limitedBy === 'sequence' ? 'its own limit' : `what ${limitedBy} can hold`;
    return [
      {
        severity,
        message: `sequence ${schema}.${sequence} is at ${renderPercent(usedPercent ?? 0)} of ${end} (${limit})${days}`,
        objects: [`${schema}.${sequence}`],
        ...wayOut(row),
      },
    ];
  });
}

/** The columns come first: a sequence that is ahead of its column only moves the error. */
function wayOut({ schema, sequence, type, columns, increment, limit, limitedBy }: SequenceRow): {
  hint?: string;
  fix?: string;
} {
  const name = `${quoteIdent(schema)}.${quoteIdent(sequence)}`;
  const isRising = !increment.startsWith('-');
  const isOwn = limitedBy === 'sequence';
  const typeLimit = LIMITS[type]?.[isRising ? 1 : 0];
  const narrow = columns.filter((column) => NARROW.has(column.type)).map(columnName);
  const toChange = [...new Set(isOwn ? narrow : [limitedBy, ...narrow])];
  if (isOwn && limit !== typeLimit) {
    return { fix: `alter sequence ${name} no ${isRising ? 'maxvalue' : 'minvalue'};` };
  }
  if (isOwn && type === 'bigint') {
    return {
      hint: `No type holds more. Where old numbers are free again: alter sequence ${name} cycle;`,
    };
  }
  return {
    ...(toChange.length > 0 && {
      hint: `Change ${toChange.join(', ')} to bigint first: a new column, filled in batches and swapped in, does not lock the table for long.`,
    }),
    ...(type !== 'bigint' && { fix: `alter sequence ${name} as bigint;` }),
  };
}

const NARROW = new Set(['smallint', 'integer']);

/** The lowest and the highest number of a sequence's type. */
const LIMITS: Record<string, [string, string]> = {
  smallint: ['-32768', '32767'],
  integer: ['-2147483648', '2147483647'],
  bigint: ['-9223372036854775808', '9223372036854775807'],
};

function columnName({ schema, table, column }: SequenceRow['columns'][number]): string {
  return [schema, table, column]
    .map((name) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : quoteIdent(name)))
    .join('.');
}

function severityOfSequence({
  usedPercent,
  daysLeft,
  isCycling,
  limitedBy,
}: SequenceRow): 'warning' | 'error' | undefined {
  if (usedPercent === null || (isCycling && limitedBy === 'sequence')) return undefined;
  const days =
    usedPercent >= RATE_PERCENT ? (daysLeft ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
  if (days < SEQUENCE_DAYS.error) return 'error';
  return (
    severityOf(usedPercent, SEQUENCE_PERCENT) ??
    (days < SEQUENCE_DAYS.warning ? 'warning' : undefined)
  );
}

export const SEQUENCE_RUNWAY: DoctorCheck = {
  name: 'sequence-runway',
  group: 'sequences',
  command: 'stats sequences',
  async examine(_session, context) {
    const trends = await context.readTrends();
    const { rows, notes } = await context.once(
      (session) => readSequences(session, { trends }),
      readSequences,
    );
    const fullest = Math.max(0, ...rows.map(({ usedPercent }) => usedPercent ?? 0));
    return {
      findings: [...judgeSequences(rows), ...unknownsOf(notes)],
      summary:
        rows.length === 0 ? 'there is no sequence' : `the fullest is at ${renderPercent(fullest)}`,
    };
  },
};
