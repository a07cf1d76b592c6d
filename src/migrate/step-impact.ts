import type { Catalog, ObjectKey } from '../catalog/catalog.ts';
import { LADDER } from '../connection/retry.ts';
import {
  blockedBy,
  isStronger,
  type LockMode,
  type LockTaken,
  type Refusal,
} from '../impact/impact.ts';
import { maskSecrets } from '../sql/mask.ts';
import type { Statement } from '../sql/statements.ts';
import type { StatementTrace } from '../trace/trace-statements.ts';
import { type ApplySettings, ladderFor, lockTimeouts, stepName } from './apply-context.ts';
import type {
  LockWaits,
  PlannedLock,
  StatementImpact,
  StepImpact,
  StrongestLock,
} from './impact-plan.ts';
import type { Step } from './prepare.ts';
import { settleTrace } from './settle-trace.ts';
import { readStatementImpact, type Surroundings } from './statement-impact.ts';

interface Around extends Omit<Surroundings, 'nameOf'> {
  settings: ApplySettings;
  /** Whether an earlier step makes it, so that nobody uses it yet. */
  isNew(key: ObjectKey): boolean;
  /** What a server did with the step's statements, where they were tried. */
  traces?: (StatementTrace | undefined)[] | undefined;
}

/**
 * What others feel of a step, statement by statement. Relations go by the names that they have before
 * the step, and what the step itself makes is left out, since nobody else uses it yet.
 */
export function readStepImpact(step: Step, around: Around): StepImpact {
  const { settings, traces, isNew } = around;
  const nameOf = rememberNames(around.catalog);
  // What ran before a script stopped half way is in the catalog already, and does not run again.
  const statementsDone = step.resume?.statementsDone ?? 0;
  const ahead = step.statements.slice(statementsDone);
  const statements = ahead.map((statement): StatementImpact => {
    const read = readStatementImpact(statement, { ...around, nameOf });
    const settled = settleTrace(read, traces?.[statement.index]);
    return {
      ...place(statement),
      ...settled,
      refusals: refusedIn(step, settled.refusals),
      locks: settled.locks.map(plannedLock),
      estimatedMs: null,
    };
  });
  if (step.isTransactional) markHeldLocks(statements);
  return {
    ...stepName(step),
    direction: step.direction,
    file: step.script.path,
    isTransactional: step.isTransactional,
    waits: lockWaits(step, settings),
    strongestLock: strongestLock(statements, isNew),
    statementsDone,
    statementsTotal: step.script.large?.statementsTotal ?? statements.length,
    statements,
  };
}

/** What only a transaction forbids is none where there is none. */
function refusedIn({ isTransactional }: Step, refusals: readonly Refusal[]): Refusal[] {
  return refusals.filter((one) => isTransactional || !one.isOnlyInTransaction);
}

/** Nobody reads a statement of some megabytes in a plan; the file has it. */
function place({ line, column, command, text }: Statement) {
  const isLong = text.length > MAX_TEXT_LENGTH;
  // Cut first: what is cut in the middle of a secret is masked to its end.
  const shown = maskSecrets(text.slice(0, MAX_TEXT_LENGTH));
  return { line, column, command, text: isLong ? `${shown}…` : shown };
}

const MAX_TEXT_LENGTH = 2000;

function plannedLock(lock: LockTaken): PlannedLock {
  return { ...lock, blocks: blockedBy(lock.mode), isHeld: false };
}

/** Locks last until the end of the transaction. */
function markHeldLocks(statements: StatementImpact[]): void {
  const held = new Map<ObjectKey, LockMode>();
  for (const lock of statements.flatMap(({ locks }) => locks)) {
    const before = held.get(lock.relation);
    lock.isHeld = before !== undefined && !isStronger(lock.mode, before);
    if (!lock.isHeld) held.set(lock.relation, lock.mode);
  }
}

/** Gives the names that relations have now, also when they are called otherwise later. */
function rememberNames({ relations, indexes, isComplete }: Catalog): Surroundings['nameOf'] {
  const names = new Map<unknown, ObjectKey>(
    [...relations, ...indexes].map(([key, object]) => [object, key]),
  );
  return (key) => {
    const object = relations.get(key) ?? indexes.get(key);
    // where not all is known, what is not may have been there
    return object === undefined && !isComplete ? key : names.get(object);
  };
}

function lockWaits(step: Step, settings: ApplySettings): LockWaits {
  const ladder = ladderFor(step, settings);
  const first = ladder[0] ?? LADDER[0];
  return {
    lockTimeoutsMs: ladder.map(({ lockTimeoutMs }) => lockTimeoutMs),
    budgetMs: settings.lockWaitBudgetMs ?? null,
    dataLockTimeoutMs: first ? lockTimeouts(first, settings).data : settings.dataLockTimeoutMs,
    statementTimeoutMs:
      step.script.directives.statementTimeoutMs ?? settings.statementTimeoutMs ?? null,
  };
}

function strongestLock(
  statements: StatementImpact[],
  isNew: Around['isNew'],
): StrongestLock | null {
  const locks = statements
    .flatMap((statement) => statement.locks)
    .filter(({ reason }) => reason !== 'index' && reason !== 'sequence')
    .filter(({ relation }) => !isNew(relation));
  const [first, ...others] = locks;
  if (!first) return null;
  const strongest = others.reduce(
    (best, one) => (isStronger(one.mode, best.mode) ? one : best),
    first,
  );
  const { mode, blocks } = strongest;
  const relations = locks.filter((lock) => lock.mode === mode).map(({ relation }) => relation);
  return { mode, blocks, relations: [...new Set(relations)] };
}
