import { readSequences, type SequenceRow } from '../../stats/sequences.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

/** Changing the type of a column rewrites its table, which wants planning. */
const WARNING_PERCENT = 75;
const CRITICAL_PERCENT = 90;
const WARNING_DAYS = 90;
const CRITICAL_DAYS = 14;
/** A rate says nothing of a sequence that has hardly begun. */
const RATE_PERCENT = 10;

/** Sequences that run out, by how full they are or by how fast they fill. */
export function judgeSequences(rows: SequenceRow[]): DoctorFinding[] {
  return rows.flatMap((row): DoctorFinding[] => {
    const status = judgeRunway(row);
    if (status === undefined) return [];
    const { schema, sequence, limit, limitedBy, usedPercent, daysLeft } = row;
    const days = daysLeft === null ? '' : `, about ${Math.floor(daysLeft)} days are left`;
    const end = limitedBy === 'sequence' ? 'its own limit' : `what ${limitedBy} can hold`;
    return [
      {
        status,
        object: `${schema}.${sequence}`,
        reason: `sequence ${schema}.${sequence} is at ${usedPercent?.toFixed(1)} % of ${end} (${limit})${days}`,
        fix:
          limitedBy === 'sequence'
            ? null
            : `Change ${limitedBy} to bigint (a new column, filled in batches and swapped in, does not lock the table for long).`,
      },
    ];
  });
}

function judgeRunway({
  usedPercent,
  daysLeft,
  isCycling,
  limitedBy,
}: SequenceRow): 'warning' | 'critical' | undefined {
  if (usedPercent === null || (isCycling && limitedBy === 'sequence')) return undefined;
  const days =
    usedPercent >= RATE_PERCENT ? (daysLeft ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
  if (usedPercent >= CRITICAL_PERCENT || days < CRITICAL_DAYS) return 'critical';
  return usedPercent >= WARNING_PERCENT || days < WARNING_DAYS ? 'warning' : undefined;
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
        rows.length === 0 ? 'there is no sequence' : `the fullest is at ${fullest.toFixed(1)} %`,
    };
  },
};
