import type { DoctorReport } from '../doctor/doctor.ts';
import type { AuditSummaryRow } from '../events/audit-log.ts';
import type { Finding } from '../finding.ts';
import { renderBars, renderColumns } from '../report/chart.ts';
import type { ReportView } from '../report/columns.ts';
import { renderPageTable } from '../report/page-table.ts';
import { renderCount, renderDuration } from '../text/units.ts';
import type { OverviewAudit } from './overview.ts';
import type {
  ComingEvent,
  FillLevel,
  OverviewRegistrations,
  RegistrationsOfDay,
  SoldOutEvent,
  WaitingList,
} from './registrations.ts';
import { renderRows } from './section-body.ts';
import { madeOn } from './topics.ts';

const BARS = 12;
const STATUSES = ['confirmed', 'waitlist', 'pending', 'cancelled'] as const;

/** Noon, so that a day stands in the middle of its place. */
function noonOf(day: string): Date {
  return new Date(`${day}T12:00:00Z`);
}

/** Registrations a day, how full events are, how fast they sell out, and who waits. */
export function registrationsBody(
  data: OverviewRegistrations,
  doctor: DoctorReport | null,
): string {
  const { days, fillLevels, coming, soldOut, waitingLists } = data;
  return [
    rulesPart(doctor),
    ...(days.length === 0
      ? []
      : [
          daysChart(days),
          renderPageTable([...days].reverse(), DAYS_VIEW, { id: 'days', isFolded: true }),
        ]),
    ...(fillLevels.some(({ events }) => events > 0)
      ? [
          fillChart(fillLevels),
          renderPageTable(fillLevels, FILL_VIEW, { id: 'fill-levels', isFolded: true }),
        ]
      : []),
    ...(coming.length === 0 ? [] : [renderPageTable(coming, COMING_VIEW, { id: 'coming' })]),
    ...(soldOut.length === 0
      ? []
      : [
          soldOutChart(soldOut),
          renderPageTable(soldOut, SOLD_OUT_VIEW, { id: 'sold-out', isFolded: true }),
        ]),
    ...(waitingLists.length === 0
      ? []
      : [
          waitingChart(waitingLists),
          renderPageTable(waitingLists, WAITING_VIEW, { id: 'waiting', isFolded: true }),
        ]),
  ].join('');
}

/** What the doctor found of the rules of the event schema; unknown is said among its findings. */
function rulesPart(doctor: DoctorReport | null): string {
  const check = doctor?.checks.find((one) => one.check === RULES);
  if (check?.status === 'ok') return '<p>No business rule is broken.</p>';
  const broken = doctor?.findings.filter(({ code }) => code === RULES) ?? [];
  return renderRows(broken, RULES_VIEW, { id: 'rules', copied: ['fix'] });
}

const RULES = 'business-rules';

const RULES_VIEW: ReportView<Finding> = {
  title: 'Broken business rules',
  columns: [
    { header: 'rule', value: ({ objects }) => objects.join(', ') },
    {
      header: 'what it says',
      value: ({ message }) => message,
      tone: ({ severity }) => (severity === 'error' ? 'critical' : 'warning'),
    },
    { header: 'fix', value: ({ fix }) => fix ?? null },
  ],
  empty: () => 'no rule is broken',
};

function daysChart(days: readonly RegistrationsOfDay[]): string {
  return renderColumns({
    title: 'Registrations a day, by what they are now',
    unit: 'count',
    series: STATUSES,
    moments: days.map((day) => ({
      at: noonOf(day.day),
      label: day.day,
      values: STATUSES.map((status) => day[status]),
    })),
  });
}

const DAYS_VIEW: ReportView<RegistrationsOfDay> = {
  title: 'Registrations by day (UTC)',
  columns: [
    { header: 'day', value: ({ day }) => day },
    { header: 'all', value: madeOn, unit: 'count' },
    ...STATUSES.map((status) => ({
      header: status,
      value: (row: RegistrationsOfDay) => row[status],
      unit: 'count' as const,
    })),
  ],
  empty: () => 'there are no registrations',
};

function fillChart(levels: readonly FillLevel[]): string {
  return renderBars({
    title: 'Coming events by how full they are',
    unit: 'count',
    series: ['events'],
    bars: levels.map((level) => ({ label: levelName(level), values: [level.events] })),
  });
}

function levelName({ fromPercent }: FillLevel): string {
  return fromPercent >= 100 ? 'full' : `${fromPercent} % to less than ${fromPercent + 10} %`;
}

const FILL_VIEW: ReportView<FillLevel> = {
  title: 'Fill levels',
  columns: [
    { header: 'seats taken', value: levelName },
    { header: 'coming events', value: ({ events }) => events, unit: 'count' },
  ],
  empty: () => 'there is no coming event',
};

const eventColumns = [
  { header: 'event', value: ({ id, title }: { id: number; title: string }) => `${id} ${title}` },
  { header: 'takes place', value: ({ dateTime }: { dateTime: Date }) => dateTime, unit: 'time' },
  { header: 'seats', value: ({ capacity }: { capacity: number }) => capacity, unit: 'count' },
] as const;

const COMING_VIEW: ReportView<ComingEvent> = {
  title: 'Coming events, the soonest',
  columns: [
    ...eventColumns,
    { header: 'taken', value: (row) => row.registrations, unit: 'count' },
    { header: 'held', value: (row) => row.heldSeats, unit: 'count' },
    { header: 'full', value: (row) => row.fillPercent, unit: 'percent' },
    { header: 'waiting', value: (row) => row.waitlist, unit: 'count' },
  ],
  empty: () => 'there is no coming event',
};

function soldOutChart(events: readonly SoldOutEvent[]): string {
  return renderBars({
    title: 'From the creation of an event to its last seat, of those that sold out last',
    unit: 'ms',
    series: ['took'],
    bars: events.slice(0, BARS).map(({ id, title, tookMs }) => ({
      label: `${id} ${title}`,
      values: [tookMs],
      note: renderDuration(tookMs),
    })),
  });
}

const SOLD_OUT_VIEW: ReportView<SoldOutEvent> = {
  title: 'Sold out',
  columns: [
    ...eventColumns,
    { header: 'sold out', value: (row) => row.soldOutAt, unit: 'time' },
    { header: 'took', value: (row) => row.tookMs, unit: 'ms' },
  ],
  empty: () => 'no event is sold out',
};

function waitingChart(lists: readonly WaitingList[]): string {
  return renderBars({
    title: 'The longest waiting lists',
    unit: 'count',
    series: ['waiting'],
    bars: lists
      .slice(0, BARS)
      .map(({ id, title, waiting }) => ({ label: `${id} ${title}`, values: [waiting] })),
  });
}

const WAITING_VIEW: ReportView<WaitingList> = {
  title: 'Waiting lists',
  columns: [
    ...eventColumns,
    { header: 'waiting', value: (row) => row.waiting, unit: 'count' },
    { header: 'since', value: (row) => row.since, unit: 'time' },
  ],
  empty: () => 'nobody waits',
};

/** So many tables have a colour of their own. */
const AUDIT_SERIES = 5;

/** Entries by day and table, with the line that older ones are beyond. */
export function auditBody({ rows, expiresBefore, retentionDays }: OverviewAudit): string {
  if (rows.length === 0) return '';
  const chart = renderColumns({
    title: 'Entries of the audit log a day, by table',
    unit: 'count',
    ...seriesOf(rows),
    line: { at: expiresBefore, label: `kept for ${renderCount(retentionDays, 'day')}` },
  });
  return chart + renderPageTable(rows, AUDIT_VIEW, { id: 'audit-days', isFolded: true });
}

function seriesOf(rows: readonly AuditSummaryRow[]) {
  const totals = new Map<string, number>();
  for (const { table = '', entries } of rows) totals.set(table, (totals.get(table) ?? 0) + entries);
  const names = [...totals].sort(([, a], [, b]) => b - a).map(([name]) => name);
  const own = names.slice(0, AUDIT_SERIES);
  const series = names.length > own.length ? [...own, 'others'] : own;
  const days = new Map<string, number[]>();
  for (const { day = '', table = '', entries } of rows) {
    const values = days.get(day) ?? series.map(() => 0);
    const at = own.includes(table) ? own.indexOf(table) : own.length;
    values[at] = (values[at] ?? 0) + entries;
    days.set(day, values);
  }
  const moments = [...days]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([day, values]) => ({ at: noonOf(day), label: day, values }));
  return { series, moments };
}

const AUDIT_VIEW: ReportView<AuditSummaryRow> = {
  title: 'Entries by day and table (UTC)',
  columns: [
    { header: 'day', value: ({ day }) => day ?? null },
    { header: 'table', value: ({ table }) => table ?? null },
    { header: 'entries', value: ({ entries }) => entries, unit: 'count' },
  ],
  empty: () => 'there are no entries',
};
