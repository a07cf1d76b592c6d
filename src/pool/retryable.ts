import { codeOf } from '../connection/query-error.ts';

/** How deep an application may have wrapped the server's error. */
const MAX_DEPTH = 5;

/** Errors by which the server itself says: the same transaction can succeed when tried again. */
const RETRYABLE = new Set(['40001', '40P01']);

/** Where a prepared statement no longer fits the schema; the driver prepares it anew next time. */
const STALE_PLAN: Record<string, string> = {
  '0A000': 'RevalidateCachedQuery',
  '26000': 'FetchPreparedStatement',
};

/** The SQLSTATE for which a transaction is worth another try, looked for among the causes too. */
export function retryableState(error: unknown): string | undefined {
  let current = error;
  for (let depth = 0; depth < MAX_DEPTH && current instanceof Error; depth++) {
    const code = codeOf(current) ?? '';
    if (RETRYABLE.has(code)) return code;
    const { routine } = current as { routine?: string };
    if (routine !== undefined && STALE_PLAN[code] === routine) return code;
    current = current.cause;
  }
  return undefined;
}
