import { relative } from 'node:path';
import type { Config } from '../../config/resolve.ts';
import { EvdbError } from '../../errors.ts';
import type { MigrationResult } from '../../migrate/apply/migrator.ts';
import { renderStepName, renderSummary } from '../../migrate/apply/report.ts';
import type { ReadLossesOptions, RollbackLoss } from '../../migrate/checks/losses.ts';
import type { MigrateUpOptions } from '../../migrate/checks/up.ts';
import type { BackfillOptions, MigrateOptions } from '../../migrate/options.ts';
import type { Budget, BudgetVerdict } from '../../migrate/preview/budget.ts';
import type { ImpactPlan } from '../../migrate/preview/impact-plan.ts';
import type { PlanImpactOptions } from '../../migrate/preview/plan-impact.ts';
import type { MigrationStepName, OnMigrationProgress } from '../../migrate/progress.ts';
import { commandLine, sameCommand } from '../../text/command-line.ts';
import { loadStyle } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, ROLLING_BACK_MIGRATIONS, withStop } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { loadPrompts, requireYes } from '../prompts.ts';
import {
  databaseName,
  describeTarget,
  embeddedDirectory,
  environmentName,
  holdsNoMigration,
  loadConfig,
  loadMigrateOptions,
  loadOptionsOrNothing,
  noMigrationsYet,
  requireConsent,
} from '../settings.ts';

export async function handleUp(input: CommandInput): Promise<CommandResult> {
  const { to, steps, strict, outOfOrder, expand, wait } = input.flags as Record<string, never>;
  const { flags } = input;
  // What makes or previews something has to have something to do it with.
  const isPlain = !flags.dryRun && !flags.createDatabase;
  const { config, options } = isPlain
    ? await loadOptionsOrNothing(input, { mayCreate: true })
    : await loadMigrateOptions(input, { needsMigrations: true, mayCreate: !flags.dryRun });
  if (!options) return { data: nothingRun(config.schema), text: noMigrationsYet() };
  const backfill = await backfillOptionsOf(input);
  const { checkDrift } = config;
  const all = {
    ...{ ...options, backfill, to, steps, strict, outOfOrder, expand, wait, checkDrift },
    embeddedDirectory: embeddedDirectory(config),
    onScratch: (message: string) => input.context.note(`${message}\n`),
  };
  if (flags.dryRun) return showPlan(input, { ...all, command: 'up' });
  const up = (given: MigrateUpOptions) => upWithDatabase(input, given);
  const run = config.takesSnapshots
    ? await (await import('./history.ts')).betweenSnapshots(input, config, all, up)
    : up;
  const result = await runWithProgress(input, all, run, 'up');
  if (!isPlain || !(await holdsNoMigration(options.directory))) return result;
  // Where some are applied it is the wrong folder, or an old build.
  const { warnings } = result.data as MigrationResult;
  if (warnings.length > 0) {
    const { requireMigrations } = await import('../../migrate/plan/read.ts');
    requireMigrations({ directory: options.directory });
  }
  return { ...result, text: noMigrationsYet() };
}

function nothingRun(schema: string): MigrationResult & { dryRun: false } {
  const facts = { warnings: [], notices: [], noticesLeftOut: 0, durationMs: 0 };
  return { dryRun: false, schema, steps: [], pending: [], ...facts };
}

/** `up` on a database that may not exist yet: makes it where that was asked for. */
export async function upWithDatabase(
  { flags, context }: CommandInput,
  options: MigrateUpOptions,
): Promise<MigrationResult> {
  const { migrateUp } = await import('../../migrate/checks/up.ts');
  try {
    return await migrateUp(options);
  } catch (error) {
    if (!(error instanceof EvdbError) || error.code !== 'DATABASE_MISSING') throw error;
    if (flags.createDatabase !== true) throw offerToCreate(error);
    const { ensureDatabase } = await import('../../database/database.ts');
    const { database, created } = await ensureDatabase(options.connection);
    if (created) context.note(`created database "${database}"\n`);
    return migrateUp(options);
  }
}

function offerToCreate({ code, message, details, cause }: EvdbError): EvdbError {
  return new EvdbError(code, message, {
    hint: `Create it with \`${commandLine('db create')}\`, or in the same step with \`${sameCommand('migrate up', { 'create-database': true })}\`. To see where its name comes from: \`${commandLine('config')}\`.`,
    details,
    cause,
  });
}

export async function handleDown(input: CommandInput): Promise<CommandResult> {
  const { migrateDown } = await import('../../migrate/apply/commands.ts');
  const { to, steps, fromLedger, repeatable } = input.flags as Record<string, never>;
  const { config, options } = await loadMigrateOptions(input, (read) =>
    requireConsentUnlessAsked(input, read, 'down'),
  );
  const backfill = await backfillOptionsOf(input);
  return planOrRollBack(input, config, {
    options: { ...options, backfill, to, steps, fromLedger, repeatable },
    command: 'down',
    run: migrateDown,
  });
}

export async function handleRedo(input: CommandInput): Promise<CommandResult> {
  const { migrateRedo } = await import('../../migrate/apply/commands.ts');
  const { config, options } = await loadMigrateOptions(input, (read) =>
    requireConsentUnlessAsked(input, read, 'redo'),
  );
  const backfill = await backfillOptionsOf(input);
  return planOrRollBack(input, config, {
    options: { ...options, backfill },
    command: 'redo',
    run: migrateRedo,
  });
}

/** Where somebody can be asked, the question comes when it is known what would be rolled back. */
function requireConsentUnlessAsked(input: CommandInput, config: Config, command: string): void {
  if (!mayAsk(input)) requireConsent(input, config, command);
}

function mayAsk({ context, flags }: CommandInput): boolean {
  return !flags.confirm && !flags.dryRun && !flags.json && context.asking !== undefined;
}

/** Undefined where no flag says anything: nothing is loaded then. */
export async function backfillOptionsOf({
  flags,
}: CommandInput): Promise<BackfillOptions | undefined> {
  const { throttle, maxRate, window, workers } = flags as Record<string, never>;
  if ([throttle, maxRate, window, workers].every((flag) => flag === undefined)) return undefined;
  const { parseThrottle, parseWindow } = await import('../../migrate/backfill/throttle.ts');
  return {
    ...{ maxRate, workers },
    throttle: throttle && parseThrottle(throttle),
    window: window && parseWindow(window),
  };
}

export async function handleReset(input: CommandInput): Promise<CommandResult> {
  const { resetSchema } = await import('../../migrate/repair/reset.ts');
  const { options } = await loadMigrateOptions(input, (config) =>
    requireResetConsent(input, config),
  );
  return runWithProgress(input, { ...options, confirm: true }, resetSchema, 'reset');
}

function requireResetConsent({ flags }: CommandInput, config: Config): void {
  if (config.isProtected) {
    throw new EvdbError(
      'PROTECTED_ENVIRONMENT',
      `reset of ${describeTarget(config)} is refused: ${environmentName(config)} is protected`,
      {
        hint: 'Nothing was changed. To drop it anyway, remove `protected` from the config file first.',
      },
    );
  }
  if (flags.confirm) return;
  throw new EvdbError('CONFIRM_REQUIRED', `reset drops everything in ${describeTarget(config)}`, {
    hint: `Nothing was changed. If that is intended: ${sameCommand('migrate reset', { confirm: true })}`,
    details: { typed: databaseName(config) },
  });
}

export async function handleCreate(input: CommandInput): Promise<CommandResult> {
  const { createMigration, createRepeatable } = await import('../../migrate/files/create.ts');
  const { flags, context, args } = input;
  const config = await loadConfig(input);
  const named = { directory: config.migrationsDir, name: args[0] ?? '' };
  const created = flags.repeatable
    ? { ...createRepeatable(named), namesakes: [] }
    : createMigration({
        ...named,
        numbering: flags.timestamp ? 'timestamp' : flags.sequential ? 'sequential' : undefined,
        noTransaction: flags.transaction === false,
        irreversible: flags.irreversible === true,
      });
  const files = created.files.map((path) => relative(context.cwd, path));
  for (const other of created.namesakes)
    context.note(`warning  ${other} has the same name: was it created before?\n`);
  return { data: { ...created, files }, text: files.map((file) => `created  ${file}`).join('\n') };
}

interface RollBack<Options extends MigrateOptions> {
  options: Options;
  command: 'down' | 'redo';
  run(options: Options): Promise<MigrationResult>;
}

async function planOrRollBack<Options extends MigrateOptions>(
  input: CommandInput,
  config: Config,
  { options, command, run }: RollBack<Options>,
): Promise<CommandResult> {
  const { flags, context } = input;
  const asks = mayAsk(input);
  const isShown = flags.dryRun === true || context.isInteractive || asks;
  const lost = isShown ? await findLosses(input, { ...options, command }) : undefined;
  if (!flags.dryRun) {
    if (asks && (config.isProtected || lost?.losses.some(isLoss))) {
      const what = { options, command, losses: lost?.text ?? '' };
      const agreed = await askToRollBack(input, config, what);
      return runWithProgress(input, { ...options, agreed }, run, command);
    }
    if (lost?.text) context.note(`${lost.text}\n`);
    return runWithProgress(input, options, run, command);
  }
  const plan = await showPlan(input, { ...options, command });
  const text = [plan.text, lost?.text].filter(Boolean).join('\n');
  return { ...plan, data: { ...plan.data, losses: lost?.losses }, text };
}

/** Whether something is lost that was not counted as nothing. */
function isLoss({ kind, count }: RollbackLoss): boolean {
  return kind !== 'unknown' && count !== 0;
}

/**
 * Shows what is lost, and asks; where nothing would be rolled back there is no question.
 *
 * @returns the versions that were agreed to
 */
async function askToRollBack(
  { context }: CommandInput,
  config: Config,
  what: { options: MigrateOptions; command: 'down' | 'redo'; losses: string },
): Promise<string[]> {
  const { planMigrateDown, planMigrateRedo } = await import('../../migrate/apply/commands.ts');
  const { options, command, losses } = what;
  const plan = await (command === 'down' ? planMigrateDown(options) : planMigrateRedo(options));
  const down = [...plan.steps, ...(plan.repeatables ?? [])].filter(
    ({ direction }) => direction === 'down',
  );
  const versions = plan.steps.map(({ version }) => version);
  const prompts = down.length === 0 ? undefined : await loadPrompts(context);
  if (!prompts) return versions;
  if (config.isProtected) {
    context.err(`${environmentName(config)} is protected: ${describeTarget(config)}\n`);
  }
  if (losses) context.err(`${losses}\n`);
  const again = command === 'redo' ? ' and apply it again' : '';
  const place = config.environment === undefined ? '' : ` in ${config.environment}`;
  await requireYes(prompts, `Roll back ${nameSteps(down)}${again}${place}?`);
  return versions;
}

function nameSteps(steps: readonly MigrationStepName[]): string {
  const more = steps.length - 5;
  return steps.slice(0, 5).map(renderStepName).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** What `down` or `redo` would lose, as data and as text. */
async function findLosses(
  { flags, context, style }: CommandInput,
  options: ReadLossesOptions,
): Promise<{ losses: RollbackLoss[]; text: string }> {
  const { readLosses } = await import('../../migrate/checks/losses.ts');
  const { renderLosses } = await import('../../migrate/checks/report.ts');
  const losses = await readLosses(options);
  const isDryRun = flags.dryRun === true;
  const text = renderLosses(losses, {
    isDryRun,
    style: isDryRun ? style : await loadStyle(context.errColour),
  });
  return { losses, text };
}

/** Runs what applies or rolls back migrations, and tells of it while it does. */
export async function runWithProgress<Options extends MigrateOptions>(
  input: CommandInput,
  options: Options,
  run: (options: Options) => Promise<MigrationResult>,
  command: 'up' | 'down' | 'redo' | 'reset' | 'backfill',
): Promise<CommandResult> {
  const name = command === 'backfill' ? 'backfill run' : `migrate ${command}`;
  return withProgress(input, name, async ({ signal, onProgress }) => {
    const told = new Set<string>();
    const listen: OnMigrationProgress = (event) => {
      if (event.kind === 'warning') told.add(event.warning.message);
      onProgress(event);
    };
    const result = await run({ ...options, signal, onProgress: listen });
    // Where nothing has to be done, the result alone has them.
    for (const warning of result.warnings) {
      if (!told.has(warning.message)) onProgress({ kind: 'warning', warning });
    }
    return {
      data: { dryRun: false, ...result },
      text: renderSummary(result, command, await targetOf(command, result, options)),
      exitCode: EXIT.done,
    };
  });
}

/** The version that `up` was to end with, as its file names it: `003` for 3; only where it had nothing to do. */
async function targetOf(
  command: string,
  { steps }: { steps: readonly unknown[] },
  options: MigrateUpOptions,
): Promise<string | undefined> {
  const { to } = options;
  if (command !== 'up' || to === undefined || steps.length > 0) return undefined;
  const { requireMigrations } = await import('../../migrate/plan/read.ts');
  const files = requireMigrations(options);
  return files.find(({ label }) => BigInt(label) === BigInt(to))?.label ?? to;
}

export async function handlePlan(input: CommandInput): Promise<CommandResult> {
  const { to, steps, strict, outOfOrder, expand, wait } = input.flags as Record<string, never>;
  const trace = traceOf(input);
  const { config, options } = await loadMigrateOptions(input, {
    needsMigrations: true,
    check: (read) => {
      if (trace === 'target') requireConsent(input, read, 'plan --trace-on-target');
    },
  });
  const limits = config.budget;
  const budget = limits === undefined ? undefined : await readBudget(limits);
  if (trace === 'target') input.context.note(ON_TARGET);
  return showPlan(
    input,
    {
      ...{ ...options, to, steps, strict, outOfOrder, expand, wait, trace },
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
  const [{ planImpact }, { failedTraces, renderImpactPlan }, { renderNothing, renderWarning }] =
    await Promise.all([
      import('../../migrate/preview/plan-impact.ts'),
      import('../../migrate/preview/report.ts'),
      import('../../migrate/apply/report.ts'),
    ]);
  const onTrace = (message: string) => context.note(`${message}\n`);
  const plan = await withStop(context, ROLLING_BACK_MIGRATIONS, (signal) =>
    planImpact({ ...options, signal, onTrace }),
  );
  for (const warning of plan.warnings) context.note(`${renderWarning(warning, style)}\n`);
  const verdict = budget === undefined ? undefined : await judge(plan, budget);
  const { command = 'up' } = options;
  return {
    data: { dryRun: true, ...plan, ...(verdict && dataOf(verdict)) },
    pipeline: async () =>
      (await import('../../migrate/preview/report.ts')).pipelineOfPlan(plan, verdict),
    exitCode: verdict?.isKept === false || failedTraces(plan).length > 0 ? EXIT.found : EXIT.done,
    text: renderImpactPlan(plan, {
      verdict,
      nothing: renderNothing(command, plan, await targetOf(command, plan, options)),
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
