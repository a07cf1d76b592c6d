import { type PipelineReport, promoted } from '../report/pipeline.ts';
import { PLAIN } from '../report/table.ts';
import { commandLine } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';
import type { LintReport } from './engine.ts';
import { renderLintCounts } from './report.ts';

/**
 * What lint found, for a pipeline: one check a script.
 *
 * @param isStrict whether warnings are errors, as with `--strict`
 */
export function pipelineOfLint(report: LintReport, isStrict: boolean): PipelineReport {
  const { findings, suppressed, files } = report;
  return {
    command: 'lint',
    checks: files.map((name) => ({ name })),
    findings: findings.map((finding) => {
      const { hint, details, location } = finding;
      const explained =
        details.page && `See \`${commandLine('lint', { explain: finding.code })}\`.`;
      const advice = [hint, explained].filter(Boolean).join(' ');
      return { ...promoted(finding, isStrict), check: location.file, hint: advice };
    }),
    summary: `${renderCount(files.length, 'file')} linted: ${renderLintCounts(findings, { suppressed: suppressed.length, isVerbose: true, style: PLAIN })}`,
  };
}
