import type { MigrationHistoryRow } from '../migrate/ledger/history.ts';
import { renderBars, renderDots, renderLine } from '../report/chart.ts';
import type { ReportNote, ReportView, Tone } from '../report/columns.ts';
import {
  type PageSection,
  type PageTile,
  renderPage,
  renderPageFindings,
  renderPageNotes,
} from '../report/page.ts';
import { renderPageTable } from '../report/page-table.ts';
import { maskSecrets } from '../sql/mask.ts';
import { ACTIVITY_VIEW } from '../stats/activity.ts';
import { CONNECTIONS_VIEW } from '../stats/connections.ts';
import { LOCKS_VIEW } from '../stats/locks.ts';
import { QUERIES_VIEW } from '../stats/queries.ts';
import { commandLine } from '../text/command-line.ts';
import { harmlessText, mapStrings } from '../text/harmless.ts';
import { renderBytes, renderNumber, renderTime } from '../text/units.ts';
import { findingGroupsOf } from './finding-groups.ts';
import type { Overview } from './overview.ts';
import { auditBody, registrationsBody } from './page-events.ts';
import { indexesBody } from './page-indexes.ts';
import { runwaysBody } from './page-runways.ts';
import { renderKnown, renderRows } from './section-body.ts';
import type { OverviewTable } from './sizes.ts';
import { hasFailed, topicsOf } from './topics.ts';

/** So many bars fit on a screen. */
const BARS = 12;

/**
 * An overview as one HTML file that needs no network: findings first, then a section for each topic,
 * every chart with its table.
 *
 * @param overview from `readOverview`
 * @example
 * import { writeFileSync } from 'node:fs';
 * import { readOverview, renderOverviewPage } from 'evdb/ops';
 *
 * writeFileSync('report.html', renderOverviewPage(await readOverview(connection)));
 */
export function renderOverviewPage(overview: Overview): string {
  const shown = mapStrings(overview, (text) => harmlessText(maskSecrets(text), false));
  const { server, takenAt } = shown;
  return renderPage({
    title: `Database ${server.database}`,
    facts: [
      `PostgreSQL ${server.version}${server.isStandby ? ', a standby' : ''}`,
      `up since ${renderTime(server.startedAt.toISOString())}`,
      `seen by ${server.user}`,
      `report of ${renderTime(takenAt.toISOString())}`,
    ],
    tiles: tilesOf(shown),
    sections: topicsOf(shown).map(
      (topic): PageSection => ({ ...topic, body: bodyOf(topic.id, shown) }),
    ),
    footer: `Made by ${commandLine('report')}. Times are in the time zone of the computer that made it; days are UTC days.`,
  });
}

function tilesOf({ doctor, sizes, migrations }: Overview): PageTile[] {
  const counts = doctor.data?.counts;
  const number = (count: number | undefined) => (count === undefined ? '?' : renderNumber(count));
  const toneIf = (count: number | undefined, tone: Tone) => (count ? tone : undefined);
  const href = 'findings';
  return [
    {
      count: number(counts?.critical),
      label: 'critical',
      tone: toneIf(counts?.critical, 'critical'),
      href,
    },
    {
      count: number(counts?.warning),
      label: counts?.warning === 1 ? 'warning' : 'warnings',
      tone: toneIf(counts?.warning, 'warning'),
      href,
    },
    { count: number(counts?.unknown), label: 'unknown', href },
    { count: number(counts?.ok), label: 'checks in order', tone: toneIf(counts?.ok, 'good'), href },
    {
      count: sizes.data ? renderBytes(sizes.data.totalBytes) : '?',
      label: sizes.data ? `in ${renderNumber(sizes.data.tables.length)} tables` : 'in tables',
      href: 'sizes',
    },
    {
      count: number(
        migrations.state === 'unknown' ? undefined : (migrations.data?.rows.length ?? 0),
      ),
      label: 'migration steps',
      href: 'migrations',
    },
  ];
}

function bodyOf(id: string, overview: Overview): string {
  switch (id) {
    case 'findings':
      return findingsBody(overview);
    case 'migrations':
      return renderKnown(overview.migrations, ({ rows }) => migrationsBody(rows));
    case 'sizes':
      return renderKnown(overview.sizes, sizesBody);
    case 'indexes':
      return renderKnown(overview.sizes, ({ indexes }) => indexesBody(indexes, overview));
    case 'statements':
      return renderKnown(overview.queries, queriesBody);
    case 'sessions':
      return sessionsBody(overview);
    case 'runways':
      return runwaysBody(overview);
    case 'registrations':
      return renderKnown(overview.registrations, (data) =>
        registrationsBody(data, overview.doctor.data),
      );
    default:
      return renderKnown(overview.audit, auditBody);
  }
}

function findingsBody({ doctor }: Overview): string {
  return renderKnown(doctor, (report) => {
    const { checks } = report;
    const groups = findingGroupsOf(report);
    const none =
      groups.length === 0 ? '<p>No check found anything.</p>' : renderPageFindings(groups);
    return `${none}<details class="all"><summary>All ${checks.length} checks</summary>${renderPageTable(checks, CHECKS_VIEW, { id: 'checks' })}</details>`;
  });
}

const CHECKS_VIEW: ReportView<NonNullable<Overview['doctor']['data']>['checks'][number]> = {
  title: 'Checks',
  columns: [
    { header: 'check', value: ({ check }) => check },
    { header: 'about', value: ({ group }) => group },
    {
      header: 'status',
      value: ({ status }) => status,
      tone: ({ status }) => TONES[status],
    },
    { header: 'what it says', value: ({ summary }) => summary },
    { header: 'took', value: ({ durationMs }) => durationMs, unit: 'ms' },
  ],
  empty: () => 'no check ran',
};

const TONES: Record<string, Tone> = {
  ok: 'good',
  warning: 'warning',
  critical: 'critical',
  unknown: 'muted',
  skipped: 'muted',
};

function migrationsBody(rows: readonly MigrationHistoryRow[]): string {
  const timed = rows.flatMap((row) =>
    row.durationMs === null
      ? []
      : [
          {
            at: row.occurredAt,
            values: [row.durationMs],
            label: `${renderTime(row.occurredAt.toISOString())} ${nameOf(row)} ${row.action}`,
            tone: hasFailed(row) ? ('critical' as const) : undefined,
          },
        ],
  );
  const chart =
    timed.length === 0
      ? ''
      : renderDots({
          title: 'Migrations by time and duration (a cross has failed)',
          unit: 'ms',
          series: ['took'],
          moments: timed,
        });
  return chart + renderPageTable([...rows].reverse(), MIGRATIONS_VIEW, { id: 'history' });
}

function nameOf({ label, name }: MigrationHistoryRow): string {
  return [label, name].filter((part) => part !== null).join('_');
}

const MIGRATIONS_VIEW: ReportView<MigrationHistoryRow> = {
  title: 'History',
  columns: [
    { header: 'when', value: (row) => row.occurredAt, unit: 'time' },
    { header: 'migration', value: nameOf },
    {
      header: 'what',
      value: (row) => row.action,
      tone: (row) => (hasFailed(row) ? 'critical' : undefined),
    },
    { header: 'took', value: (row) => row.durationMs, unit: 'ms' },
    {
      header: 'who',
      value: ({ databaseUser, osUser, hostName }) =>
        osUser === null
          ? databaseUser
          : `${databaseUser} (${osUser}${hostName ? ` on ${hostName}` : ''})`,
    },
    { header: 'commit', value: ({ gitCommit }) => gitCommit?.slice(0, 12) ?? null },
    { header: 'pipeline', value: (row) => row.ciUrl },
    { header: 'evdb', value: (row) => row.toolVersion },
    { header: 'error', value: (row) => row.error, tone: () => 'critical' },
  ],
  empty: () => 'nothing has happened yet',
};

function sizesBody({ tables, history, since }: NonNullable<Overview['sizes']['data']>): string {
  const bars = tables.slice(0, BARS).map(({ schema, table, totalBytes, indexBytes }) => ({
    label: `${schema}.${table}`,
    values: [totalBytes - indexBytes, indexBytes],
  }));
  const largest = renderBars({
    title: 'The largest tables',
    unit: 'bytes',
    series: ['rows and TOAST', 'indexes'],
    bars,
  });
  const growth = renderLine({
    title: 'Size of all tables over time, from snapshots',
    unit: 'bytes',
    series: ['size'],
    moments: history.map(({ takenAt, totalBytes }) => ({ at: takenAt, values: [totalBytes] })),
  });
  const hint: ReportNote = {
    level: 'info',
    text: 'growth is unknown, because there is no snapshot to compare with',
    hint: `${commandLine('stats snapshot')} keeps one.`,
  };
  const table = { title: 'Size over time', columns: HISTORY_COLUMNS, empty: () => '' };
  return [
    tables.length === 0 ? '' : largest,
    renderPageTable(tables, TABLES_VIEW, { id: 'tables', command: commandLine('stats tables') }),
    since === null
      ? renderPageNotes([hint])
      : growth + renderPageTable(history, table, { id: 'size-history', isFolded: true }),
  ].join('');
}

const HISTORY_COLUMNS: ReportView<{ takenAt: Date; totalBytes: number }>['columns'] = [
  { header: 'when', value: (row) => row.takenAt, unit: 'time' },
  { header: 'size', value: (row) => row.totalBytes, unit: 'bytes' },
];

const TABLES_VIEW: ReportView<OverviewTable> = {
  title: 'Tables',
  columns: [
    { header: 'table', value: ({ schema, table }) => `${schema}.${table}` },
    { header: 'rows (estimate)', value: (row) => row.rows, unit: 'count' },
    { header: 'size', value: (row) => row.totalBytes, unit: 'bytes' },
    { header: 'growth', value: (row) => row.growthBytes, unit: 'bytes' },
    { header: 'indexes', value: (row) => row.indexBytes, unit: 'bytes' },
    { header: 'dead rows', value: (row) => row.deadRows, unit: 'count' },
    { header: 'sequential scans', value: (row) => row.sequentialScans, unit: 'count' },
    { header: 'index scans', value: (row) => row.indexScans, unit: 'count' },
  ],
  empty: () => 'there are no tables',
};

function queriesBody({ rows, notes }: NonNullable<Overview['queries']['data']>): string {
  if (rows.length === 0) return renderPageNotes(notes);
  const bars = rows.slice(0, BARS).map(({ query, totalMs }) => ({
    label: query ?? '(hidden)',
    values: [totalMs],
  }));
  const chart = renderBars({
    title: 'Statements by total time',
    unit: 'ms',
    series: ['time'],
    bars,
  });
  return `${chart}${renderPageTable(rows, QUERIES_VIEW, { id: 'queries' })}${renderPageNotes(notes)}`;
}

function sessionsBody({ connections, locks, activity }: Overview): string {
  return [
    renderKnown(connections, ({ rows, notes }) => {
      const byState = new Map<string, number>();
      for (const { state, connections: count } of rows) {
        const name = state ?? '(hidden)';
        byState.set(name, (byState.get(name) ?? 0) + count);
      }
      const bars = [...byState].map(([label, count]) => ({
        label,
        values: [count],
        tone: label.startsWith('idle in transaction') ? ('warning' as const) : undefined,
      }));
      const chart = renderBars({
        title: 'Other connections by state',
        unit: 'count',
        series: ['connections'],
        bars,
      });
      const drawn = bars.length === 0 ? '' : chart;
      return `${drawn}${renderRows(rows, CONNECTIONS_VIEW, { id: 'connections' })}${renderPageNotes(notes)}`;
    }),
    renderKnown(
      locks,
      ({ rows, notes }) => renderRows(rows, LOCKS_VIEW, { id: 'locks' }) + renderPageNotes(notes),
    ),
    renderKnown(
      activity,
      ({ rows, notes }) =>
        renderRows(rows, ACTIVITY_VIEW, { id: 'activity' }) + renderPageNotes(notes),
    ),
  ].join('');
}
