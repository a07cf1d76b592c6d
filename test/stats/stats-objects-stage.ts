import { tmpdir } from 'node:os';
import type { ConnectionOptions } from '../../src/connection/options.ts';
import { resolveConfig } from '../../src/index.ts';

/** What the commands make of a URL. */
export async function connectionOf(url: string): Promise<ConnectionOptions> {
  const { connection } = await resolveConfig({ flags: { url }, env: {}, cwd: tmpdir() });
  if (connection.kind !== 'server') throw new Error('not a server');
  return connection.options;
}
