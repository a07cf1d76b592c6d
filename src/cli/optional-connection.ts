import { assertConnectionConfigured } from '../config/layers.ts';
import type { Config } from '../config/resolve.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { CliContext } from './context.ts';
import { embeddedDirectory } from './settings.ts';

export interface OptionalConnection {
  connection?: ConnectionOptions;
  /** Why there is none. */
  noConnectionReason?: string;
  /** Whether an embedded server that does not run keeps a database all the same. */
  isStopped?: boolean;
}

/** The connection of commands that can do without: they never start a server. */
export async function findConnection(
  config: Config,
  { env }: CliContext,
): Promise<OptionalConnection> {
  const { connection, migrationConnection } = config;
  if (migrationConnection) return { connection: migrationConnection.options };
  if (connection.kind === 'server') return { connection: connection.options };
  if (!connection.implicit) assertConnectionConfigured(config, env);
  const { readEmbeddedServer } = await import('../embedded/stop.ts');
  const directory = embeddedDirectory(config);
  const { running, dataDirectory } = await readEmbeddedServer({ directory });
  if (!running) {
    const noConnectionReason = connection.implicit
      ? 'no database is configured'
      : 'the embedded server is not running';
    return { noConnectionReason, isStopped: dataDirectory !== undefined };
  }
  const { ensureEmbeddedServer } = await import('../embedded/server.ts');
  return { connection: (await ensureEmbeddedServer({ directory })).connection };
}
