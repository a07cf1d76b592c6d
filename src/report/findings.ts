import type { AdoptionFinding } from '../adopt/foreign.ts';
import type { DoctorFinding } from '../doctor/check.ts';
import type { DoctorCheckReport, DoctorReport } from '../doctor/doctor.ts';
import type { BusinessRuleViolation } from '../events/rules.ts';
import type { Finding, FindingLocation, SuppressedFinding } from '../finding.ts';
import type { LintReport } from '../lint/engine.ts';
import type { LintFinding } from '../lint/finding.ts';
import type { Finding as ValidationFinding, ValidationResult } from '../migrate/checks/validate.ts';
import type { MigrationState } from '../migrate/plan/compare.ts';
import type { MigrationsStatus } from '../migrate/plan/status.ts';
import type { BudgetFinding, BudgetVerdict } from '../migrate/preview/budget.ts';
import type { StructureDifference } from '../structure/diff.ts';
import { renderCount } from '../text/units.ts';
import { renderState } from '../text/words.ts';
import type { PipelineProblem, PipelineReport } from './pipeline.ts';

/** What lint knows beside a finding. */
export type LintDetails = Partial<
  Pick<LintFinding, 'group' | 'lock' | 'blocks' | 'evidence' | 'fingerprint' | 'page'>
>;

export type ValidationDetails = LintDetails & Partial<Pick<ValidationFinding, 'diff' | 'renames'>>;

export interface RuleDetails {
  /** How many rows break it. */
  count: number;
  /** Up to ten ids; of which table, the message says. */
  sampleIds: number[];
}

export type BudgetDetails = Pick<BudgetFinding, 'limit' | 'actual' | 'allowed' | 'isMeasured'>;

export type DriftDetails = Pick<StructureDifference, 'change' | 'parts'>;

/** Leaves out what is not there. */
function present<T extends object>(value: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]: Exclude<T[Key], undefined> };
}

type Placed = { file?: string | undefined; line?: number; column?: number; excerpt?: string } & {
  endLine?: number | undefined;
  endColumn?: number | undefined;
};

function locationOf(at: Placed): { location?: FindingLocation } {
  const { file, line, column, endLine, endColumn, excerpt } = at;
  if (file === undefined) return {};
  const location: FindingLocation = present({ file, line, column, endLine, endColumn, excerpt });
  return { location };
}

function findingOfLint(found: LintFinding): Finding<LintDetails> {
  const { rule, severity, message, hint, tables, fix } = found;
  const { group, lock, blocks, evidence, fingerprint, page } = found;
  return {
    ...{ code: rule, severity, message, hint },
    ...locationOf(found),
    objects: tables,
    ...(fix !== undefined && { fix }),
    details: present({ group, lock, blocks, evidence, fingerprint, page }) as LintDetails,
  };
}

function suppressedOfLint(found: LintFinding & { reason: string }): SuppressedFinding<LintDetails> {
  return { ...findingOfLint(found), reason: found.reason };
}

/** A report of lint with its findings in the one shape. */
export interface LintData extends Omit<LintReport, 'findings' | 'suppressed'> {
  findings: Finding<LintDetails>[];
  suppressed: SuppressedFinding<LintDetails>[];
}

/** What `lint` found, as `--json` gives it. */
export function dataOfLint(report: LintReport): LintData {
  return {
    ...report,
    findings: report.findings.map(findingOfLint),
    suppressed: report.suppressed.map(suppressedOfLint),
  };
}

/** What `validate` found with its findings in the one shape. */
export interface ValidationData extends Omit<ValidationResult, 'findings' | 'suppressed'> {
  findings: Finding<ValidationDetails>[];
  suppressed: SuppressedFinding<LintDetails>[];
}

/** What `validate` found, as `--json` gives it. */
export function dataOfValidation(result: ValidationResult): ValidationData {
  return {
    ...result,
    findings: result.findings.map(findingOfValidation),
    suppressed: result.suppressed.map(suppressedOfLint),
  };
}

function findingOfValidation(found: ValidationFinding): Finding<ValidationDetails> {
  const { code, severity, message, hint, tables = [], fix } = found;
  const { group, lock, blocks, evidence, fingerprint, page, diff, renames } = found;
  const details = present({ group, lock, blocks, evidence, fingerprint, page, diff, renames });
  return {
    ...{ code, severity, message },
    ...(hint !== undefined && { hint }),
    ...locationOf(found as Placed),
    objects: tables,
    ...(fix !== undefined && { fix }),
    ...(Object.keys(details).length > 0 && { details: details as ValidationDetails }),
  };
}

/** What keeps an adoption from happening, or is to be known of it, in the one shape. */
export function findingOfAdoption({ severity, message, file, hint }: AdoptionFinding): Finding {
  return {
    code: 'adoption',
    severity: severity === 'note' ? 'info' : severity,
    message,
    ...(hint !== undefined && { hint }),
    ...locationOf({ file }),
    objects: [],
  };
}

/** A broken rule of the event schema in the one shape. */
export function findingOfRule(broken: BusinessRuleViolation): Finding<RuleDetails> {
  const { rule, severity, count, details, repair, sampleIds } = broken;
  return {
    ...{ code: rule, severity, message: details, objects: [] },
    ...(repair !== null && { fix: repair }),
    details: { count, sampleIds },
  };
}

function findingOfDoctor(check: string, found: DoctorFinding): Finding {
  const { status, object, reason, fix } = found;
  return {
    code: check,
    severity: status === 'critical' ? 'error' : status,
    message: reason,
    objects: object === null ? [] : [object],
    ...(fix !== null && { fix }),
  };
}

/** A doctor's report with its findings in one list. */
export interface DoctorData {
  checks: Omit<DoctorCheckReport, 'findings' | 'ignored'>[];
  counts: DoctorReport['counts'];
  findings: Finding[];
  suppressed: SuppressedFinding[];
}

/** What `doctor` found, as `--json` gives it. */
export function dataOfDoctor({ checks, counts }: DoctorReport): DoctorData {
  return {
    checks: checks.map(({ findings: _, ignored: __, ...check }) => check),
    counts,
    findings: checks.flatMap(({ check, findings }) =>
      findings.map((found) => findingOfDoctor(check, found)),
    ),
    suppressed: checks.flatMap(({ check, ignored }) =>
      ignored.map((found) => ({
        ...findingOfDoctor(check, found),
        reason: found.ignoredBecause,
        until: found.until,
      })),
    ),
  };
}

/** What exceeds a budget, and what nobody can tell, in the one shape. */
export function findingsOfBudget(verdict: BudgetVerdict): Finding<BudgetDetails>[] {
  const unknown = verdict.budget.failsOnUnknown ? 'error' : 'unknown';
  const of = (found: BudgetFinding, severity: Finding['severity']): Finding<BudgetDetails> => {
    const { limit, file, line, relation, message, actual, allowed, isMeasured } = found;
    return {
      ...{ code: `budget-${limit}`, severity, message },
      location: { file, line },
      objects: relation === null ? [] : [relation],
      details: { limit, actual, allowed, isMeasured },
    };
  };
  return [
    ...verdict.violations.map((found) => of(found, 'error')),
    ...verdict.unknowns.map((found) => of(found, unknown)),
  ];
}

/**
 * Migrations that are not applied as they stand here, in the one shape.
 *
 * @param isChecked whether what is not applied as it stands here is an error, as with `--check`
 */
export function findingsOfStatus({ migrations }: MigrationsStatus, isChecked: boolean): Finding[] {
  return migrations.flatMap(({ label, name, state, file }): Finding[] => {
    const says = saysOfState(state);
    if (says === undefined) return [];
    const severity = state === 'reworded' ? 'info' : isChecked ? 'error' : 'warning';
    const message = `${label}_${name} ${says}`;
    return [{ code: state, severity, message, ...locationOf({ file }), objects: [] }];
  });
}

/** What differs between two structures in the one shape. */
export function findingsOfDrift(
  differences: readonly StructureDifference[],
): Finding<DriftDetails>[] {
  return differences.map(({ kind, object, change, parts }) => ({
    ...{ code: 'drift', severity: 'error' as const, message: `${kind} ${object} was ${change}` },
    ...{ objects: [object], details: { change, parts } },
  }));
}

const SAYS: Partial<Record<MigrationState, string>> = {
  pending: 'is not applied yet',
  reworded: 'differs from what was applied, but only in comments or white space',
  changed: 'changed after it was applied',
  missing: 'is applied, but its file is gone',
  ahead: 'is applied and not here: this checkout is older than the database',
  outOfOrder: 'is pending, but a newer migration is applied',
  incomplete: 'stopped half way',
};

/** What is to be said of a migration in this state; undefined where nothing is. */
function saysOfState(state: MigrationState): string | undefined {
  return SAYS[state];
}

/**
 * Where the migrations stand, for a pipeline.
 *
 * @param isChecked whether what is not applied as it stands here is an error, as with `--check`
 * @param drift what was changed by hand, each object in the lines of `describeDifferences`
 */
export function pipelineOfStatus(
  status: MigrationsStatus,
  isChecked: boolean,
  drift?: readonly (readonly string[])[],
): PipelineReport {
  const { migrations, counts, schema } = status;
  const parts = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${renderState(state)}`);
  return {
    command: 'migrate status',
    checks: [
      ...migrations.map(({ label, name }) => ({ name: `${label}_${name}` })),
      ...(drift ? [{ name: DRIFT }] : []),
    ],
    problems: [
      ...migrations.flatMap(({ label, name, state, file }): PipelineProblem[] => {
        const says = SAYS[state];
        if (says === undefined) return [];
        return [
          {
            check: `${label}_${name}`,
            rule: state,
            severity: state === 'reworded' ? 'note' : isChecked ? 'error' : 'warning',
            message: `${label}_${name} ${says}`,
            ...(file !== undefined && { file, line: 1 }),
          },
        ];
      }),
      ...(drift ?? []).map(problemOfDrift),
    ],
    summary: `${renderCount(migrations.length, 'migration')} in schema ${schema}: ${parts.join(', ')}`,
  };
}

const DRIFT = 'drift';

function problemOfDrift([head = '', ...parts]: readonly string[]): PipelineProblem {
  const says = { '+': 'was added', '-': 'was removed' }[head[0] ?? ''] ?? 'was changed';
  return {
    check: DRIFT,
    rule: DRIFT,
    severity: 'error',
    message: `${head.slice(2)}: ${says} by hand`,
    ...(parts.length > 0 && { excerpt: parts.join('\n') }),
  };
}
