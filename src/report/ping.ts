import type { DatabasePing } from '../maintenance/database-ping.ts';
import { renderDuration, renderTime } from '../text/units.ts';
import type { Style } from './style.ts';
import { type Cell, renderTable, type TableRenderer } from './table.ts';

/** Who answered, and how fast. */
export function renderPing(
  ping: DatabasePing,
  style: Style,
  table: TableRenderer = renderTable,
): string {
  const rows: [name: string, value: string, colour?: keyof Style | undefined][] = [
    ['answers in', renderDuration(ping.latencyMs), 'good'],
    ['connects in', renderDuration(ping.connectMs)],
    ['version', `PostgreSQL ${ping.version}`],
    ['state', describeState(ping), ping.isReadOnly ? 'warn' : undefined],
    ['user', ping.isSuperuser ? `${ping.user} (superuser)` : ping.user],
    ['TLS', ping.tls ?? 'none'],
    ['up since', renderTime(ping.startedAt.toISOString())],
  ];
  if (ping.isPooled) rows.push(['pooler', 'stands between, and this is its connection']);
  const cells = rows.map(([name, text, colour]): Cell[] => [
    { text: name },
    { text, ...(colour && { colour }) },
  ]);
  return table([{ title: 'Database' }, { title: ping.database }], cells, style);
}

function describeState({ isInRecovery, isReadOnly }: DatabasePing): string {
  if (isInRecovery) return 'standby, read-only';
  return isReadOnly ? 'primary, read-only by default' : 'primary';
}
