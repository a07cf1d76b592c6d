import { renderDiff } from '../../report/migration.ts';
import type { Style } from '../../report/table.ts';
import { renderCount } from '../../text/units.ts';
import type { BaselineResult } from './baseline.ts';
import type { MigrateRepairResult, RepairedMigration } from './repair.ts';

export interface RepairRenderOptions {
  style: Style;
  /** Whether this is only what would be done. */
  dryRun: boolean;
}

/** What was repaired, what has to be decided with the commands to type, and a line that counts. */
export function renderRepair(result: MigrateRepairResult, options: RepairRenderOptions): string {
  const { repairs, decisions, schema } = result;
  if (repairs.length === 0 && decisions.length === 0) {
    return `nothing to repair in schema ${schema}`;
  }
  return [
    ...repairs.map((repair) => renderRepaired(repair, options)),
    ...decisions.map((decision) => renderDecision(decision, options)),
    ...(decisions.length > 0 ? [''] : []),
    renderCounts(result, options),
  ].join('\n');
}

function renderRepaired(repair: RepairedMigration, { style, dryRun }: RepairRenderOptions): string {
  const done = { accept: 'accepted', forget: 'forgot  ', settle: 'settled ' }[repair.action];
  const head = `${style.good(dryRun ? `would ${repair.action}` : done)}  ${repair.label}_${repair.name}  ${style.dim(reasonOf(repair))}`;
  return [
    head,
    ...(repair.diff ? [renderDiff(repair.diff, style)] : []),
    ...(repair.risk ? [`    ${style.warn('note:')} ${repair.risk}`] : []),
  ].join('\n');
}

function reasonOf({ state, action, settled }: RepairedMigration): string {
  if (settled) {
    return `statement ${settled.statement} is ${settled.as === 'done' ? 'done' : 'not done'}`;
  }
  if (action === 'forget')
    return state === 'missing' || state === 'ahead' ? 'its file is gone' : state;
  return state === 'reworded' ? 'only comments or white space differ' : 'its SQL changed';
}

function renderDecision(
  { message, choices, diff }: MigrateRepairResult['decisions'][number],
  { style }: RepairRenderOptions,
): string {
  return [
    `${style.warn('to decide')}  ${message}`,
    ...(diff ? [renderDiff(diff, style)] : []),
    ...choices.flatMap(({ command, meaning }) => [
      `    ${style.bold(command)}`,
      `        ${meaning}`,
    ]),
  ].join('\n');
}

function renderCounts(
  { repairs, decisions, schema }: MigrateRepairResult,
  { dryRun }: RepairRenderOptions,
): string {
  const repaired = `${dryRun ? 'would repair' : 'repaired'} ${renderCount(repairs.length, 'migration')} in schema ${schema}`;
  const open = decisions.length > 0 ? `, ${decisions.length} to decide` : '';
  return repaired + open + (dryRun ? '\nNothing was changed (--dry-run).' : '');
}

/** The migrations that count as applied from now on. */
export function renderBaseline(
  { migrations, schema, label: newest, risk }: BaselineResult,
  { style, dryRun }: RepairRenderOptions,
): string {
  if (migrations.length === 0) {
    return `nothing to do: everything up to ${newest} is in the ledger of schema ${schema}`;
  }
  const verb = dryRun ? 'would count as applied' : 'counts as applied';
  return [
    ...migrations.map(({ label, name }) => `${style.good(verb)}  ${label}_${name}`),
    ...(risk ? [`${style.warn('note:')} ${risk}`] : []),
    `${renderCount(migrations.length, 'migration')} in schema ${schema}; none was run${dryRun ? '\nNothing was changed (--dry-run).' : ''}`,
  ].join('\n');
}
