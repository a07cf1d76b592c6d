import type { Finding, ValidationResult } from '../migrate/validate.ts';
import { renderDiff } from './migration.ts';
import type { Style } from './style.ts';
import { renderCount } from './units.ts';

/** Each finding with its place, what was not checked, and a line that counts. */
export function renderValidation(result: ValidationResult, style: Style): string {
  const errors = result.findings.filter(({ severity }) => severity === 'error').length;
  const warnings = result.findings.length - errors;
  const verdict =
    result.findings.length === 0
      ? style.good('no problems')
      : `${renderCount(errors, 'error')}, ${renderCount(warnings, 'warning')}`;
  return [
    ...result.findings.map((finding) => renderFinding(finding, style)),
    ...result.skipped.map(({ check, reason }) => style.warn(`skipped  ${check}: ${reason}`)),
    `${renderCount(result.migrations, 'migration')} checked: ${verdict}`,
  ].join('\n');
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
