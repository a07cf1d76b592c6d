import type { ObjectKey } from '../../catalog/catalog.ts';
import type {
  Build,
  Change,
  LockMode,
  LockReason,
  Refusal,
  Rewrite,
  Scan,
} from '../../impact/impact.ts';
import type { GateAnswer } from '../apply/gates.ts';
import type { PendingMigration, WaitingMigration } from '../plan/plan.ts';
import type { HeldRepeatables } from '../plan/prepare-repeatables.ts';
import type {
  LockHolder,
  MigrationDirection,
  MigrationPlanWarning,
  MigrationStepName,
} from '../progress.ts';
import type { RebuiltObject } from './rebuilds.ts';

/** What would run, and how it would affect other sessions. */
export interface ImpactPlan {
  /** The PostgreSQL schema that is migrated. */
  schema: string;
  /** Of the target, as in server_version_num. */
  serverVersion: number;
  steps: StepImpact[];
  /** What the target says about each table that a statement locks, rewrites, scans or builds on. */
  tables: Record<ObjectKey, ImpactTableFacts>;
  /** What remains pending because a target or a number of steps left it out. */
  pending: PendingMigration[];
  /** The migration that `expand` stops before. */
  waiting?: WaitingMigration;
  /** Backfills that are left for later; absent unless `--no-wait` asks for it. */
  postponed?: PendingMigration[];
  /** Repeatables that have changed and are left for a later run; absent if there is none. */
  held?: HeldRepeatables;
  warnings: MigrationPlanWarning[];
  /** Where the statements were tried; null if they were only read. */
  trace: ImpactTraceFacts | null;
}

/**
 * Where the statements of a plan were tried: beside the target, on the embedded server, or on the
 * target itself.
 */
export interface ImpactTraceFacts {
  /**
   * `beside` and `embedded`: in a scratch database; `target`: in transactions that were rolled
   * back.
   */
  where: 'beside' | 'embedded' | 'target';
  /** As in server_version_num. */
  serverVersion: number;
}

/**
 * What is known about a table that a plan touches. `rows` is the estimate of the last analyze; null
 * if unknown.
 */
export interface ImpactTableFacts {
  /** The planner's estimate; null if unknown. */
  rows: number | null;
  /** With indexes and TOAST; null if unknown. */
  bytes: number | null;
  indexes: number;
  /** Whether an earlier migration of the plan creates it. */
  isNew: boolean;
}

/** One migration of a plan with its remaining statements, and their effect on other sessions. */
export interface StepImpact extends MigrationStepName {
  direction: MigrationDirection;
  /** As the ledger or the folder names it. */
  file: string;
  isTransactional: boolean;
  waits: StepLockWaits;
  /** The strongest lock on tables that existed before the plan; null if there is none. */
  strongestLock: StrongestLock | null;
  /** Whether a no-transaction script that stopped halfway continues. */
  isContinued: boolean;
  /** Above 0 if a no-transaction script that stopped halfway continues: these do not run again. */
  statementsDone: number;
  /** How many run: for a large file most of those that write rows are not in `statements`. */
  statementsTotal: number;
  /** Those that run. */
  statements: StatementImpact[];
  /** Where the one statement runs in batches; else null. */
  backfill: BackfillImpact | null;
  /** Whether that is left for later, as `--no-wait` asks. */
  isPostponed: boolean;
  /** Whether the migration says that it takes something from running builds of the application. */
  isContract: boolean;
  /** What it requires before it runs, and what the database says of that now. */
  gates: GateAnswer[];
  /**
   * Transactions that have been open for more than five seconds and hold a lock for which the step would
   * wait, at the moment of the plan.
   */
  heldBy: LockHolder[];
  /** What a repeatable changes so that it cannot be replaced in place: `up` drops and makes it again with what depends on it. */
  rebuilds: RebuiltObject[];
}

/** How a statement will run in batches. What only the server knows is null where `unknown` says why. */
export interface BackfillImpact {
  /** The statement of each batch as it will be sent, with `$cursor` and `$end` for the ends of its range. */
  statement: string | null;
  /** The table whose key is walked. */
  table: string;
  key: string[] | null;
  /** By which a batch finds its rows; null where the table is small enough to be read whole. */
  index: string | null;
  /** Estimates. */
  rowsToWalk: number | null;
  rowsToChange: number | null;
  /** How long a batch is to take, in ms. */
  batchTimeMs: number;
  /** How many rows of the table a batch passes at most. */
  batchRows: number;
  unknown: string | null;
}

/** How long a step waits for locks before it gives up and tries again. */
export interface StepLockWaits {
  /** One for each try, in ms. */
  lockTimeoutsMs: number[];
  /** How long it keeps trying, in ms; null for as long as the tries take. */
  budgetMs: number | null;
  /** For statements that wait for rows, in ms. */
  dataLockTimeoutMs: number;
  /** Null if the server decides. */
  statementTimeoutMs: number | null;
}

/**
 * The strongest lock of a migration, with PostgreSQL's name, what it blocks, and on which
 * relations.
 */
export interface StrongestLock {
  mode: LockMode;
  blocks: string;
  relations: ObjectKey[];
}

/** A lock that a statement takes: on what, in which mode of PostgreSQL, why, and what it blocks. */
export interface PlannedLock {
  relation: ObjectKey;
  mode: LockMode;
  reason: LockReason;
  /** What other sessions cannot do meanwhile; '' if it has no effect on them. */
  blocks: string;
  /** Whether an earlier statement of the transaction already holds it, or a stronger one. */
  isHeld: boolean;
}

/**
 * The effect of one statement of a plan on other sessions. Rows are estimates; times are in ms,
 * null if unknown.
 */
export interface StatementImpact {
  /** From 1, in the script. */
  line: number;
  column: number;
  command: string;
  text: string;
  /** `live`: read from the statement and the database; `trace`: seen on a server. */
  evidence: 'live' | 'trace';
  /** Strongest first; relations that the step itself creates are left out. */
  locks: PlannedLock[];
  rewrites: Rewrite[];
  scans: Scan[];
  builds: Build[];
  /** Whose rows it changes; `tables` has their number. */
  changes: Change[];
  /** Why PostgreSQL refuses it, as far as is known beforehand. */
  refusals: Refusal[];
  /**
   * How long it works on whole tables, estimated from their sizes, in ms; null if a size is
   * unknown.
   */
  estimatedMs: number | null;
  /** Why this may be incomplete. */
  unknowns: string[];
  /** Null if nothing was tried. */
  trace: StatementTraceFacts | null;
}

/**
 * The result of a statement that was tried; `differences` says where the server did not do what was
 * predicted.
 */
export interface StatementTraceFacts {
  outcome: 'traced' | 'simulated' | 'skipped' | 'failed';
  /** Why it was skipped, simulated, or failed. */
  reason: string | null;
  durationMs: number | null;
  /** Where the trace differs from the analysis of the statement; the trace is right. */
  differences: string[];
}

/**
 * How fast whole tables are worked on, in MB of the table with its indexes and toast a second. Meant to
 * be slow: what a small cloud server with a network disk does beside its other work.
 */
const WORK_RATES = {
  rewriteMbPerS: 25,
  scanMbPerS: 200,
  buildMbPerS: 50,
  /** Every row, with its index entries and what the log holds of them. */
  changeMbPerS: 15,
} as const;

interface WorkEstimate {
  /** What is known to be needed, in ms. */
  ms: number;
  /** Why it may be more; null where nothing is missing. */
  unknown: string | null;
}

/**
 * How long a statement works on whole tables. Pure. As measured where it was traced on the target,
 * else estimated from sizes.
 */
export function estimateMs(statement: StatementImpact, plan: ImpactPlan): WorkEstimate {
  const { trace, unknowns } = statement;
  if (plan.trace?.where === 'target' && trace?.outcome === 'traced') {
    return { ms: trace.durationMs ?? 0, unknown: null };
  }
  const works = listWork(statement);
  const sizes = works.map(({ relation, mbPerS }) => {
    const facts = plan.tables[relation];
    const bytes = facts?.isNew ? 0 : (facts?.bytes ?? null);
    return { relation, ms: bytes === null ? null : (bytes / MB / mbPerS) * 1000 };
  });
  const missing = sizes.find(({ ms }) => ms === null);
  const unknown = missing ? `the size of ${missing.relation} is not known` : (unknowns[0] ?? null);
  return { ms: sizes.reduce((sum, { ms }) => sum + (ms ?? 0), 0), unknown };
}

const MB = 1024 * 1024;

/** Writing a table anew builds its indexes and checks its rows on the way. */
function listWork(statement: StatementImpact): { relation: ObjectKey; mbPerS: number }[] {
  const { rewrites, scans, builds, changes } = statement;
  const changed = new Set(changes.filter(({ isAll }) => isAll).map(({ relation }) => relation));
  const rewritten = new Set(
    rewrites.filter(({ reason }) => reason !== 'truncate').map(({ relation }) => relation),
  );
  const emptied = new Set(
    rewrites.filter(({ reason }) => reason === 'truncate').map(({ relation }) => relation),
  );
  const others = <T extends { relation: ObjectKey }>(list: T[]) =>
    list.filter(({ relation }) => !rewritten.has(relation) && !emptied.has(relation));
  const indexBuilds = others(builds).filter(({ isConcurrent }) => !isConcurrent);
  return [
    ...[...rewritten].map((relation) => ({ relation, mbPerS: WORK_RATES.rewriteMbPerS })),
    ...indexBuilds.map(({ relation }) => ({ relation, mbPerS: WORK_RATES.buildMbPerS })),
    ...[...changed].map((relation) => ({ relation, mbPerS: WORK_RATES.changeMbPerS })),
    ...others(scans)
      .filter(({ reason, relation }) => reason !== 'index build' && !changed.has(relation))
      .map(({ relation }) => ({ relation, mbPerS: WORK_RATES.scanMbPerS })),
  ];
}
