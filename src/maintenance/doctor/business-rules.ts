import { EvdbError } from '../../errors.ts';
import { checkRules, type RuleViolation } from '../../events/rules.ts';
import { commandLine } from '../../text/command-line.ts';
import type { DoctorCheck, DoctorFinding, Examination } from './check.ts';

/** Rows and guards of the event schema that break its rules. */
export function judgeBusinessRules(rows: RuleViolation[]): DoctorFinding[] {
  return rows.map(({ rule, severity, count, details, repair }) => ({
    status: severity === 'error' ? 'critical' : 'warning',
    object: rule,
    reason: `${rule}: ${count} (${details})`,
    fix:
      repair === null
        ? null
        : `${commandLine('rules repair', { 'dry-run': true }, { args: [rule] })} (then with --confirm instead)`,
  }));
}

export const BUSINESS_RULES: DoctorCheck = {
  name: 'business-rules',
  group: 'event-schema',
  command: 'rules check',
  // It looks at every registration: of a million in about a second, on a busy machine in several.
  timeoutMs: 30_000,
  async examine(session, { schema }): Promise<Examination> {
    try {
      const { rows } = await checkRules(session, { schema });
      return { findings: judgeBusinessRules(rows), summary: 'no rule is broken' };
    } catch (error) {
      if (!(error instanceof EvdbError) || error.code !== 'EVENT_SCHEMA_MISSING') throw error;
      return { findings: [], summary: error.message, isSkipped: true };
    }
  },
};
