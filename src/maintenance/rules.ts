import type { Session } from '../connection/session.ts';
import { type EventSchemaTarget, onEventSchema, type SchemaNeed } from './event-schema.ts';
import type { StatsReport } from './stats-report.ts';

/** `error`: data or its protection is wrong. `warning`: somebody should look. */
export type RuleSeverity = 'error' | 'warning';

/** One rule that data or guards break. */
export interface RuleViolation {
  rule: string;
  severity: RuleSeverity;
  count: number;
  /** What a violation is, with examples. */
  details: string;
  /** Up to ten ids; of which table, `details` says. */
  sampleIds: number[];
  /** The statement that mends it; null where that takes a decision. */
  repair: string | null;
}

export interface BusinessRule {
  rule: string;
  severity: RuleSeverity;
  /** What a violation is. */
  description: string;
  repair: string | null;
}

export interface CheckRulesOptions extends EventSchemaTarget {
  /** `error` leaves the warnings out; default `warning`, which has both. */
  severity?: RuleSeverity | undefined;
}

const LIST_NEED: SchemaNeed = { functions: { list_business_rules: [] }, access: 'read-only' };
const CHECK_NEED: SchemaNeed = {
  functions: { ...LIST_NEED.functions, validate_business_rules: [] },
  access: 'read-only',
};

/**
 * Looks for rows that break a rule of the event schema in spite of its constraints and triggers,
 * and for guards that are gone. Changes nothing. No row means that all is well.
 *
 * @throws {EvdbError} as `onEventSchema`
 * @example
 * const { rows } = await withInspection(connection, (session) => checkRules(session));
 */
export async function checkRules(
  session: Session,
  { severity = 'warning', ...target }: CheckRulesOptions = {},
): Promise<StatsReport<RuleViolation>> {
  return onEventSchema(session, target, CHECK_NEED, async (prefix) => {
    const rows = await session.run(`
      select v.rule_name as "rule", v.severity, v.violation_count as "count", v.details,
        coalesce(pg_catalog.to_json(v.sample_ids), '[]') as "sampleIds", l.repair
      from ${prefix}validate_business_rules() v
      left join ${prefix}list_business_rules() l on l.rule_name = v.rule_name
      order by v.severity, v.rule_name`);
    const violations = rows as unknown as RuleViolation[];
    const kept = violations.filter((one) => severity === 'warning' || one.severity === 'error');
    return { rows: kept, countedSince: null, notes: [] };
  });
}

/** The rules that `checkRules` looks after. */
export async function listRules(
  session: Session,
  target: EventSchemaTarget = {},
): Promise<StatsReport<BusinessRule>> {
  return onEventSchema(session, target, LIST_NEED, async (prefix) => {
    const rows = await session.run(`
      select l.rule_name as "rule", l.severity, l.description, l.repair
      from ${prefix}list_business_rules() l
      order by l.severity, l.rule_name`);
    return { rows: rows as unknown as BusinessRule[], countedSince: null, notes: [] };
  });
}
