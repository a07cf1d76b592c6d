import type { Config } from '../config/resolve.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { EvdbError } from '../errors.ts';
import type { ThrottleLimits, Window } from './backfill/throttle.ts';
import type { LedgerKey } from './ledger/ledger.ts';
import type { LockKind } from './ledger/lock.ts';
import type { OnMigrationProgress } from './progress.ts';

/** The options of every command on migrations. */
export interface MigrateOptions {
  connection: ConnectionOptions;
  /** The folder with the migration files. */
  directory: string;
  /**
   * Whether a folder without a migration counts as no migrations yet; default false: that is the
   * error MIGRATIONS_DIR_EMPTY. With the folder of another tool it always is.
   */
  mayBeEmpty?: boolean | undefined;
  /** The PostgreSQL schema to migrate; default `public`. */
  schema?: string | undefined;
  /** PostgreSQL schema of the ledger; default `evdb`. */
  ledgerSchema?: string | undefined;
  /** Schemas to put on the search_path after the target; default none. */
  searchPath?: string[] | undefined;
  /** The values of variables that files declare, by name; default none. */
  variables?: Readonly<Record<string, string>> | undefined;
  /** How long to wait for another runner, in ms; default 60000. */
  lockWaitMs?: number | undefined;
  /**
   * How runners exclude each other: by an advisory lock of the server, or by a lease in the ledger where
   * the server has none; default `advisory`.
   */
  lock?: LockKind | undefined;
  /** How long a lease lasts unless it is renewed, in ms, at least 1000; default 30000. */
  leaseMs?: number | undefined;
  /** How long a statement may wait for table locks, in ms; default: a ladder of short tries. */
  lockTimeoutMs?: number | undefined;
  /**
   * How long a migration, or a statement of a no-transaction one, keeps trying for its locks, in ms
   * of waiting and of pauses between the tries; default: the ladder once, about 100 s.
   */
  lockWaitBudgetMs?: number | undefined;
  /** How long a statement may wait for rows, in ms; default 10000. */
  dataLockTimeoutMs?: number | undefined;
  /** How long a statement may run, in ms; default: the server's setting. */
  statementTimeoutMs?: number | undefined;
  /** Longer scripts are not kept in the ledger; in bytes, default 1 MiB. */
  storedTextLimitBytes?: number | undefined;
  /** How backfills give way to others; default: the limits of `DEFAULT_THROTTLE`. */
  backfill?: BackfillOptions | undefined;
  /** Called with the runner's progress; default none. */
  onProgress?: OnMigrationProgress | undefined;
  /** Rolls back what is running, releases the lock and throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** The environment that the history's provenance is read from; default `process.env`. */
  env?: NodeJS.ProcessEnv | undefined;
}

/** How backfills run, and give way to others. */
export interface BackfillOptions {
  /** Above which figures of the server they rest; default `DEFAULT_THROTTLE`. */
  throttle?: ThrottleLimits | undefined;
  /** How many rows they change at most, in rows a second; default: any number. */
  maxRate?: number | undefined;
  /** When they work, by the clock of this machine; default: always. */
  window?: Window | undefined;
  /** How many parts of a table are walked at a time, each over a connection of its own; default 1. */
  workers?: number | undefined;
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
  backfill: BackfillOptions;
}

export function applySettings(options: Omit<MigrateOptions, 'connection'>): ApplySettings {
  return {
    searchPath: options.searchPath ?? [],
    lockTimeoutMs: options.lockTimeoutMs,
    lockWaitBudgetMs: options.lockWaitBudgetMs,
    dataLockTimeoutMs: options.dataLockTimeoutMs ?? 10_000,
    statementTimeoutMs: options.statementTimeoutMs,
    backfill: options.backfill ?? {},
  };
}

export const DEFAULT_LOCK_WAIT_MS = 60_000;
export const DEFAULT_LEASE_MS = 30_000;
export const DEFAULT_STORED_TEXT_LIMIT_BYTES = 1024 * 1024;

/**
 * The migration options of a configuration; the connection is up to the caller.
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
    variables: config.variables,
    lockWaitMs: config.lockWaitMs,
    lock: config.lock,
    leaseMs: config.leaseMs,
    lockTimeoutMs: config.lockTimeoutMs,
    lockWaitBudgetMs: config.lockWaitBudgetMs,
    dataLockTimeoutMs: config.dataLockTimeoutMs,
    statementTimeoutMs: config.statementTimeoutMs,
    storedTextLimitBytes: config.storedTextLimitBytes,
    env,
  };
}
