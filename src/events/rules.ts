import { withConflictRetries } from '../connection/retry.ts';
import type { Row, Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import type { Finding } from '../finding.ts';
import type { StatsReport } from '../report/columns.ts';
import { commandLine } from '../text/command-line.ts';
import { type AuditEntry, entryColumns, parseEntry } from './audit-log.ts';
import { type EventSchemaTarget, onEventSchema, type SchemaNeed } from './event-schema.ts';

/** `error`: data or its protection is wrong. `warning`: have a look at it. */
export type BusinessRuleSeverity = 'error' | 'warning';

/** What a broken rule says in addition to a finding. */
export interface BusinessRuleDetails {
  /** How many rows break it. */
  count: number;
  /** Up to ten IDs; the message says of which table. */
  sampleIds: number[];
}

/** A rule that data or guards break, under its name; `fix` is the statement that repairs it. */
export interface BusinessRuleViolation extends Finding<BusinessRuleDetails> {
  severity: BusinessRuleSeverity;
  details: BusinessRuleDetails;
}

/**
 * A rule of the event schema; `repair` is the function that repairs it, null if a person has to.
 */
export interface BusinessRule {
  rule: string;
  severity: BusinessRuleSeverity;
  /** What counts as a violation. */
  description: string;
  repair: string | null;
}

/** Which rules are checked, and in which schema. */
export interface CheckBusinessRulesOptions extends EventSchemaTarget {
  /** `error` leaves out the warnings; default `warning`, which includes both. */
  severity?: BusinessRuleSeverity | undefined;
}

const LIST_NEED: SchemaNeed = { functions: { list_business_rules: [] }, access: 'read-only' };
const CHECK_NEED: SchemaNeed = {
  functions: { ...LIST_NEED.functions, validate_business_rules: [] },
  access: 'read-only',
};

/**
 * Looks for rows that break a rule of the event schema despite its constraints and triggers, and
 * for missing guards. Changes nothing. No rows means that everything is in order.
 *
 * @throws {EvdbError} EVENT_SCHEMA_MISSING, PERMISSION_DENIED
 * @example
 * const { rows } = await withInspection(connection, (session) => checkBusinessRules(session));
 */
export async function checkBusinessRules(
  session: Session,
  { severity = 'warning', ...target }: CheckBusinessRulesOptions = {},
): Promise<StatsReport<BusinessRuleViolation>> {
  return onEventSchema(session, target, CHECK_NEED, async ({ prefix }) => {
    const rows = await session.run(`
      select v.rule_name as "rule", v.severity, v.violation_count as "count", v.details,
        coalesce(pg_catalog.to_json(v.sample_ids), '[]') as "sampleIds", l.repair
      from ${prefix}validate_business_rules() v
      left join ${prefix}list_business_rules() l on l.rule_name = v.rule_name
      order by v.severity, v.rule_name`);
    const violations = rows.map(toViolation);
    const kept = violations.filter((one) => severity === 'warning' || one.severity === 'error');
    return { rows: kept, countedSince: null, notes: [] };
  });
}

function toViolation(row: Row): BusinessRuleViolation {
  const { rule, severity, count, details, sampleIds, repair } = row;
  return {
    code: String(rule),
    severity: severity as BusinessRuleSeverity,
    message: String(details),
    objects: [],
    ...(repair !== null && { fix: String(repair) }),
    details: { count: Number(count), sampleIds: sampleIds as number[] },
  };
}

/**
 * The rules that `checkBusinessRules` checks.
 *
 * @throws {EvdbError} EVENT_SCHEMA_MISSING, PERMISSION_DENIED
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => listBusinessRules(session));
 */
export async function listBusinessRules(
  session: Session,
  target: EventSchemaTarget = {},
): Promise<StatsReport<BusinessRule>> {
  return onEventSchema(session, target, LIST_NEED, async ({ prefix }) => {
    const rows = await session.run(`
      select l.rule_name as "rule", l.severity, l.description, l.repair
      from ${prefix}list_business_rules() l
      order by l.severity, l.rule_name`);
    return { rows: rows as unknown as BusinessRule[], countedSince: null, notes: [] };
  });
}

/** What one repair did, or would do. */
export interface BusinessRuleRepair {
  /** The function that did it. */
  repair: string;
  /** The broken rules that it is for. */
  rules: string[];
  /** How many rows it changed, of the kind that `unit` names. */
  changed: number;
  unit: string;
  /** What it left alone and why, and other remarks. */
  notes: string[];
  /** The changes as the audit log has them, the first hundred. */
  changes: AuditEntry[];
}

/** What was repaired, or would be, and which rules are broken afterwards. */
export interface RepairBusinessRulesResult {
  dryRun: boolean;
  repairs: BusinessRuleRepair[];
  /** Which of the requested rules are still broken after the repairs. */
  remaining: BusinessRuleViolation[];
}

/** Which rules to repair. */
export interface RepairBusinessRulesOptions extends EventSchemaTarget {
  /** Only these rules; default: every broken one that can be repaired. */
  rules?: readonly string[] | undefined;
  /** `error` repairs no mere warnings; default `warning`, all. */
  severity?: BusinessRuleSeverity | undefined;
  /** Do it all, report it, and roll it back. Default false. */
  dryRun?: boolean | undefined;
  /** Stops between two repairs; default: nothing does. */
  signal?: AbortSignal | undefined;
}

interface Repair {
  name: string;
  rules: readonly string[];
  unit: string;
  /** Whether it returns rows that tell what it did, instead of a number. */
  tells?: (row: Row) => { isChange: boolean; note?: string };
}

/** In an order in which none undoes the ground of one before it. */
const REPAIRS: readonly Repair[] = [
  { name: 'repair_registration_holds', rules: ['impossible_hold'], unit: 'registrations' },
  {
    name: 'repair_registration_counts',
    rules: ['registration_count_mismatch', 'held_seats_mismatch'],
    unit: 'events',
    tells: ({ event_id, outcome }) =>
      outcome === 'repaired'
        ? { isChange: true }
        : { isChange: false, note: `event ${event_id}: ${outcome}` },
  },
  { name: 'release_expired_holds', rules: ['expired_holds'], unit: 'holds' },
  { name: 'repair_waitlists', rules: ['seats_free_while_waiting'], unit: 'registrations' },
  {
    name: 'ensure_audit_partitions',
    rules: ['missing_audit_partition', 'audit_overflow'],
    unit: 'partitions',
    tells: ({ partition_name, is_new, moved_rows }) => ({
      isChange: true,
      note: `${partition_name}: ${is_new ? 'made, ' : ''}${moved_rows} entries moved into it`,
    }),
  },
  { name: 'refresh_event_search', rules: ['stale_search_documents'], unit: 'search documents' },
];

const NEED: SchemaNeed = {
  functions: Object.fromEntries(REPAIRS.map(({ name }) => [name, []])),
  access: 'owner',
};

const ATTEMPTS = 5;

/**
 * Repairs what can be repaired without taking a seat from a person, each repair in a separate
 * transaction, and checks again afterwards. A dry run does the same in one transaction and rolls it
 * back, so its result is what would happen; the rows stay locked until then.
 *
 * @param session one that may write
 * @throws {EvdbError} USAGE for a rule that does not exist; INTERRUPTED with the repairs that were
 *   committed; EVENT_SCHEMA_MISSING, PERMISSION_DENIED
 * @example
 * const { repairs, remaining } = await withWriting(connection, (session) =>
 *   repairBusinessRules(session, { dryRun: true }),
 * );
 */
export async function repairBusinessRules(
  session: Session,
  options: RepairBusinessRulesOptions = {},
): Promise<RepairBusinessRulesResult> {
  const { dryRun = false, signal } = options;
  await requireRules(session, options);
  return onEventSchema(session, options, NEED, async ({ prefix }) => {
    const broken = await readBroken(session, options);
    const due = REPAIRS.map((repair) => ({
      ...repair,
      rules: repair.rules.filter((rule) => broken.some(({ code }) => code === rule)),
    })).filter(({ rules }) => rules.length > 0);
    const repairs: BusinessRuleRepair[] = [];
    try {
      if (dryRun) await session.run('begin');
      for (const repair of due) {
        signal?.throwIfAborted();
        const apply = () => applyRepair(session, prefix, repair);
        repairs.push(await (dryRun ? apply() : inTransaction(session, apply, signal)));
      }
      const remaining = await readBroken(session, options);
      return { dryRun, repairs, remaining };
    } catch (error) {
      throw signal?.aborted ? interrupted(error, dryRun ? [] : repairs) : error;
    } finally {
      if (dryRun && !session.isClosed) await session.run('rollback');
    }
  });
}

async function readBroken(
  session: Session,
  { rules, severity, schema }: RepairBusinessRulesOptions,
): Promise<BusinessRuleViolation[]> {
  const { rows } = await checkBusinessRules(session, { schema, severity });
  return rows.filter(({ code }) => rules === undefined || rules.includes(code));
}

async function requireRules(session: Session, options: RepairBusinessRulesOptions): Promise<void> {
  const { rules = [], schema } = options;
  if (rules.length === 0) return;
  const known = (await listBusinessRules(session, { schema })).rows.map(({ rule }) => rule);
  const unknown = rules.filter((rule) => !known.includes(rule));
  if (unknown.length === 0) return;
  throw new EvdbError(
    'USAGE',
    `there is no rule ${unknown.map((name) => `"${name}"`).join(', ')}`,
    {
      hint: `\`${commandLine('rules list')}\` names them all.`,
      details: { known },
    },
  );
}

async function inTransaction<T>(
  session: Session,
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const attempt = async () => {
    await session.run('begin');
    try {
      const result = await work();
      await session.run('commit');
      return result;
    } catch (error) {
      if (!session.isClosed) await session.run('rollback');
      throw error;
    }
  };
  return withConflictRetries(attempt, { attempts: ATTEMPTS, signal });
}

/** Inside a transaction, whose entries in the audit log are what it changed. */
async function applyRepair(
  session: Session,
  prefix: string,
  repair: Repair,
): Promise<BusinessRuleRepair> {
  const { name, rules, unit, tells } = repair;
  const [last] = await session.run(
    `select coalesce(max(id), 0)::text as "id" from ${prefix}audit_log_entries where created_at = now()`,
  );
  const rows = await session.run(`select * from ${prefix}${name}()`);
  const told = tells ? rows.map(tells) : [];
  const entries = await session.run(
    `select ${entryColumns('e')} from ${prefix}audit_log_entries e
    where e.created_at = now() and e.transaction_id = pg_catalog.pg_current_xact_id()
      and e.id > ${last?.id}
    order by e.id limit 100`,
  );
  return {
    repair: name,
    rules: [...rules],
    changed: tells ? told.filter(({ isChange }) => isChange).length : Number(rows[0]?.[name]),
    unit,
    notes: told.flatMap(({ note }) => note ?? []),
    changes: entries.map(parseEntry),
  };
}

function interrupted(cause: unknown, repairs: BusinessRuleRepair[]): EvdbError {
  const names = repairs.map(({ repair }) => repair).join(', ') || 'nothing';
  return new EvdbError('INTERRUPTED', `interrupted: repaired before: ${names}`, {
    hint: 'What was under way was rolled back. Run the same command again for the rest.',
    cause,
    details: { repairs },
  });
}
