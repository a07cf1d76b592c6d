import type { Catalog, ObjectKey } from '../catalog/catalog.ts';
import { blockedBy, type Impact, isStronger } from '../impact/impact.ts';
import type { SqlParser } from '../sql/parser.ts';
import type { Statement } from '../sql/statements.ts';
import type { StatementTrace } from '../trace/trace-statements.ts';
import type { ApplySettings } from './apply-context.ts';
import { ladderFor, lockTimeouts, stepName } from './apply-context.ts';
import type { LockWaits, StatementImpact, StepImpact, StrongestLock } from './impact-plan.ts';
import type { Step } from './prepare.ts';
import { LADDER } from './retry.ts';
import { settleTrace } from './settle-trace.ts';
import { readStatementImpact } from './statement-impact.ts';

interface Around {
  /** Before the step; it is brought to what it is after it. */
  catalog: Catalog;
  parser: SqlParser;
  settings: ApplySettings;
  /** What a server did with the step's statements, where they were tried. */
  traces?: (StatementTrace | undefined)[] | undefined;
}

/**
 * What others feel of a step, statement by statement. What the step itself makes is left out, since
 * nobody else uses it yet.
 */
export function readStepImpact(
  step: Step,
  { catalog, parser, settings, traces }: Around,
): StepImpact {
  const before = new Set([...catalog.relations.keys(), ...catalog.indexes.keys()]);
  // What ran before a script stopped half way is in the catalog already, and does not run again.
  const statementsDone = step.resume?.statementsDone ?? 0;
  const ahead = step.statements.slice(statementsDone);
  const statements = ahead.map((statement): StatementImpact => {
    const read = onlyOf(before, catalog, readStatementImpact(statement, catalog, parser));
    const settled = settleTrace(read, traces?.[statement.index]);
    return { ...place(statement), ...settled, locks: settled.locks.map(withBlocked) };
  });
  return {
    ...stepName(step),
    direction: step.direction,
    file: step.script.path,
    isTransactional: step.isTransactional,
    waits: lockWaits(step, settings),
    strongestLock: strongestLock(statements),
    statementsDone,
    statementsTotal: step.script.large?.statementsTotal ?? statements.length,
    statements,
  };
}

function place({ line, column, command, text }: Statement) {
  return { line, column, command, text };
}

function withBlocked<T extends { mode: Parameters<typeof blockedBy>[0] }>(lock: T) {
  return { ...lock, blocks: blockedBy(lock.mode) };
}

/** Without what the catalog did not hold before the step; where it is not complete nobody knows. */
function onlyOf(before: Set<ObjectKey>, { isComplete }: Catalog, impact: Impact): Impact {
  if (!isComplete) return impact;
  const isOld = ({ relation }: { relation: ObjectKey }) => before.has(relation);
  return {
    ...impact,
    locks: impact.locks.filter(isOld),
    rewrites: impact.rewrites.filter(isOld),
    scans: impact.scans.filter(isOld),
    builds: impact.builds.filter(isOld),
  };
}

function lockWaits(step: Step, settings: ApplySettings): LockWaits {
  const ladder = ladderFor(step, settings);
  const first = ladder[0] ?? LADDER[0];
  return {
    lockTimeoutsMs: ladder.map(({ lockTimeoutMs }) => lockTimeoutMs),
    dataLockTimeoutMs: first ? lockTimeouts(first, settings).data : settings.dataLockTimeoutMs,
    statementTimeoutMs:
      step.script.directives.statementTimeoutMs ?? settings.statementTimeoutMs ?? null,
  };
}

function strongestLock(statements: StatementImpact[]): StrongestLock | null {
  const locks = statements
    .flatMap((statement) => statement.locks)
    .filter(({ reason }) => reason !== 'index' && reason !== 'sequence');
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
