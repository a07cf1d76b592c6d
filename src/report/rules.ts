import type { RepairResult, RuleRepair } from '../maintenance/rule-repairs.ts';
import type { BusinessRule, RuleViolation } from '../maintenance/rules.ts';
import { commandLine } from '../text/command-line.ts';
import { renderChanges } from './audit-entries.ts';
import type { ReportView, Tone } from './columns.ts';
import { oneLine } from './report-value.ts';
import type { Style } from './style.ts';

const TONES: Record<string, Tone> = { error: 'critical', warning: 'warning' };

/** What `rules check` found. */
export const VIOLATIONS_VIEW: ReportView<RuleViolation> = {
  title: 'Broken rules',
  columns: [
    { header: 'rule', value: ({ rule }) => rule },
    { header: 'severity', value: ({ severity }) => severity, tone: (row) => TONES[row.severity] },
    { header: 'count', value: ({ count }) => count, unit: 'count' },
    {
      header: 'samples',
      value: ({ sampleIds }) => sampleIds.join(', ') || null,
      priority: 1,
    },
  ],
  empty: () => 'no rule is broken',
};

export const RULES_VIEW: ReportView<BusinessRule> = {
  title: 'Business rules',
  columns: [
    { header: 'rule', value: ({ rule }) => rule },
    { header: 'severity', value: ({ severity }) => severity, tone: (row) => TONES[row.severity] },
    { header: 'a violation is', value: ({ description }) => description },
    { header: 'repair', value: ({ repair }) => repair, priority: 1 },
  ],
  empty: () => 'there are no rules',
};

/** What each broken rule means, with examples, and what mends it. */
export function renderViolationDetails(violations: RuleViolation[], style: Style): string {
  return violations
    .map(({ rule, details, repair }) =>
      [
        `${style.bold(rule)}: ${oneLine(details)}`,
        `  ${repair === null ? 'repair: takes a decision, see docs/event-schema-operations.md in the folder of the package' : `repair: ${commandLine('rules repair', { confirm: true }, { args: [rule] })}`}`,
      ].join('\n'),
    )
    .join('\n');
}

/** What the repairs did or would do, and what is left. */
export function renderRepairs({ dryRun, repairs, remaining }: RepairResult, style: Style): string {
  const lines = repairs.map((repair) => renderRepair(repair, dryRun, style));
  if (repairs.length === 0) lines.push('nothing to repair');
  if (remaining.length > 0) {
    const names = remaining.map(({ rule, count }) => `${rule} (${count})`).join(', ');
    lines.push(style.warn(`${dryRun ? 'Would still be' : 'Still'} broken: ${names}`));
  }
  if (dryRun) lines.push('Nothing was changed (--dry-run).');
  return lines.join('\n');
}

function renderRepair(repair: RuleRepair, dryRun: boolean, style: Style): string {
  const { changed, unit, rules, notes, changes } = repair;
  const verb = dryRun ? 'would repair' : style.good('repaired');
  const shown = changes.flatMap((entry) => [
    `  ${oneLine(entry.table)} ${entry.record ?? ''} ${entry.operation}`,
    ...renderChanges(entry, style).map((line) => `  ${line}`),
  ]);
  return [
    `${verb}  ${rules.join(', ')}: ${changed} ${unit} by ${repair.repair}()`,
    ...notes.map((note) => `  ${oneLine(note)}`),
    ...shown,
    ...(changes.length === 100 ? ['  … and perhaps more: the audit log has them all'] : []),
  ].join('\n');
}
