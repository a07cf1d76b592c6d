import { codeOf, isConnectionLoss } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { classifyStatement } from '../../sql/kind.ts';
import type { Statement } from '../../sql/statements.ts';
import { createRebuilding, type NamedObject } from '../../structure/rebuild.ts';
import { ScriptError, statementError } from '../files/script-error.ts';
import { mayCommitSql } from '../ledger/record.ts';
import { recordRepeatablesStatements } from '../ledger/repeatable-texts.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import type { RepeatablePart } from '../plan/prepare-repeatables.ts';
import { isRelation, isRoutine, type MadeObject, writtenMade } from '../repeatable/objects.ts';
import { type ApplyContext, lockTimeouts, stepName } from './context.ts';
import { createOutbox } from './messages.ts';
import { beginParts, endScript, outcomeOf, recordedId, type Try } from './transaction.ts';
import { createLockLimit, type LockLimit, searchPathSql, sendStatement } from './worker-session.ts';

/** No statement of a repeatable says how its transaction begins. */
const USUAL_MODES = { isolation: undefined, isReadOnly: false, isDeferrable: false, count: 0 };

/**
 * Runs the files of a step one after the other in one transaction, each with the settings that a script
 * begins with, and writes the ledger behind them; gives the transaction's id. What a statement makes is
 * waited for, because what comes next depends on it.
 */
export async function runRepeatables(
  step: MigrationStep,
  rung: Try,
  context: ApplyContext,
): Promise<string> {
  const { worker, key, provenance, settings, cleanness } = context;
  const parts = step.repeatables ?? [];
  const outbox = createOutbox(worker, outcomeOf(step, context));
  outbox.add(...beginParts(step, USUAL_MODES, rung, context));
  cleanness.isClean = false;
  await Promise.all(outbox.send());
  const path = searchPathSql({ ...settings, targetSchema: key.targetSchema });
  const running: Running = {
    ...{ step, context, limit: createLockLimit(rung.lockTimeoutMs) },
    timeouts: lockTimeouts(rung, settings),
    replacing: createReplacing(worker, parts, {
      targetSchema: key.targetSchema,
      onRebuilt: (objects) =>
        context.onProgress({ kind: 'rebuilt', step: stepName(step), objects }),
    }),
  };
  for (const part of parts) {
    context.signal?.throwIfAborted();
    context.notices.startTry({ ...step, name: part.name, script: part.script });
    await worker.run(`set local search_path = ${path}`);
    for (const statement of part.statements) {
      await runStatement(statement, part, running);
    }
  }
  await finishReplacing(running.replacing);
  await Promise.all(endScript(USUAL_MODES, context));
  const changes = parts.map(({ name, script: { checksum }, change }) => ({
    name,
    checksum,
    change,
  }));
  const texts = [...recordRepeatablesStatements(key, changes, provenance), mayCommitSql(key)];
  outbox.add(...texts.map((text) => ({ text })));
  const [rows] = await Promise.all(outbox.send());
  return recordedId(rows?.[0]?.recorded, step, context);
}

interface Running {
  step: MigrationStep;
  context: ApplyContext;
  limit: LockLimit;
  timeouts: ReturnType<typeof lockTimeouts>;
  replacing: Replacing;
}

/** What cannot be made again is told at the statement that it was taken down for. */
async function finishReplacing(replacing: Replacing): Promise<void> {
  try {
    await replacing.finish();
  } catch (error) {
    const { takenFor } = replacing;
    throw takenFor ? placed(error, takenFor.part, takenFor.statement) : error;
  }
}

async function runStatement(
  statement: Statement,
  part: RepeatablePart,
  running: Running,
): Promise<void> {
  const { step, context, limit, timeouts, replacing } = running;
  const { worker } = context;
  const startedAt = performance.now();
  for (const { text } of limit.before(timeouts[classifyStatement(statement).lockClass])) {
    await worker.run(text);
  }
  try {
    await replacing.run(statement, part, () => sendStatement(statement, part, context));
  } catch (error) {
    throw placed(error, part, statement);
  }
  for (const { text } of limit.after(statement)) await worker.run(text);
  const { line, command } = statement;
  const durationMs = performance.now() - startedAt;
  context.onProgress({ kind: 'statement', step: stepName(step), line, command, durationMs });
}

function placed(error: unknown, { script }: RepeatablePart, statement: Statement): unknown {
  if (isConnectionLoss(error)) return error;
  if (!(error instanceof EvdbError)) return statementError(error, script, statement);
  const { code, message, hint, details } = error;
  const place = { script, line: statement.line, column: statement.column };
  const at = new ScriptError(code, message, place, { hint, cause: error });
  return Object.assign(at, { details: { ...details, ...at.details } });
}

/** The server refuses to change the columns of a view, and what a function returns (42P13) and is called with. */
const NOT_IN_PLACE: ReadonlySet<string> = new Set(['42P16', '42P13']);
const STILL_NEEDED = '2BP01';

/** Runs the statements of repeatables, in one transaction or in one for each file. */
export interface Replacing {
  /** The last statement that something was taken down for. */
  readonly takenFor: { part: RepeatablePart; statement: Statement } | undefined;
  /**
   * Runs a statement. Where it makes what cannot be changed in place, or drops what others need, that is
   * taken down first with all that depends on it, and made again behind it.
   *
   * @param send runs the statement alone
   * @throws {EvdbError} DEPENDENTS_REFUSED
   */
  run(statement: Statement, part: RepeatablePart, send: () => Promise<unknown>): Promise<void>;
  /**
   * Makes all that is left.
   *
   * @throws {EvdbError} DEPENDENTS_REFUSED
   */
  finish(): Promise<void>;
}

/** @param parts all files that are applied together */
export function createReplacing(
  session: Session,
  parts: readonly RepeatablePart[],
  { targetSchema, onRebuilt }: { targetSchema: string; onRebuilt?: (objects: string[]) => void },
): Replacing {
  const rebuilding = createRebuilding(session);
  let takenFor: Replacing['takenFor'];
  const named = (made: MadeObject): NamedObject => ({
    isRoutine: isRoutine(made),
    name: writtenMade(made, targetSchema),
  });
  const takeDown = async (
    objects: readonly MadeObject[],
    part: RepeatablePart,
    statement: Statement,
  ): Promise<boolean> => {
    const later = madeLater(parts, part, statement).map(named);
    let isDown = false;
    for (const one of objects) {
      // What a file drops by itself is gone; what others need is not.
      const keepsRoot = part.makes.includes(one);
      const down = await rebuilding.takeDown(named(one), later, keepsRoot);
      if (down === undefined) continue;
      isDown = true;
      if (down.length > 0) onRebuilt?.(down);
    }
    return isDown;
  };
  return {
    get takenFor() {
      return takenFor;
    },
    async run(statement, part, send) {
      const isOf = (one: MadeObject) =>
        one.statementIndex === statement.index && (isRelation(one) || isRoutine(one));
      const made = part.makes.find(isOf);
      const dropped = part.drops.filter(isOf);
      if (!made && dropped.length === 0) {
        await send();
        return;
      }
      await session.run('savepoint evdb_replace');
      try {
        await send();
      } catch (error) {
        const code = codeOf(error) ?? '';
        if (!(made ? NOT_IN_PLACE.has(code) : code === STILL_NEEDED)) throw error;
        await session.run('rollback to savepoint evdb_replace');
        takenFor = { part, statement };
        const isDown = await takeDown(made ? [made] : dropped, part, statement);
        if (!isDown) throw error;
        await send();
      }
      await session.run('release savepoint evdb_replace');
      if (made) await rebuilding.made(named(made));
    },
    finish: () => rebuilding.finish(),
  };
}

/** What is still to come, and is made in another form. */
function madeLater(
  parts: readonly RepeatablePart[],
  part: RepeatablePart,
  { index }: Statement,
): MadeObject[] {
  return parts
    .slice(parts.indexOf(part))
    .flatMap((one) =>
      one.makes.filter(
        (made) =>
          (isRelation(made) || isRoutine(made)) && (one !== part || made.statementIndex > index),
      ),
    );
}
