import type { DoctorReport } from '../../maintenance/doctor/run.ts';
import { renderCount } from '../units.ts';
import type { PipelineReport, PipelineSeverity } from './pipeline-report.ts';

/**
 * What `runDoctor` found, for a pipeline.
 *
 * @param failOn from which status on a finding is an error
 */
export function pipelineOfDoctor(
  report: DoctorReport,
  failOn: 'warning' | 'critical' = 'critical',
): PipelineReport {
  const severityOf = (status: string): PipelineSeverity => {
    if (status === 'critical') return 'error';
    return status === 'warning' && failOn === 'warning' ? 'error' : 'warning';
  };
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
