import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { writeFileWhole } from '../../file-system.ts';
import {
  judgeScripts,
  type LintOptions,
  type LintReport,
  reportOf,
  type SettledFile,
} from '../../lint/engine.ts';
import {
  type AddedMigration,
  type FilePlan,
  type FixedFinding,
  planFixes,
} from '../../lint/fix-plan.ts';
import type { LintScript } from '../../lint/rule.ts';
import { loadSqlParser, type SqlParser } from '../../sql/parser.ts';
import { locate } from '../../sql/position.ts';
import { cannotWrite } from '../files/create.ts';
import { type MigrationFile, scriptFromText } from '../files/source.ts';
import { displayPath, MAX_VERSION_DIGITS, parseVersion, type Version } from '../files/version.ts';
import { requireMigrations } from '../plan/read.ts';
import { isAfter, type LintMigrationsOptions, lintScriptOf, readLintScripts } from './lint.ts';

/** A file that a fix writes. */
export interface LintFixedFile {
  /** Absolute. */
  path: string;
  /** As shown to people. */
  file: string;
  /** With `\n` line endings; undefined if the file is new. */
  before: string | undefined;
  after: string;
}

/** A finding that has a fix and stays. */
export interface UnfixedFinding {
  code: string;
  reason: string;
  location: { file: string; line: number };
}

/** Files as they would be after the fixes, and the linter's findings then. */
export interface LintFixPlan {
  files: LintFixedFile[];
  /** How many findings the edits fix. */
  fixed: number;
  left: UnfixedFinding[];
  /** What is found when the files are written. */
  report: LintReport;
}

/** Which migrations are fixed; applied ones never are. */
export interface PlanLintFixesOptions extends LintMigrationsOptions {
  /** Versions that are applied somewhere: their files are never changed. */
  applied?: ReadonlySet<Version> | undefined;
}

/**
 * Plans the edits that certainly fix what the linter finds in migrations that are not applied yet.
 * Writes nothing. The result was linted again: edits that would not be clean are left out.
 *
 * @throws {EvdbError} those of `lintMigrations`
 * @example
 * const { files } = await planLintFixes({ directory: 'migrations' });
 * writeLintFixes(files);
 */
export async function planLintFixes(options: PlanLintFixesOptions): Promise<LintFixPlan> {
  const run = { ...options, parser: await loadSqlParser(), isHistoryWhole: true };
  const migrations = requireMigrations(options);
  const units = migrations.map((file) => readUnit(file, options));
  const judged = judgeScripts(units.flatMap(scriptsOf), run);
  const taken = new Set(migrations.map(({ version }) => version));
  const planned = units.map((unit) => planUnit(unit, { judged, taken, parser: run.parser }));
  return settle(planned, run);
}

/**
 * A report that offers only what `--fix` would do, and says of the rest why it would not. Unchanged
 * where the files are none that `--fix` works on.
 *
 * @throws {Error} what went wrong inside; a file that cannot be planned leaves the report unchanged
 * @example
 * const report = await withFixRefusals(await lintMigrations(options), options);
 */
export async function withFixRefusals(
  report: LintReport,
  options: PlanLintFixesOptions,
): Promise<LintReport> {
  if (report.findings.every(({ fix }) => fix === undefined)) return report;
  try {
    const { left, report: after } = await planLintFixes(options);
    const files = new Set(after.files);
    // What stands elsewhere, such as in a repeatable, is none of its affair.
    const elsewhere = report.findings
      .filter(({ fix, location }) => fix !== undefined && !files.has(location.file))
      .map(({ code, location }) => ({ code, location, reason: 'it is not in a migration' }));
    return withRefusals(report, [...left, ...elsewhere], { isMoved: false });
  } catch (error) {
    if (error instanceof EvdbError) return report;
    throw error;
  }
}

/** @param isMoved whether edits may have moved the lines; what is still offered then was left */
function withRefusals(
  report: LintReport,
  left: readonly UnfixedFinding[],
  { isMoved }: { isMoved: boolean },
): LintReport {
  const findings = report.findings.map((finding) => {
    const { fix, ...found } = finding;
    const { file, line } = finding.location;
    const same = left.find(
      ({ code, location }) =>
        code === finding.code && location.file === file && (isMoved || location.line === line),
    );
    if (fix === undefined || same === undefined) return finding;
    return { ...found, details: { ...found.details, fixRefusal: same.reason } };
  });
  return { ...report, findings };
}

/** A migration with its scripts, which cannot always be read. */
interface Unit {
  file: MigrationFile;
  up: LintScript | undefined;
  down: LintScript | undefined;
  /** Why nothing in it is changed; undefined where something may be. */
  refusal: string | undefined;
}

function readUnit(
  file: MigrationFile,
  { startAfter, applied, paths = [], ...options }: PlanLintFixesOptions,
): Unit {
  const { upPath, downPath, version } = file;
  const isNamed = [upPath, downPath, options.directory].some(
    (path) => path && paths.includes(path),
  );
  const isJudged = isAfter(file, startAfter) && (paths.length === 0 || isNamed);
  const read = (path: string, isDown: boolean) =>
    readLintScripts([{ path, isDown, isJudged }], options).scripts[0];
  const up = read(upPath, false);
  const down = downPath === undefined ? undefined : read(downPath, true);
  const isOutline = up?.isOutline === true || down?.isOutline === true;
  // What a fix writes is made of names as they are sent.
  const hasVariables = up?.values !== undefined || down?.values !== undefined;
  return {
    file,
    up,
    down,
    refusal: isOutline
      ? 'the file is too large'
      : applied?.has(version)
        ? 'the migration is applied'
        : hasVariables
          ? 'it uses variables'
          : undefined,
  };
}

interface PlannedUnit extends Unit {
  /** Undefined where nothing is changed. */
  plan: FilePlan | undefined;
  left: UnfixedFinding[];
  /** Of the added migrations, in order. */
  versions: string[];
}

interface Judged {
  judged: ReadonlyMap<LintScript, SettledFile>;
  taken: Set<Version>;
  parser: SqlParser;
}

function planUnit(unit: Unit, { judged, taken, parser }: Judged): PlannedUnit {
  const fixable = (script: LintScript | undefined) => {
    const settled = script && judged.get(script);
    if (script === undefined || settled === undefined) return undefined;
    const trees = settled.statements.map(({ text }) => parser.parse(text));
    return { ...script, ...settled, trees, found: settled.kept };
  };
  const up = fixable(unit.up);
  const down = fixable(unit.down);
  const isWhole = up !== undefined && (unit.file.downPath === undefined || down !== undefined);
  if (!isWhole || unit.refusal !== undefined) {
    const reason = unit.refusal ?? 'not all of its files can be judged';
    const left = [...offered(up, 'up'), ...offered(down, 'down')];
    return {
      ...{ ...unit, plan: undefined, versions: [] },
      left: left.map((one) => leftOf(unit, one, reason)),
    };
  }
  const plan = planFixes(up, down);
  const inDown = plan.down === down?.text ? offered(down, 'down') : [];
  const left = [
    ...plan.left.map((one) => leftOf(unit, one, one.reason)),
    ...inDown.map((one) => leftOf(unit, one, 'its script has to be split by hand')),
  ];
  const versions = nextVersions(unit.file.label, plan.added.length, taken);
  if (plan.fixed.length > 0 && versions !== undefined) return { ...unit, plan, left, versions };
  const noRoom = plan.fixed.map((one) =>
    leftOf(unit, one, `there is no free version after ${unit.file.label}`),
  );
  return { ...unit, plan: undefined, left: [...left, ...noRoom], versions: [] };
}

/** What a rule has a fix for. */
function offered(
  script: Pick<SettledFile, 'kept'> | undefined,
  direction: FixedFinding['direction'],
): FixedFinding[] {
  const found = script?.kept ?? [];
  return found.filter(({ fix }) => fix !== undefined).map((raw) => ({ raw, direction }));
}

function leftOf(unit: Unit, { raw, direction }: FixedFinding, reason: string): UnfixedFinding {
  const { path = '', text = '' } = unit[direction] ?? {};
  const location = { file: path, line: locate(text, raw.start).line };
  return { code: raw.rule, reason, location };
}

/** The versions right behind one, in its width; undefined where another migration has one of them. */
function nextVersions(label: string, count: number, taken: Set<Version>): string[] | undefined {
  const versions = Array.from({ length: count }, (_, index) =>
    String(BigInt(label) + BigInt(index + 1)).padStart(label.length, '0'),
  );
  const isFree = versions.every(
    (one) => !taken.has(parseVersion(one)) && one.length <= MAX_VERSION_DIGITS,
  );
  if (!isFree) return undefined;
  for (const version of versions) taken.add(parseVersion(version));
  return versions;
}

/** Lints what the files will be, and leaves out edits that do not mend what they should. */
function settle(planned: PlannedUnit[], run: LintOptions): LintFixPlan {
  const written = planned.map((unit) => ({ unit, files: filesOf(unit) }));
  const scripts = written.flatMap(({ unit, files }) => scriptsAfter(unit, files));
  const judged = judgeScripts(scripts, run);
  const failed = written.find(({ unit, files }) => isUnclean(unit, files, judged));
  if (failed !== undefined) {
    const { unit } = failed;
    const reason = 'the edit would not fix it';
    const left = (unit.plan?.fixed ?? []).map((one) => leftOf(unit, one, reason));
    const rest = planned.map((one) =>
      one === unit ? { ...one, plan: undefined, left: [...one.left, ...left], versions: [] } : one,
    );
    return settle(rest, run);
  }
  const left = planned.flatMap((one) => one.left);
  return {
    files: written.flatMap(({ files }) => files),
    fixed: planned.reduce((sum, { plan }) => sum + (plan?.fixed.length ?? 0), 0),
    left,
    report: withRefusals(reportOf(scripts, judged), left, { isMoved: true }),
  };
}

/** Whether one of the files cannot be read any more, or a rule finds there what was to be mended. */
function isUnclean(
  { plan, up, down }: PlannedUnit,
  files: readonly LintFixedFile[],
  judged: ReadonlyMap<LintScript, SettledFile>,
): boolean {
  if (plan === undefined) return false;
  const paths = new Set(files.map(({ file }) => file));
  const found = [...judged.values()].filter(({ path }) => paths.has(path));
  const own = { up: up?.path, down: down?.path };
  return found.some(
    ({ path, findings }) =>
      findings.some(({ details }) => details.group === 'syntax') ||
      plan.fixed.some(({ raw, direction }) => {
        // What is left of a rule in the same script is there still, and in an added one nothing is.
        const isAdded = path !== own.up && path !== own.down;
        if (!isAdded && path !== own[direction]) return false;
        const left = plan.left.filter((one) => one.raw.rule === raw.rule && !isAdded);
        return findings.filter(({ code }) => code === raw.rule).length > left.length;
      }),
  );
}

function filesOf({ file, up, down, plan, versions }: PlannedUnit): LintFixedFile[] {
  if (plan === undefined || up === undefined) return [];
  const changed = [
    fixedFile(file.upPath, up.text, plan.up),
    ...(down && file.downPath ? [fixedFile(file.downPath, down.text, plan.down ?? '')] : []),
  ];
  const added = plan.added.flatMap((one, index) => newFiles(file, one, versions[index] as string));
  return [...changed.filter(({ before, after }) => before !== after), ...added];
}

function newFiles(
  { upPath, name }: MigrationFile,
  added: AddedMigration,
  version: string,
): LintFixedFile[] {
  const base = join(dirname(upPath), `${version}_${name}_${added.suffix}`);
  const up = fixedFile(`${base}.sql`, undefined, added.up);
  if (added.down === undefined) return [up];
  return [up, fixedFile(`${base}.down.sql`, undefined, added.down)];
}

function fixedFile(path: string, before: string | undefined, after: string): LintFixedFile {
  return { path, file: displayPath(path), before, after };
}

function scriptsOf({ up, down }: Unit): LintScript[] {
  return [up, down].filter((script) => script !== undefined);
}

/** Changed scripts in place of what they were, and added ones behind them. */
function scriptsAfter(unit: PlannedUnit, files: readonly LintFixedFile[]): LintScript[] {
  const byFile = new Map(files.map((one) => [one.file, one]));
  const own = scriptsOf(unit).map((script) => {
    const changed = byFile.get(script.path);
    byFile.delete(script.path);
    return changed === undefined ? script : remake(changed, script.direction === 'down');
  });
  const added = [...byFile.values()].map((one) => remake(one, /\.down\.sql$/.test(one.file)));
  return [...own, ...added];
}

function remake({ file, after }: LintFixedFile, isDown: boolean): LintScript {
  return lintScriptOf(scriptFromText(file, after), { isDown, isJudged: true });
}

/**
 * Writes the files of a plan; each is complete at any moment. New ones come first, so that no
 * statement is lost if the process ends in between.
 *
 * @throws {EvdbError} FILE_UNREADABLE
 * @example
 * const { files } = await planLintFixes({ directory: 'migrations' });
 * writeLintFixes(files);
 */
export function writeLintFixes(files: readonly LintFixedFile[]): void {
  const isNew = ({ before }: LintFixedFile) => before === undefined;
  for (const file of [...files.filter(isNew), ...files.filter((one) => !isNew(one))])
    writeOne(file);
}

function writeOne({ path, before, after }: LintFixedFile): void {
  try {
    const text = before === undefined ? after : likeBefore(readFileSync(path, 'utf8'), after);
    writeFileWhole(path, text);
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
}

/** With the byte order mark and the line ends that the file has. */
function likeBefore(raw: string, after: string): string {
  const mark = raw.startsWith('\ufeff') ? '\ufeff' : '';
  return mark + (raw.includes('\r\n') ? after.replaceAll('\n', '\r\n') : after);
}
