import { adaptToScratch } from '../../citus/model.ts';
import { withAbortableSession } from '../../connection/inspection.ts';
import type { Session } from '../../connection/session.ts';
import { roleStandInOf } from '../../scratch/roles.ts';
import { withScratch } from '../../scratch/scratch.ts';
import { changesServer } from '../../sql/kind.ts';
import type { Statement } from '../../sql/statements.ts';
import {
  type StatementTrace,
  type TraceOptions,
  type TraceSession,
  traceSessionOf,
  traceStatements,
} from '../../trace/trace-statements.ts';
import { createReplacing, type Replacing } from '../apply/repeatables.ts';
import { beginSql } from '../apply/worker-session.ts';
import { applySettings, ledgerKey, type MigrateOptions } from '../options.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import type { RepeatablePart } from '../plan/prepare-repeatables.ts';
import type { ImpactTraceFacts } from './impact-plan.ts';

export interface TraceStepsOptions extends MigrateOptions {
  /** `target`: in the database itself, in transactions that are rolled back. */
  trace: 'beside' | 'embedded' | 'target';
  /** The folder of the embedded server. */
  embeddedDirectory?: string | undefined;
  /** Called with a sentence for the user. */
  onTrace?: ((message: string) => void) | undefined;
}

interface StepTraces {
  facts: ImpactTraceFacts;
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
 * @throws {EvdbError} those of `withScratch` and `openSession`
 */
export async function traceSteps(
  steps: readonly MigrationStep[],
  target: Session,
  options: TraceStepsOptions,
): Promise<StepTraces> {
  const { trace, embeddedDirectory, signal, onTrace } = options;
  if (trace === 'target') {
    return withAbortableSession(options.connection, { signal }, async (session) => {
      const traces = await traceAll(traceSessionOf(session), steps, options);
      return { facts: { where: trace, serverVersion: session.facts.serverVersion }, traces };
    });
  }
  const making = {
    ...(trace === 'beside' && { beside: options.connection }),
    copyOf: { target, ledgerSchema: ledgerKey(options).ledgerSchema },
    ...{ embeddedDirectory, signal, onScratch: onTrace },
  };
  return withScratch(making, async ({ session, database, missing }) => {
    for (const one of missing) onTrace?.(`the scratch database goes without: ${one}`);
    const traces = await traceAll(traceSessionOf(session), steps, options);
    const where = database.isEmbedded ? 'embedded' : 'beside';
    return { facts: { where, serverVersion: database.serverVersion }, traces };
  });
}

async function traceAll(
  tracer: TraceSession,
  steps: readonly MigrationStep[],
  options: TraceStepsOptions,
): Promise<StepTraces['traces']> {
  const settings = { ...applySettings(options), ...ledgerKey(options) };
  const isTarget = options.trace === 'target';
  const { signal } = options;
  const traces: StepTraces['traces'] = [];
  const runOf = createRepeatableRuns(settings.targetSchema);
  for (const step of steps) {
    const begin = beginSql({
      ...settings,
      facts: tracer.session.facts,
      createTarget: true,
      lockTimeoutMs: isTarget ? TARGET_LOCK_TIMEOUT_MS : 0,
      statementTimeoutMs: step.script.directives.statementTimeoutMs ?? settings.statementTimeoutMs,
    });
    // Nobody runs all of it in one transaction on a database that others use.
    if (isTarget && step.backfill) {
      traces.push(step.statements.map(() => undefined));
      continue;
    }
    // what a script did before it stopped half way is there already
    const done = step.resume?.statementsDone ?? 0;
    const statements = await withStandIns(step.statements.slice(done), tracer.session);
    const run = runOf(step, tracer.session, isTarget);
    const traced = await traceStatements(tracer, statements, {
      run,
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
    const one = await adaptToScratch(session, await roles.adapt(statement));
    adapted.push(one ?? { ...statement, text: 'select 1', command: 'select' });
  }
  return adapted;
}

/**
 * Runs what a file of repeatables says as `up` does, which takes down what cannot be changed in place. What
 * later files make waits for these; on the target all of it is rolled back behind each file.
 */
function createRepeatableRuns(targetSchema: string) {
  let last: { parts: readonly RepeatablePart[]; replacing: Replacing } | undefined;
  return (
    { name, repeatables: parts }: MigrationStep,
    session: Session,
    isTarget: boolean,
  ): TraceOptions['run'] => {
    const part = parts?.find((one) => one.name === name);
    if (!parts || !part) return undefined;
    if (isTarget || last?.parts !== parts) {
      last = { parts, replacing: createReplacing(session, parts, { targetSchema }) };
    }
    const own = last;
    return async (statement, text) => {
      const isLast = part === parts.at(-1) && statement.index === part.statements.at(-1)?.index;
      try {
        await own.replacing.run(statement, part, () => session.run(text));
        if (isLast && !isTarget) await own.replacing.finish();
      } catch (error) {
        // What it took down is there again.
        own.replacing = createReplacing(session, parts, { targetSchema });
        throw error;
      }
    };
  };
}
