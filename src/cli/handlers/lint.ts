import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { LintReport } from '../../lint/engine.ts';
import { renderLint } from '../../lint/report.ts';
import { lintMigrations } from '../../migrate/checks/lint.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT } from '../exit-codes.ts';
import { holdsNoMigration, lintOptionsOf, loadConfig, noMigrationsYet } from '../settings.ts';

export async function handleLint(input: CommandInput): Promise<CommandResult> {
  const { context, flags } = input;
  if (typeof flags.explain === 'string' || flags.listRules || asksForRules(input)) {
    const { tellRules } = await import('./lint-rules.ts');
    return tellRules(input);
  }
  const config = await loadConfig(input);
  if (flags.fix) {
    const { fixMigrations } = await import('./lint-fix.ts');
    return fixMigrations(input, config);
  }
  const paths = input.args.map((path) => resolve(context.cwd, path));
  const options = { ...(await lintOptionsOf(config, flags)), paths };
  let report = await lintMigrations(options);
  // What plans fixes is loaded only where one is offered.
  if (report.findings.some(({ fix }) => fix !== undefined)) {
    const { withRefusals } = await import('./lint-fix.ts');
    report = await withRefusals(report, options);
  }
  return {
    data: report,
    text:
      input.args.length === 0 && (await holdsNoMigration(config.migrationsDir))
        ? noMigrationsYet()
        : renderLint(report, input.style, flags.verbose === true),
    pipeline: async () => {
      const { pipelineOfLint } = await import('../../lint/pipeline.ts');
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
