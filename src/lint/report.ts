import type { Finding } from '../finding.ts';
import type { Style } from '../report/table.ts';
import { commandLine } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';
import type { LintReport } from './engine.ts';
import type { LintFinding } from './finding.ts';
import type { Severity } from './rule.ts';

export const COLOURS: Record<Severity, keyof Style> = {
  error: 'bad',
  warning: 'warn',
  info: 'dim',
};

/**
 * Each finding at its place with the safe way, and a line that counts.
 *
 * @param isVerbose whether to list what is for information too; default: counts it
 */
export function renderLint(report: LintReport, style: Style, isVerbose = false): string {
  const { findings, suppressed, files } = report;
  const counts = renderLintCounts(findings, { suppressed: suppressed.length, isVerbose, style });
  return [
    ...renderLintFindings(listed(findings, isVerbose), style),
    `${renderCount(files.length, 'file')} linted: ${counts}`,
  ].join('\n');
}

/** Without what is for information only, unless that is asked for. */
export function listed<T extends Pick<Finding, 'severity'>>(
  findings: readonly T[],
  isVerbose: boolean,
): readonly T[] {
  return isVerbose ? findings : findings.filter(({ severity }) => severity !== 'info');
}

/**
 * Without the line that counts; what explains a rule is named once.
 *
 * @param fixer what fixes them; default: the same command with `--fix`
 */
export function renderLintFindings(
  findings: readonly LintFinding[],
  style: Style,
  fixer = '--fix',
): string[] {
  const explained = new Set<string>();
  return findings.map((finding) => {
    const { code, details } = finding;
    const isFirst = details.page !== undefined && !explained.has(code);
    explained.add(code);
    return renderFinding(finding, { isExplained: isFirst, style, fixer });
  });
}

function renderFinding(
  finding: LintFinding,
  { isExplained, style, fixer }: { isExplained: boolean; style: Style; fixer: string },
): string {
  const { severity, code, message, hint, fix, details } = finding;
  const { file, line, column, excerpt } = finding.location;
  const colour = style[COLOURS[severity]];
  return [
    `${colour(severity)} ${style.dim(code)}  ${file}:${line}:${column}: ${message}`,
    ...(excerpt === '' ? [] : [excerpt]),
    ...(hint === '' ? [] : [`  ${style.bold('hint:')} ${hint}`]),
    ...(fix === undefined ? [] : [style.dim(`  ${fixer} can ${fix}`)]),
    ...(details.fixRefusal === undefined
      ? []
      : [style.dim(`  ${fixer} leaves it: ${details.fixRefusal}`)]),
    ...(isExplained ? [style.dim(`  more: ${commandLine('lint', { explain: code })}`)] : []),
  ].join('\n');
}

/** `1 error, 2 warnings (1 ignored, with a reason)`, or that there is nothing. */
export function renderLintCounts(
  findings: readonly Pick<Finding, 'severity'>[],
  { suppressed, isVerbose, style }: { suppressed: number; isVerbose: boolean; style: Style },
): string {
  const count = (wanted: Severity) => findings.filter(({ severity }) => severity === wanted).length;
  const [errors, warnings, notes] = [count('error'), count('warning'), count('info')];
  const parts = [
    ...(errors + warnings > 0
      ? [renderCount(errors, 'error'), renderCount(warnings, 'warning')]
      : []),
    ...(notes > 0 ? [`${notes} for information${isVerbose ? '' : ' (--verbose lists them)'}`] : []),
  ];
  const verdict = parts.length === 0 ? style.good('no problems') : parts.join(', ');
  const reason = suppressed === 1 ? 'a reason' : 'reasons';
  return suppressed === 0 ? verdict : `${verdict} (${suppressed} ignored, with ${reason})`;
}
