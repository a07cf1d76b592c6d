import { renderBars } from '../report/chart.ts';
import type { Tone } from '../report/columns.ts';
import { renderPageNotes } from '../report/page.ts';
import { renderPageTable } from '../report/page-table.ts';
import { SEQUENCES_VIEW, type SequenceRow } from '../stats/sequences.ts';
import { VACUUM_VIEW, type VacuumRow } from '../stats/vacuum.ts';
import { commandLine } from '../text/command-line.ts';
import { renderCount, renderPercent } from '../text/units.ts';
import type { Overview } from './overview.ts';

const BARS = 10;
/** Of a sequence, as the doctor judges it. */
const LIMITS = [75, 90];

/** How far it is to the end of sequences and of transaction IDs. */
export function runwaysBody({ sequences, wraparound }: Overview): string {
  return [
    sequences.data === null
      ? renderPageNotes(sequences.reason ? [sequences.reason] : [])
      : sequencesPart(sequences.data),
    wraparound.data === null
      ? renderPageNotes(wraparound.reason ? [wraparound.reason] : [])
      : wraparoundPart(wraparound.data),
  ].join('');
}

function sequencesPart({ rows, notes }: NonNullable<Overview['sequences']['data']>): string {
  const known = rows.filter(({ usedPercent }) => usedPercent !== null);
  const chart = renderBars({
    title: 'How full sequences are (lines at 75 % and 90 %)',
    unit: 'percent',
    series: ['used'],
    bars: known.slice(0, BARS).map(barOfSequence),
    end: 100,
    limits: LIMITS,
  });
  const table = renderPageTable(rows, SEQUENCES_VIEW, {
    id: 'sequences',
    command: commandLine('stats sequences'),
  });
  return [
    known.length === 0 ? '' : chart,
    rows.length === 0 ? '' : table,
    renderPageNotes(notes),
  ].join('');
}

function barOfSequence({ schema, sequence, usedPercent, daysLeft }: SequenceRow) {
  const used = usedPercent ?? 0;
  const days = daysLeft === null ? '' : `, ${renderCount(Math.floor(daysLeft), 'day')}`;
  return {
    label: `${schema}.${sequence}`,
    values: [used],
    tone: toneOf(used),
    note: `${renderPercent(used)}${days}`,
  };
}

function toneOf(percent: number): Tone | undefined {
  const [warning = 0, critical = 0] = LIMITS;
  if (percent >= critical) return 'critical';
  return percent >= warning ? 'warning' : undefined;
}

function wraparoundPart({ rows, notes }: NonNullable<Overview['wraparound']['data']>): string {
  const databases = rows.filter((row) => row.kind === 'database' && row.xidAge !== null);
  const chart = renderBars({
    title: 'Transaction IDs that databases have used of those they can',
    unit: 'percent',
    series: ['used'],
    bars: databases.slice(0, BARS).map((row) => {
      const used = usedIds(row);
      return { label: row.name, values: [used], tone: toneOf(used), note: renderPercent(used) };
    }),
    end: 100,
    limits: LIMITS,
  });
  const table = renderPageTable(rows, VACUUM_VIEW, { id: 'wraparound' });
  return [
    databases.length === 0 ? '' : chart,
    rows.length === 0 ? '' : table,
    renderPageNotes(notes),
  ].join('');
}

/** Of all that there are until writes stop, in percent. */
function usedIds({ xidAge, xidsLeft }: VacuumRow): number {
  const age = xidAge ?? 0;
  return (100 * age) / Math.max(age + (xidsLeft ?? 0), 1);
}
