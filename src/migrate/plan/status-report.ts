import { type Cell, renderTable, type Style, type TableRenderer } from '../../report/table.ts';
import { renderCount, renderDuration, renderTime } from '../../text/units.ts';
import { renderState } from '../../text/words.ts';
import type { MigrationState } from './compare.ts';
import type { MigrationsStatus, StatusEntry } from './status.ts';

const COLOURS: Record<MigrationState, keyof Style> = {
  applied: 'good',
  pending: 'warn',
  reworded: 'warn',
  ahead: 'warn',
  outOfOrder: 'bad',
  changed: 'bad',
  missing: 'bad',
  incomplete: 'bad',
};

/** What each state that is not plain means, said under the table. */
const MEANINGS: Partial<Record<MigrationState, string>> = {
  reworded: 'the file differs from what was applied, but only in comments or white space',
  changed: 'the SQL of the file differs from what was applied',
  missing: 'applied, but the file is gone',
  ahead: 'applied, and not in this older checkout',
  outOfOrder: 'pending, although a newer migration is applied',
  incomplete: 'stopped half way (no-transaction); the command that was at work goes on with it',
};

export interface StatusRenderOptions {
  style: Style;
  /** Show so many plain applied rows at most, the newest; default: all. */
  appliedLimit?: number | undefined;
  /** Default `renderTable`. */
  table?: TableRenderer | undefined;
}

/** The status as a table, a line that counts, and what the unusual states mean. */
export function renderStatus(status: MigrationsStatus, options: StatusRenderOptions): string {
  const { style, appliedLimit = Number.POSITIVE_INFINITY, table = renderTable } = options;
  const applied = status.migrations.filter(({ state }) => state === 'applied');
  const hidden = new Set(applied.slice(0, Math.max(0, applied.length - appliedLimit)));
  const shown = status.migrations.filter((entry) => !hidden.has(entry));
  const columns = [
    { title: 'version' },
    { title: 'name' },
    { title: 'state' },
    { title: 'applied' },
    { title: 'duration', align: 'right' as const },
  ];
  const parts = [
    hidden.size > 0
      ? style.dim(`… ${hidden.size} earlier ones are applied (--all shows them)`)
      : '',
    table(columns, shown.map(renderRow), style),
    ...(table === renderTable ? [''] : []),
    renderCounts(status),
    ...Object.entries(MEANINGS)
      .filter(([state]) => status.counts[state as MigrationState] > 0)
      .map(([state, meaning]) => style.dim(`${renderState(state)}: ${meaning}`)),
  ];
  return parts.filter((part, index) => index > 0 || part !== '').join('\n');
}

function renderRow(entry: StatusEntry): Cell[] {
  const { label, name, state, appliedAt, durationMs, origin, progress } = entry;
  const where = progress ? ` (${progress.statementsDone} of ${progress.statementsTotal})` : '';
  const from = origin === null || origin === 'applied' ? '' : ` (${origin.replace(':', ' from ')})`;
  return [
    { text: label },
    { text: name },
    { text: renderState(state) + where + from, colour: COLOURS[state] },
    { text: appliedAt ? renderTime(appliedAt) : '-' },
    { text: durationMs === null || !appliedAt ? '-' : renderDuration(durationMs) },
  ];
}

function renderCounts({ counts, migrations, schema }: MigrationsStatus): string {
  const said = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${renderState(state)}`);
  return `${renderCount(migrations.length, 'migration')} in schema ${schema}: ${said.join(', ')}`;
}
