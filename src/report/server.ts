import type { EmbeddedServerStatus } from '../embedded/stop.ts';
import { renderTime } from '../text/units.ts';
import type { Style } from './style.ts';
import { type Cell, renderTable, type TableRenderer } from './table.ts';

/** The embedded server at a glance. */
export function renderServer(
  status: EmbeddedServerStatus,
  style: Style,
  table: TableRenderer = renderTable,
): string {
  const { running, pid, port, version, dataDirectory, logPath, startedAt } = status;
  const rows: [string, string | undefined, keyof Style | undefined][] = [
    ['state', running ? 'running' : 'stopped', running ? 'good' : 'warn'],
    ['version', version, undefined],
    ['port', port?.toString(), undefined],
    ['pid', pid?.toString(), undefined],
    ['since', startedAt && renderTime(startedAt.toISOString()), undefined],
    ['data', dataDirectory ?? 'none yet', undefined],
    ['log', logPath, undefined],
  ];
  const cells = rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value, colour]): Cell[] => [
      { text: name },
      { text: value ?? '', ...(colour && { colour }) },
    ]);
  return table([{ title: 'Embedded' }, { title: 'PostgreSQL' }], cells, style);
}
