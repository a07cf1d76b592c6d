import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { packagePath } from '../../file-system.ts';
import { countSeverities, type LintRuleChoices } from '../../lint/choice.ts';
import { type LintReport, lintScripts } from '../../lint/engine.ts';
import { fingerprintOf, type LintFinding } from '../../lint/finding.ts';
import type { LintScript, LintSettings } from '../../lint/rule.ts';
import { loadSqlParser } from '../../sql/parser.ts';
import type { VariableValues } from '../../sql/variables.ts';
import { type FoundMarker, findForeignMarkers } from '../files/foreign-markers.ts';
import { listRepeatables, REPEATABLE_FOLDER } from '../files/repeatables.ts';
import {
  listMigrations,
  type MigrationFile,
  type ReadScriptOptions,
  readScript,
  type Script,
  STRUCTURE_FILE,
} from '../files/source.ts';
import { bindPlaceholders } from '../files/variables.ts';
import { compareVersions, parseVersion } from '../files/version.ts';
import { requireMigrations } from '../plan/read.ts';

/** How migrations are judged. */
export interface LintSettingsOptions {
  /** Migrations up to this version are history: they are not judged. */
  startAfter?: string | undefined;
  /** Default: as the setting itself says. */
  settings?: Partial<LintSettings> | undefined;
  /** Default: every rule with its own severity. */
  choices?: LintRuleChoices | undefined;
  /** Schemas in which unqualified names are looked up; default `public`. */
  searchPath?: readonly string[] | undefined;
  /** The values of variables; default: each one's own name. */
  variables?: VariableValues | undefined;
}

/** Which migrations are linted, and how they are judged. */
export interface LintMigrationsOptions extends LintSettingsOptions {
  /** The folder with the migrations, which is judged if no paths are named. */
  directory: string;
  /** Whether a folder without a migration is no error; default false. */
  mayBeEmpty?: boolean | undefined;
  /** Files and folders to judge instead. */
  paths?: readonly string[] | undefined;
}

/**
 * Lints migrations. Reads only files: no database, nothing is changed.
 *
 * Named files are judged after the earlier migrations beside them.
 *
 * @throws {EvdbError} MIGRATIONS_DIR_MISSING, MIGRATIONS_DIR_EMPTY, FILE_UNREADABLE, and those of
 *   `requireMigrations`
 * @example
 * const { findings, counts } = await lintMigrations({ directory: 'migrations' });
 */
export async function lintMigrations(options: LintMigrationsOptions): Promise<LintReport> {
  const { paths = [], directory } = options;
  if (paths.length === 0) requireMigrations(options);
  const targets = paths.length > 0 ? paths.map(readTarget) : [{ folder: directory }];
  const parser = await loadSqlParser();
  const reports = groupByFolder(targets).map((target) => {
    const { files, isHistoryWhole } = listFiles(target, options.startAfter);
    const { scripts, unreadable } = readLintScripts(files, {
      foreign: resolve(target.folder) !== resolve(directory),
      variables: options.variables,
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
  if (isFolder(path)) return { folder: path };
  const folder = dirname(path);
  // A repeatable is judged behind the migrations that it belongs to.
  return basename(folder) === REPEATABLE_FOLDER
    ? { folder: dirname(folder), names: [ownPath(path)] }
    : { folder, names: [basename(path)] };
}

/** The name of a repeatable within the folder of the migrations. */
function ownPath(path: string): string {
  return `${REPEATABLE_FOLDER}/${basename(path)}`;
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `the file or folder ${path} does not exist`, { cause });
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
  const listed = migrations.flatMap((file): ListedFile[] => {
    const isNew = isAfter(file, startAfter);
    const { upPath, downPath } = file;
    const up = { path: upPath, isDown: false, isJudged: isNew && isNamed(upPath) };
    if (downPath === undefined) return [up];
    return [up, { path: downPath, isDown: true, isJudged: isNew && isNamed(downPath) }];
  });
  // They are applied behind all migrations, so what these make is there.
  const again = listRepeatables(target.folder).map(({ path }) => ({
    ...{
      path,
      isDown: false,
      isJudged: target.names === undefined || target.names.includes(ownPath(path)),
    },
  }));
  return { files: [...listed, ...again], isHistoryWhole: true };
}

/** Undefined where the folder is not one of migrations, or a named file is none of them. */
function listOrNothing({ folder, names }: Target): MigrationFile[] | undefined {
  try {
    const migrations = listMigrations(folder);
    const paths = migrations.flatMap(({ upPath, downPath }) => [upPath, downPath ?? upPath]);
    const again = listRepeatables(folder).map(({ path }) => ownPath(path));
    const known = new Set([...paths.map((path) => basename(path)), ...again]);
    return names?.every((name) => known.has(name)) === false ? undefined : migrations;
  } catch (error) {
    if (error instanceof EvdbError && error.code === 'INVALID_NAME') return undefined;
    throw error;
  }
}

/** Files of another tool, or loose ones: in the order of their names. */
function listLoose({ folder, names }: Target): ListedFile[] {
  const found =
    names ?? readdirSync(folder).filter((name) => name.endsWith('.sql') && name !== STRUCTURE_FILE);
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
    ...{ code: 'unreadable-file', severity: 'error', message, hint },
    location: { file, line, column: 1, endLine: line, endColumn: 1, excerpt: '' },
    objects: [],
    details: {
      group: 'syntax',
      evidence: 'static',
      fingerprint: fingerprintOf({ file, rule: 'unreadable-file', text: message }),
    },
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

/** A script as the linter takes it. */
export function lintScriptOf(
  { path, text, directives, large, values }: Script,
  { isDown, isJudged }: { isDown: boolean; isJudged: boolean },
): LintScript {
  return {
    path,
    text,
    direction: isDown ? 'down' : 'up',
    isTransactional: !directives.noTransaction && directives.backfill === undefined,
    ...(directives.backfill && { isBackfill: true }),
    ...(directives.isContract && directives.gates && { isGatedContract: true }),
    isJudged,
    ...(basename(dirname(path)) === REPEATABLE_FOLDER && { isRepeatable: true }),
    ...(values && { values }),
    ...(large && { isOutline: true }),
  };
}

/** Whether a migration comes after the version up to which they are history. */
export function isAfter({ version }: MigrationFile, startAfter: string | undefined): boolean {
  return startAfter === undefined || compareVersions(version, parseVersion(startAfter)) > 0;
}

/** A file that cannot be judged: not UTF-8, or with a header that is wrong. */
interface UnreadableFile {
  file: string;
  line: number;
  message: string;
  hint: string;
}

/** The scripts of migrations, up before down; what cannot be read is told, not thrown. */
export function readLintScripts(
  files: readonly { path: string; isDown: boolean; isJudged: boolean }[],
  options: Pick<ReadScriptOptions, 'foreign'> & Pick<LintSettingsOptions, 'variables'>,
): { scripts: LintScript[]; unreadable: UnreadableFile[] } {
  const scripts: LintScript[] = [];
  const unreadable: UnreadableFile[] = [];
  for (const { path, ...about } of files) {
    try {
      const read = readScript(path, { foreign: options.foreign, tellsDirectives: true });
      const script = lintScriptOf(bindPlaceholders(read, options.variables), about);
      scripts.push(...(options.foreign ? foreignScripts(script) : [script]));
    } catch (error) {
      if (!(error instanceof EvdbError) || error.code === 'FILE_UNREADABLE') throw error;
      if (about.isJudged) unreadable.push(unreadableOf(error));
    }
  }
  return { scripts, unreadable };
}

/**
 * The halves of a script that another tool runs, each with the text of the other blanked, so that
 * places stay, and in a transaction or not as its markers say.
 */
function foreignScripts(script: LintScript): LintScript[] {
  const { text } = script;
  const markers = findForeignMarkers(text);
  const whole = { ...script, isForeign: true };
  const half = (start: number, end: number) => ({
    ...whole,
    text: blank(text, 0, start) + text.slice(start, end) + blank(text, end, text.length),
    isTransactional: script.isTransactional && !runsAlone(markers, { start, end }),
  });
  const down = markers.find(({ meaning }) => meaning === 'down');
  if (down === undefined) return [half(0, text.length)];
  const up = markers.find(({ meaning }) => meaning === 'up');
  const isUpFirst = up === undefined || up.start < down.start;
  return [
    isUpFirst ? half(0, down.start) : half(up.start, text.length),
    { ...half(down.start, isUpFirst ? text.length : up.start), direction: 'down' },
  ];
}

/** Whether a marker asks for no transaction: one on the line that begins a half is for that half. */
function runsAlone(
  markers: readonly FoundMarker[],
  { start, end }: { start: number; end: number },
): boolean {
  return markers.some((one) => {
    if (one.meaning !== 'noTransaction') return false;
    const beginsHalf = markers.some(
      ({ meaning, start: at }) => at === one.start && (meaning === 'up' || meaning === 'down'),
    );
    return !beginsHalf || (start <= one.start && one.start < end);
  });
}

function blank(text: string, start: number, end: number): string {
  return text.slice(start, end).replace(/[^\n]/g, ' ');
}

function unreadableOf({ message, hint = '', details }: EvdbError): UnreadableFile {
  const file = String(details.file ?? '');
  const line = typeof details.line === 'number' ? details.line : 1;
  return { file, line, message: message.replace(`${file}:${line}: `, ''), hint };
}

/**
 * What lint says that a project can act upon: of migrations that are as evdb ships them only what
 * is an error. They are made for an empty database, and nobody but us can change them.
 */
export function withoutShipped(
  findings: readonly LintFinding[],
  scripts: readonly LintScript[],
): LintFinding[] {
  if (findings.every(({ severity }) => severity === 'error')) return [...findings];
  const shipped = new Set(scripts.filter(isShipped).map(({ path }) => path));
  return findings.filter(
    ({ severity, location }) => severity === 'error' || !shipped.has(location.file),
  );
}

/** Whether a script is one of the event schema, and unchanged. */
function isShipped({ path, text }: LintScript): boolean {
  const original = packagePath('migrations', basename(path));
  if (!existsSync(original)) return false;
  return readFileSync(original, 'utf8').replaceAll('\r\n', '\n') === text;
}
