import type { Config } from '../config/resolve.ts';
import type { MigrateOptions } from '../migrate/options.ts';

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
