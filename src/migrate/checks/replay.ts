import { isConnectionLoss } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { roleStandInOf } from '../../scratch/roles.ts';
import { changesServer, classifyStatement } from '../../sql/kind.ts';
import { type Statement, splitStatements } from '../../sql/statements.ts';
import { beginSql, openSessionSql, searchPathSql, sendStatement } from '../apply/worker-session.ts';
import { batchesOf } from '../files/batches.ts';
import { statementError } from '../files/script-error.ts';
import { readScript, type Script, scriptFromText } from '../files/source.ts';
import { readStoredTexts } from '../ledger/ledger.ts';
import { applySettings, ledgerKey, type MigrateOptions } from '../options.ts';
import { isApplied, type MigrationStatus } from '../plan/compare.ts';
import { fullName } from '../plan/plan.ts';

export const REPLAY_HINT =
  'A scratch database is empty: what the migrations need from elsewhere, such as an extension or another schema, is missing.';

interface Replay {
  /** A session on the target, to read the ledger. */
  target: Session;
  statuses: MigrationStatus[];
  options: MigrateOptions;
}

/**
 * Runs what is applied on the target again in a scratch database, as far as they
 * make something. The texts are those that the ledger kept, else the files.
 *
 * @throws {EvdbError} REPLAY_FAILED where a text is missing, or does not run
 */
export async function replayApplied(
  scratch: Session,
  { target, statuses, options }: Replay,
): Promise<void> {
  const applied = statuses.filter(isApplied);
  const scripts = await readAppliedScripts({ target, statuses: applied, options });
  for (const [index, status] of applied.entries()) {
    const script = scripts(status);
    try {
      await runScript(scratch, script, { options, createTarget: index === 0 });
    } catch (cause) {
      if (options.signal?.aborted) throw options.signal.reason;
      throw new EvdbError(
        'REPLAY_FAILED',
        `${fullName(status)} is applied, and cannot be run again in a scratch database: ${cause instanceof Error ? cause.message : cause}`,
        { hint: REPLAY_HINT, cause },
      );
    }
  }
}

async function readAppliedScripts({
  target,
  statuses,
  options,
}: Replay): Promise<(status: MigrationStatus) => Script> {
  const versions = statuses.map(({ version }) => version);
  // who may not read them may still have the files
  const texts = await readStoredTexts(target, ledgerKey(options), versions).catch(
    (error: unknown) => {
      if (error instanceof EvdbError && error.code === 'PERMISSION_DENIED') return undefined;
      throw error;
    },
  );
  return (status) => {
    // A reworded file is the same SQL, and may be mended where another tool's did not run here.
    const isReworded = status.state === 'reworded' && status.file !== undefined;
    const stored = isReworded ? undefined : texts?.get(status.version)?.up;
    if (stored) return scriptFromText(`ledger:${fullName(status)}.sql`, stored);
    const isSame = status.state === 'applied' || status.state === 'reworded';
    if (status.file && isSame) return readScript(status.file.upPath);
    throw new EvdbError('REPLAY_FAILED', `the text of ${fullName(status)} is not available`, {
      hint: 'The ledger did not keep it, and there is no file that is the same.',
    });
  };
}

interface ReplayContext {
  options: Omit<MigrateOptions, 'connection'>;
  createTarget: boolean;
}

/** Runs a script in one transaction, or statement by statement; what would change the whole server is left out. */
export async function runScript(
  session: Session,
  script: Script,
  { options, createTarget }: ReplayContext,
): Promise<void> {
  const { signal } = options;
  const send = async (statement: Statement, rows?: Iterable<Buffer>) => {
    try {
      await sendStatement(statement, { script, rows }, { worker: session, signal });
    } catch (error) {
      throw isConnectionLoss(error) ? error : statementError(error, script, statement);
    }
  };
  const settings = { ...applySettings(options), ...ledgerKey(options) };
  const statements = splitStatements(script.text);
  const roles = roleStandInOf(session);
  const sendAdapted = async (one: Statement, rows?: Iterable<Buffer>) => {
    if (staysInDatabase(one)) await send(await roles.adapt(one), rows);
    else roles.leaveOut(one);
  };
  const begin = beginSql({
    ...settings,
    facts: session.facts,
    createTarget,
    lockTimeoutMs: 0,
    statementTimeoutMs: undefined,
  });
  if (!script.directives.noTransaction) {
    await session.run(begin);
    for (const batch of batchesOf({ script, statements })) {
      for (const one of batch.statements) await sendAdapted(one, batch.rows);
    }
    await session.run('commit');
    return;
  }
  await session.run(`${begin}; commit; ${openSessionSql(session.facts)}
    set search_path = ${searchPathSql(settings)}`);
  for (const one of statements.filter(isWorthReplaying)) await sendAdapted(one);
}

function staysInDatabase(statement: Statement): boolean {
  return statement.psqlCommand === null && !changesServer(statement) && !mayMakeRole(statement);
}

/** A block that makes a role unless it exists. */
function mayMakeRole({ command, text }: Statement): boolean {
  return command === 'do' && /\b(?:create|alter|drop)\s+(?:role|user|group)\b/i.test(text);
}

/** An empty database needs no `vacuum`. */
function isWorthReplaying(statement: Statement): boolean {
  const { needsNoTransaction, isConcurrently } = classifyStatement(statement);
  return isConcurrently || !needsNoTransaction;
}
