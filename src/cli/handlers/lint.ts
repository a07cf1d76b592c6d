import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { assertKnownLintRules } from '../../lint/choice.ts';
import type { LintReport } from '../../lint/engine.ts';
import { renderLint, renderLintRules } from '../../lint/report.ts';
import { LINT_RULES } from '../../lint/rules.ts';
import { lintMigrations, readLintRulePage } from '../../migrate/checks/lint.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT } from '../exit-codes.ts';
import { lintOptionsOf, loadConfig } from '../settings.ts';
import { tuneForParser } from '../v8-flags.ts';

export async function handleLint(input: CommandInput): Promise<CommandResult> {
  const { context, flags } = input;
  if (typeof flags.explain === 'string') return explainRule(flags.explain);
  if (flags.listRules || asksForRules(input)) return listRules(input);
  await tuneForParser();
  const config = await loadConfig(input);
  if (flags.fix) return (await import('./lint-fix.ts')).fixMigrations(input, config);
  const report = await lintMigrations({
    ...(await lintOptionsOf(config, flags)),
    paths: input.args.map((path) => resolve(context.cwd, path)),
  });
  return {
    data: report,
    text: renderLint(report, input.style, flags.verbose === true),
    pipeline: async () => {
      const { pipelineOfLint } = await import('../../lint/report.ts');
      return pipelineOfLint(report, flags.strict === true);
    },
    exitCode: isFailure(report, flags.strict === true) ? EXIT.found : EXIT.done,
  };
}

function isFailure({ counts }: LintReport, isStrict: boolean): boolean {
  return counts.error > 0 || (isStrict && counts.warning > 0);
}

/** `evdb lint rules`, unless there is something to lint with that name. */
function asksForRules({ args, context }: CommandInput): boolean {
  return args.length === 1 && args[0] === 'rules' && !existsSync(resolve(context.cwd, 'rules'));
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

async function explainRule(rule: string): Promise<CommandResult> {
  const names = LINT_RULES.map(({ name }) => name);
  assertKnownLintRules([rule], names, { source: '--explain', code: 'USAGE' });
  const page = readLintRulePage(rule);
  return { data: { rule, page }, text: page.trimEnd() };
}
