import type { BusinessRule, RuleViolation } from '../../maintenance/rules.ts';
import type { StatsReport } from '../../maintenance/stats-report.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount } from '../../text/units.ts';
import { oneLine } from '../report-value.ts';
import type { PipelineReport } from './pipeline-report.ts';

/**
 * What `checkRules` found, for a pipeline. Every broken rule is an error, as it is for the exit code.
 *
 * @param rules what `listRules` gave: those that are kept are test cases too
 */
export function pipelineOfRules(
  { rows }: StatsReport<RuleViolation>,
  rules: readonly BusinessRule[],
): PipelineReport {
  const names = new Set([...rules, ...rows].map(({ rule }) => rule));
  return {
    command: 'rules check',
    checks: [...names].map((name) => ({ name })),
    problems: rows.map(({ rule, count, details, repair }) => ({
      check: rule,
      rule,
      severity: 'error',
      message: `${renderCount(count, 'violation')}: ${oneLine(details)}`,
      ...(repair !== null && {
        hint: `repair: ${commandLine('rules repair', { confirm: true }, { args: [rule] })}`,
      }),
    })),
    summary:
      rows.length === 0
        ? `${renderCount(names.size, 'rule')} checked: none is broken`
        : `${renderCount(names.size, 'rule')} checked: ${rows.length} broken`,
  };
}
