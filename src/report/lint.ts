import type { LintReport } from '../lint/engine.ts';
import type { LintFinding } from '../lint/finding.ts';
import type { Severity } from '../lint/rule.ts';
import type { Style } from './style.ts';
import { renderCount } from './units.ts';

const COLOURS: Record<Severity, keyof Style> = { error: 'bad', warning: 'warn', info: 'dim' };

/** Each finding at its place with the safe way, and a line that counts. */
export function renderLint(report: LintReport, style: Style): string {
  return [
    ...report.findings.map((finding) => renderLintFinding(finding, style)),
    renderLintCounts(report, style),
  ].join('\n');
}

function renderLintFinding(finding: LintFinding, style: Style): string {
  const { severity, rule, file, line, column, message, excerpt, hint, page } = finding;
  return [
    `${style[COLOURS[severity]](severity)} ${style.dim(rule)}  ${file}:${line}:${column}: ${message}`,
    excerpt,
    ...(hint === '' ? [] : [`  ${style.bold('hint:')} ${hint}`]),
    ...(page === undefined ? [] : [style.dim(`  see ${page}`)]),
  ].join('\n');
}

function renderLintCounts({ counts, suppressed, files }: LintReport, style: Style): string {
  const { error, warning, info } = counts;
  const parts = [
    ...(error > 0 ? [style.bad(renderCount(error, 'error'))] : []),
    ...(warning > 0 ? [style.warn(renderCount(warning, 'warning'))] : []),
    ...(info > 0 ? [`${info} for information`] : []),
  ];
  const verdict = parts.length === 0 ? style.good('no problems') : parts.join(', ');
  const ignored = suppressed.length === 0 ? '' : ` (${suppressed.length} ignored, with reasons)`;
  return `${renderCount(files, 'file')} linted: ${verdict}${ignored}`;
}
