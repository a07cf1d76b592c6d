import { dirname } from 'node:path';
import type { Style } from '../../report/table.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount } from '../../text/units.ts';
import type { Squash } from './squash.ts';

/** What was written and moved, and what comes next; for a dry run the baseline itself. */
export function renderSquash(
  squash: Squash,
  { isDryRun, style }: { isDryRun: boolean; style: Style },
): string {
  const { baseline, moves, migrations, replaces, objects, rows } = squash;
  if (isDryRun) return `-- ${baseline.path}\n${baseline.text}`.trimEnd();
  const written = rows.reduce((sum, one) => sum + one.rows, 0);
  const [first] = moves;
  return [
    `${style.good('created')}  ${baseline.path}  ${style.dim(`replaces ${replaces}`)}`,
    `${style.good('moved')}    ${renderCount(moves.length, 'file')} of ${renderCount(migrations.length, 'migration')} to ${dirname(first?.to ?? '')}`,
    `proved   ${renderCount(objects, 'object')}${written === 0 ? '' : ` and ${renderCount(written, 'row')}`} equal in scratch databases`,
    ...notesOf(squash).map((note) => `note     ${note}`),
    '',
    'Databases that have all of these migrations count the baseline as applied:',
    `  ${commandLine('migrate status')}`,
    `  ${commandLine('migrate up')}`,
  ].join('\n');
}

/** What somebody has to know of the baseline. */
function notesOf({ rows, leftToDefault, withoutRows, isRelocatable }: Squash): string[] {
  return [
    ...rows.map((one) => `${renderCount(one.rows, 'row')} of ${one.table} in the baseline`),
    ...leftToDefault.map(
      ({ table, column }) => `${table}.${column} gets its default: the values differ each time`,
    ),
    ...withoutRows.map((table) => `the rows of ${table} are not in the baseline`),
    ...(isRelocatable
      ? []
      : ['the migrations name their schema, so the baseline goes into that one only']),
  ];
}
