import type { Finding } from '../../finding.ts';
import type { LintFinding } from '../../lint/finding.ts';
import { listed, renderLint, renderLintCounts, renderLintFindings } from '../../lint/report.ts';
import { type PipelineReport, promoted } from '../../report/pipeline.ts';
import { PLAIN, renderDiff, type Style } from '../../report/table.ts';
import type { StructureDifference } from '../../structure/diff.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount } from '../../text/units.ts';
import type { StructureComparison } from './drift.ts';
import type { LintFixPlan } from './lint-fix.ts';
import type { RollbackLoss } from './losses.ts';
import type { ValidationFinding, ValidationResult } from './validate.ts';

/**
 * Each finding with its place, what was not checked, and a line that counts.
 *
 * @param isVerbose whether to list what is for information too; default: counts it
 */
export function renderValidation(
  result: ValidationResult,
  style: Style,
  isVerbose = false,
): string {
  const { findings, suppressed, skipped, migrations, proven } = result;
  const counts = renderLintCounts(findings, { suppressed: suppressed.length, isVerbose, style });
  return [
    ...renderFindings(listed(findings, isVerbose), style),
    ...skipped.map(({ check, reason }) => style.warn(`skipped  ${check}: ${reason}`)),
    ...(proven?.length ? [renderProven(proven.length, style)] : []),
    `${renderCount(migrations, 'migration')} checked: ${counts}`,
  ].join('\n');
}

function renderProven(count: number, style: Style): string {
  const said = count === 1 ? 'undoes its migration' : 'undo their migrations';
  return style.good(`${renderCount(count, 'down script')} proven: ${said} exactly`);
}

function renderFindings(findings: readonly ValidationFinding[], style: Style): string[] {
  const linted = findings.filter(isLinted);
  const shown = renderLintFindings(linted, style, commandLine('lint', { fix: true }));
  const texts = new Map<ValidationFinding, string>();
  for (const [index, finding] of linted.entries()) texts.set(finding, shown[index] ?? '');
  return findings.map((finding) => texts.get(finding) ?? renderFinding(finding, style));
}

function isLinted(finding: ValidationFinding): finding is LintFinding {
  return finding.details?.group !== undefined;
}

function renderFinding(finding: ValidationFinding, style: Style): string {
  const { severity, code, message, location, hint, details } = finding;
  const { file, line, column, excerpt } = location ?? {};
  const colour = severity === 'error' ? style.bad : style.warn;
  const place = file
    ? `${[file, line, column].filter((part) => part !== undefined).join(':')}: `
    : '';
  return [
    `${colour(severity)} ${style.dim(code)}  ${place}${message}`,
    ...(excerpt ? [excerpt] : []),
    ...(details?.diff ? [renderDiff(details.diff, style)] : []),
    ...(hint ? [`  ${style.bold('hint:')} ${hint}`] : []),
  ].join('\n');
}

/** What would be lost, one line each; empty where nothing would. */
export function renderLosses(
  losses: readonly RollbackLoss[],
  { style, isDryRun }: { style: Style; isDryRun: boolean },
): string {
  if (losses.length === 0) return '';
  return [
    style.warn(isDryRun ? 'It would lose for good:' : 'This loses for good:'),
    ...losses.map((loss) => `  ${renderLoss(loss, style)}`),
  ].join('\n');
}

const NOUNS = { table: 'row', rows: 'row', column: 'value', unknown: '' };

function renderLoss(loss: RollbackLoss, style: Style): string {
  const { kind, object, place } = loss;
  if (kind === 'unknown') return `${style.warn('unknown')}  ${object} ${style.dim(`(${place})`)}`;
  const title = kind === 'rows' ? 'rows of' : kind;
  const isNothing = loss.isExact && loss.count === 0;
  const colour = isNothing ? style.dim : style.bad;
  return `${title.padEnd(7)}  ${object}  ${colour(renderLossCount(loss))}`;
}

function renderLossCount({ kind, count, isExact }: RollbackLoss): string {
  const noun = NOUNS[kind];
  if (count === null) return `an unknown number of ${noun}s`;
  return `${isExact ? '' : 'about '}${renderCount(count, noun)}`;
}

/** The check of findings that belong to no file, such as a migration whose file is gone. */
const LEDGER = 'ledger';

/**
 * What `validateMigrations` found, for a pipeline: one check a file, and one for the ledger.
 *
 * @param isStrict whether warnings are errors, as with `--strict`
 */
export function pipelineOfValidation(result: ValidationResult, isStrict: boolean): PipelineReport {
  const { findings, files, skipped, migrations } = result;
  const checks = new Set([...files, ...findings.map(checkOf)]);
  return {
    command: 'migrate validate',
    checks: [
      ...[...checks].map((name) => ({ name })),
      ...skipped.map(({ check, reason }) => ({ name: check, skipped: reason })),
    ],
    findings: findings.map((finding) => ({
      ...promoted(finding, isStrict),
      check: checkOf(finding),
    })),
    summary: `${renderCount(migrations, 'migration')} checked: ${renderLintCounts(findings, { suppressed: result.suppressed.length, isVerbose: true, style: PLAIN })}`,
  };
}

function checkOf({ location }: ValidationFinding): string {
  return location?.file ?? LEDGER;
}

/** What drift adds to a finding. */
export type DriftDetails = Pick<StructureDifference, 'change' | 'parts'>;

/** What differs between two structures, as findings. */
export function findingsOfDrift(
  differences: readonly StructureDifference[],
): Finding<DriftDetails>[] {
  return differences.map(({ kind, object, change, parts }) => ({
    ...{ code: 'drift', severity: 'error' as const, message: `${kind} ${object} was ${change}` },
    ...{ objects: [object], details: { change, parts } },
  }));
}

export interface DifferencesRenderOptions {
  /** Such as `the migrations`. */
  from: string;
  to: string;
  /** The lines of `describeDifferences`. */
  lines: readonly string[];
  style: Style;
}

/** What differs, a line for each object and under it what changed, and a line that counts. */
export function renderDifferences(
  { differences, partitions, adoptedTables, pending, serverVersions }: StructureComparison,
  { from, to, lines, style }: DifferencesRenderOptions,
): string {
  const majors = [serverVersions.from, serverVersions.to].map((one) => Math.floor(one / 10000));
  return [
    ...(pending > 0 && differences.length > 0 ? [pendingNote(pending, style)] : []),
    ...lines.map((line) => colourOf(line, style)(line)),
    ...(majors[0] === majors[1]
      ? []
      : [
          style.warn(
            `warning  PostgreSQL ${majors[0]} and ${majors[1]} word some definitions differently`,
          ),
        ]),
    ...(partitions > 0
      ? [
          style.dim(
            `${renderCount(partitions, 'partition')} on one side only, not compared (--partitions does)`,
          ),
        ]
      : []),
    ...adoptedTables.map((table) =>
      style.dim(`table ${table} is of the tool that was adopted, not compared`),
    ),
    differences.length === 0
      ? style.good(`no difference between ${from} and ${to}`)
      : `${renderCount(differences.length, 'difference')} from ${from} to ${to}: ${countChanges(differences)}`,
  ].join('\n');
}

function pendingNote(pending: number, style: Style): string {
  const said = renderCount(pending, 'migration is', 'migrations are');
  return style.warn(
    `${said} pending; to compare only those that are applied: ${commandLine('migrate status', { drift: true })}`,
  );
}

function colourOf(line: string, style: Style): (text: string) => string {
  if (line.startsWith('+')) return style.good;
  if (line.startsWith('-')) return style.bad;
  return line.startsWith('~') ? style.warn : style.dim;
}

function countChanges(differences: readonly StructureDifference[]): string {
  return (['added', 'removed', 'changed'] as const)
    .map((change) => [change, differences.filter((one) => one.change === change).length] as const)
    .filter(([, count]) => count > 0)
    .map(([change, count]) => `${count} ${change}`)
    .join(', ');
}

/**
 * What `--fix` wrote, or would write, what it left alone and why, and what is found after it.
 *
 * @param diffs one for each file of the plan; shown in a dry run
 */
export function renderFixes(
  { files, fixed, left, report }: LintFixPlan,
  { isDry, diffs, style }: { isDry: boolean; diffs: readonly string[]; style: Style },
): string {
  const changes = files.flatMap(({ file, before }, index) => {
    const verb = isDry
      ? before === undefined
        ? 'would create'
        : 'would change'
      : before === undefined
        ? 'created'
        : 'changed';
    return [
      `${style.good(verb)}  ${file}`,
      ...(isDry ? [renderDiff(diffs[index] ?? '', style)] : []),
    ];
  });
  const kept = left.map(
    ({ code, reason, location }) =>
      `${style.warn('left alone')}  ${location.file}:${location.line}: ${code}: ${reason}`,
  );
  const done = isDry ? 'could be fixed' : 'fixed';
  return [
    ...changes,
    ...kept,
    `${renderCount(fixed, 'finding')} ${done}${isDry ? '; nothing was written (--dry-run)' : ''}`,
    '',
    renderLint(report, style),
  ].join('\n');
}
