import type { Config } from '../../config/resolve.ts';
import { withInspection, withWriting } from '../../connection/inspection.ts';
import { EvdbError } from '../../errors.ts';
import {
  RULES_VIEW,
  renderRepairs,
  renderViolationDetails,
  VIOLATIONS_VIEW,
} from '../../events/report.ts';
import {
  type BusinessRuleSeverity,
  checkBusinessRules,
  listBusinessRules,
  repairBusinessRules,
} from '../../events/rules.ts';
import { findingOfRule } from '../../report/findings.ts';
import { renderReport } from '../../report/render-report.ts';
import { commandLine, sameCommand } from '../../text/command-line.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, withStop } from '../exit-codes.ts';
import { loadDirectConnection } from '../settings.ts';
import { describeTarget, environmentName } from './consent.ts';
import { loadRenderOptions } from './stats.ts';

/** Each registration is looked at: on a large database that takes a while. */
const CHECK_TIMEOUT_MS = 30 * 60_000;

export async function handleRulesCheck(input: CommandInput): Promise<CommandResult> {
  const severity = input.flags.severity as BusinessRuleSeverity;
  const { config, connection } = await loadDirectConnection(input);
  const { schema } = config;
  const { report, rules } = await withInspection(
    connection,
    async (session) => ({
      report: await checkBusinessRules(session, { schema, severity }),
      // Pipelines count what is fine too.
      rules:
        input.flags.format || input.flags.report
          ? (await listBusinessRules(session, { schema })).rows
          : [],
    }),
    { statementTimeoutMs: CHECK_TIMEOUT_MS },
  );
  const table = renderReport(report, VIOLATIONS_VIEW, (await loadRenderOptions(input))());
  const details = renderViolationDetails(report.rows, input.style);
  return {
    data: {
      ...{ countedSince: report.countedSince, notes: report.notes },
      findings: report.rows.map(findingOfRule),
    },
    text: details === '' ? table : `${table}\n\n${details}`,
    pipeline: async () => {
      const { pipelineOfRules } = await import('../../events/report.ts');
      const kept = rules.filter((one) => severity !== 'error' || one.severity === 'error');
      return pipelineOfRules(report, kept);
    },
    exitCode: report.rows.length > 0 ? EXIT.found : EXIT.done,
  };
}

export async function handleRulesList(input: CommandInput): Promise<CommandResult> {
  const { config, connection } = await loadDirectConnection(input);
  const report = await withInspection(connection, (session) =>
    listBusinessRules(session, { schema: config.schema }),
  );
  return {
    data: report,
    text: renderReport(report, RULES_VIEW, (await loadRenderOptions(input))()),
  };
}

export async function handleRulesRepair(input: CommandInput): Promise<CommandResult> {
  const { flags, args, context } = input;
  const dryRun = flags.dryRun === true;
  const { config, connection } = await loadDirectConnection(input, (read) =>
    requireConsent(input, read),
  );
  const result = await withStop(context, { said: 'rolling back' }, (signal) =>
    withWriting(
      connection,
      (session) =>
        repairBusinessRules(session, {
          schema: config.schema,
          rules: args.length > 0 ? args : undefined,
          severity: flags.severity as BusinessRuleSeverity,
          dryRun,
          signal,
        }),
      { signal },
    ),
  );
  return {
    data: {
      dryRun: result.dryRun,
      repairs: result.repairs,
      findings: result.remaining.map(findingOfRule),
    },
    text: renderRepairs(result, input.style),
    exitCode: result.remaining.length > 0 ? EXIT.found : EXIT.done,
  };
}

/** As `migrate reset`: a protected environment is not changed, whatever is confirmed. */
function requireConsent({ flags }: CommandInput, config: Config): void {
  if (flags.dryRun) return;
  if (config.isProtected) {
    const message = `rules repair of ${describeTarget(config)} is refused: ${environmentName(config)} is protected`;
    throw new EvdbError('PROTECTED_ENVIRONMENT', message, {
      hint: `Nothing was changed. --dry-run shows what would be; to do it, run the repair that \`${commandLine('rules list')}\` names as SQL, or take \`protected\` out of the config file first.`,
    });
  }
  if (flags.confirm) return;
  throw new EvdbError(
    'CONFIRM_REQUIRED',
    `rules repair changes registrations and counters in ${describeTarget(config)}`,
    {
      hint: `Nothing was changed. Look first (--dry-run), then: ${sameCommand('rules repair', { confirm: true })}`,
    },
  );
}
