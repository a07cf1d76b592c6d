import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config } from '../../config/resolve.ts';
import { EvdbError } from '../../errors.ts';
import { assertKnownLintRules } from '../../lint/choice.ts';
import type { LintReport } from '../../lint/engine.ts';
import { renderLint, renderLintRules, renderRulePage } from '../../lint/report.ts';
import { LINT_RULES } from '../../lint/rules.ts';
import { lintMigrations, readLintRulePage } from '../../migrate/checks/lint.ts';
import type { LintFixPlan, PlanLintFixesOptions } from '../../migrate/checks/lint-fix.ts';
import { commandLine } from '../../text/command-line.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT } from '../exit-codes.ts';
import {
  findConnection,
  holdsNoMigration,
  lintOptionsOf,
  loadConfig,
  migrateSettings,
  noMigrationsYet,
} from '../settings.ts';

export async function handleLint(input: CommandInput): Promise<CommandResult> {
  const { context, flags } = input;
  if (typeof flags.explain === 'string')
    return explainRule(flags.explain, context.outSize().columns);
  if (flags.listRules || asksForRules(input)) return listRules(input);
  const config = await loadConfig(input);
  if (flags.fix) return fixMigrations(input, config);
  const paths = input.args.map((path) => resolve(context.cwd, path));
  const options = { ...(await lintOptionsOf(config, flags)), paths };
  const report = await withRefusals(await lintMigrations(options), options);
  return {
    data: report,
    text:
      input.args.length === 0 && (await holdsNoMigration(config.migrationsDir))
        ? noMigrationsYet()
        : renderLint(report, input.style, flags.verbose === true),
    pipeline: async () => {
      const { pipelineOfLint } = await import('../../lint/report.ts');
      return pipelineOfLint(report, flags.strict === true);
    },
    exitCode: isFailure(report, flags.strict === true) ? EXIT.found : EXIT.done,
  };
}

/** Loads what plans fixes only where a fix is offered. */
async function withRefusals(
  report: LintReport,
  options: PlanLintFixesOptions,
): Promise<LintReport> {
  const folders = foldersOf(options.paths ?? []);
  if (folders.length > 1 || report.findings.every(({ fix }) => fix === undefined)) return report;
  const { withFixRefusals } = await import('../../migrate/checks/lint-fix.ts');
  return withFixRefusals(report, { ...options, directory: folders[0] ?? options.directory });
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

async function explainRule(rule: string, width: number | undefined): Promise<CommandResult> {
  const names = LINT_RULES.map(({ name }) => name);
  assertKnownLintRules([rule], names, { source: '--explain', code: 'USAGE' });
  const page = readLintRulePage(rule);
  return { data: { rule, page }, text: renderRulePage(page, width) };
}

/** `evdb lint --fix`: plans the edits, writes them unless asked not to, and lints again. */
async function fixMigrations(input: CommandInput, config: Config): Promise<CommandResult> {
  const { planLintFixes, writeLintFixes } = await import('../../migrate/checks/lint-fix.ts');
  const { renderFixes } = await import('../../migrate/checks/report.ts');
  const { context, flags, style } = input;
  const paths = input.args.map((path) => resolve(context.cwd, path));
  const options = { ...(await lintOptionsOf(config, flags)), paths };
  const directory = folderOf(paths) ?? options.directory;
  const applied = await readApplied(input, config, directory);
  const plan = await planLintFixes({ ...options, directory, applied });
  const isDry = flags.dryRun === true;
  if (!isDry) writeLintFixes(plan.files);
  const report = isDry
    ? plan.report
    : await withRefusals(await lintMigrations({ ...options, directory }), { ...options, applied });
  const { error, warning } = report.counts;
  return {
    data: { dryRun: isDry, ...toData(plan), ...report },
    text: renderFixes({ ...plan, report }, { isDry, diffs: await diffsOf(plan), style }),
    exitCode: error > 0 || (flags.strict && warning > 0) ? EXIT.found : EXIT.done,
  };
}

function toData({ files, fixed, left }: LintFixPlan) {
  return {
    fixed,
    left,
    written: files.map(({ file, before }) => ({ file, isNew: before === undefined })),
  };
}

/** A fix may need a new migration, so the files named have to be of one folder. */
function folderOf(paths: readonly string[]): string | undefined {
  const folders = foldersOf(paths);
  if (folders.length <= 1) return folders[0];
  throw new EvdbError('USAGE', '--fix works on one folder of migrations at a time', {
    hint: 'Call it once for each folder.',
  });
}

function foldersOf(paths: readonly string[]): string[] {
  return [...new Set(paths.map((path) => (isFolder(path) ? path : dirname(path))))];
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/**
 * Versions that the database has: their files must stay as they are.
 *
 * @throws {EvdbError} NOT_CONFIGURED where there is a database that cannot be asked
 */
async function readApplied(
  { context }: CommandInput,
  config: Config,
  directory: string,
): Promise<Set<string> | undefined> {
  const { readStatus } = await import('../../migrate/plan/status.ts');
  const { connection, isStopped } = await findConnection(config, context);
  if (connection === undefined) {
    if (!isStopped) return undefined;
    throw new EvdbError('NOT_CONFIGURED', 'the embedded server is not running', {
      hint: `It knows which migrations are applied, and those must not be changed. Start it: ${commandLine('server start')}`,
    });
  }
  const settings = { ...migrateSettings(config, context), directory };
  const { migrations } = await readStatus({ ...settings, connection });
  const isApplied = ({ state }: { state: string }) => state !== 'pending' && state !== 'outOfOrder';
  return new Set(migrations.filter(isApplied).map(({ version }) => version));
}

async function diffsOf({ files }: LintFixPlan): Promise<string[]> {
  if (files.length === 0) return [];
  const { createTwoFilesPatch } = await import('diff');
  return files.map(({ file, before = '', after }) =>
    createTwoFilesPatch(file, file, before, after, '', '', { context: 2 }),
  );
}
