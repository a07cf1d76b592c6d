import { EvdbError } from '../errors.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { type PoolSettings, refuseUnknown } from './options.ts';

export type Isolation = 'read committed' | 'repeatable read' | 'serializable';

export interface TransactionOptions {
  /** Default: what the database says, usually `read committed`. */
  isolation?: Isolation | undefined;
  /** Default: what the database says, usually false. */
  readOnly?: boolean | undefined;
  /** With `serializable` and `readOnly`: waits for a snapshot that cannot fail. Default false. */
  deferrable?: boolean | undefined;
  /** How often it is tried again after a deadlock or a serialization failure; default 3. */
  retries?: number | undefined;
  /** Who does it, for the audit log of the event schema. */
  actor?: string | undefined;
  /** After this time it is rolled back, whatever the callback does; in ms, default none. */
  timeoutMillis?: number | undefined;
  /** How long each statement may run in place of what the pool says, in ms; 0 for ever. */
  statementTimeoutMillis?: number | undefined;
  /** Rolls back and throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

const OPTIONS = [
  ...['isolation', 'readOnly', 'deferrable', 'retries', 'actor', 'timeoutMillis'],
  ...['statementTimeoutMillis', 'signal'],
];

const ISOLATIONS: readonly unknown[] = ['read committed', 'repeatable read', 'serializable'];

/** The message that opens a transaction, which depends on whether a pooler stands between. */
export type Begin = (isPooled: boolean) => string;

/**
 * @throws {EvdbError} USAGE for options that do not fit: they become part of a statement
 */
export function planBegin(options: TransactionOptions, settings: PoolSettings): Begin {
  refuseUnknown(options, OPTIONS, { what: "the transaction's option", code: 'USAGE' });
  const isolation = options.isolation ?? undefined;
  const readOnly = options.readOnly ?? undefined;
  const actor = options.actor ?? undefined;
  const retries = options.retries ?? 0;
  if (isolation !== undefined && !ISOLATIONS.includes(isolation)) {
    throw badOption('isolation', isolation, `Use one of: ${ISOLATIONS.join(', ')}.`);
  }
  if (!Number.isInteger(retries) || retries < 0) {
    throw badOption('retries', retries, 'Use a whole number, 0 for none.');
  }
  requireTime('timeoutMillis', options.timeoutMillis);
  requireTime('statementTimeoutMillis', options.statementTimeoutMillis);
  const modes = [
    isolation && `isolation level ${isolation}`,
    readOnly !== undefined && (readOnly ? 'read only' : 'read write'),
    options.deferrable && 'deferrable',
  ];
  const begin = `begin ${modes.filter(Boolean).join(', ')}`;
  const { idleInTransactionTimeoutMillis: idle } = settings;
  const asked = options.statementTimeoutMillis ?? undefined;
  const statement = asked ?? settings.statementTimeoutMillis;
  const setStatement =
    (statement > 0 || asked !== undefined) &&
    `set local statement_timeout = ${Math.ceil(statement)}`;
  const limits = [
    setStatement,
    idle > 0 && `set local idle_in_transaction_session_timeout = ${Math.ceil(idle)}`,
  ];
  const setActor =
    actor !== undefined &&
    `select pg_catalog.set_config('evdb.actor', ${quoteLiteral(String(actor))}, true)`;
  // Behind a pooler the limits cannot be the session's: the next one gets it would have them too.
  const own = asked === undefined ? [] : [setStatement];
  return (isPooled) => [begin, ...(isPooled ? limits : own), setActor].filter(Boolean).join('; ');
}

/** @throws {EvdbError} USAGE for what is no time */
export function requireTime(name: string, value: unknown): void {
  if (value === undefined || value === null) return;
  if (typeof value === 'number' && value >= 0 && value < 2 ** 31) return;
  throw badOption(name, value, 'Use a number of milliseconds, 0 for none.');
}

function badOption(name: string, value: unknown, hint: string): EvdbError {
  return new EvdbError('USAGE', `the option ${name} is ${String(value)}`, { hint });
}
