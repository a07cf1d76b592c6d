import {
  describeBlocker,
  type SeenBlocker,
  type SeenBlockers,
  terminateSql,
} from '../../connection/blockers.ts';
import { codeOf, isConnectionLoss, reasonOfLoss } from '../../connection/connection-error.ts';
import { isLockFailure } from '../../connection/retry.ts';
import { describeUser } from '../../connection/session.ts';
import { EvdbError, mayBeCommitted } from '../../errors.ts';
import { locate } from '../../sql/position.ts';
import { commandLine } from '../../text/command-line.ts';
import { lackingCharacter } from '../files/file-errors.ts';
import { ScriptError } from '../files/script-error.ts';
import type { Script } from '../files/source.ts';
import { fenceSql, holdsLockSql, leaseLost } from '../ledger/lock.ts';
import { insertHistorySql } from '../ledger/record.ts';
import { fullName } from '../plan/plan.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import type { ApplyContext } from './context.ts';

/** Says what a failure means for the database, and writes it into the history. */
export async function describeFailure(
  error: unknown,
  { step, context, seen }: { step: MigrationStep; context: ApplyContext; seen: SeenBlockers },
): Promise<unknown> {
  if (mayBeCommitted(error)) return error;
  const described = context.signal?.aborted
    ? interrupted(context.signal.reason, step)
    : (await hasLostLease(error, context))
      ? leaseLost()
      : describe(error, { step, context, seen });
  await recordFailure(described, step, context);
  return described;
}

/** A transaction with a snapshot of its own sees the lease as it was: the server refuses its lock (40001). */
async function hasLostLease(error: unknown, { key, observer }: ApplyContext): Promise<boolean> {
  if (key.lease === undefined || codeOf(error) !== '40001') return false;
  const [row] = await observer.run(`select ${holdsLockSql(key)} as "holds"`).catch(() => []);
  return row?.holds === false;
}

/** Of a backfill only the batch under way is rolled back. */
function interrupted(reason: unknown, { backfill, direction }: MigrationStep): unknown {
  if (!backfill || !(reason instanceof EvdbError)) return reason;
  const again = commandLine(direction === 'up' ? 'migrate up' : 'migrate down');
  return reason.addHint(`The batches that are committed stay: \`${again}\` continues after them.`);
}

function describe(
  error: unknown,
  { step, context, seen }: { step: MigrationStep; context: ApplyContext; seen: SeenBlockers },
): unknown {
  if (isLockFailure(error)) return lockTimeout(error, step, seen.list());
  if (error instanceof ScriptError && error.code === 'MIGRATION_FAILED') {
    return withAdvice(error, step);
  }
  if (error instanceof EvdbError) return error;
  if (isConnectionLoss(error)) {
    return connectionLost(error, step);
  }
  if (codeOf(error) === '42501') return notAllowed(error, step, context);
  const lacking = lackingCharacter(error);
  if (lacking !== undefined) return cannotKeep(error, lacking, step);
  const { schema_name: schema } = error as { schema_name?: string };
  if (schema === context.key.ledgerSchema) return ledgerRefuses(error as Error, step, context);
  // Neither a statement of the script nor the connection: a deferred constraint.
  const { message, detail, hint } = error as { message?: string; detail?: string; hint?: string };
  const place = { script: step.script, line: 1, column: 1 };
  return new ScriptError('MIGRATION_FAILED', `${message} (when the transaction ended)`, place, {
    cause: error,
    server: { sqlstate: codeOf(error) ?? '', detail, hint },
  });
}

function ledgerRefuses(cause: Error, step: MigrationStep, { key }: ApplyContext): EvdbError {
  return new EvdbError(
    'LEDGER_DAMAGED',
    `the ledger refuses what is to be written of ${fullName(step)}: ${cause.message}`,
    {
      hint: `Nothing is wrong with the file. Look at the tables of schema "${key.ledgerSchema}": they, or rows in them, were changed by hand.`,
      cause,
      details: { sqlstate: codeOf(cause) },
    },
  );
}

/** The statements went through, so it is in a comment or in the down script; the ledger keeps both. */
function cannotKeep(cause: unknown, character: string, step: MigrationStep): EvdbError {
  const { message } = cause as Error;
  const hint = `${nothingOf(step)} The ledger keeps the file and its down script whole, comments included: take "${character}" out, or write it as an escape.`;
  const at = step.script.text.indexOf(character);
  const server = { sqlstate: '22P05' };
  if (at >= 0) {
    const place = { script: step.script, ...locate(step.script.text, at) };
    return new ScriptError('MIGRATION_FAILED', message, place, { cause, hint, server });
  }
  return new EvdbError(
    'MIGRATION_FAILED',
    `the ledger cannot keep the texts of ${fullName(step)}: ${message}`,
    { cause, hint, details: server },
  );
}

function notAllowed(cause: unknown, step: MigrationStep, { worker, key }: ApplyContext): EvdbError {
  const { message } = cause as Error;
  return new EvdbError(
    'PERMISSION_DENIED',
    `${describeUser(worker.facts)} lacks a privilege that evdb itself needs: ${message}`,
    {
      hint: `${nothingOf(step)} evdb creates schema "${key.targetSchema}" where it is missing, and writes its ledger in schema "${key.ledgerSchema}": run it as their owner.`,
      cause,
    },
  );
}

/** Says what the failed statement means for the rest of its script. */
function withAdvice(error: ScriptError, step: MigrationStep): ScriptError {
  const { code, message, location, excerpt, server, cause } = error;
  const mend = needsNoTransaction(error, step)
    ? 'PostgreSQL refuses this inside a transaction: write the line `-- evdb: no-transaction` at the top of the file'
    : 'Correct the file';
  const hint = step.backfill
    ? `${BATCHES_STAY} ${describeBackfillWay(step)}`
    : step.isTransactional
      ? `${nothingOf(step)} ${mend} and run the command again.`
      : adviseOutsideTransaction(error, step);
  const place = { script: scriptAt(step, location), ...location, excerpt };
  const advised = new ScriptError(code, message, place, { hint, cause, ...(server && { server }) });
  Object.assign(advised.details, error.details);
  return advised;
}

/** What a rolled back transaction leaves; others of the same run are committed. */
function nothingOf(step: MigrationStep): string {
  return `Nothing of ${fullName(step)} was ${step.direction === 'up' ? 'applied' : 'rolled back'}; what ran before it stays.`;
}

/** A step of repeatables has several. */
function scriptAt({ script, repeatables = [] }: MigrationStep, { file }: { file: string }): Script {
  return repeatables.find((part) => part.script.path === file)?.script ?? script;
}

function adviseOutsideTransaction({ location, details }: ScriptError, step: MigrationStep): string {
  const name = fullName(step);
  if (details.isInDoubt === true) {
    const settle = (as: string) => commandLine('migrate repair', { as }, { args: [step.label] });
    return `${name} runs outside a transaction, and this statement commits on its own, so a part of it may be there. Look at the database and settle it before you change the file: where it is done, \`${settle('done')}\`; where it has to run again, \`${settle('not-done')}\`. Then correct the file and run the command again.`;
  }
  if (statementAt(step, location)?.index === 0) {
    return `${name} runs outside a transaction, and no statement of it is committed. Correct the file and run the command again: what this statement may have left, such as an invalid index, is dealt with then.`;
  }
  const way =
    step.direction === 'up'
      ? ` \`${commandLine('migrate down')}\` rolls them back with its down script.`
      : '';
  return `${name} runs outside a transaction: the statements before this one are committed and do not run again. Correct this one and run the command again: it continues here.${way}`;
}

const BATCHES_STAY = 'The batches before this one are committed.';

/** A file that changes half way is refused, so data is what is left to correct. */
function describeBackfillWay({ direction }: MigrationStep): string {
  const again = commandLine(direction === 'up' ? 'migrate up' : 'migrate down');
  const back =
    direction === 'up'
      ? ` If the statement is wrong, \`${commandLine('migrate down')}\` rolls the migration back with its down script.`
      : '';
  return `If the row is wrong, correct it and run \`${again}\`: it continues here.${back}`;
}

/**
 * Only the server knows that a called procedure commits (2D000), or that a table is partitioned and
 * `reindex` or `cluster` therefore begins transactions of its own (25001). `set transaction` fails
 * with 25001 as well, because it comes too late.
 */
function needsNoTransaction({ server, location }: ScriptError, step: MigrationStep): boolean {
  if (server?.sqlstate === '2D000') return true;
  if (server?.sqlstate !== '25001') return false;
  const at = statementAt(step, location);
  return at?.command !== undefined && !at.command.startsWith('set');
}

/** The statement that a place is in. */
function statementAt({ statements }: MigrationStep, place: { line: number; column: number }) {
  return statements.findLast(({ line, column }) =>
    line === place.line ? column <= place.column : line < place.line,
  );
}

function connectionLost(cause: unknown, step: MigrationStep): EvdbError {
  const name = fullName(step);
  const verb = step.direction === 'up' ? 'applied' : 'rolled back';
  if (step.isTransactional) {
    return new EvdbError(
      'CONNECTION_LOST',
      `the connection was lost while ${name} ran; nothing of it was ${verb}${reasonOfLoss(cause)}`,
      { hint: 'Run the command again.', cause, details: { cause: codeOf(cause) } },
    );
  }
  const message = `the connection was lost while ${name} ran${reasonOfLoss(cause)}`;
  if (step.backfill) {
    return new EvdbError('CONNECTION_LOST', message, {
      hint: 'Its batches so far are committed. Run the command again: it continues from there.',
      cause,
      details: { cause: codeOf(cause) },
    });
  }
  return new EvdbError('CONNECTION_LOST', message, {
    hint: `It runs outside a transaction, so its first statements stay: \`${commandLine('migrate status')}\` tells how far it came. Run the command again: it continues from there.`,
    cause,
    details: { cause: codeOf(cause) },
  });
}

function lockTimeout(cause: unknown, step: MigrationStep, blockers: SeenBlocker[]): EvdbError {
  const who = blockers.length > 0 ? `: ${blockers.map(describeSeen).join('; ')}` : '';
  const left = step.backfill
    ? 'Its batches so far are committed; the next run continues here.'
    : step.isTransactional
      ? nothingOf(step)
      : 'The statements before it are committed; the next run continues here.';
  const sql = terminateSql(blockers);
  const end = sql === '' ? '' : `end the session that blocks it (${sql}), `;
  const hint = `${left} Try again at a quieter time, ${end}or allow more time: --lock-wait-budget 10min, or in the file -- evdb: lock-timeout 5s`;
  const message = `${fullName(step)} could not acquire its locks${who}`;
  const isPlaced = cause instanceof ScriptError;
  const { line = 1, column = 1 } = isPlaced ? cause.location : {};
  const excerpt = isPlaced ? cause.excerpt : undefined;
  const server = isPlaced ? cause.server : undefined;
  const error = isPlaced
    ? new ScriptError(
        'LOCK_TIMEOUT',
        message,
        { script: scriptAt(step, cause.location), line, column, excerpt },
        { hint, cause, ...(server && { server }) },
      )
    : new EvdbError('LOCK_TIMEOUT', message, { hint, cause });
  Object.assign(error.details, { blockers });
  return error;
}

function describeSeen({ tries, firstSeenAt, ...blocker }: SeenBlocker): string {
  const often = tries === 1 ? 'once' : `in ${tries} tries`;
  return `${describeBlocker(blocker)} (seen ${often}, first at ${firstSeenAt.slice(11, 19)} UTC)`;
}

/** None where a large file was changed before its checksum was known. */
function checksumOf(script: Script): { checksum?: string } {
  try {
    return { checksum: script.checksum };
  } catch {
    return {};
  }
}

/** A failure that cannot be written down must not hide the failure itself. */
async function recordFailure(
  error: unknown,
  step: MigrationStep,
  context: ApplyContext,
): Promise<void> {
  const { version, label } = step;
  const script = error instanceof ScriptError ? scriptAt(step, error.location) : step.script;
  const part = step.repeatables?.find((one) => one.script.path === script.path);
  const sql = insertHistorySql(
    context.key,
    {
      action: 'failed',
      ...(version !== '' && { version }),
      label,
      name: part?.name ?? step.name,
      ...checksumOf(script),
      error: error instanceof Error ? error.message : String(error),
    },
    context.provenance,
  );
  await context.observer.run(`${fenceSql(context.key)}${sql}`).catch(() => undefined);
}
