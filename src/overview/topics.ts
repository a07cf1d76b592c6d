import type { DoctorCheckStatus, DoctorReport } from '../doctor/doctor.ts';
import type { MigrationHistoryRow } from '../migrate/ledger/history.ts';
import { renderAge, renderBytes, renderCount, renderNumber, renderPercent } from '../text/units.ts';
import type { Overview } from './overview.ts';
import type { OverviewSection } from './section.ts';

/** A topic of an overview in one sentence, as the page and the terminal show it. */
export interface OverviewTopic {
  /** Also the place in the page. */
  id: string;
  title: string;
  lead: string;
}

/** In the order in which they are shown. */
export function topicsOf(overview: Overview): OverviewTopic[] {
  const { doctor, migrations, sizes, queries, registrations, audit, takenAt } = overview;
  const topics: OverviewTopic[] = [
    { id: 'findings', title: 'Findings', lead: leadOf(doctor, leadOfFindings) },
    {
      ...{ id: 'migrations', title: 'Migrations' },
      lead: leadOf(migrations, ({ rows }) => leadOfMigrations(rows, takenAt)),
    },
    { id: 'sizes', title: 'Sizes', lead: leadOf(sizes, leadOfSizes) },
    { id: 'indexes', title: 'Indexes', lead: leadOf(sizes, () => leadOfIndexes(overview)) },
    { id: 'statements', title: 'Statements', lead: leadOf(queries, leadOfQueries) },
    { id: 'sessions', title: 'Sessions and locks', lead: leadOfSessions(overview) },
    { id: 'runways', title: 'Runways', lead: leadOfRunways(overview) },
    { id: 'registrations', title: 'Registrations', lead: leadOf(registrations, leadOfEvents) },
    { id: 'audit', title: 'Audit log', lead: leadOf(audit, leadOfAudit) },
  ];
  // The topic before says already that there is no event schema.
  return topics.filter(({ id }) => id !== 'audit' || audit.state !== 'absent');
}

/** What is unknown is said, with the reason. */
function leadOf<T>({ state, data, reason }: OverviewSection<T>, say: (data: T) => string): string {
  if (data !== null) return say(data);
  const text = reason?.text ?? '';
  return `${state === 'unknown' ? `Unknown: ${text}` : text[0]?.toUpperCase() + text.slice(1)}.`;
}

const STATUSES: readonly DoctorCheckStatus[] = ['critical', 'warning', 'unknown', 'ok', 'skipped'];

function leadOfFindings({ checks, counts, suppressed }: DoctorReport): string {
  const parts = STATUSES.filter((status) => counts[status] > 0).map(
    (status) => `${counts[status]} ${status}`,
  );
  const ignored =
    suppressed.length > 0 ? `; ${renderCount(suppressed.length, 'finding')} ignored` : '';
  return `${renderCount(checks.length, 'check')}: ${parts.join(', ')}${ignored}.`;
}

/** Whether something went wrong. */
export function hasFailed({ action, error }: MigrationHistoryRow): boolean {
  return action === 'failed' || error !== null;
}

function leadOfMigrations(rows: readonly MigrationHistoryRow[], now: Date): string {
  const failed = rows.filter(hasFailed).length;
  const last = rows.at(-1);
  if (!last) return 'Nothing has happened yet.';
  const ago = renderAge(Math.max(0, now.getTime() - last.occurredAt.getTime()));
  const failures = failed === 0 ? 'none failed' : `${renderNumber(failed)} failed`;
  return `${renderCount(rows.length, 'step')} in the history, ${failures}; the last one ${ago} ago.`;
}

function leadOfSizes({
  tables,
  totalBytes,
  history,
  since,
}: NonNullable<Overview['sizes']['data']>) {
  const [largest] = tables;
  if (!largest) return 'There are no tables.';
  const first = history[0]?.totalBytes ?? 0;
  const change = totalBytes - first;
  const grown =
    since === null
      ? ''
      : `, ${change < 0 ? 'less' : 'more'} by ${renderBytes(Math.abs(change))} since the first snapshot`;
  return `${renderCount(tables.length, 'table')} with ${renderBytes(totalBytes)}${grown}; the largest is ${largest.schema}.${largest.table} with ${renderBytes(largest.totalBytes)}.`;
}

function leadOfIndexes({ sizes, unusedIndexes, duplicateIndexes }: Overview): string {
  const indexes = sizes.data?.indexes ?? [];
  const invalid = indexes.filter(({ isValid }) => !isValid).length;
  const count = (
    section: OverviewSection<{ rows: readonly unknown[]; notes: { level: string }[] }>,
  ) => (isUnknown(section) ? 'an unknown number' : renderNumber(section.data?.rows.length ?? 0));
  return `${renderCount(indexes.length, 'index', 'indexes')}: ${count(unusedIndexes)} unused, ${count(duplicateIndexes)} needless beside another, ${renderNumber(invalid)} invalid.`;
}

/** Whether a report could not see its topic at all. */
function isUnknown({
  data,
}: OverviewSection<{ rows: readonly unknown[]; notes: { level: string }[] }>): boolean {
  return (
    data === null || (data.rows.length === 0 && data.notes.some(({ level }) => level === 'unknown'))
  );
}

function leadOfQueries({ rows, notes }: NonNullable<Overview['queries']['data']>): string {
  const unknown = notes.find(({ level }) => level === 'unknown');
  if (rows.length === 0) return unknown ? `Unknown: ${unknown.text}.` : 'No statement was counted.';
  const share = rows.reduce((sum, { shareOfTime }) => sum + shareOfTime, 0);
  return `The ${renderCount(rows.length, 'statement')} with the most time took ${renderPercent(100 * Math.min(share, 1))} of all that was counted.`;
}

function leadOfSessions({ connections, locks }: Overview): string {
  const limits = connections.data?.limits;
  const taken = limits
    ? `${limits.taken} of ${renderCount(limits.usable, 'connection')} taken`
    : 'connections unknown';
  const waiting = locks.data?.rows.filter(({ depth }) => depth > 0).length;
  const waits =
    waiting === undefined
      ? 'locks unknown'
      : waiting === 0
        ? 'no session waits for a lock'
        : `${renderCount(waiting, 'session waits', 'sessions wait')} for a lock`;
  return `At the time of the report: ${taken}, ${waits}.`;
}

function leadOfRunways({ sequences, wraparound }: Overview): string {
  const used = sequences.data?.rows.map(({ usedPercent }) => usedPercent ?? 0);
  const fullest = used
    ? used.length === 0
      ? 'There is no sequence'
      : `The fullest sequence is at ${renderPercent(Math.max(...used))}`
    : 'Sequences are unknown';
  const left = wraparound.data?.rows.map(({ xidsLeft }) => xidsLeft ?? Number.POSITIVE_INFINITY);
  const ids =
    left && left.length > 0
      ? `${renderNumber(Math.floor(Math.min(...left) / 1e6))} million transaction IDs are left`
      : 'wraparound is unknown';
  return `${fullest}; ${ids}.`;
}

function leadOfEvents(data: NonNullable<Overview['registrations']['data']>): string {
  const { days, fillLevels, waitingLists } = data;
  const made = days.reduce((sum, day) => sum + madeOn(day), 0);
  const coming = fillLevels.reduce((sum, { events }) => sum + events, 0);
  const full = fillLevels.at(-1)?.events ?? 0;
  const waiting = waitingLists.reduce((sum, { waiting: people }) => sum + people, 0);
  return `${renderCount(made, 'registration')} in 90 days; ${renderCount(coming, 'coming event')}, ${renderNumber(full)} of them full; ${renderCount(waiting, 'person waits', 'people wait')}.`;
}

/** All registrations of a day. */
export function madeOn(day: {
  confirmed: number;
  waitlist: number;
  pending: number;
  cancelled: number;
}) {
  return day.confirmed + day.waitlist + day.pending + day.cancelled;
}

function leadOfAudit({
  rows,
  retentionDays,
  expiresBefore,
}: NonNullable<Overview['audit']['data']>) {
  const entries = rows.reduce((sum, row) => sum + row.entries, 0);
  const overdue = rows
    .filter(({ lastAt }) => lastAt < expiresBefore.toISOString())
    .reduce((sum, row) => sum + row.entries, 0);
  const late =
    overdue === 0
      ? 'none is older'
      : `${renderCount(overdue, 'entry is', 'entries are')} older, and can be cleaned up`;
  return `${renderCount(entries, 'entry', 'entries')}; they stay for ${renderCount(retentionDays, 'day')}, and ${late}.`;
}
