import { adaptToScratch } from '../../citus/model.ts';
import { codeOf, isConnectionLoss } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { roleStandInOf } from '../../scratch/roles.ts';
import { changesServer, classifyStatement } from '../../sql/kind.ts';
import type { Statement } from '../../sql/statements.ts';
import { beginSql, openSessionSql, searchPathSql, sendStatement } from '../apply/worker-session.ts';
import { batchesOf } from '../files/batches.ts';
import { readRepeatable } from '../files/repeatables.ts';
import { ScriptError, statementError } from '../files/script-error.ts';
import { type MigrationFile, readScript, type Script, scriptFromText } from '../files/source.ts';
import { bindVariables, statementsOf } from '../files/variables.ts';
import { readStoredTexts } from '../ledger/ledger.ts';
import { readRepeatableTexts } from '../ledger/repeatable-texts.ts';
import { applySettings, ledgerKey, type MigrateOptions } from '../options.ts';
import { isApplied, isStandIn, type MigrationStatus } from '../plan/compare.ts';
import { fullName } from '../plan/plan.ts';
import { namePathOf, orderRepeatables } from '../plan/prepare-repeatables.ts';
import type { RepeatableStatus } from '../plan/repeatables.ts';

export const REPLAY_HINT =
  'A scratch database is empty: what the migrations need from elsewhere, such as an extension or another schema, is missing.';

interface Replay {
  /** A session on the target, to read the ledger. */
  target: Session;
  statuses: MigrationStatus[];
  repeatables: RepeatableStatus[];
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
  { target, statuses, repeatables, options }: Replay,
): Promise<void> {
  const scripts = await readAppliedScripts({
    ...{ target, options },
    statuses: statuses.filter(isApplied),
  });
  const again = await readAppliedRepeatables(target, repeatables, options);
  const parts = [
    ...scripts.map(({ status, script }) => ({ name: fullName(status), script })),
    ...again.map((script) => ({ name: script.path, script })),
  ];
  for (const [index, { name, script }] of parts.entries()) {
    try {
      await runScript(scratch, script, { options, createTarget: index === 0 });
    } catch (cause) {
      const what = `${name} is applied, and cannot be run again in a scratch database`;
      throw replayFailed(what, { script, cause, signal: options.signal });
    }
  }
}

/** Why a script does not run in a scratch database, at its place where that is known; an interruption stays one. */
export function replayFailed(
  what: string,
  { script, cause, signal }: { script: Script; cause: unknown; signal: AbortSignal | undefined },
): unknown {
  if (signal?.aborted) return signal.reason;
  const message = `${what}: ${cause instanceof Error ? cause.message : cause}`;
  const options = { hint: REPLAY_HINT, cause };
  if (!(cause instanceof ScriptError)) return new EvdbError('REPLAY_FAILED', message, options);
  const { location, excerpt, server } = cause;
  const place = { script, ...location, excerpt };
  return new ScriptError('REPLAY_FAILED', message, place, {
    ...options,
    ...(server && { server }),
  });
}

/** The texts of the ledger, in their order; of one that it did not keep, or may not be read, the file's. */
async function readAppliedRepeatables(
  target: Session,
  repeatables: readonly RepeatableStatus[],
  options: MigrateOptions,
): Promise<Script[]> {
  const applied = repeatables.filter(({ row }) => row !== undefined);
  if (applied.length === 0) return [];
  const texts = await readRepeatableTexts(target, ledgerKey(options)).catch((error: unknown) => {
    if (codeOf(error) === '42501') return [];
    throw error;
  });
  const textOf = new Map(texts.map(({ name, text }) => [name, text]));
  const scripts = applied.map(({ name, state, file }) => {
    const text = textOf.get(name);
    if (text != null)
      return { name, script: scriptFromText(`ledger:repeatable/${name}.sql`, text) };
    if (file && state === 'applied') return { name, script: readRepeatable(file) };
    throw new EvdbError('REPLAY_FAILED', `the text of repeatable/${name} is not available`, {
      hint: 'The ledger did not keep it, and there is no file that is the same.',
    });
  });
  return orderRepeatables(scripts, namePathOf(options));
}

interface AppliedScript {
  status: Pick<MigrationStatus, 'label' | 'name'>;
  script: Script;
}

async function readAppliedScripts({
  target,
  statuses,
  options,
}: Omit<Replay, 'repeatables'>): Promise<AppliedScript[]> {
  const versions = statuses.flatMap(({ version, replaced }) => [
    version,
    ...(replaced?.rows ?? []).map((row) => row.version),
  ]);
  // who may not read them may still have the files
  const texts = await readStoredTexts(target, ledgerKey(options), versions).catch(
    (error: unknown) => {
      if (error instanceof EvdbError && error.code === 'PERMISSION_DENIED') return undefined;
      throw error;
    },
  );
  const storedOf = (row: Pick<MigrationStatus, 'version' | 'label' | 'name'>) => {
    const text = texts?.get(row.version)?.up;
    const script = text && scriptFromText(`ledger:${fullName(row)}.sql`, text);
    return script ? [{ status: row, script }] : [];
  };
  return statuses.flatMap((status): AppliedScript[] => {
    const { state, file, replaced } = status;
    const ofFile = () => ({ status, script: readScript((file as MigrationFile).upPath) });
    if (replaced && isStandIn(status)) {
      // What ran here are the migrations that the baseline replaces.
      const stored = replaced.rows.flatMap(storedOf);
      return stored.length === replaced.rows.length ? stored : [ofFile()];
    }
    // A reworded file is the same SQL, and may be mended where another tool's did not run here.
    const [stored] = state === 'reworded' && file !== undefined ? [] : storedOf(status);
    if (stored) return [stored];
    if (file && (state === 'applied' || state === 'reworded')) return [ofFile()];
    throw new EvdbError('REPLAY_FAILED', `the text of ${fullName(status)} is not available`, {
      hint: 'The ledger did not keep it, and there is no file that is the same.',
    });
  });
}

interface ReplayContext {
  options: Omit<MigrateOptions, 'connection'>;
  createTarget: boolean;
}

/** Runs a script in one transaction, or statement by statement; what would change the whole server is left out. */
export async function runScript(
  session: Session,
  source: Script,
  { options, createTarget }: ReplayContext,
): Promise<void> {
  const script = bindVariables(source, options.variables);
  const { signal } = options;
  const send = async (statement: Statement, rows?: Iterable<Buffer>) => {
    try {
      await sendStatement(statement, { script, rows }, { worker: session, signal });
    } catch (error) {
      throw isConnectionLoss(error) ? error : statementError(error, script, statement);
    }
  };
  const settings = { ...applySettings(options), ...ledgerKey(options) };
  const statements = statementsOf(script);
  const roles = roleStandInOf(session);
  const sendAdapted = async (one: Statement, rows?: Iterable<Buffer>) => {
    if (!staysInDatabase(one)) return roles.leaveOut(one);
    const adapted = await adaptToScratch(session, await roles.adapt(one));
    if (adapted) await send(adapted, rows);
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

/** False for what changes the whole server, such as its roles. */
export function staysInDatabase(statement: Statement): boolean {
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
