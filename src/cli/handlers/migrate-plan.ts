import type { Budget, BudgetVerdict } from '../../migrate/preview/budget.ts';
import type { ImpactPlan } from '../../migrate/preview/impact-plan.ts';
import type { PlanImpactOptions } from '../../migrate/preview/plan-impact.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, ROLLING_BACK_MIGRATIONS, withStop } from '../exit-codes.ts';
import { embeddedDirectory, loadMigrateOptions } from '../settings.ts';
import { tuneForParser } from '../v8-flags.ts';
import { requireConsent } from './consent.ts';

export async function handlePlan(input: CommandInput): Promise<CommandResult> {
  await tuneForParser();
  const { to, steps, strict, outOfOrder } = input.flags as Record<string, never>;
  const trace = traceOf(input);
  const { config, options } = await loadMigrateOptions(input, {
    needsMigrations: true,
    check: (read) => {
      if (trace === 'target') requireConsent(input, read, 'plan --trace-on-target');
    },
  });
  const limits = config.budget;
  const budget = limits === undefined ? undefined : await readBudget(limits);
  if (trace === 'target') input.context.err(ON_TARGET);
  return showPlan(
    input,
    {
      ...{ ...options, to, steps, strict, outOfOrder, trace },
      embeddedDirectory: embeddedDirectory(config),
    },
    budget,
  );
}

async function readBudget(text: string): Promise<Budget> {
  const { parseBudget } = await import('../../migrate/preview/budget.ts');
  return parseBudget(text);
}

const ON_TARGET =
  'warning  tracing on the target: its locks are really held until each migration is rolled back; sequences, and what functions do outside the database, are not undone\n';

function traceOf({ flags }: CommandInput): PlanImpactOptions['trace'] {
  if (flags.traceOnTarget) return 'target';
  if (flags.traceEmbedded) return 'embedded';
  return flags.trace ? 'beside' : undefined;
}

/** What a command would do: the same for `plan` and for a dry run. */
export async function showPlan(
  input: CommandInput,
  options: PlanImpactOptions,
  budget?: Budget,
): Promise<CommandResult> {
  const { context, flags, style } = input;
  const [{ planImpact }, { renderImpactPlan }, { renderNothing, renderWarning }] =
    await Promise.all([
      import('../../migrate/preview/plan-impact.ts'),
      import('../../migrate/preview/report.ts'),
      import('../../migrate/apply/report.ts'),
    ]);
  const onTrace = (message: string) => context.err(`${message}\n`);
  const plan = await withStop(context, ROLLING_BACK_MIGRATIONS, (signal) =>
    planImpact({ ...options, signal, onTrace }),
  );
  for (const warning of plan.warnings) context.err(`${renderWarning(warning, style)}\n`);
  const verdict = budget === undefined ? undefined : await judge(plan, budget);
  return {
    data: { dryRun: true, ...plan, ...(verdict && dataOf(verdict)) },
    pipeline: async () =>
      (await import('../../migrate/preview/report.ts')).pipelineOfPlan(plan, verdict),
    exitCode: verdict?.isKept === false ? EXIT.found : EXIT.done,
    text: renderImpactPlan(plan, {
      verdict,
      nothing: renderNothing(options.command ?? 'up', plan.pending),
      verbose: flags.verbose === true,
      style,
      width: context.outSize().columns,
      ...(flags.dryRun && { ending: 'Nothing was changed (--dry-run).' }),
    }),
  };
}

function dataOf({ budget, violations, unknowns }: BudgetVerdict) {
  return { budget, findings: [...violations, ...unknowns] };
}

async function judge(plan: ImpactPlan, budget: Budget): Promise<BudgetVerdict> {
  const { judgeBudget } = await import('../../migrate/preview/budget.ts');
  return judgeBudget(plan, budget);
}
