import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EvdbError } from '../errors.ts';
import type { RuleChoices } from '../lint/choice.ts';
import { type LintReport, lintScripts } from '../lint/engine.ts';
import type { LintSettings } from '../lint/rule.ts';
import type { LintScript } from '../lint/script.ts';
import { loadParser } from '../sql/parser.ts';
import { listMigrations, type MigrationFile, readScript } from './source.ts';
import { compareVersions, parseVersion } from './version.ts';

export interface LintMigrationsOptions {
  /** The folder with the migrations, which is judged where no paths are named. */
  directory: string;
  /** Files and folders to judge instead. */
  paths?: readonly string[] | undefined;
  /** Migrations up to this version are history: they are not judged. */
  startAfter?: string | undefined;
  settings?: Partial<LintSettings> | undefined;
  choices?: RuleChoices | undefined;
  /** Schemas that unqualified names are looked for in; default `public`. */
  searchPath?: readonly string[] | undefined;
}

/**
 * Lints migrations. Reads files alone: no database, nothing is changed.
 *
 * Named files are judged in the light of the earlier migrations beside them.
 *
 * @throws {EvdbError} MIGRATIONS_DIR_MISSING, MIGRATIONS_DIR_EMPTY, FILE_UNREADABLE, NOT_UTF8,
 *   NUL_BYTE, DIRECTIVE_INVALID, UNKNOWN_VERSION, and those of `listMigrations`
 */
export async function lintMigrations(options: LintMigrationsOptions): Promise<LintReport> {
  const { paths = [], directory, startAfter } = options;
  const targets =
    paths.length > 0 ? paths.map(readTarget) : [{ folder: directory, files: undefined }];
  const parser = await loadParser();
  const reports = groupByFolder(targets).map(({ folder, files }) => {
    const { scripts, isHistoryWhole } = readFolder(folder, files, startAfter);
    return lintScripts(scripts, { ...options, parser, isHistoryWhole });
  });
  return mergeReports(reports);
}

interface Target {
  folder: string;
  /** Names of files; undefined for all. */
  files: string[] | undefined;
}

function readTarget(path: string): Target {
  const isFolder = isDirectory(path);
  return isFolder
    ? { folder: path, files: undefined }
    : { folder: dirname(path), files: [basename(path)] };
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `there is no file or folder ${path}`, { cause });
  }
}

function groupByFolder(targets: readonly Target[]): Target[] {
  const byFolder = new Map<string, Target>();
  for (const { folder, files } of targets) {
    const before = byFolder.get(folder);
    if (before === undefined) byFolder.set(folder, { folder, files });
    else if (files === undefined || before.files === undefined) before.files = undefined;
    else before.files.push(...files);
  }
  return [...byFolder.values()];
}

function readFolder(folder: string, files: string[] | undefined, startAfter: string | undefined) {
  const migrations = listOrNothing(folder, files);
  if (migrations === undefined) {
    return { scripts: readLoose(folder, files), isHistoryWhole: false };
  }
  const first = startAfter === undefined ? undefined : parseVersion(startAfter);
  const wanted = files && new Set(files);
  const isJudged = (path: string, { version }: MigrationFile) =>
    (first === undefined || compareVersions(version, first) > 0) &&
    (wanted === undefined || wanted.has(basename(path)));
  const last = migrations.findLastIndex(({ upPath, downPath }) =>
    [upPath, downPath].some((path) => path && (wanted?.has(basename(path)) ?? true)),
  );
  const scripts = migrations
    .slice(0, last + 1)
    .flatMap((file) =>
      [file.upPath, file.downPath]
        .filter((path) => path !== undefined)
        .map((path) => readLintScript(path, path !== file.upPath, isJudged(path, file))),
    );
  return { scripts, isHistoryWhole: true };
}

/** Undefined where the files are named and the folder is not one of migrations. */
function listOrNothing(folder: string, files: string[] | undefined): MigrationFile[] | undefined {
  try {
    const migrations = listMigrations(folder);
    const names = new Set(
      migrations.flatMap(({ upPath, downPath = '' }) => [basename(upPath), basename(downPath)]),
    );
    return files?.every((name) => names.has(name)) === false ? undefined : migrations;
  } catch (error) {
    const isForeign = error instanceof EvdbError && error.code === 'INVALID_NAME';
    if (isForeign) return undefined;
    throw error;
  }
}

/** Files of another tool, or loose ones: in the order of their names, all of them going up. */
function readLoose(folder: string, files: string[] | undefined): LintScript[] {
  const names = files ?? readdirSync(folder).filter((name) => name.endsWith('.sql'));
  return names
    .sort(new Intl.Collator('en', { numeric: true }).compare)
    .map((name) => readLintScript(join(folder, name), name.endsWith('.down.sql'), true));
}

function readLintScript(path: string, isDown: boolean, isJudged: boolean): LintScript {
  const { path: shown, text, directives } = readScript(path);
  return {
    path: shown,
    text,
    direction: isDown ? 'down' : 'up',
    isTransactional: !directives.noTransaction,
    isJudged,
  };
}

function mergeReports(reports: LintReport[]): LintReport {
  const [first, ...others] = reports as [LintReport, ...LintReport[]];
  return others.reduce(
    (sum, { findings, suppressed, counts, files, paths, statements }) => ({
      findings: [...sum.findings, ...findings],
      suppressed: [...sum.suppressed, ...suppressed],
      counts: {
        error: sum.counts.error + counts.error,
        warning: sum.counts.warning + counts.warning,
        info: sum.counts.info + counts.info,
      },
      files: sum.files + files,
      paths: [...sum.paths, ...paths],
      statements: sum.statements + statements,
    }),
    first,
  );
}
