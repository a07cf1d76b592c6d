import { fingerprintsOf } from './fingerprint.ts';
import {
  type PipelinePlace,
  type PipelineReport,
  type PipelineSeverity,
  repositoryPath,
} from './pipeline-report.ts';

const SEVERITIES: Record<PipelineSeverity, string> = {
  error: 'critical',
  warning: 'minor',
  note: 'info',
};

/**
 * A report for GitLab's code quality widget.
 *
 * @see https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
 */
export function renderGitlab(report: PipelineReport, place: PipelinePlace): string {
  const fingerprints = fingerprintsOf(report.problems, place);
  const issues = report.problems.map(
    ({ message, hint, rule, severity, file, line, endLine }, index) => ({
      description: hint ? `${message} ${hint}` : message,
      check_name: rule,
      fingerprint: fingerprints[index],
      severity: SEVERITIES[severity],
      location: {
        path: repositoryPath(file ?? place.fallbackFile, place),
        lines: { begin: line ?? 1, ...(endLine !== undefined && { end: endLine }) },
      },
    }),
  );
  return JSON.stringify(issues, null, 2);
}
