import type { LintReport } from '../../lint/engine.ts';
import { renderCount } from '../../text/units.ts';
import { renderLintCounts } from '../lint.ts';
import { PLAIN } from '../style.ts';
import type { PipelineReport, PipelineSeverity } from './pipeline-report.ts';

/**
 * What lint found, for a pipeline: one check a script.
 *
 * @param isStrict whether warnings are errors, as with `--strict`
 */
export function pipelineOfLint(report: LintReport, isStrict: boolean): PipelineReport {
  const { findings, suppressed, files } = report;
  const severities: Record<string, PipelineSeverity> = {
    error: 'error',
    warning: isStrict ? 'error' : 'warning',
    info: 'note',
  };
  return {
    command: 'lint',
    checks: files.map((name) => ({ name })),
    problems: findings.map(({ file, severity, hint, page, ...finding }) => ({
      ...finding,
      check: file,
      file,
      severity: severities[severity] ?? 'note',
      hint: [hint, page && `See ${page}.`].filter(Boolean).join(' ') || undefined,
    })),
    summary: `${renderCount(files.length, 'file')} linted: ${renderLintCounts(findings, { suppressed: suppressed.length, isVerbose: true, style: PLAIN })}`,
  };
}
