import type { CheckStatus, DoctorReport } from '../../maintenance/doctor/run.ts';
import { renderCount } from '../../text/units.ts';
import type { PipelineReport, PipelineSeverity } from './pipeline-report.ts';

/**
 * What `runDoctor` found, for a pipeline.
 *
 * @param failOn of which status a finding is an error, beside critical
 */
export function pipelineOfDoctor(
  report: DoctorReport,
  failOn: readonly CheckStatus[] = [],
): PipelineReport {
  const severityOf = (status: CheckStatus): PipelineSeverity =>
    status === 'critical' || failOn.includes(status) ? 'error' : 'warning';
  return {
    command: 'doctor',
    checks: report.checks.map(({ check, status, summary }) => ({
      name: check,
      ...(status === 'skipped' && { skipped: summary }),
    })),
    problems: report.checks.flatMap(({ check, findings }) =>
      findings.map(({ status, reason, fix }) => ({
        check,
        rule: check,
        severity: severityOf(status),
        message: status === 'unknown' ? `unknown: ${reason}` : reason,
        ...(fix !== null && { hint: `fix: ${fix}` }),
      })),
    ),
    summary: `${renderCount(report.checks.length, 'check')}: ${Object.entries(report.counts)
      .filter(([, count]) => count > 0)
      .map(([status, count]) => `${count} ${status}`)
      .join(', ')}`,
  };
}
