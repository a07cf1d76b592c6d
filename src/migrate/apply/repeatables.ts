import { codeOf, isConnectionLoss } from '../../connection/connection-error.ts';
import { EvdbError } from '../../errors.ts';
import { classifyStatement } from '../../sql/kind.ts';
import type { Statement } from '../../sql/statements.ts';
import { createRebuilding, type NamedObject, type Rebuilding } from '../../structure/rebuild.ts';
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
    rebuilding: createRebuilding(worker),
  };
  for (const part of parts) {
    context.signal?.throwIfAborted();
    context.notices.startTry({ ...step, name: part.name, script: part.script });
    await worker.run(`set local search_path = ${path}`);
    for (const statement of part.statements) {
      await runStatement(statement, part, running);
    }
  }
  await finishRebuilding(running);
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
  rebuilding: Rebuilding;
  /** The last statement that something was taken down for. */
  takenFor?: { part: RepeatablePart; statement: Statement };
}

/** What cannot be made again is told at the statement that it was taken down for. */
async function finishRebuilding({ rebuilding, takenFor }: Running): Promise<void> {
  try {
    await rebuilding.finish();
  } catch (error) {
    throw takenFor ? placed(error, takenFor.part, takenFor.statement) : error;
  }
}

async function runStatement(
  statement: Statement,
  part: RepeatablePart,
  running: Running,
): Promise<void> {
  const { step, context, limit, timeouts } = running;
  const { worker } = context;
  const startedAt = performance.now();
  for (const { text } of limit.before(timeouts[classifyStatement(statement).lockClass])) {
    await worker.run(text);
  }
  try {
    await replace(statement, part, running);
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

/**
 * Runs a statement. Where it makes what cannot be changed in place, or drops what others need, that is
 * taken down first with all that depends on it, and made again behind it.
 */
async function replace(
  statement: Statement,
  part: RepeatablePart,
  running: Running,
): Promise<void> {
  const { context, rebuilding } = running;
  const isOf = (one: MadeObject) =>
    one.statementIndex === statement.index && (isRelation(one) || isRoutine(one));
  const made = part.makes.find(isOf);
  const dropped = part.drops.filter(isOf);
  const send = () => sendStatement(statement, part, context);
  if (!made && dropped.length === 0) return send();
  await context.worker.run('savepoint evdb_replace');
  try {
    await send();
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (!(made ? NOT_IN_PLACE.has(code) : code === STILL_NEEDED)) throw error;
    await context.worker.run('rollback to savepoint evdb_replace');
    running.takenFor = { part, statement };
    const isDown = await takeDown(made ? [made] : dropped, running);
    if (!isDown) throw error;
    await send();
  }
  await context.worker.run('release savepoint evdb_replace');
  if (made) await rebuilding.made(named(made, context));
}

async function takeDown(
  objects: readonly MadeObject[],
  { context, step, rebuilding, takenFor }: Running,
): Promise<boolean> {
  if (takenFor === undefined) return false;
  const { part, statement } = takenFor;
  const parts = step.repeatables ?? [];
  // What is still to come is made in another form.
  const upcoming = parts
    .slice(parts.indexOf(part))
    .flatMap((one) =>
      one.makes.filter(
        (made) =>
          (isRelation(made) || isRoutine(made)) &&
          (one !== part || made.statementIndex > statement.index),
      ),
    );
  const later = upcoming.map((made) => named(made, context));
  let isDown = false;
  for (const one of objects) {
    // What a file drops by itself is gone; what others need is not.
    const keepsRoot = part.makes.includes(one);
    const down = await rebuilding.takeDown(named(one, context), later, keepsRoot);
    if (down === undefined) continue;
    isDown = true;
    if (down.length > 0)
      context.onProgress({ kind: 'rebuilt', step: stepName(step), objects: down });
  }
  return isDown;
}

function named(made: MadeObject, { key }: ApplyContext): NamedObject {
  return { isRoutine: isRoutine(made), name: writtenMade(made, key.targetSchema) };
}
