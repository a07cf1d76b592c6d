import type { LintFinding } from '../lint/finding.ts';
import type { Finding, ValidationResult } from '../migrate/validate.ts';
import { renderCount } from '../text/units.ts';
import { listed, renderLintCounts, renderLintFindings } from './lint.ts';
import { renderDiff } from './migration.ts';
import type { Style } from './style.ts';

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

function renderFindings(findings: readonly Finding[], style: Style): string[] {
  const linted = findings.filter(isLinted);
  const shown = renderLintFindings(
    linted.map((finding) => ({ ...finding, rule: finding.code })),
    style,
  );
  const texts = new Map(linted.map((finding, index) => [finding as Finding, shown[index] ?? '']));
  return findings.map((finding) => texts.get(finding) ?? renderFinding(finding, style));
}

function isLinted(finding: Finding): finding is Finding & Omit<LintFinding, 'rule'> {
  return finding.group !== undefined;
}

function renderFinding(finding: Finding, style: Style): string {
  const { severity, code, message, file, line, column, excerpt, hint, diff } = finding;
  const colour = severity === 'error' ? style.bad : style.warn;
  const place = file
    ? `${[file, line, column].filter((part) => part !== undefined).join(':')}: `
    : '';
  return [
    `${colour(severity)} ${style.dim(code)}  ${place}${message}`,
    ...(excerpt ? [excerpt] : []),
    ...(diff ? [renderDiff(diff, style)] : []),
    ...(hint ? [`  ${style.bold('hint:')} ${hint}`] : []),
  ].join('\n');
}
