import type { Build, LockMode } from '../../impact/impact.ts';
import type { Style } from '../../report/table.ts';
import { renderBytes, renderCount, renderDuration } from '../../text/units.ts';
import type { ImpactTableFacts, PlannedLock, StatementImpact } from './impact-plan.ts';

/** One thing that a statement does to others, as a line. */
export interface Effect {
  label: string;
  text: string;
  tone?: keyof Style;
}

/** `ACCESS EXCLUSIVE` for `AccessExclusive`, as PostgreSQL's manual spells it. */
export function lockLabel(mode: LockMode): string {
  return mode.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toUpperCase();
}

/** What a statement does, the worst first; sizes stand where a table is named first. */
export function statementEffects(
  statement: StatementImpact,
  tables: Record<string, ImpactTableFacts>,
): Effect[] {
  const name = sizedOnce(tables);
  return [
    ...statement.refusals.map(({ sqlstate, message }) => ({
      label: sqlstate === null ? 'leaves undone' : 'fails',
      text: sqlstate === null ? message : `${message} (SQLSTATE ${sqlstate})`,
      tone: 'bad' as const,
    })),
    ...lockEffects(statement.locks, name),
    ...statement.changes
      .filter(({ verb }) => verb !== 'insert')
      .map(({ relation, verb, isAll }) => ({
        label: isAll ? `${verb}s every row` : `${verb}s rows`,
        text: `${countChanged(tables[relation], isAll)}${relation}`,
        tone: isAll ? ('bad' as const) : ('dim' as const),
      })),
    ...statement.rewrites.map(({ relation, isCertain, ...why }) => ({
      label: isCertain ? 'rewrites' : 'may rewrite',
      text: `${name(relation)}${withIndexes(tables[relation])}${because(why)}`,
      tone: 'bad' as const,
    })),
    ...statement.scans
      .filter(
        ({ reason, relation }) =>
          reason !== 'index build' && !(reason === 'query' && isAllChanged(statement, relation)),
      )
      .map(({ relation, isCertain, ...why }) => ({
        label: isCertain ? 'reads every row' : 'may read every row',
        text: `${name(relation)}${because(why)}`,
        tone: 'warn' as const,
      })),
    ...buildEffects(statement.builds, name),
    ...statement.unknowns.map((text) => ({ label: 'not known', text, tone: 'warn' as const })),
    ...durationEffects(statement),
    ...traceEffects(statement),
  ];
}

/** By the planner's estimate. */
function countChanged(facts: ImpactTableFacts | undefined, isAll: boolean): string {
  if (facts === undefined || facts.isNew || facts.rows === null) return '';
  const rows = renderCount(Math.round(facts.rows), 'row');
  return `${isAll ? 'about' : 'at most about'} ${rows} of `;
}

/** That it changes them says that it reads them. */
function isAllChanged({ changes }: StatementImpact, relation: string): boolean {
  return changes.some((one) => one.isAll && one.relation === relation);
}

/** Less than that nobody feels. */
const SHORTEST_TOLD_MS = 100;

function durationEffects({ estimatedMs, trace }: StatementImpact): Effect[] {
  if (estimatedMs === null || estimatedMs < SHORTEST_TOLD_MS) return [];
  const how = trace?.durationMs === undefined || trace.durationMs === null ? 'about ' : '';
  return [{ label: 'takes', text: `${how}${renderDuration(estimatedMs)}`, tone: 'dim' }];
}

/** With its size where it is named first. */
function sizedOnce(tables: Record<string, ImpactTableFacts>): (relation: string) => string {
  const named = new Set<string>();
  return (relation) => {
    const facts = tables[relation];
    if (named.has(relation) || facts === undefined) return relation;
    named.add(relation);
    return `${relation} (${describeSize(facts)})`;
  };
}

/** `1,200,000 rows, 340 MB`, `new`, `size not known`. */
function describeSize({ rows, bytes, isNew }: ImpactTableFacts): string {
  if (isNew) return 'made by this plan';
  const size = bytes === null ? '' : `, ${renderBytes(bytes)}`;
  if (rows === null) return bytes === null ? 'size not known' : `rows not known${size}`;
  return `${renderCount(Math.round(rows), 'row')}${size}`;
}

/** The locks on indexes go with that on their table. */
function lockEffects(locks: readonly PlannedLock[], name: (relation: string) => string): Effect[] {
  const onTables = locks.filter(({ reason }) => reason !== 'index');
  const shown = (onTables.length > 0 ? onTables : locks).filter(({ isHeld }) => !isHeld);
  return shown.map(({ relation, mode, blocks, reason }) => {
    const why = reason === 'target' || reason === 'index' ? '' : ` (${reason})`;
    return {
      label: lockLabel(mode),
      text:
        blocks === ''
          ? `on ${name(relation)}${why}: no effect on other sessions`
          : `blocks ${blocks} of ${name(relation)}${why}`,
      tone: blocks === 'reads and writes' ? 'bad' : blocks === 'writes' ? 'warn' : 'dim',
    };
  });
}

function buildEffects(builds: readonly Build[], name: (relation: string) => string): Effect[] {
  return builds
    .filter(({ reason }) => reason !== 'rewrite')
    .map(({ relation, subject, isConcurrent, isCertain }) => ({
      label: isCertain ? 'builds index' : 'may build index',
      text: `${subject === undefined ? '' : `${subject} `}on ${name(relation)}${isConcurrent ? ', while others write' : ''}`,
      tone: isConcurrent ? ('dim' as const) : ('warn' as const),
    }));
}

function withIndexes(facts: ImpactTableFacts | undefined): string {
  const count = facts?.indexes ?? 0;
  return count === 0 ? '' : ` and its ${count === 1 ? 'index' : `${count} indexes`}`;
}

/** What a trace alone has seen has no reason to tell. */
function because({
  reason,
  detail,
  subject,
}: {
  reason: string;
  detail?: string;
  subject?: string;
}): string {
  const said = detail ?? (reason === 'traced' ? undefined : reason);
  if (said === undefined) return '';
  return subject === undefined ? `: ${said}` : `: ${said} (${subject})`;
}

function traceEffects({ trace }: StatementImpact): Effect[] {
  if (trace === null) return [];
  const { outcome, reason, differences } = trace;
  const lines: Effect[] = differences.map((text) => ({
    label: 'trace',
    text: `unlike what the statement suggests, it ${text}`,
    tone: 'warn',
  }));
  if (outcome === 'failed') lines.push({ label: 'trace', text: `failed: ${reason}`, tone: 'bad' });
  if (outcome === 'skipped')
    lines.push({ label: 'trace', text: `not tried: ${reason}`, tone: 'dim' });
  if (outcome === 'simulated') lines.push({ label: 'trace', text: `${reason}`, tone: 'dim' });
  return lines;
}
