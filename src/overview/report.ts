import { oneLine } from '../report/columns.ts';
import type { Style } from '../report/table.ts';
import { renderTime } from '../text/units.ts';
import { fitText } from '../text/wrap.ts';
import { findingGroupsOf } from './finding-groups.ts';
import type { Overview } from './overview.ts';
import { topicsOf } from './topics.ts';

export interface OverviewRenderOptions {
  style: Style;
  /** Of the terminal, in columns; default: as wide as it gets. */
  width?: number | undefined;
  /** Shows every kind of finding; default: the first ten. */
  full?: boolean | undefined;
}

const SHOWN = 10;
const COLOURS = { critical: 'bad', warning: 'warn', muted: 'dim', good: 'good' } as const;

/** An overview in the terminal: each topic in a line, and the findings below theirs. */
export function renderOverview(
  overview: Overview,
  { style, width, full = false }: OverviewRenderOptions,
): string {
  const { server, takenAt } = overview;
  const head = `${style.bold(oneLine(server.database))} on PostgreSQL ${server.version}, ${renderTime(takenAt.toISOString())}`;
  const groups = findingGroupsOf(overview.doctor.data);
  const shown = full ? groups : groups.slice(0, SHOWN);
  const rest = groups.length - shown.length;
  const findings = shown.map(({ name, word, tone, findings: all }) => {
    const more = all.length > 1 ? ` (and ${all.length - 1} more)` : '';
    return `  ${style[COLOURS[tone]](word)} ${name}: ${oneLine(all[0]?.message ?? '')}${more}`;
  });
  const lines = topicsOf(overview).flatMap(({ id, title, lead }) => [
    `${style.bold(title)}: ${oneLine(lead)}`,
    ...(id === 'findings' ? findings : []),
    ...(id === 'findings' && rest > 0 ? [style.dim(`  … and ${rest} more: --full shows all`)] : []),
  ]);
  return fitText([head, '', ...lines].join('\n'), width);
}
