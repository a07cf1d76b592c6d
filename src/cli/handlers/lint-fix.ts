import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config } from '../../config/resolve.ts';
import { EvdbError } from '../../errors.ts';
import type { LintReport } from '../../lint/engine.ts';
import { lintMigrations } from '../../migrate/checks/lint.ts';
import {
  type LintFixPlan,
  type PlanLintFixesOptions,
  planLintFixes,
  withFixRefusals,
  writeLintFixes,
} from '../../migrate/checks/lint-fix.ts';
import { renderFixes } from '../../migrate/checks/report.ts';
import { commandLine } from '../../text/command-line.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT } from '../exit-codes.ts';
import { findConnection, lintOptionsOf, migrateSettings } from '../settings.ts';

/** The report, with why `--fix` would leave what it offers elsewhere. */
export async function withRefusals(
  report: LintReport,
  options: PlanLintFixesOptions,
): Promise<LintReport> {
  const folders = foldersOf(options.paths ?? []);
  if (folders.length > 1) return report;
  return withFixRefusals(report, { ...options, directory: folders[0] ?? options.directory });
}

/** `evdb lint --fix`: plans the edits, writes them unless asked not to, and lints again. */
export async function fixMigrations(input: CommandInput, config: Config): Promise<CommandResult> {
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
