import { assertKnownLintRules } from '../../lint/choice.ts';
import { renderLintRules, renderRulePage } from '../../lint/rule-report.ts';
import { LINT_RULES } from '../../lint/rules.ts';
import { readLintRulePage } from '../../migrate/checks/lint-pages.ts';
import type { CommandInput, CommandResult } from '../define.ts';

/** `evdb lint rules` and `evdb lint --explain` */
export function tellRules(input: CommandInput): CommandResult {
  const { explain } = input.flags;
  if (typeof explain !== 'string') return listRules(input);
  return explainRule(explain, input.context.outSize().columns);
}

function listRules({ style }: CommandInput): CommandResult {
  const rules = LINT_RULES.map(({ name, group, severity, summary, isOptional = false }) => ({
    name,
    group,
    severity,
    summary,
    isOptional,
    page: `docs/rules/${name}.md`,
  }));
  return { data: { rules }, text: renderLintRules(rules, style) };
}

function explainRule(rule: string, width: number | undefined): CommandResult {
  const names = LINT_RULES.map(({ name }) => name);
  assertKnownLintRules([rule], names, { source: '--explain', code: 'USAGE' });
  const page = readLintRulePage(rule);
  return { data: { rule, page }, text: renderRulePage(page, width) };
}
