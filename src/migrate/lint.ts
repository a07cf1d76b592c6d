import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { EvdbError } from '../errors.ts';
import { countSeverities, type RuleChoices } from '../lint/choice.ts';
import { type LintReport, lintScripts } from '../lint/engine.ts';
import { fingerprintOf, type LintFinding } from '../lint/finding.ts';
import type { LintSettings } from '../lint/rule.ts';
import { loadParser } from '../sql/parser.ts';
import { isAfter, readLintScripts, type UnreadableFile } from './lint-scripts.ts';
import { requireMigrations } from './read.ts';
import { withoutShipped } from './shipped.ts';
import { listMigrations, type MigrationFile } from './source.ts';

/** How migrations are judged. */
export interface LintSettingsOptions {
  /** Migrations up to this version are history: they are not judged. */
  startAfter?: string | undefined;
  settings?: Partial<LintSettings> | undefined;
  choices?: RuleChoices | undefined;
  /** Schemas that unqualified names are looked for in; default `public`. */
  searchPath?: readonly string[] | undefined;
}

export interface LintMigrationsOptions extends LintSettingsOptions {
  /** The folder with the migrations, which is judged where no paths are named. */
  directory: string;
  /** Files and folders to judge instead. */
  paths?: readonly string[] | undefined;
}

/**
 * Lints migrations. Reads files alone: no database, nothing is changed.
 *
 * Named files are judged in the light of the earlier migrations beside them.
 *
 * @throws {EvdbError} MIGRATIONS_DIR_MISSING, MIGRATIONS_DIR_EMPTY, FILE_UNREADABLE, and those of
 *   `listMigrations`
 */
export async function lintMigrations(options: LintMigrationsOptions): Promise<LintReport> {
  const { paths = [], directory } = options;
  if (paths.length === 0) requireMigrations({ directory });
  const targets = paths.length > 0 ? paths.map(readTarget) : [{ folder: directory }];
  const parser = await loadParser();
  const reports = groupByFolder(targets).map((target) => {
    const { files, isHistoryWhole } = listFiles(target, options.startAfter);
    const { scripts, unreadable } = readLintScripts(files, {
      foreign: resolve(target.folder) !== resolve(directory),
    });
    const report = lintScripts(scripts, { ...options, parser, isHistoryWhole });
    const findings = withoutShipped(report.findings, scripts);
    return withUnreadable({ ...report, findings }, unreadable);
  });
  return mergeReports(reports);
}

interface Target {
  folder: string;
  /** Names of files; undefined for all. */
  names?: string[] | undefined;
}

function readTarget(path: string): Target {
  return isFolder(path) ? { folder: path } : { folder: dirname(path), names: [basename(path)] };
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `there is no file or folder ${path}`, { cause });
  }
}

function groupByFolder(targets: readonly Target[]): Target[] {
  const byFolder = new Map<string, Target>();
  for (const { folder, names } of targets) {
    const before = byFolder.get(folder);
    if (before === undefined) byFolder.set(folder, { folder, names });
    else before.names = names && before.names && [...before.names, ...names];
  }
  return [...byFolder.values()];
}

interface ListedFile {
  path: string;
  isDown: boolean;
  isJudged: boolean;
}

function listFiles(target: Target, startAfter: string | undefined) {
  const migrations = listOrNothing(target);
  if (migrations === undefined) return { files: listLoose(target), isHistoryWhole: false };
  const isNamed = (path: string) => target.names?.includes(basename(path)) ?? true;
  const files = migrations.flatMap((file): ListedFile[] => {
    const isNew = isAfter(file, startAfter);
    const { upPath, downPath } = file;
    const up = { path: upPath, isDown: false, isJudged: isNew && isNamed(upPath) };
    if (downPath === undefined) return [up];
    return [up, { path: downPath, isDown: true, isJudged: isNew && isNamed(downPath) }];
  });
  return { files, isHistoryWhole: true };
}

/** Undefined where the folder is not one of migrations, or a named file is none of them. */
function listOrNothing({ folder, names }: Target): MigrationFile[] | undefined {
  try {
    const migrations = listMigrations(folder);
    const paths = migrations.flatMap(({ upPath, downPath }) => [upPath, downPath ?? upPath]);
    const known = new Set(paths.map((path) => basename(path)));
    return names?.every((name) => known.has(name)) === false ? undefined : migrations;
  } catch (error) {
    if (error instanceof EvdbError && error.code === 'INVALID_NAME') return undefined;
    throw error;
  }
}

/** Files of another tool, or loose ones: in the order of their names. */
function listLoose({ folder, names }: Target): ListedFile[] {
  const found = names ?? readdirSync(folder).filter((name) => name.endsWith('.sql'));
  return sortNames(found).map((name) => ({
    path: join(folder, name),
    // `U2__name.sql` undoes `V2__name.sql`.
    isDown: /\.down\.sql$|^U\d[\d._]*__/.test(name),
    isJudged: true,
  }));
}

/** `V2` before `V10`. Making a collator takes longer than linting a file. */
function sortNames(names: string[]): string[] {
  return names.length < 2
    ? names
    : names.toSorted(new Intl.Collator('en', { numeric: true }).compare);
}

function withUnreadable(report: LintReport, files: readonly UnreadableFile[]): LintReport {
  const found = files.map(findingOf);
  return {
    ...report,
    findings: [...found, ...report.findings],
    counts: countSeverities([...found, ...report.findings]),
    files: [...files.map(({ file }) => file), ...report.files],
  };
}

function findingOf({ file, line, message, hint }: UnreadableFile): LintFinding {
  return {
    rule: 'unreadable-file',
    group: 'syntax',
    severity: 'error',
    message,
    hint,
    file,
    line,
    column: 1,
    endLine: line,
    endColumn: 1,
    excerpt: '',
    tables: [],
    evidence: 'static',
    fingerprint: fingerprintOf({ file, rule: 'unreadable-file', text: message }),
  };
}

function mergeReports(reports: LintReport[]): LintReport {
  const [first, ...others] = reports as [LintReport, ...LintReport[]];
  return others.reduce((sum, { findings, suppressed, files, statements }) => {
    const all = [...sum.findings, ...findings];
    return {
      findings: all,
      suppressed: [...sum.suppressed, ...suppressed],
      counts: countSeverities(all),
      files: [...sum.files, ...files],
      statements: sum.statements + statements,
    };
  }, first);
}
