/**
 * Every way evdb can fail on purpose. The code is stable and documented in docs/reference/errors.md;
 * messages may change, so match on the code.
 */
export type EvdbErrorCode =
  // how evdb was called
  | 'USAGE' // the command line is not valid; also a flag that npm kept to itself
  | 'CONFIG_INVALID' // a setting has a value that is not valid
  | 'NOT_CONFIGURED' // no database is configured, or the embedded one was never created
  | 'CONFIRM_REQUIRED' // the command cannot know that this is right, and `--confirm` is missing
  | 'PROTECTED_ENVIRONMENT' // the environment does not allow this at all
  | 'FILE_EXISTS' // a file already exists; evdb never overwrites
  // the migration files
  | 'MIGRATIONS_DIR_MISSING' // there is no migrations folder
  | 'MIGRATIONS_DIR_EMPTY' // the migrations folder holds no migration
  | 'SEEDS_MISSING' // the folder of the seeds holds none
  | 'FILE_UNREADABLE' // a file cannot be read or written
  | 'OUTPUT_LOST' // the command ran, and its results could not be written to stdout
  | 'INVALID_NAME' // a file name, or the name for a new migration, is not valid
  | 'DUPLICATE_VERSION' // two files have the same version
  | 'NOT_UTF8' // a file is not UTF-8
  | 'NUL_BYTE' // a file holds a NUL byte
  | 'EMPTY_FILE' // a file holds no statement
  | 'DIRECTIVE_INVALID' // a `-- evdb:` line is not known, or its value is not valid
  | 'FOREIGN_MARKER' // a file holds a marker of another tool, such as `-- migrate:down`
  | 'VARIABLE_UNSET' // a file declares a variable that has no value
  | 'VARIABLE_UNDECLARED' // a file uses a variable that it does not declare
  | 'SYNTAX_ERROR' // PostgreSQL's grammar refuses a statement
  | 'PSQL_COMMAND' // a file holds a command of psql, such as `\i`
  | 'TRANSACTION_CONTROL' // a file, or a statement on a pool, begins or ends transactions itself
  | 'NEEDS_NO_TRANSACTION' // a statement cannot run inside a transaction: add the directive
  | 'COPY_UNSUPPORTED' // `copy … to stdout`, or binary rows in the file
  | 'COPY_UNTERMINATED' // the rows of a `copy … from stdin` do not end with a line `\.`
  | 'SCRIPT_TOO_LONG' // a statement above 256 MB, or a no-transaction script above 512 MB
  | 'FILE_CHANGED' // a large file was changed while it ran; it was rolled back
  | 'REPEATABLE_REFUSED' // a statement does not belong in a repeatable, or cannot be made again; the message says why
  | 'REPEATABLE_CYCLE' // repeatables need each other, so there is no order for them
  | 'DUPLICATE_REPEATABLE' // two repeatables make the same object
  | 'DOWN_WITHOUT_UP' // a down script belongs to no migration
  | 'GIT_FAILED' // git does not know the base of `--base`, or is not installed
  // files against the ledger
  | 'GATE_CLOSED' // what a migration requires before it runs does not hold yet
  | 'ENSURE_FAILED' // what a migration ensures does not hold after its statements; it was rolled back
  | 'CHANGED_MIGRATION' // the SQL of an applied file, or of a statement that has run, changed
  | 'MISSING_MIGRATION' // the file of an applied migration is missing
  | 'OUT_OF_ORDER' // a pending file is older than the newest applied one
  | 'LEDGER_AHEAD' // the database is ahead of the files, and `--strict` was given
  | 'DRIFT_FOUND' // the database is not what its applied migrations made, and `checkDrift` is `error`
  | 'UNKNOWN_VERSION' // `--to` names a version that does not exist, or is not applied
  | 'MISSING_DOWN' // there is no down script
  | 'IRREVERSIBLE' // the migration says that there is no way back
  | 'INCOMPLETE_MIGRATION' // a no-transaction migration stopped halfway and cannot continue by itself
  | 'LEDGER_TOO_NEW' // a newer evdb wrote the ledger
  | 'LEDGER_DAMAGED' // a table of the ledger is missing, or something keeps it from being written
  | 'ADOPTION_REFUSED' // another tool's files or table cannot be taken over; the error lists every reason
  | 'EXPAND_REFUSED' // a column cannot be changed step by step; the message says why
  | 'EXPAND_UNPROVEN' // migrations of `evdb migrate expand` do not run in a scratch database; nothing was written
  | 'PARTIAL_BASELINE' // a baseline replaces migrations of which the database has only some
  | 'REPLACED_MIGRATION' // the files of migrations that a baseline replaces are still beside it
  | 'SQUASH_REFUSED' // migrations cannot become one baseline file; the message says why
  | 'SQUASH_UNPROVEN' // the baseline does not make what the migrations make; nothing was written
  // applying
  | 'BACKFILL_REFUSED' // a statement cannot run in batches; the message says why
  | 'BACKFILL_CANCELLED' // somebody called `evdb backfill cancel`; what is done of it stays
  | 'BACKFILL_INCOMPLETE' // rows still match after the last round of a backfill; the message says how many
  | 'DEPENDENTS_REFUSED' // what depends on a view or function cannot be made again; the message lists it
  | 'MIGRATION_FAILED' // PostgreSQL refused a statement; file, line, column and SQLSTATE are given
  | 'TARGET_SCHEMA' // the target schema cannot be used, or a migration removed it
  | 'LOCKED' // another runner is working
  | 'LOCK_TIMEOUT' // the locks could not be acquired in time; the message names who blocked, and how often
  | 'OUTCOME_UNKNOWN' // the connection was lost during commit, and the server cannot be asked
  | 'RESET_BLOCKED' // something outside the schema depends on what is in it
  | 'SCRATCH_UNAVAILABLE' // no scratch database can be made: the role may not create databases
  | 'REPLAY_FAILED' // migrations, or a dump, do not run in a scratch database
  | 'TEMPLATE_UNFIT' // a new member of a fleet cannot be copied from the template; the message says why
  | 'MEMBER_TIMEOUT' // a member of a fleet took longer than `--member-timeout`; what it ran was cancelled
  | 'INTERRUPTED' // Ctrl-C; what was running was rolled back
  // the connection
  | 'CONNECTION_REFUSED' // nothing accepts connections there
  | 'CONNECTION_LOST' // the connection was lost
  | 'CONNECT_TIMEOUT' // the server did not answer in time
  | 'UNKNOWN_HOST' // the host name cannot be looked up
  | 'AUTHENTICATION_FAILED' // user or password was refused
  | 'PASSWORD_UNAVAILABLE' // the command or function for the password gave none
  | 'DATABASE_MISSING' // the database does not exist
  | 'TOO_MANY_CONNECTIONS' // the server has no free connection
  | 'SERVER_STARTING' // the server is starting up or shutting down
  | 'TLS_FAILED' // client and server could not agree on TLS
  | 'PERMISSION_DENIED' // a privilege is missing; the hint has the statement that grants it
  | 'READ_ONLY' // a standby, or a connection that may not write
  | 'NOT_COORDINATOR' // the node is a worker of a Citus cluster: migrate on the coordinator
  | 'POOLER_DETECTED' // there is a pooler in transaction mode between evdb and the server
  | 'DATABASE_IN_USE' // sessions are connected to the database to drop
  | 'ENGINE_UNFIT' // the server does not do what a promise of evdb rests on; the message says which
  | 'SERVER_UNSUPPORTED' // the server is older than PostgreSQL 14
  | 'QUERY_FAILED' // the server refused a statement of evdb's own
  // the application's database
  | 'NOT_INITIALIZED' // the database manager is used before `initialize`
  | 'MIGRATIONS_PENDING' // the application refuses to start on a database that lacks migrations
  // the pool
  | 'ACQUIRE_TIMEOUT' // no connection of the pool was free in time
  | 'POOL_CLOSED' // the pool is used after it was closed
  | 'POOL_NESTED' // the pool is used inside one of its own transactions
  | 'CONNECTION_RETURNED' // a connection or a transaction is used after its callback ended
  | 'STATEMENT_TIMEOUT' // the server did not answer in time; whether it did the work is unknown
  | 'TRANSACTION_ROLLED_BACK' // commit found the transaction aborted: a failed statement went unnoticed
  | 'TRANSACTION_TIMEOUT' // a transaction took longer than its `timeoutMillis`
  // the event schema
  | 'EVENT_SCHEMA_MISSING' // the schema does not hold the event schema, or one that is too old
  | 'EVENT_MISSING' // the event does not exist
  // registering people
  | 'REGISTRAR_FULL' // more registrations wait than the registrar may keep
  | 'REGISTRAR_CLOSED' // the registrar is closed; the call was not sent
  | 'UNKNOWN_ANSWER' // a registration function returned something that evdb does not know
  // the embedded server
  | 'EMBEDDED_UNAVAILABLE' // the embedded binaries are not installed
  | 'EMBEDDED_START_FAILED' // the embedded server did not start; the end of its log is shown
  | 'EMBEDDED_STOP_FAILED' // the embedded server did not stop
  | 'EMBEDDED_VERSION_MISMATCH' // the data folder belongs to another major version
  | 'PORT_TAKEN' // the requested port is taken
  | 'DISK_FULL' // there is no space left
  | 'DISK_READ_ONLY' // the folder cannot be written
  // a bug in evdb
  | 'INTERNAL'; // a bug in evdb

/** What an error may say in addition to its code and message. */
export interface EvdbErrorOptions {
  /** What to do next, as one or two sentences without the code. */
  hint?: string | undefined;
  /** The underlying error; default none. */
  cause?: unknown;
  /** Facts for programs: printed as they are by `--json`, never holding a secret. */
  details?: Record<string, unknown> | undefined;
}

/**
 * The class of all errors that evdb throws on purpose.
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

  /** Adds what only a caller knows, as one or two sentences, after the hint. */
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
