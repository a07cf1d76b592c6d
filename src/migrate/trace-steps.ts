import { withScratchDatabase } from '../connection/scratch.ts';
import type { Session } from '../connection/session.ts';
import { openTraceSession, type TraceSession } from '../trace/trace-session.ts';
import { type StatementTrace, traceStatements } from '../trace/trace-statements.ts';
import type { MigrationStatus } from './compare.ts';
import type { TraceFacts } from './impact-plan.ts';
import { applySettings, ledgerKey, type MigrateOptions } from './options.ts';
import type { Step } from './prepare.ts';
import { replayApplied } from './scratch-replay.ts';
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
  /** For each step, for each of its statements. */
  traces: StatementTrace[][];
}

/** On the target nobody waits for a trace: it is given up when a lock is not free at once. */
const TARGET_LOCK_TIMEOUT_MS = 200;

/**
 * Tries the steps on a server, each in a transaction.
 *
 * @param target a session on the target, to read the ledger
 * @throws {EvdbError} TRACE_FAILED, and those of `withScratchDatabase` and `openSession`
 */
export async function traceSteps(
  steps: readonly Step[],
  { target, statuses }: { target: Session; statuses: MigrationStatus[] },
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
      const tracer = await openTraceSession(connection, signal);
      const stop = closeOnAbort(tracer.session, signal);
      try {
        await replayApplied(tracer.session, { target, statuses, options });
        const facts: TraceFacts = { where: isEmbedded ? 'embedded' : 'beside', serverVersion };
        const createTarget = !statuses.some(({ row }) => row);
        return {
          facts,
          traces: await traceAll(tracer, steps, { options, createTarget, end: 'commit' }),
        };
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
    const traces = await traceAll(tracer, steps, { options, createTarget: true, end: 'rollback' });
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
  {
    options,
    createTarget,
    end,
  }: { options: TraceStepsOptions; createTarget: boolean; end: 'commit' | 'rollback' },
): Promise<StatementTrace[][]> {
  const settings = { ...applySettings(options), ...ledgerKey(options) };
  const isTarget = options.trace === 'target';
  const traces: StatementTrace[][] = [];
  for (const [index, step] of steps.entries()) {
    const begin = beginSql({
      ...settings,
      facts: tracer.session.facts,
      createTarget: createTarget && (index === 0 || isTarget),
      lockTimeoutMs: isTarget ? TARGET_LOCK_TIMEOUT_MS : 0,
      statementTimeoutMs: step.script.directives.statementTimeoutMs ?? settings.statementTimeoutMs,
    });
    const { signal } = options;
    traces.push(
      await traceStatements(tracer, step.statements, { beginSql: begin, end, isTarget, signal }),
    );
  }
  return traces;
}
