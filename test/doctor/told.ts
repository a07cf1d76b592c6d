import { type DoctorFinding, STATUSES } from '../../src/doctor/check.ts';
import type { DoctorCheckReport, DoctorReport } from '../../src/doctor/doctor.ts';
import type { SuppressedFinding } from '../../src/finding.ts';

/** Findings in the words of doctor: their status, what they are about, why, and what mends it. */
export function told(findings: readonly DoctorFinding[]) {
  return findings.map(({ severity, objects: [object = null], message, hint, fix = null }) => ({
    ...{ status: STATUSES[severity], object, reason: message, fix },
    ...(hint !== undefined && { hint }),
  }));
}

/** A check with what it found. */
export interface ToldCheck extends DoctorCheckReport {
  findings: ReturnType<typeof told>;
  ignored: (ReturnType<typeof told>[number] & Ignored)[];
}

type Ignored = { ignoredBecause: string; until: SuppressedFinding['until'] };

/** The checks of a report, each with what it found. */
export function toldChecks({ checks, findings, suppressed }: DoctorReport): ToldCheck[] {
  return checks.map((report) => {
    const ofCheck = ({ code }: { code: string }) => code === report.check;
    return {
      ...report,
      findings: told(findings.filter(ofCheck) as DoctorFinding[]),
      ignored: suppressed.filter(ofCheck).flatMap((finding) =>
        told([finding as DoctorFinding]).map((one) => ({
          ...one,
          ignoredBecause: finding.reason,
          until: finding.until,
        })),
      ),
    };
  });
}
