import { STATUSES } from '../doctor/check.ts';
import type { DoctorReport } from '../doctor/doctor.ts';
import type { Tone } from '../report/columns.ts';
import type { PageFindingGroup } from '../report/page.ts';

const TONES: Record<string, Tone> = { critical: 'critical', warning: 'warning', unknown: 'muted' };
const ORDER = ['critical', 'warning', 'unknown'];

/** The findings by check, those of one check that differ in severity apart, the worst first. */
export function findingGroupsOf(doctor: DoctorReport | null): PageFindingGroup[] {
  const groups = new Map<
    string,
    PageFindingGroup & { findings: PageFindingGroup['findings'][number][] }
  >();
  for (const { code, severity, message, hint, fix } of doctor?.findings ?? []) {
    const word = STATUSES[severity];
    const key = `${code} ${word}`;
    const group = groups.get(key) ?? {
      ...{ name: code, word, tone: TONES[word] ?? 'muted' },
      findings: [],
    };
    group.findings.push({ message, hint, fix });
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => ORDER.indexOf(a.word) - ORDER.indexOf(b.word));
}
