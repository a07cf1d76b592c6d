import { EvdbError, type EvdbErrorCode } from '../errors.ts';

/** The SQLSTATE of a server's error, else the code of the driver or the operating system. */
export function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}

/** Severities with which the server takes its leave, as the protocol spells them in every language. */
const LAST_WORDS = ['FATAL', 'PANIC'];

/** What the driver calls a socket that is gone, and what the operating system calls its end. */
const SOCKET_IS_GONE =
  /^(CONNECTION_(CLOSED|ENDED|DESTROYED|LOST)|E(CONN\w+|PIPE|TIMEDOUT|HOST\w+|NET\w+|SHUTDOWN|PROTO))$/;

/**
 * Whether the error means that the connection is gone, rather than that a statement failed. What the
 * server answers with a severity of ERROR is an answer, whatever its SQLSTATE: 08006 may tell of a
 * foreign server, and 57P01 may be what a function raises.
 */
export function isConnectionLoss(error: unknown): boolean {
  const severity = severityOf(error);
  if (severity !== undefined) return LAST_WORDS.includes(severity);
  return SOCKET_IS_GONE.test(codeOf(error) ?? '');
}

/** Only an answer of the server has one; poolers know the older field alone. */
function severityOf(error: unknown): string | undefined {
  const { severity, severity_local } = (error ?? {}) as Record<string, string | undefined>;
  return severity ?? severity_local;
}

/** What the server said when it closed the connection, to be set behind what was lost; else empty. */
export function reasonOfLoss(error: unknown): string {
  const says = severityOf(error) !== undefined && isConnectionLoss(error);
  return says && error instanceof Error ? `: ${error.message}` : '';
}

/** What the server said, field by field as the protocol names them. */
interface ServerFields {
  code: string;
  detail?: string;
  hint?: string;
  schema_name?: string;
  table_name?: string;
  column_name?: string;
  constraint_name?: string;
}

/**
 * A statement that the server refused. `code` is evdb's, `sqlstate` the server's.
 *
 * @example
 * catch (error) {
 *   if (error instanceof QueryError && error.constraint === 'users_email_key') …
 * }
 */
export class QueryError extends EvdbError {
  /** Five characters, such as `23505`; see the manual, "PostgreSQL Error Codes". */
  readonly sqlstate: string;
  readonly detail: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly constraint: string | undefined;

  constructor(code: EvdbErrorCode, cause: Error & ServerFields, hint: string | undefined) {
    const { code: sqlstate, detail } = cause;
    super(code, cause.message, { hint, cause, details: { sqlstate, detail, hint: cause.hint } });
    this.name = 'QueryError';
    this.sqlstate = sqlstate;
    this.detail = detail;
    this.schema = cause.schema_name;
    this.table = cause.table_name;
    this.column = cause.column_name;
    this.constraint = cause.constraint_name;
  }
}

const TRANSLATIONS: Record<string, [code: EvdbErrorCode, hint: string]> = {
  '42501': ['PERMISSION_DENIED', 'Let the owner or an administrator grant it.'],
  '25006': ['READ_ONLY', 'Connect to the primary, or use a role that may write.'],
  '55P03': ['LOCK_TIMEOUT', 'Nothing was changed. Try again at a quieter time.'],
  '40P01': ['LOCK_TIMEOUT', 'Nothing was changed. Try again.'],
  '53100': ['DISK_FULL', "The server's disk is full: make room there."],
};

/** Gives an error of the driver a code of evdb's; what is one already stays as it is. */
export function queryError(error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof EvdbError || !(error instanceof Error) || code === undefined) return error;
  if (isConnectionLoss(error)) {
    return new EvdbError('CONNECTION_LOST', `the connection was lost: ${error.message}`, {
      hint: 'Run the command again.',
      cause: error,
    });
  }
  // Five characters are a SQLSTATE; anything else is not the server's.
  if (!/^[0-9A-Z]{5}$/.test(code)) return error;
  const [evdbCode, evdbHint] = TRANSLATIONS[code] ?? ['QUERY_FAILED', undefined];
  const answer = error as Error & ServerFields;
  return new QueryError(evdbCode, answer, answer.hint ?? evdbHint);
}
