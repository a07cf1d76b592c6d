import { EvdbError, type EvdbErrorCode } from '../errors.ts';

/** The SQLSTATE of a server's error, else the code of the driver or the operating system. */
export function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}

/** Whether the error means that the connection is gone, rather than that a statement failed. */
export function isConnectionLoss(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  return /^(CONNECTION_|E[A-Z]+$)/.test(code) || /^(08|57P0[1-5]|25P0[34])/.test(code);
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
  const { detail, hint } = error as { detail?: string; hint?: string };
  const details = { sqlstate: code, detail, hint };
  if (isConnectionLoss(error)) {
    return new EvdbError('CONNECTION_LOST', `the connection was lost: ${error.message}`, {
      hint: 'Run the command again.',
      cause: error,
    });
  }
  // Five characters are a SQLSTATE; anything else is not the server's.
  if (!/^[0-9A-Z]{5}$/.test(code)) return error;
  const [evdbCode, evdbHint] = TRANSLATIONS[code] ?? ['QUERY_FAILED', undefined];
  return new EvdbError(evdbCode, error.message, { hint: hint ?? evdbHint, cause: error, details });
}
