import type { ConnectionOptions } from '../connection/options.ts';
import {
  type ConnectionChoice,
  chooseConnection,
  chooseMigrationConnection,
  renderUnusedSources,
} from './choice.ts';
import type { Environment } from './environment.ts';
import { type Layer, RANK } from './layers.ts';
import type { ConfigEntry } from './resolve.ts';

/** A server that somebody named. */
export interface ServerConnection {
  kind: 'server';
  options: ConnectionOptions;
}

/** The embedded PostgreSQL; `implicit` where nobody asked for it and nothing else is configured. */
export interface EmbeddedConnection {
  kind: 'embedded';
  implicit: boolean;
}

/** The connections that a configuration comes to. */
export interface ResolvedConnections {
  connection: ServerConnection | EmbeddedConnection;
  migrationConnection?: ServerConnection;
  entries: ConfigEntry[];
  warnings: string[];
}

async function resolveMain(
  choice: ConnectionChoice,
  environment: Environment,
): Promise<ResolvedConnections> {
  if (choice.kind === 'embedded') {
    return {
      connection: { kind: 'embedded', implicit: choice.rank === RANK.none },
      entries: [{ key: 'connection', value: 'embedded', source: choice.source }],
      warnings: [],
    };
  }
  // On demand: without a server a command needs none of what reads URLs.
  const { resolveServer } = await import('./libpq.ts');
  const { options, ...rest } = await resolveServer('connection', 'url', choice, environment);
  return { connection: { kind: 'server', options }, ...rest };
}

/**
 * Resolves the connection, and the one that migrations use where it is a different one. Where
 * only a migration URL is configured, it serves for everything.
 *
 * @throws EvdbError `CONFIG_INVALID`, or `USAGE` where `--embedded` and `--url` are both given
 */
export async function resolveConnections(
  layers: readonly Layer[],
  environment: Environment,
  embeddedFlag: boolean,
): Promise<ResolvedConnections> {
  const choice = chooseConnection(layers, environment, embeddedFlag);
  const migration = chooseMigrationConnection(layers, choice);
  const isOnlyMigration = choice.rank === RANK.none && migration.choice !== undefined;
  const main = await resolveMain((isOnlyMigration && migration.choice) || choice, environment);
  const unused = renderUnusedSources(choice, layers, environment);
  const warnings = [...unused, ...migration.warnings, ...main.warnings];
  if (migration.choice === undefined) return { ...main, warnings };
  const { resolveServer } = await import('./libpq.ts');
  const second = await resolveServer(
    'migrationConnection',
    'migrationUrl',
    migration.choice,
    environment,
  );
  return {
    connection: main.connection,
    migrationConnection: { kind: 'server', options: second.options },
    entries: [...main.entries, ...second.entries],
    warnings: [...new Set([...warnings, ...second.warnings])],
  };
}
