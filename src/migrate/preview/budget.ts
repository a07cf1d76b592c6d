import type { ObjectKey } from '../../catalog/catalog.ts';
import { EvdbError } from '../../errors.ts';
import type { Finding } from '../../finding.ts';
import { isStronger, type LockMode } from '../../impact/impact.ts';
import { renderCount, renderDuration, renderNumber } from '../../text/units.ts';
import {
  estimateMs,
  type ImpactPlan,
  type ImpactTableFacts,
  type PlannedLock,
  type StatementImpact,
  type StepImpact,
} from './impact-plan.ts';

/** How much a plan may affect other sessions; limits that are not set do not apply. */
export interface Budget {
  /** No table with more rows is rewritten. */
  rewriteRows?: number;
  /** No table with more rows is read from end to end while a lock on it blocks reads or writes. */
  scanRows?: number;
  /** No `ACCESS EXCLUSIVE` lasts longer, in ms. */
  accessExclusiveMs?: number;
  /** No lock that blocks writes lasts longer, in ms. */
  blockWritesMs?: number;
  /** Whether anything unknown exceeds the budget. */
  failsOnUnknown: boolean;
}

/**
 * What a budget can limit: rows that are rewritten or scanned under a lock, and the time that a
 * table is locked or its writers wait.
 */
export type BudgetLimit = 'rewrite-rows' | 'scan-rows' | 'access-exclusive' | 'block-writes';

const EXAMPLE =
  'rewrite-rows=100k,scan-rows=1M,access-exclusive=500ms,block-writes=5s,unknown=fail';

/**
 * Reads a budget, such as `rewrite-rows=100k,access-exclusive=500ms`.
 *
 * @param text limits separated by commas or blanks; rows as `100000`, `100k` or `1M`, times as `500ms`,
 *   `2s` or `1min`; `unknown=fail` or `unknown=allow`
 * @throws {EvdbError} CONFIG_INVALID
 * @example
 * const budget = parseBudget('rewrite-rows=100k,access-exclusive=500ms');
 */
export function parseBudget(text: string): Budget {
  const budget: Budget = { failsOnUnknown: false };
  const parts = text.split(/[\s,]+/).filter((part) => part !== '');
  if (parts.length === 0) throw invalid('it is empty');
  for (const part of parts) {
    const [name = '', value = ''] = part.split('=', 2);
    switch (name) {
      case 'rewrite-rows':
        budget.rewriteRows = parseRows(value, part);
        break;
      case 'scan-rows':
        budget.scanRows = parseRows(value, part);
        break;
      case 'access-exclusive':
        budget.accessExclusiveMs = parseTime(value, part);
        break;
      case 'block-writes':
        budget.blockWritesMs = parseTime(value, part);
        break;
      case 'unknown':
        budget.failsOnUnknown = parseUnknown(value, part);
        break;
      default:
        throw invalid(`"${part}" is not a known limit`);
    }
  }
  return budget;
}

const FACTORS: Record<string, number> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };

function parseRows(value: string, part: string): number {
  const match = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(value.replaceAll('_', ''));
  if (match) return Number(match[1]) * (FACTORS[match[2] ?? ''] ?? 1);
  throw invalid(`"${part}" needs a number of rows`);
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

function parseTime(value: string, part: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|min|h)$/.exec(value);
  if (match) return Number(match[1]) * (UNITS[match[2] ?? ''] ?? 1);
  throw invalid(`"${part}" needs a time with ms, s, min or h`);
}

function parseUnknown(value: string, part: string): boolean {
  if (value === 'fail') return true;
  if (value === 'allow') return false;
  throw invalid(`"${part}" is neither unknown=fail nor unknown=allow`);
}

function invalid(problem: string): EvdbError {
  return new EvdbError('CONFIG_INVALID', `the budget cannot be read: ${problem}`, {
    hint: `Write for example: ${EXAMPLE}`,
  });
}

/** What a budget adds to a finding. */
export interface BudgetDetails {
  limit: BudgetLimit;
  /** Rows, or ms; null if unknown. */
  actual: number | null;
  /** In the same unit. */
  allowed: number;
  /** Whether `actual` was measured on the target; otherwise it is estimated. */
  isMeasured: boolean;
}

/** Something that exceeds a budget, or that is unknown. */
export interface BudgetFinding extends Finding<BudgetDetails> {
  /** `unknown` if it is not known, and the budget allows that. */
  severity: 'error' | 'unknown';
  location: { file: string; line: number };
  details: BudgetDetails;
}

/**
 * The result of `judgeBudget`: whether a plan keeps its budget, what exceeds it, and what is
 * unknown.
 */
export interface BudgetVerdict {
  budget: Budget;
  /** Whether the plan stays within the budget. */
  isKept: boolean;
  violations: BudgetFinding[];
  /** They count as violations if the budget says so. */
  unknowns: BudgetFinding[];
}

/**
 * Checks a plan against a budget. Pure. Times are estimated from the sizes of the tables (see
 * `WORK_RATES`), or measured if the statements were traced on the target. Objects that the plan
 * itself creates count as empty.
 *
 * @example
 * const { isKept } = judgeBudget(plan, parseBudget('rewrite-rows=100k'));
 */
export function judgeBudget(plan: ImpactPlan, budget: Budget): BudgetVerdict {
  const findings = plan.steps.flatMap((step) => judgeStep(step, plan, budget));
  const violations = findings.filter(({ details }) => details.actual !== null);
  const unknowns = findings.filter(({ details }) => details.actual === null);
  const isKept = violations.length === 0 && !(budget.failsOnUnknown && unknowns.length > 0);
  return { budget, isKept, violations, unknowns };
}

function judgeStep(step: StepImpact, plan: ImpactPlan, budget: Budget): BudgetFinding[] {
  const held = new Map<ObjectKey, LockMode>();
  const findings: BudgetFinding[] = [];
  for (const [index, statement] of step.statements.entries()) {
    if (!step.isTransactional) held.clear();
    const taken = statement.locks.filter((lock) => isNewlyHeld(lock, held));
    for (const { relation, mode } of taken) held.set(relation, mode);
    const rest = step.isTransactional ? step.statements.slice(index) : [statement];
    findings.push(
      ...judgeRows(statement, held, { step, plan, budget }),
      ...judgeTimes(statement, taken, rest, { step, plan, budget }),
    );
  }
  return findings;
}

function isNewlyHeld({ relation, mode }: PlannedLock, held: Map<ObjectKey, LockMode>): boolean {
  const before = held.get(relation);
  return before === undefined || isStronger(mode, before);
}

interface Around {
  step: StepImpact;
  plan: ImpactPlan;
  budget: Budget;
}

function judgeRows(
  statement: StatementImpact,
  held: Map<ObjectKey, LockMode>,
  { step, plan, budget }: Around,
): BudgetFinding[] {
  const { rewrites, scans, builds } = statement;
  const rewritten = relationsOf(rewrites.filter(({ reason }) => reason !== 'truncate'));
  const read = relationsOf([
    ...scans,
    ...builds.filter(({ isConcurrent }) => !isConcurrent),
  ]).filter((relation) => !rewritten.includes(relation) && blocksOthers(held.get(relation)));
  const check =
    (limit: BudgetLimit, allowed: number | undefined, what: string) => (relation: ObjectKey) => {
      const rows = rowsOf(plan.tables[relation]);
      if (allowed === undefined || (rows !== null && rows <= allowed)) return [];
      const size =
        rows === null ? 'an unknown number of rows' : renderCount(Math.round(rows), 'row');
      const message = `${what} ${relation}: ${size}, allowed are ${renderNumber(allowed)}`;
      const found = { limit, actual: rows, allowed, message };
      return [findingOf({ ...found, relation }, statement, { step, budget })];
    };
  return [
    ...rewritten.flatMap(check('rewrite-rows', budget.rewriteRows, 'rewrites')),
    ...read.flatMap(check('scan-rows', budget.scanRows, 'reads every row of')),
    ...hiddenWork(statement, { step, plan, budget }),
  ];
}

/** A statement that cannot be read may do anything. */
function hiddenWork(statement: StatementImpact, { step, budget }: Around): BudgetFinding[] {
  const limits: [BudgetLimit, number | undefined][] = [
    ['rewrite-rows', budget.rewriteRows],
    ['scan-rows', budget.scanRows],
    ['access-exclusive', budget.accessExclusiveMs],
    ['block-writes', budget.blockWritesMs],
  ];
  const [limit, allowed] = limits.find(([, one]) => one !== undefined) ?? [];
  const [why] = statement.unknowns;
  if (limit === undefined || allowed === undefined || why === undefined) return [];
  const message = `its effect is unknown: ${why}`;
  return [findingOf({ limit, actual: null, allowed, message }, statement, { step, budget })];
}

function judgeTimes(
  statement: StatementImpact,
  taken: PlannedLock[],
  rest: StatementImpact[],
  { step, plan, budget }: Around,
): BudgetFinding[] {
  const onTables = taken.filter(({ reason }) => reason !== 'index' && reason !== 'sequence');
  const isMeasured = plan.trace?.where === 'target';
  return onTables.flatMap(({ relation, mode }) => {
    if (plan.tables[relation]?.isNew) return [];
    const check = (limit: BudgetLimit, allowed: number | undefined) => {
      if (allowed === undefined) return [];
      const { ms, unknown } = lastingMs(rest, plan);
      const isExceeded = ms > allowed;
      if (!isExceeded && unknown === null) return [];
      const held = `${LABELS[limit]} on ${relation}`;
      const message = isExceeded
        ? `holds ${held} for about ${renderDuration(ms)}, allowed are ${renderDuration(allowed)}`
        : `how long it holds ${held} is unknown: ${unknown}`;
      const actual = isExceeded ? ms : null;
      const found = { limit, relation, actual, allowed, message, isMeasured };
      return [findingOf(found, statement, { step, budget })];
    };
    return [
      ...(mode === 'AccessExclusive' ? check('access-exclusive', budget.accessExclusiveMs) : []),
      ...(blocksOthers(mode) ? check('block-writes', budget.blockWritesMs) : []),
    ];
  });
}

const LABELS: Record<BudgetLimit, string> = {
  'rewrite-rows': '',
  'scan-rows': '',
  'access-exclusive': 'ACCESS EXCLUSIVE',
  'block-writes': 'a lock that blocks writes',
};

/** How long the statements take, of which the first takes the lock and the last ends the transaction. */
function lastingMs(
  statements: readonly StatementImpact[],
  plan: ImpactPlan,
): { ms: number; unknown: string | null } {
  let ms = 0;
  let unknown: string | null = null;
  for (const statement of statements) {
    const estimate = estimateMs(statement, plan);
    ms += estimate.ms;
    unknown ??= estimate.unknown;
  }
  return { ms, unknown };
}

function relationsOf(list: readonly { relation: ObjectKey }[]): ObjectKey[] {
  return [...new Set(list.map(({ relation }) => relation))];
}

function blocksOthers(mode: LockMode | undefined): boolean {
  return mode !== undefined && isStronger(mode, 'ShareUpdateExclusive');
}

function rowsOf(facts: ImpactTableFacts | undefined): number | null {
  if (facts === undefined) return null;
  return facts.isNew ? 0 : facts.rows;
}

function findingOf(
  found: Omit<BudgetDetails, 'isMeasured'> & {
    message: string;
    relation?: ObjectKey;
    isMeasured?: boolean;
  },
  { line }: StatementImpact,
  { step, budget }: Pick<Around, 'step' | 'budget'>,
): BudgetFinding {
  const { limit, message, relation, actual, allowed, isMeasured = false } = found;
  return {
    code: `budget-${limit}`,
    severity: actual === null && !budget.failsOnUnknown ? 'unknown' : 'error',
    message,
    location: { file: step.file, line },
    objects: relation === undefined ? [] : [relation],
    details: { limit, actual, allowed, isMeasured },
  };
}
