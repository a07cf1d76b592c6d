import type { Config } from '../config/resolve.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { EvdbError } from '../errors.ts';
import type { LedgerKey } from './ledger/ledger.ts';
import type { OnMigrationProgress } from './progress.ts';

/** What every command on migrations needs to know. */
export interface MigrateOptions {
  connection: ConnectionOptions;
  /** The folder with the migration files. */
  directory: string;
  /** The PostgreSQL schema to migrate; default `public`. */
  schema?: string | undefined;
  /** Where the ledger lives; default `evdb`. */
  ledgerSchema?: string | undefined;
  /** Schemas to put on the search_path behind the target; default none. */
  searchPath?: string[] | undefined;
  /** How long to wait for another runner, in ms; default 60000. */
  lockWaitMs?: number | undefined;
  /** How long a statement may wait for table locks, in ms; default: a ladder of short tries. */
  lockTimeoutMs?: number | undefined;
  /**
   * How long a migration, or a statement of a no-transaction one, goes on asking for its locks, in
   * ms of waiting and of pauses between the tries; default: the ladder once, about 100 s.
   */
  lockWaitBudgetMs?: number | undefined;
  /** How long a statement may wait for rows, in ms; default 10000. */
  dataLockTimeoutMs?: number | undefined;
  /** How long a statement may run, in ms; default: what the server says. */
  statementTimeoutMs?: number | undefined;
  /** Longer scripts are not kept in the ledger; in bytes, default 1 MiB. */
  storedTextLimitBytes?: number | undefined;
  /** Is told what the runner does; default: nobody is. */
  onProgress?: OnMigrationProgress | undefined;
  /** Rolls back what is under way, releases the lock and throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Where the history's provenance is read from; default `process.env`. */
  env?: NodeJS.ProcessEnv | undefined;
}

/**
 * @throws {EvdbError} CONFIG_INVALID when both are the same schema, because reset would drop the
 *   ledger, and for the schemas of PostgreSQL itself
 */
export function ledgerKey({
  ledgerSchema = 'evdb',
  schema = 'public',
}: Pick<MigrateOptions, 'ledgerSchema' | 'schema'>): LedgerKey {
  for (const name of [schema, ledgerSchema]) refuseSystemSchema(name);
  if (schema !== ledgerSchema) return { ledgerSchema, targetSchema: schema };
  throw new EvdbError(
    'CONFIG_INVALID',
    `schema "${schema}" holds the ledger and cannot be migrated`,
    {
      hint: 'Choose another schema, or another one for the ledger.',
    },
  );
}

function refuseSystemSchema(name: string): void {
  if (!/^pg_/.test(name) && name !== 'information_schema') return;
  throw new EvdbError('CONFIG_INVALID', `schema "${name}" belongs to PostgreSQL itself`, {
    hint: 'Choose a name that does not begin with pg_ and is not information_schema.',
  });
}

/** How steps are applied, whatever they are. */
export interface ApplySettings {
  /** Follows the target on the search_path; pg_temp stays last. */
  searchPath: string[];
  /** In place of the ladder's timeouts. */
  lockTimeoutMs?: number | undefined;
  /** How long to go on asking for locks; default: the ladder once. */
  lockWaitBudgetMs?: number | undefined;
  /** For statements that wait for rows rather than for tables. */
  dataLockTimeoutMs: number;
  statementTimeoutMs?: number | undefined;
}

export function applySettings(options: Omit<MigrateOptions, 'connection'>): ApplySettings {
  return {
    searchPath: options.searchPath ?? [],
    lockTimeoutMs: options.lockTimeoutMs,
    lockWaitBudgetMs: options.lockWaitBudgetMs,
    dataLockTimeoutMs: options.dataLockTimeoutMs ?? 10_000,
    statementTimeoutMs: options.statementTimeoutMs,
  };
}

export const DEFAULT_LOCK_WAIT_MS = 60_000;
export const DEFAULT_STORED_TEXT_LIMIT_BYTES = 1024 * 1024;

/**
 * What a configuration says about migrations; the connection is the caller's business.
 *
 * @example
 * const config = await resolveConfig();
 * await migrateUp({ ...migrateOptionsOf(config, process.env), connection });
 */
export function migrateOptionsOf(
  config: Config,
  env: NodeJS.ProcessEnv,
): Omit<MigrateOptions, 'connection'> {
  return {
    directory: config.migrationsDir,
    schema: config.schema,
    ledgerSchema: config.ledgerSchema,
    searchPath: config.searchPath,
    lockWaitMs: config.lockWaitMs,
    lockTimeoutMs: config.lockTimeoutMs,
    lockWaitBudgetMs: config.lockWaitBudgetMs,
    dataLockTimeoutMs: config.dataLockTimeoutMs,
    statementTimeoutMs: config.statementTimeoutMs,
    storedTextLimitBytes: config.storedTextLimitBytes,
    env,
  };
}
