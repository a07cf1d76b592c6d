/**
 * Every way evdb can fail on purpose. The code is stable and documented in docs/errors.md;
 * messages may change, so match on the code.
 */
export type EvdbErrorCode =
  // how evdb was called
  | 'USAGE'
  | 'CONFIG_INVALID'
  | 'NOT_CONFIGURED'
  | 'CONFIRM_REQUIRED'
  | 'PROTECTED_ENVIRONMENT'
  | 'FILE_EXISTS'
  // the migration files
  | 'MIGRATIONS_DIR_MISSING'
  | 'MIGRATIONS_DIR_EMPTY'
  | 'FILE_UNREADABLE'
  | 'OUTPUT_LOST'
  | 'INVALID_NAME'
  | 'DUPLICATE_VERSION'
  | 'NOT_UTF8'
  | 'NUL_BYTE'
  | 'EMPTY_FILE'
  | 'DIRECTIVE_INVALID'
  | 'FOREIGN_MARKER'
  | 'SYNTAX_ERROR'
  | 'PSQL_COMMAND'
  | 'TRANSACTION_CONTROL'
  | 'NEEDS_NO_TRANSACTION'
  | 'COPY_UNSUPPORTED'
  | 'COPY_UNTERMINATED'
  | 'SCRIPT_TOO_LONG'
  | 'FILE_CHANGED'
  | 'DOWN_WITHOUT_UP'
  | 'GIT_FAILED'
  // files against the ledger
  | 'CHANGED_MIGRATION'
  | 'MISSING_MIGRATION'
  | 'OUT_OF_ORDER'
  | 'LEDGER_AHEAD'
  | 'UNKNOWN_VERSION'
  | 'MISSING_DOWN'
  | 'IRREVERSIBLE'
  | 'INCOMPLETE_MIGRATION'
  | 'LEDGER_TOO_NEW'
  | 'LEDGER_DAMAGED'
  | 'ADOPTION_REFUSED'
  // applying
  | 'MIGRATION_FAILED'
  | 'TARGET_SCHEMA'
  | 'LOCKED'
  | 'LOCK_TIMEOUT'
  | 'OUTCOME_UNKNOWN'
  | 'RESET_BLOCKED'
  | 'SCRATCH_UNAVAILABLE'
  | 'REPLAY_FAILED'
  | 'INTERRUPTED'
  // the connection
  | 'CONNECTION_REFUSED'
  | 'CONNECTION_LOST'
  | 'CONNECT_TIMEOUT'
  | 'UNKNOWN_HOST'
  | 'AUTHENTICATION_FAILED'
  | 'PASSWORD_UNAVAILABLE'
  | 'DATABASE_MISSING'
  | 'TOO_MANY_CONNECTIONS'
  | 'SERVER_STARTING'
  | 'TLS_FAILED'
  | 'PERMISSION_DENIED'
  | 'READ_ONLY'
  | 'POOLER_DETECTED'
  | 'DATABASE_IN_USE'
  | 'SERVER_UNSUPPORTED'
  | 'QUERY_FAILED'
  // the application's database
  | 'NOT_INITIALIZED'
  | 'MIGRATIONS_PENDING'
  // the pool
  | 'ACQUIRE_TIMEOUT'
  | 'POOL_CLOSED'
  | 'POOL_NESTED'
  | 'CONNECTION_RETURNED'
  | 'STATEMENT_TIMEOUT'
  | 'TRANSACTION_ROLLED_BACK'
  | 'TRANSACTION_TIMEOUT'
  // the event schema
  | 'EVENT_SCHEMA_MISSING'
  | 'EVENT_MISSING'
  // registering people
  | 'REGISTRAR_FULL'
  | 'REGISTRAR_CLOSED'
  | 'UNKNOWN_ANSWER'
  // the embedded server
  | 'EMBEDDED_UNAVAILABLE'
  | 'EMBEDDED_START_FAILED'
  | 'EMBEDDED_STOP_FAILED'
  | 'EMBEDDED_VERSION_MISMATCH'
  | 'PORT_TAKEN'
  | 'DISK_FULL'
  | 'DISK_READ_ONLY'
  // a fault in evdb itself
  | 'INTERNAL';

/** What an error may say beside its code and message. */
export interface EvdbErrorOptions {
  /** What to do next, as one or two sentences without the code. */
  hint?: string | undefined;
  /** The error behind it; default none. */
  cause?: unknown;
  /** Facts for programs: printed as they are by `--json`, never holding a secret. */
  details?: Record<string, unknown> | undefined;
}

/**
 * The one class of error that evdb throws on purpose.
 *
 * @example
 * try { await migrateUp(options) } catch (error) {
 *   if (error instanceof EvdbError && error.code === 'LOCKED') process.exitCode = 4;
 * }
 */
export class EvdbError extends Error {
  readonly code: EvdbErrorCode;
  readonly hint: string | undefined;
  readonly details: Record<string, unknown>;

  constructor(code: EvdbErrorCode, message: string, options: EvdbErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EvdbError';
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }

  /** Adds what only a caller knows, as one or two sentences, behind the hint. */
  addHint(text: string): this {
    const hint = this.hint === undefined ? text : `${this.hint} ${text}`;
    return Object.assign(this, { hint });
  }
}

/** Neither "failed" nor "interrupted" would be true of it, and its history row may be there. */
export function mayBeCommitted(error: unknown): boolean {
  const { commit } = error instanceof EvdbError ? error.details : {};
  return commit === 'committed' || commit === 'unknown';
}
