import { existsSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import type { PipelinePlace, PipelineReport } from '../report/pipeline/pipeline-report.ts';
import type { PipelineFormat } from '../report/pipeline/render-pipeline.ts';
import type { CliContext } from './context.ts';

const FOR_PIPELINES = ['sarif', 'github', 'gitlab', 'junit', 'markdown'] as const;

/** What `--format` takes. */
export const FORMATS = ['human', 'json', ...FOR_PIPELINES] as const;

export type Format = (typeof FORMATS)[number];

export function isForPipeline(format: string | undefined): format is PipelineFormat {
  return FOR_PIPELINES.some((known) => known === format);
}

/** The format that a command line asks for, also where the rest of it is wrong. */
export function formatIn(args: readonly string[]): PipelineFormat | undefined {
  const format = formatText(args);
  return isForPipeline(format) ? format : undefined;
}

/** Whether a command line asks for JSON, in either way. */
export function isJson(args: readonly string[]): boolean {
  return args.includes('--json') || formatText(args) === 'json';
}

function formatText(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => arg === '--format' || arg.startsWith('--format='));
  const arg = args[at];
  if (arg === undefined) return undefined;
  return arg.startsWith('--format=') ? arg.slice('--format='.length) : args[at + 1];
}

/** Prints what a command found in one of the formats for pipelines. */
export async function printPipeline(
  format: PipelineFormat,
  report: PipelineReport,
  context: CliContext,
): Promise<void> {
  const [{ renderPipeline }, { readToolVersion }] = await Promise.all([
    import('../report/pipeline/render-pipeline.ts'),
    import('../migrate/provenance.ts'),
  ]);
  context.out(`${renderPipeline(format, report, findPlace(context, readToolVersion()))}\n`);
}

/** Pipelines know files from the root of their checkout, whichever folder evdb is called in. */
function findPlace({ cwd, env }: CliContext, toolVersion: string): PipelinePlace {
  const root =
    [env.GITHUB_WORKSPACE, env.CI_PROJECT_DIR].find((one) => one && isWithin(cwd, one)) ??
    findRepository(cwd);
  return {
    toolVersion,
    root,
    prefix: relative(root, cwd).split(sep).join('/'),
    fallbackFile:
      ['evdb.config.mjs', 'evdb.config.js', 'package.json'].find((name) =>
        existsSync(join(cwd, name)),
      ) ?? 'migrations',
  };
}

function isWithin(path: string, folder: string): boolean {
  return !relative(folder, path).startsWith('..');
}

function findRepository(cwd: string): string {
  for (let folder = cwd; ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) return folder;
    if (dirname(folder) === folder) return cwd;
  }
}
