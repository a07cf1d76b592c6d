import { codeOf, isConnectionLoss, queryError } from '../connection/connection-error.ts';
import type { Session } from '../connection/session.ts';
import { emptyImpact, type Impact, isStronger, type LockTaken } from '../impact/impact.ts';
import { changesServer, classifyStatement } from '../sql/kind.ts';
import { advance, openCursor } from '../sql/lexer.ts';
import { KEEP_UTF8_SQL, NAMES_ENCODING } from '../sql/quote.ts';
import type { Statement } from '../sql/statements.ts';
import {
  heldLocks,
  impactOfSignals,
  type KnownRelations,
  readKnownRelations,
  readSignals,
  type Signals,
  type TableRead,
} from './signals.ts';

/** What a statement did on a server. */
export interface StatementTrace {
  statement: Statement;
  /**
   * `simulated`: a concurrent statement whose plain form ran, with the locks that PostgreSQL is known
   * to take. `skipped` and `failed` come with the reason and say nothing about the impact.
   */
  outcome: 'traced' | 'simulated' | 'skipped' | 'failed';
  reason: string | undefined;
  /** Locks are those that the transaction did not hold before in the same mode. */
  impact: Impact;
  /** The strongest lock on each relation that the transaction held before the statement. */
  held: LockTaken[];
  /** Tables that were read from end to end, for whatever reason. */
  reads: TableRead[];
  /** What the server said about it, where it says so in English. */
  messages: string[];
  durationMs: number;
}

/** A session that keeps what the server says besides its answers. */
export interface TraceSession {
  session: Session;
  /** What was said since the last call. */
  takeMessages(): string[];
}

/** Makes a session one for `traceStatements`. */
export function traceSessionOf(session: Session): TraceSession {
  const messages: string[] = [];
  session.onNotice(({ message }) => messages.push(message));
  return { session, takeMessages: () => messages.splice(0) };
}

export interface TraceOptions {
  /** Opens the transaction; default `begin`. */
  beginSql?: string | undefined;
  /**
   * What becomes of the transaction. After a failure, and where it changed what all databases share, it
   * is rolled back all the same. Default `rollback`.
   */
  end?: 'rollback' | 'commit' | undefined;
  /**
   * Whether to go on behind a statement that failed, as one does that needs rows which a scratch
   * database has not. Default false.
   */
  goesOn?: boolean | undefined;
  /** Whether this is a database that others use: nothing is simulated then. Default false. */
  isTarget?: boolean | undefined;
  /** Runs a statement, for one that takes more than to send its text. Default: sends it. */
  run?: ((statement: Statement, text: string) => Promise<unknown>) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Runs statements one after the other in one transaction and looks at what each of them does: the
 * locks that are new, by id, on relations that were there before; tables that were read from end to
 * end; relations that have another file; and what the server says at debug1.
 *
 * @throws {EvdbError} CONNECTION_LOST, and what `beginSql` fails with
 * @example
 * const tracer = await openTraceSession(connection);
 * const [trace] = await traceStatements(tracer, splitStatements('alter table t add column a int'));
 * trace?.impact.locks; // [{ relation: 'public.t', mode: 'AccessExclusive', reason: 'target' }]
 */
export async function traceStatements(
  tracer: TraceSession,
  statements: readonly Statement[],
  options: TraceOptions = {},
): Promise<StatementTrace[]> {
  const { session } = tracer;
  let isFailed = false;
  try {
    await session.run(options.beginSql ?? 'begin');
    await session.run(PREPARE);
    const known = await readKnownRelations(session);
    const traces = await traceAll(tracer, statements, { known, options });
    isFailed = !options.goesOn && traces.some(({ outcome }) => outcome === 'failed');
    return traces;
  } catch (error) {
    isFailed = true;
    throw queryError(error);
  } finally {
    if (!session.isClosed) {
      const commits = options.end === 'commit' && !isFailed && !(await hasChangedServer(session));
      await endTransaction(session, commits ? 'commit' : 'rollback');
    }
  }
}

/**
 * Whether the transaction has written to what all databases share: roles and who is in them,
 * databases, tablespaces, and settings of these. That must not outlive a trace.
 */
async function hasChangedServer(session: Session): Promise<boolean> {
  const [row] = await session.run(`select exists (
    select
    from pg_catalog.pg_locks
    where pid = pg_catalog.pg_backend_pid()
        and locktype = 'relation'
        and database = 0
        and mode not in ('AccessShareLock', 'RowShareLock')
        and relation in (
            'pg_catalog.pg_authid'::regclass,
            'pg_catalog.pg_auth_members'::regclass,
            'pg_catalog.pg_database'::regclass,
            'pg_catalog.pg_tablespace'::regclass,
            'pg_catalog.pg_db_role_setting'::regclass,
            'pg_catalog.pg_subscription'::regclass
        )
    ) as "hasChanged"`);
  return row?.hasChanged !== false;
}

/** Messages in English where the role may say so. */
const PREPARE = `select case
    when pg_catalog.current_setting('is_superuser') = 'on'
        then pg_catalog.set_config('lc_messages', 'C', true)
end`;

async function endTransaction(session: Session, end: 'rollback' | 'commit'): Promise<void> {
  await session.run(end).catch((error: unknown) => {
    // what is gone has been rolled back
    if (!isConnectionLoss(error)) throw error;
  });
}

async function traceAll(
  tracer: TraceSession,
  statements: readonly Statement[],
  { known, options }: { known: KnownRelations; options: TraceOptions },
): Promise<StatementTrace[]> {
  const traces: StatementTrace[] = [];
  // whoever releases a savepoint releases those that the script sets behind it
  const goesOn =
    options.goesOn === true && !statements.some(({ command }) => command === 'savepoint');
  let signals = await readSignals(tracer.session);
  let hasFailed = false;
  for (const statement of statements) {
    options.signal?.throwIfAborted();
    const treatment: Treatment = hasFailed
      ? { kind: 'skip', reason: 'a statement before it failed' }
      : treatmentOf(statement, options.isTarget === true);
    const held = heldLocks(signals, known);
    if (treatment.kind === 'skip') {
      traces.push(untraced(statement, 'skipped', treatment.reason, held));
      continue;
    }
    const done = await traceOne(tracer, statement, treatment, {
      ...{ known, signals, goesOn, run: options.run },
    });
    hasFailed = done.trace.outcome === 'failed' && !goesOn;
    signals = done.signals;
    traces.push({ ...done.trace, held });
  }
  return traces;
}

async function traceOne(
  { session, takeMessages }: TraceSession,
  statement: Statement,
  treatment: Exclude<Treatment, { kind: 'skip' }>,
  {
    known,
    signals,
    goesOn,
    run,
  }: { known: KnownRelations; signals: Signals; goesOn: boolean; run: TraceOptions['run'] },
): Promise<{ trace: StatementTrace; signals: Signals }> {
  if (goesOn) await session.run(`savepoint ${SAVEPOINT}`);
  takeMessages();
  const startedAt = performance.now();
  try {
    await (run ? run(statement, treatment.text) : session.run(treatment.text));
    if (NAMES_ENCODING.test(treatment.text)) await session.run(KEEP_UTF8_SQL);
  } catch (error) {
    if (isConnectionLoss(error) || codeOf(error) === undefined) throw error;
    if (goesOn) await session.run(`rollback to ${SAVEPOINT}; release ${SAVEPOINT}`);
    const said = `${error instanceof Error ? error.message : error} (${codeOf(error)})`;
    // what it read before it failed is counted
    const after = goesOn ? await readSignals(session) : signals;
    return { trace: untraced(statement, 'failed', said, []), signals: after };
  }
  const durationMs = performance.now() - startedAt;
  if (goesOn) await session.run(`release ${SAVEPOINT}`);
  const messages = takeMessages().filter((message) => TELLING.test(message));
  const after = await readSignals(session);
  const { impact, reads } = impactOfSignals({ before: signals, after }, known, {
    command: statement.command,
    messages,
  });
  const isSimulated = treatment.kind === 'simulate';
  return {
    trace: {
      statement,
      outcome: isSimulated ? 'simulated' : 'traced',
      reason: isSimulated ? 'its form without concurrently was run' : undefined,
      impact: isSimulated ? concurrentImpact(impact, statement.command) : impact,
      held: [],
      reads,
      messages,
      durationMs,
    },
    signals: after,
  };
}

const SAVEPOINT = 'evdb_trace';

/** What the server says at debug1 of work on whole tables; toast tables are part of theirs. */
const TELLING =
  /^(?:rewriting table|verifying table|building index "(?!pg_toast_)|validating foreign key|existing constraints on column)/;

function untraced(
  statement: Statement,
  outcome: 'skipped' | 'failed',
  reason: string,
  held: LockTaken[],
): StatementTrace {
  const nothing = { impact: emptyImpact(), reads: [], messages: [], durationMs: 0 };
  return { statement, outcome, reason, held, ...nothing };
}

/**
 * What a concurrent statement takes, told from what its plain form did. Pure. PostgreSQL holds
 * `ShareUpdateExclusive` on what the plain form locks strongly, and at the end of a detachment the
 * partition alone is locked for a moment.
 *
 * @param command the statement's leading keywords
 */
function concurrentImpact(plain: Impact, command: string): Impact {
  const locks = plain.locks
    .filter(({ mode }) => isStronger(mode, 'RowExclusive'))
    .map((lock): LockTaken => {
      const isDetached = command === 'alter table' && lock.reason === 'partition';
      return isDetached ? lock : { ...lock, mode: 'ShareUpdateExclusive' };
    });
  return {
    ...plain,
    locks,
    builds: plain.builds.map((build) => ({ ...build, isConcurrent: true })),
  };
}

/** How a statement can be traced inside a transaction. */
type Treatment =
  | { kind: 'run'; text: string }
  /** The form without `concurrently`, which PostgreSQL accepts in a transaction. */
  | { kind: 'simulate'; text: string }
  | { kind: 'skip'; reason: string };

/**
 * Decides how a statement is traced. Pure.
 *
 * @param isTarget on the database itself nothing is simulated: the plain form of a concurrent
 *   statement takes the locks that the concurrent one is there to avoid
 */
function treatmentOf(
  statement: Pick<Statement, 'command' | 'text' | 'copyData' | 'psqlCommand'>,
  isTarget: boolean,
): Treatment {
  if (statement.psqlCommand !== null) return { kind: 'skip', reason: 'it is a command of psql' };
  if (statement.copyData) return { kind: 'skip', reason: 'its rows are not sent' };
  if (changesServer(statement)) {
    return { kind: 'skip', reason: 'it changes the whole server, and not this database alone' };
  }
  const { isTransactionControl, needsNoTransaction, isConcurrently, label } =
    classifyStatement(statement);
  if (isTransactionControl) {
    return { kind: 'skip', reason: 'it would end the transaction of the trace' };
  }
  if (!needsNoTransaction) return { kind: 'run', text: statement.text };
  const plain = isConcurrently ? withoutConcurrently(statement.text) : undefined;
  if (plain === undefined) {
    return { kind: 'skip', reason: `${label} cannot run inside a transaction` };
  }
  if (isTarget) {
    return { kind: 'skip', reason: `${label} cannot be tried without the locks it avoids` };
  }
  return { kind: 'simulate', text: plain };
}

/** The statement in its blocking form; as an option the word stays and is switched off. */
function withoutConcurrently(text: string): string | undefined {
  const cursor = openCursor(text);
  let depth = 0;
  while (advance(cursor)) {
    const token = text.slice(cursor.start, cursor.end);
    if (token === '(') depth++;
    else if (token === ')') depth--;
    else if (cursor.kind === 'word' && token.toLowerCase() === 'concurrently') {
      const instead = depth > 0 ? 'concurrently false' : '';
      return text.slice(0, cursor.start) + instead + restAfter(text, cursor.end, depth > 0);
    }
  }
  return undefined;
}

/** Without the value that an option has. */
function restAfter(text: string, from: number, isOption: boolean): string {
  const rest = text.slice(from);
  return isOption ? rest.replace(/^[^,)]*/, '') : rest;
}
