import { codeOf } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import type { ReportNote, StatsReport } from '../../report/columns.ts';
import { commandLine } from '../../text/command-line.ts';
import { type CounterAge, readCounterAge } from './counted-since.ts';
import { requireSchema, type StatsOptions } from './scope.ts';
import { renderSequences } from './sequences-query.ts';

export interface SequenceColumn {
  schema: string;
  table: string;
  column: string;
  type: string;
  /** `owner`: filled from it; `reference`: a foreign key holds the same numbers. */
  role: 'owner' | 'reference';
}

/** How far a sequence is from its end, or from the end of the narrowest column that takes its numbers. */
export interface SequenceRow {
  schema: string;
  sequence: string;
  columns: SequenceColumn[];
  type: string;
  /** Whole numbers beyond 2^53 are possible, so these are text. Null: never used, or unknown. */
  lastValue: string | null;
  increment: string;
  /** The last number that fits everywhere. */
  limit: string;
  /** What runs out first: `sequence`, or the column's name with schema and table. */
  limitedBy: string;
  isCycling: boolean;
  /** False where this role may not see the last value, or a lock hides it. */
  isKnown: boolean;
  /** 0 to 100, more where numbers are already too large; null where it is unknown. */
  usedPercent: number | null;
  /** Numbers left; null where it is unknown. */
  remaining: string | null;
  /** Numbers a day, from the rows inserted since `countedSince`; null where the server has not counted for a day. */
  perDay: number | null;
  /** Days until the limit at that rate: an estimate; null where there is no rate. */
  daysLeft: number | null;
}

type Found = Omit<SequenceRow, 'perDay' | 'daysLeft'> & { inserts: number; used: number };

const DAY_MS = 86_400_000;

/**
 * Every sequence with its runway, the fullest first: against its own maximum, the type of each
 * column that takes its numbers, and the type of each foreign key that holds them.
 *
 * @throws {EvdbError} USAGE where the schema does not exist
 */
export async function readSequences(
  session: Session,
  options: StatsOptions = {},
): Promise<StatsReport<SequenceRow>> {
  await requireSchema(session, options);
  const found = await readFound(session, options);
  const age = await readCounterAge(session);
  const rows = found.map(({ inserts, used, ...row }): SequenceRow => {
    const perDay = rateOf(age, Number(row.increment), inserts, used);
    const remaining = row.remaining === null ? null : Number(row.remaining);
    const isEndless = row.isCycling && row.limitedBy === 'sequence';
    const hasRunway = perDay !== null && remaining !== null && !isEndless;
    return { ...row, perDay, daysLeft: hasRunway ? Math.max(remaining, 0) / perDay : null };
  });
  return { rows, countedSince: age.countedSince, notes: [...age.notes, ...hiddenNotes(rows)] };
}

/** Reading the last value takes a lock that `alter sequence` and `drop` refuse: then without values. */
async function readFound(session: Session, options: StatsOptions): Promise<Found[]> {
  try {
    return (await session.run(renderSequences(options, 'exact'))) as unknown as Found[];
  } catch (error) {
    if (codeOf(error) !== '55P03') throw error;
    return (await session.run(renderSequences(options, 'estimate'))) as unknown as Found[];
  }
}

/** Rows may come with numbers of their own, so no more counts than the sequence has given. */
function rateOf(
  { countedSince, ageMs }: CounterAge,
  increment: number,
  inserts: number,
  used: number,
): number | null {
  const taken = Math.min(inserts * Math.abs(increment), used);
  if (countedSince === null || ageMs < DAY_MS || taken <= 0) return null;
  return (taken * DAY_MS) / ageMs;
}

function hiddenNotes(rows: SequenceRow[]): ReportNote[] {
  const hidden = rows.filter(({ isKnown }) => !isKnown).length;
  if (hidden === 0) return [];
  return [
    {
      level: 'unknown',
      text: `the last value of ${hidden} ${hidden === 1 ? 'sequence is' : 'sequences are'} hidden from this role, or locked`,
      hint: `Grant select on all sequences of the schema to the role; \`${commandLine('stats locks')}\` shows who locks.`,
    },
  ];
}
