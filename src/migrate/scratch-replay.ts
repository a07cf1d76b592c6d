import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { classifyStatement } from '../sql/kind.ts';
import { type Statement, splitStatements } from '../sql/statements.ts';
import { changesServer } from '../trace/treatment.ts';
import { isApplied, type MigrationStatus } from './compare.ts';
import { readStoredTexts } from './ledger.ts';
import { applySettings, ledgerKey, type MigrateOptions } from './options.ts';
import { fullName } from './plan.ts';
import { beginSql, openSessionSql, searchPathSql } from './session-settings.ts';
import { readScript, type Script, scriptFromText } from './source.ts';

/**
 * Runs what is applied on the target again in a scratch database, so that the pending migrations
 * find what they build on. The texts are those that the ledger kept, else the files.
 *
 * @param target a session on the target, to read the ledger
 * @throws {EvdbError} TRACE_FAILED where a text is missing, or does not run
 */
export async function replayApplied(
  scratch: Session,
  {
    target,
    statuses,
    options,
  }: { target: Session; statuses: MigrationStatus[]; options: MigrateOptions },
): Promise<void> {
  const applied = statuses.filter(isApplied);
  const scripts = await readAppliedScripts(target, applied, options);
  for (const [index, status] of applied.entries()) {
    const script = scripts(status);
    try {
      await runScript(scratch, script, { options, createTarget: index === 0 });
    } catch (cause) {
      throw new EvdbError(
        'TRACE_FAILED',
        `${fullName(status)} is applied, and cannot be run again in a scratch database: ${cause instanceof Error ? cause.message : cause}`,
        { hint: 'Leave out --trace, or trace in the database itself: --trace-on-target.', cause },
      );
    }
  }
}

async function readAppliedScripts(
  target: Session,
  applied: MigrationStatus[],
  options: MigrateOptions,
): Promise<(status: MigrationStatus) => Script> {
  const versions = applied.map(({ version }) => version);
  // who may not read them may still have the files
  const texts = await readStoredTexts(target, ledgerKey(options), versions).catch(
    (error: unknown) => {
      if (error instanceof EvdbError && error.code === 'PERMISSION_DENIED') return undefined;
      throw error;
    },
  );
  return (status) => {
    const stored = texts?.get(status.version)?.up;
    if (stored) return scriptFromText(`ledger:${fullName(status)}.sql`, stored);
    const isSame = status.state === 'applied' || status.state === 'reworded';
    if (status.file && isSame) return readScript(status.file.upPath);
    throw new EvdbError('TRACE_FAILED', `the text of ${fullName(status)} is not to be had`, {
      hint: 'The ledger did not keep it, and there is no file that is the same.',
    });
  };
}

interface ReplayContext {
  options: MigrateOptions;
  createTarget: boolean;
}

/** In one transaction, or statement by statement; what would change the whole server is left out. */
async function runScript(
  session: Session,
  script: Script,
  { options, createTarget }: ReplayContext,
): Promise<void> {
  const settings = { ...applySettings(options), ...ledgerKey(options) };
  const statements = splitStatements(script.text).filter((one) => !changesServer(one));
  const begin = beginSql({
    ...settings,
    facts: session.facts,
    createTarget,
    lockTimeoutMs: 0,
    statementTimeoutMs: undefined,
  });
  if (!script.directives.noTransaction) {
    await session.run(begin);
    for (const { text } of statements) await session.run(text);
    await session.run('commit');
    return;
  }
  await session.run(`${begin}; commit; ${openSessionSql(session.facts)}
    set search_path = ${searchPathSql(settings)}`);
  for (const statement of statements.filter(isWorthReplaying)) await session.run(statement.text);
}

/** An empty database needs no `vacuum`. */
function isWorthReplaying(statement: Statement): boolean {
  const { needsNoTransaction, isConcurrently } = classifyStatement(statement);
  return isConcurrently || !needsNoTransaction;
}
