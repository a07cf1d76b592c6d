import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { EvdbError } from '../errors.ts';
import { writeFileWhole } from '../file-system.ts';
import type { PipelinePlace, PipelineReport } from '../report/pipeline.ts';
import type { PipelineFormat } from '../report/pipeline-formats.ts';
import type { CliContext } from './context.ts';
import { printableStrings } from './output.ts';

const FOR_PIPELINES = ['sarif', 'github', 'gitlab', 'junit', 'markdown'] as const;

/** What `--format` takes. */
const FORMATS = ['human', 'json', ...FOR_PIPELINES] as const;

/** The options of commands whose results pipelines read. */
export function formatOptions(): Option[] {
  return [
    new Option('--format <name>', 'print it for a pipeline').choices(FORMATS),
    new Option(
      '--report <format=file>',
      'also write it to a file for a pipeline; may be repeated',
    ).argParser(parseReportFile),
  ];
}

export function isForPipeline(format: string | undefined): format is PipelineFormat {
  return FOR_PIPELINES.some((known) => known === format);
}

/** Where the results go beside stdout, and in which format. */
export interface ReportFile {
  format: PipelineFormat;
  path: string;
}

/**
 * Reads `sarif=evdb.sarif`.
 *
 * @throws {InvalidArgumentError} as commander wants it
 */
function parseReportFile(text: string, before: ReportFile[] = []): ReportFile[] {
  const [format = '', path] = text.split(/=(.*)/s);
  if (isForPipeline(format) && path) return [...before, { format, path }];
  throw new InvalidArgumentError(
    `Write for example: --report sarif=evdb.sarif (formats: ${FOR_PIPELINES.join(', ')}).`,
  );
}

/** What a command line asks for, also where the rest of it is wrong. */
export function outputsIn(args: readonly string[]): {
  format: string | undefined;
  reports: ReportFile[];
  /** Whether it prints line after line. */
  isStream: boolean;
} {
  const asked = valuesOf(args, '--format').at(-1);
  const format = args.includes('--json') && !isForPipeline(asked) ? 'json' : asked;
  const reports = valuesOf(args, '--report').flatMap((text) => {
    try {
      return parseReportFile(text);
    } catch {
      return [];
    }
  });
  return { format, reports, isStream: args.some((arg) => /^--watch(=|$)/.test(arg)) };
}

function valuesOf(args: readonly string[], flag: string): string[] {
  return args.flatMap((arg, index) => {
    if (arg.startsWith(`${flag}=`)) return [arg.slice(flag.length + 1)];
    return arg === flag && args[index + 1] !== undefined ? [args[index + 1] as string] : [];
  });
}

/** Prints what a command found in a format for pipelines, and writes the files that are asked for. */
export async function givePipelines(
  report: PipelineReport,
  { format, reports }: { format: string | undefined; reports: readonly ReportFile[] },
  context: CliContext,
): Promise<void> {
  const [{ renderPipeline }, { readToolVersion }] = await Promise.all([
    import('../report/pipeline-formats.ts'),
    import('../file-system.ts'),
  ]);
  const place = findPlace(context, readToolVersion());
  const isSarif = (wanted?: string) => wanted === 'sarif';
  if (isSarif(format) || reports.some((file) => isSarif(file.format))) {
    place.findHelp = (await import('./rule-help.ts')).findRuleHelp;
  }
  const shown = printableStrings(report);
  const render = (wanted: PipelineFormat) => `${renderPipeline(wanted, shown, place)}\n`;
  for (const file of reports) writeReport(resolve(context.cwd, file.path), render(file.format));
  if (isForPipeline(format)) context.outVerbatim(render(format));
}

/** Reports are made anew by each run, so an older one gives way. */
function writeReport(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileWhole(path, text);
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `cannot write the report ${path}`, {
      hint: 'Check the permissions and the space of the folder.',
      cause,
    });
  }
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
