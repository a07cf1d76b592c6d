import type { Session } from '../connection/session.ts';
import { withScratchDatabase } from '../scratch/server.ts';
import type { Statement } from '../sql/statements.ts';
import { type StatementTrace, traceStatements } from '../trace/trace-statements.ts';
import { changesServer, openTraceSession, type TraceSession } from '../trace/treatment.ts';
import type { TraceFacts } from './impact-plan.ts';
import { roleStandInOf } from './missing-roles.ts';
import { applySettings, ledgerKey, type MigrateOptions } from './options.ts';
import type { Step } from './prepare.ts';
import { copyStructure } from './scratch-structure.ts';
import { beginSql } from './session-settings.ts';

export interface TraceStepsOptions extends MigrateOptions {
  /** `target`: in the database itself, in transactions that are rolled back. */
  trace: 'beside' | 'embedded' | 'target';
  /** The folder of the embedded server. */
  embeddedDirectory?: string | undefined;
  /** Told in one sentence what a person should know. */
  onTrace?: ((message: string) => void) | undefined;
}

export interface StepTraces {
  facts: TraceFacts;
  /** For each step, for each of its statements; undefined for one that has been run already. */
  traces: (StatementTrace | undefined)[][];
}

/** On the target nobody waits for a trace: it is given up when a lock is not free at once. */
const TARGET_LOCK_TIMEOUT_MS = 200;

/**
 * Tries the steps on a server, each in a transaction: in a scratch database with the structure of the
 * target, one after the other, or on the target itself, each rolled back.
 *
 * @param target a session on the target, to read its structure
 * @throws {EvdbError} those of `withScratchDatabase`, `copyStructure` and `openSession`
 */
export async function traceSteps(
  steps: readonly Step[],
  target: Session,
  options: TraceStepsOptions,
): Promise<StepTraces> {
  if (options.trace === 'target') return traceOnTarget(steps, options);
  const { embeddedDirectory, signal, onTrace } = options;
  return withScratchDatabase(
    {
      ...(options.trace === 'beside' && { beside: options.connection }),
      ...{ embeddedDirectory, signal, onProgress: onTrace },
    },
    async ({ connection, serverVersion, isEmbedded }) => {
      const { ledgerSchema } = ledgerKey(options);
      const missing = await copyStructure(target, connection, { ledgerSchema, isEmbedded, signal });
      for (const one of missing) onTrace?.(`the scratch database goes without: ${one}`);
      const tracer = await openTraceSession(connection, signal);
      const stop = closeOnAbort(tracer.session, signal);
      try {
        const facts: TraceFacts = { where: isEmbedded ? 'embedded' : 'beside', serverVersion };
        return { facts, traces: await traceAll(tracer, steps, options) };
      } catch (error) {
        throw signal?.aborted ? signal.reason : error;
      } finally {
        stop();
        await tracer.session.close();
      }
    },
  );
}

async function traceOnTarget(
  steps: readonly Step[],
  options: TraceStepsOptions,
): Promise<StepTraces> {
  const { signal } = options;
  const tracer = await openTraceSession(options.connection, signal);
  const stop = closeOnAbort(tracer.session, signal);
  try {
    const { serverVersion } = tracer.session.facts;
    const traces = await traceAll(tracer, steps, options);
    return { facts: { where: 'target', serverVersion }, traces };
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    stop();
    await tracer.session.close();
  }
}

/** Ctrl-C ends what runs: the server rolls back when the connection is gone. */
function closeOnAbort(session: Session, signal: AbortSignal | undefined): () => void {
  const close = () => void session.close({ force: true, cancel: true });
  signal?.addEventListener('abort', close, { once: true });
  return () => signal?.removeEventListener('abort', close);
}

async function traceAll(
  tracer: TraceSession,
  steps: readonly Step[],
  options: TraceStepsOptions,
): Promise<StepTraces['traces']> {
  const settings = { ...applySettings(options), ...ledgerKey(options) };
  const isTarget = options.trace === 'target';
  const { signal } = options;
  const traces: StepTraces['traces'] = [];
  for (const step of steps) {
    const begin = beginSql({
      ...settings,
      facts: tracer.session.facts,
      createTarget: true,
      lockTimeoutMs: isTarget ? TARGET_LOCK_TIMEOUT_MS : 0,
      statementTimeoutMs: step.script.directives.statementTimeoutMs ?? settings.statementTimeoutMs,
    });
    // what a script did before it stopped half way is there already
    const done = step.resume?.statementsDone ?? 0;
    const statements = await withStandIns(step.statements.slice(done), tracer.session);
    const traced = await traceStatements(tracer, statements, {
      beginSql: begin,
      end: isTarget ? 'rollback' : 'commit',
      goesOn: !isTarget,
      isTarget,
      signal,
    });
    traces.push([...step.statements.slice(0, done).map(() => undefined), ...traced]);
  }
  return traces;
}

/** The statements that make roles are not run, and those after them do without. */
async function withStandIns(
  statements: readonly Statement[],
  session: Session,
): Promise<Statement[]> {
  const roles = roleStandInOf(session);
  const adapted: Statement[] = [];
  for (const statement of statements) {
    if (changesServer(statement)) roles.leaveOut(statement);
    adapted.push(await roles.adapt(statement));
  }
  return adapted;
}
