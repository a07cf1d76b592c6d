import { keepFromWorkers, reachWorkers } from '../../citus/timeouts.ts';
import {
  encodingStatements,
  liftTimeLimitsSql,
  timeLimitStatements,
} from '../../connection/options.ts';
import type { Session, SessionFacts } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { KEEP_UTF8_SQL, NAMES_ENCODING, quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { Statement } from '../../sql/statements.ts';
import { sliceRows } from '../files/batches.ts';
import type { Script } from '../files/source.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import { BEGIN_READ_ONLY, type TransactionModes } from '../plan/transaction-modes.ts';
import type { ApplyContext } from './context.ts';
import type { Part } from './messages.ts';
import type { Notices } from './notices.ts';

type ResetFacts = Pick<SessionFacts, 'canCheckClient' | 'isPooled' | 'serverVersion'>;

/**
 * Resets what a migration may have left in the session. Not `discard all`: that would drop
 * the runner's lock. Outside a transaction that says otherwise the session only reads: a cancel
 * can hit the message of `beginSql` before it begins, and what was sent along with that would
 * commit statement by statement. The last setting makes the server notice within seconds that a
 * killed runner is gone, instead of finishing its statement and keeping its locks until then.
 */
function resetStatements(facts: ResetFacts): string[] {
  return [
    'reset session authorization',
    'reset role',
    'reset all',
    ...encodingStatements(facts),
    'close all',
    'deallocate all',
    'discard sequences',
    'discard temp',
    'unlisten *',
    ...timeLimitStatements(facts),
    'set default_transaction_read_only = on',
    ...(facts.canCheckClient ? ["set client_connection_check_interval = '2s'"] : []),
  ];
}

function resetSql(facts: ResetFacts): string {
  return `${resetStatements(facts).join(';\n')};`;
}

/** The same as a transaction of its own, so that no later rollback brings the old settings back. */
export function resetSessionSql(facts: ResetFacts): string {
  return `begin;\n${resetSql(facts)}\ncommit;`;
}

/** The same for a script without a transaction, whose statements have to write on their own. */
export function openSessionSql(facts: ResetFacts): string {
  return `begin;\n${resetSql(facts)}\nset default_transaction_read_only = off;\ncommit;`;
}

/** Whether the session is sure to be as `resetSessionSql` left it. What may change it says so. */
export interface Cleanness {
  isClean: boolean;
}

/** Any statement may change the session where it sets off a trigger. */
const RUNS_NOTHING_SQL =
  'select not exists (select from pg_catalog.pg_event_trigger) as "runsNothing"';

/** Cleans the session where that is needed, and says whether quick statements leave it so. */
export async function makeClean(worker: Session, cleanness: Cleanness): Promise<boolean> {
  if (!cleanness.isClean) {
    const [row] = await worker.run(`${resetSessionSql(worker.facts)} ${RUNS_NOTHING_SQL}`);
    cleanness.isClean = row?.runsNothing === true;
  }
  return cleanness.isClean;
}

/** Rolls back what failed, and cleans the session behind it. */
export async function rollBack(at: { worker: Session; cleanness: Cleanness }): Promise<void> {
  const { worker, cleanness } = at;
  cleanness.isClean = false;
  if (worker.isClosed) return;
  await worker.run(`rollback; ${resetSessionSql(worker.facts)}`).catch(() => undefined);
}

/** A runner that hangs inside a transaction must not hold its locks for longer. */
const IDLE_IN_TRANSACTION_TIMEOUT = '30s';

interface TransactionSettings {
  facts: SessionFacts;
  targetSchema: string;
  searchPath: string[];
  createTarget: boolean;
  /** What the script asks for in its first statement; default: none. */
  modes?: TransactionModes | undefined;
  lockTimeoutMs: number;
  statementTimeoutMs: number | undefined;
  /** Whether nothing can have changed the session since it was cleaned; default false. */
  isClean?: boolean;
  /** Names the session for the time of the transaction; default: nothing does. */
  nameSql?: string | undefined;
  /** An expression that has to be true beside; default: none. */
  condition?: string | undefined;
}

/**
 * What opens a transaction, as one message where the server is not a Citus cluster, cleans the session and makes the settings. `begin` comes
 * first and says all that the session's own defaults could change: whatever fails behind it leaves
 * an aborted transaction, so that statements sent along with this message cannot run without one.
 * Where the target is not the current schema, or `condition` is not true, the cast at the end fails (22P02).
 */
export function beginStatements(settings: TransactionSettings): string[] {
  const { modes, statementTimeoutMs, createTarget, targetSchema } = settings;
  const isTarget = `pg_catalog.current_schema() = ${quoteLiteral(targetSchema)}`;
  const isReady = settings.condition ? `${isTarget} and ${settings.condition}` : isTarget;
  return [
    `begin isolation level ${modes?.isolation ?? 'read committed'}, read write${modes?.isDeferrable ? ', deferrable' : ''}`,
    ...(settings.isClean ? [] : resetStatements(settings.facts)),
    ...(settings.nameSql === undefined ? [] : [settings.nameSql]),
    `set local lock_timeout = ${settings.lockTimeoutMs}`,
    `set local idle_in_transaction_session_timeout = '${IDLE_IN_TRANSACTION_TIMEOUT}'`,
    ...(statementTimeoutMs === undefined
      ? []
      : [`set local statement_timeout = ${statementTimeoutMs}`]),
    ...(createTarget ? [`create schema if not exists ${quoteIdent(targetSchema)}`] : []),
    `set local search_path = ${searchPathSql(settings)}`,
    `select (case when ${isReady} then 'true' else 'the target is not the current schema' end)::boolean`,
    // Last, because Citus sends on what is set behind it.
    ...(settings.facts.isCitus ? reachWorkers(settings.lockTimeoutMs) : []),
    ...(modes?.isReadOnly ? BEGIN_READ_ONLY : []),
  ];
}

/** The same as one message, for a scratch database, which is of no cluster. */
export function beginSql(settings: TransactionSettings): string {
  const facts = { ...settings.facts, isCitus: false };
  return beginStatements({ ...settings, facts }).join(';\n');
}

/**
 * Opens a transaction for one statement that commits on its own. Its answer comes before the statement
 * is sent, which must never run without it.
 */
export async function beginLimited(worker: Session, lockTimeoutMs: number): Promise<void> {
  const [row] = await worker.run(`begin isolation level read committed, read write;
select ${limitLocksSql(lockTimeoutMs, true)} as "limit";
set local idle_in_transaction_session_timeout = '${IDLE_IN_TRANSACTION_TIMEOUT}';`);
  if (!worker.facts.isCitus) return;
  for (const sql of reachWorkers(String(row?.limit))) await worker.run(sql);
}

/** Gives the transaction back to who logged in, whatever role the script has become. */
export function backToOwnRole({ facts }: Session): string {
  return `${keepFromWorkers(facts)}set local session authorization default;
set local role none;`;
}

/** What the cast at the end of `beginStatements` fails with. */
export const NOT_THE_TARGET = '22P02';

/** The target first, so that everything unqualified lands there; pg_temp last, so that nothing is shadowed. */
export function searchPathSql(settings: { targetSchema: string; searchPath: string[] }): string {
  return [settings.targetSchema, ...settings.searchPath, 'pg_temp'].map(quoteIdent).join(', ');
}

export function wrongTarget(
  targetSchema: string,
  when: 'before' | 'after',
  { user }: Pick<SessionFacts, 'user'>,
): EvdbError {
  return when === 'before'
    ? new EvdbError('TARGET_SCHEMA', `the target schema "${targetSchema}" cannot be used`, {
        hint: `It does not exist, or this user lacks the privilege: grant usage, create on schema ${quoteIdent(targetSchema)} to ${quoteIdent(user)};`,
      })
    : new EvdbError(
        'TARGET_SCHEMA',
        `the migration removed its own target schema "${targetSchema}"; it was rolled back`,
        { hint: 'Drop what lives in the schema instead of the schema.' },
      );
}

/**
 * Makes the settings of a script whose statements commit on their own, for as long as it runs.
 *
 * @throws {EvdbError} TARGET_SCHEMA
 */
export async function openForStatements(
  step: Pick<MigrationStep, 'script'>,
  {
    worker,
    key,
    settings,
    createTarget,
  }: Pick<ApplyContext, 'worker' | 'key' | 'settings' | 'createTarget'>,
) {
  const timeoutMs = step.script.directives.statementTimeoutMs ?? settings.statementTimeoutMs;
  const [row] = await worker.run(`${openSessionSql(worker.facts)}
set lock_timeout = 0;
${timeoutMs === undefined ? '' : `set statement_timeout = ${timeoutMs};`}
${createTarget ? `create schema if not exists ${quoteIdent(key.targetSchema)};` : ''}
set search_path = ${searchPathSql({ ...settings, targetSchema: key.targetSchema })};
select pg_catalog.current_schema() as "currentSchema"`);
  if (row?.currentSchema !== key.targetSchema)
    throw wrongTarget(key.targetSchema, 'before', worker.facts);
}

interface Sending {
  worker: Session;
  signal: AbortSignal | undefined;
  /** Default: what the server says beside its answer is dropped. */
  notices?: Notices | undefined;
}

/** They bring back the time limits of the role, under which the session would not live long. */
const BRING_LIMITS_BACK = new Set(['reset', 'discard']);

/**
 * What resets a setting that is evdb's own affair. The encoding of what is sent is: a script is
 * read as UTF-8, whatever it says of itself as dumps do.
 */
function keepOursSql({ command, text }: Statement, { facts }: Session): string {
  const limits = BRING_LIMITS_BACK.has(command) ? liftTimeLimitsSql(facts) : '';
  return `${limits}${NAMES_ENCODING.test(text) ? KEEP_UTF8_SQL : ''}`;
}

/**
 * Sends one statement; a `copy … from stdin` with its rows, and then nothing may be sent behind it
 * before it is done.
 *
 * @param rows of the copy; default: those in the script's text
 */
export async function sendStatement(
  statement: Statement,
  { script, rows }: { script: Script; rows?: Iterable<Buffer> | undefined },
  { worker, signal, notices }: Sending,
): Promise<void> {
  const { text, copyData } = statement;
  notices?.expect(statement);
  if (copyData === null) {
    const done = worker.run(text);
    const restored = keepOursSql(statement, worker);
    await (restored === '' ? done : Promise.all([done, worker.run(restored)]));
  } else await worker.copyIn(text, withSignal(rows ?? sliceRows(script.text, copyData), signal));
}

/** Ends the rows where the signal aborts, because a server that waits for rows hears no cancel. */
function* withSignal(rows: Iterable<Buffer>, signal: AbortSignal | undefined): Generator<Buffer> {
  for (const piece of rows) {
    signal?.throwIfAborted();
    yield piece;
  }
}

/*
 * One rule for how long a statement waits for locks: evdb's limit holds, and a script's own
 * `set lock_timeout` holds where it is shorter. It never takes the limit away, and never lengthens
 * it; the directive `lock-timeout` does.
 */

/** Where a script's own limit is kept while evdb's is in force; a transaction forgets it. */
const OWN = 'evdb.own_lock_timeout';

/** A text setting in ms; 0 is no limit. */
function milliseconds(setting: string): string {
  return `(extract(epoch from coalesce(nullif(${setting}, ''), '0')::pg_catalog.interval) * 1000)::bigint`;
}

/** Sets evdb's limit, or the script's own where that is shorter. */
function limitSql(limitMs: number, own: string, isLocal: boolean): string {
  const ownMs = milliseconds(own);
  return `pg_catalog.set_config('lock_timeout', (case when ${ownMs} > 0 then least(${ownMs}, ${limitMs}) else ${limitMs} end)::text, ${isLocal})`;
}

/** For a session where nobody but the script sets it: its own limit is what is in force. */
export function limitLocksSql(limitMs: number, isLocal: boolean): string {
  return limitSql(limitMs, "pg_catalog.current_setting('lock_timeout')", isLocal);
}

/** Keeps the rule inside one transaction, whose statements have limits of different lengths. */
export interface LockLimit {
  /** What is to be sent before the statement; nothing where the limit is in force. */
  before(limitMs: number): Part[];
  /** What is to be sent behind the statement; nothing where it does not change the limit. */
  after(statement: Pick<Statement, 'command' | 'text'>): Part[];
}

/** @param currentMs the limit with which the transaction begins */
export function createLockLimit(currentMs: number): LockLimit {
  let current: number | undefined = currentMs;
  let hasOwn = false;
  return {
    before: (limitMs) => {
      if (current === limitMs) return [];
      current = limitMs;
      if (!hasOwn) return [{ text: `set local lock_timeout = ${limitMs}` }];
      const own = `pg_catalog.current_setting('${OWN}', true)`;
      return [{ text: `select ${limitSql(limitMs, own, true)}` }];
    },
    after: ({ command, text }) => {
      const isNamed = MAY_NAME_IT.has(command) && /lock_timeout/i.test(text);
      if (!isNamed && !BRINGS_ANOTHER.has(command)) return [];
      current = undefined;
      if (!isNamed) return [];
      hasOwn = true;
      const set = "pg_catalog.current_setting('lock_timeout')";
      return [{ text: `select pg_catalog.set_config('${OWN}', ${set}, true)` }];
    },
  };
}

const MAY_NAME_IT = new Set(['set', 'select', 'do', 'call', 'with']);
/** Behind these the limit is whatever it was once. */
const BRINGS_ANOTHER = new Set(['reset', 'discard', 'rollback']);
