import { resolve } from 'node:path';
import type { ConnectionOptions } from '../connection/options.ts';
import { EvdbError } from '../errors.ts';
import { migrateOptionsOf } from '../migrate/options.ts';
import { readPoolConfiguration } from '../pool/connection-source.ts';
import type { PoolHealth } from '../pool/health.ts';
import type { PoolMetrics } from '../pool/metrics.ts';
import { type PoolOptions, resolvePoolSettings } from '../pool/options.ts';
import { DatabasePool } from '../pool/pool.ts';
import { commandLine } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';

/**
 * What `initialize` does about migrations: `up` applies the pending ones, `refuse` fails if there
 * are any, `ignore` does not check.
 */
export type OnPendingMigrations = 'up' | 'refuse' | 'ignore';

/** The options of the pool, and what to do about migrations before it is used. */
export interface DatabaseManagerOptions extends PoolOptions {
  /** Default `ignore`. */
  migrations?: OnPendingMigrations | undefined;
  /** The folder with the migrations, relative to `cwd`; default as configured, `migrations`. */
  migrationsDir?: string | undefined;
}

const CHOICES: readonly unknown[] = ['up', 'refuse', 'ignore'];

/**
 * The database of an application: a pool, and the conditions that must hold before it is used.
 *
 * @throws {EvdbError} CONFIG_INVALID if `migrations` is not one of the three words
 * @example
 * const manager = new DatabaseManager({ migrations: 'refuse', max: 20 });
 * await manager.initialize();
 * const { rows } = await manager.getPool().query('select 1');
 * await manager.close();
 */
export class DatabaseManager {
  readonly #options: DatabaseManagerOptions;
  #initializing: Promise<DatabasePool> | undefined;
  #pool: DatabasePool | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: DatabaseManagerOptions = {}) {
    const { migrations = 'ignore' } = options;
    if (!CHOICES.includes(migrations)) {
      throw new EvdbError('CONFIG_INVALID', `migrations is "${migrations}"`, {
        hint: `Use one of: ${CHOICES.join(', ')}.`,
      });
    }
    const { migrations: _, migrationsDir: __, ...poolOptions } = options;
    // At once, and not when the application starts to use it.
    resolvePoolSettings(poolOptions);
    this.#options = options;
  }

  /**
   * Handles the migrations, connects, and opens `min` connections. A call that comes meanwhile or
   * later gets the same pool; after a failure you can call it again.
   *
   * @throws {EvdbError} MIGRATIONS_PENDING with `refuse`; the reason it cannot connect, as in
   *   `pingDatabase`; with `up` what `migrateUp` throws
   */
  initialize(): Promise<DatabasePool> {
    this.#initializing ??= this.#initialize().catch((error) => {
      this.#initializing = undefined;
      throw error;
    });
    return this.#initializing;
  }

  /** @throws {EvdbError} NOT_INITIALIZED before `initialize` and after `close` */
  getPool(): DatabasePool {
    if (!this.#pool) {
      throw new EvdbError('NOT_INITIALIZED', 'the database manager is not initialized', {
        hint: 'Await initialize() when the application starts.',
      });
    }
    return this.#pool;
  }

  /** Never throws: before `initialize` it is `down`. */
  async health(): Promise<PoolHealth> {
    return this.#pool ? this.#pool.health() : notInitialized();
  }

  /** Whether the database answers. */
  async testConnection(): Promise<boolean> {
    return (await this.health()).latencyMs !== null;
  }

  /** @throws {EvdbError} NOT_INITIALIZED */
  getMetrics(): PoolMetrics {
    return this.getPool().metrics();
  }

  /**
   * Closes the pool, like `DatabasePool.close`; the manager can be initialized again.
   *
   * @param options.timeoutMillis default 10,000
   */
  close(options: { timeoutMillis?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options).finally(() => {
      this.#closing = undefined;
    });
    return this.#closing;
  }

  async #close(options: { timeoutMillis?: number }): Promise<void> {
    const initializing = this.#initializing;
    this.#initializing = undefined;
    // What is just being opened has to be closed too.
    await initializing?.catch(() => undefined);
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.close(options);
  }

  async #initialize(): Promise<DatabasePool> {
    await this.#closing;
    await this.#seeToMigrations();
    const { migrations: _, migrationsDir: __, ...options } = this.#options;
    const pool = new DatabasePool(options);
    try {
      await pool.warm();
    } catch (error) {
      await pool.close({ timeoutMillis: 0 });
      throw error;
    }
    this.#pool = pool;
    return pool;
  }

  async #seeToMigrations(): Promise<void> {
    const { migrations = 'ignore', migrationsDir, env = process.env } = this.#options;
    if (migrations === 'ignore') return;
    const { config, connection } = await readPoolConfiguration(this.#options);
    const options = {
      ...migrateOptionsOf(config, env),
      ...(migrationsDir === undefined
        ? {}
        : { directory: resolve(this.#options.cwd ?? process.cwd(), migrationsDir) }),
      connection: config.migrationConnection?.options ?? connection,
    };
    if (migrations === 'refuse') return refusePending(options);
    const { migrateUp } = await import('../migrate/checks/up.ts');
    await migrateUp({ ...options, checkDrift: config.checkDrift });
  }
}

async function refusePending(options: {
  connection: ConnectionOptions;
  directory: string;
}): Promise<void> {
  const { readStatus } = await import('../migrate/plan/status.ts');
  const { counts, migrations, repeatables = [] } = await readStatus(options);
  const waiting = counts.pending + counts.outOfOrder + counts.incomplete + counts.partial;
  // One that has changed may be older here than what is applied.
  const isNew = repeatables.find(({ state }) => state === 'pending');
  if (waiting === 0 && isNew === undefined) return;
  const first = migrations.find(({ state }) => state !== 'applied' && state !== 'reworded');
  throw new EvdbError(
    'MIGRATIONS_PENDING',
    waiting === 0
      ? `repeatable/${isNew?.name} is not applied`
      : `${waiting} of ${renderCount(migrations.length, 'migration')} ${waiting === 1 ? 'is' : 'are'} not applied, the first is ${first?.label} ${first?.name}`,
    {
      hint: `Run \`${commandLine('migrate up')}\` before the application starts.`,
      details: { ...counts },
    },
  );
}

function notInitialized(): PoolHealth {
  return {
    status: 'down',
    latencyMs: null,
    connections: { total: 0, idle: 0, used: 0, pending: 0, connecting: 0 },
    serverVersion: null,
    error: { code: 'NOT_INITIALIZED', message: 'the database manager is not initialized' },
  };
}

/**
 * The database that the environment names (`resolveConfig`); nothing happens before `initialize`.
 *
 * @example
 * import { databaseManager } from 'evdb';
 * await databaseManager.initialize();
 */
export const databaseManager = new DatabaseManager();
