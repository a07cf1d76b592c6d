import { resolveConfig } from '../../src/config/resolve.ts';
import { withInspection, withWriting } from '../../src/connection/inspection.ts';
import type { ConnectionOptions } from '../../src/connection/options.ts';
import type { Session } from '../../src/connection/session.ts';

/** What a command makes of the URL. */
export async function connectionTo(url: string): Promise<ConnectionOptions> {
  const { connection } = await resolveConfig({ flags: { url }, env: {} });
  if (connection.kind !== 'server') throw new Error('the URL names no server');
  return connection.options;
}

/** Runs work as a command that only looks does. */
export async function inspect<T>(url: string, work: (session: Session) => Promise<T>): Promise<T> {
  return withInspection(await connectionTo(url), work);
}

/** Runs work as a command that changes something does. */
export async function write<T>(
  url: string,
  work: (session: Session) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  return withWriting(await connectionTo(url), work, { signal });
}
