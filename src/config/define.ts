import type { PasswordFunction } from '../connection/options.ts';
import type { DoctorSettingsInput } from './doctor-settings.ts';
import type { FleetInput } from './fleet-settings.ts';
import type { LintSettingsInput } from './lint-settings.ts';
import type { VariablesInput } from './variables.ts';

type Text = string | null | undefined;
/** Text such as `500ms`, `2s` or `10min`, or milliseconds as a number. */
type Duration = string | number | null | undefined;

/**
 * Settings in the forms that a config file may use; null, undefined and empty values count as not
 * set.
 */
export interface SettingsInput {
  /**
   * The database, such as `postgres://app@localhost:5432/events`; `embedded:` is evdb's own server.
   */
  url?: Text;
  /** Where migrations connect instead: around a pooler, or as the role that owns the tables. */
  migrationUrl?: Text;
  /**
   * The password, if the source of the database has none: text, or a function that is called for
   * each connection, for example for the token of a hosted database.
   */
  password?: Text | PasswordFunction;
  /**
   * A command that prints the password, run for each connection. Text is run by the shell, a list
   * is a program and its arguments; PGHOST, PGPORT, PGUSER and PGDATABASE say which database it is
   * for.
   */
  passwordCommand?: Text | readonly string[];
  /** The folder of the SQL files, relative to the config file. Default `migrations`. */
  migrationsDir?: Text;
  /** The folder of the seeds, relative to the config file. Default `seeds`. */
  seedsDir?: Text;
  /** The PostgreSQL schema that migrations work in. Default `public`. */
  schema?: Text;
  /** The PostgreSQL schema of evdb's own tables. Default `evdb`. */
  ledgerSchema?: Text;
  /** Further schemas that migrations find without a prefix, such as one for extensions. */
  searchPath?: readonly string[] | null | undefined;
  /**
   * Refuses `reset`, and asks for `--confirm` before a rollback. The variable can turn it on, but
   * not off. Default false.
   */
  protected?: boolean | null | undefined;
  /** How long to wait while another runner migrates. Default `60s`. */
  lockWait?: Duration;
  /**
   * How runners exclude each other: `advisory`, by a lock of the server, or `lease`, by a row of the
   * ledger, on servers that have no such lock. All runners of a database need the same. Default
   * `advisory`.
   */
  lock?: 'advisory' | 'lease';
  /** How long a lease lasts unless its runner renews it, at least `1s`. Default `30s`. */
  leaseTime?: Duration;
  /** How long to wait for a table lock at a time. Default: a ladder of short ones. */
  lockTimeout?: Duration;
  /**
   * How long to keep trying for table locks, including pauses. Default: as long as the ladder
   * takes.
   */
  lockWaitBudget?: Duration;
  /** How long a statement that changes data waits for a row. Default `10s`. */
  dataLockTimeout?: Duration;
  /** How long a single statement may run. Default: the server's setting. */
  statementTimeout?: Duration;
  /**
   * The largest text of a migration that the ledger keeps: text such as `1MB`, or bytes. Default 1
   * MiB.
   */
  storedTextLimit?: string | number | null | undefined;
  /**
   * The limits that `evdb migrate plan` checks, such as `rewrite-rows=100k,access-exclusive=500ms`.
   */
  budget?: Text;
  /**
   * Whether `evdb migrate up` looks for what was changed by hand before it applies something: `warn`
   * says it, `error` refuses. Default `off`.
   */
  checkDrift?: 'off' | 'warn' | 'error';
  /**
   * The values of variables that files declare, such as `{ app_role: 'web' }`; those of an environment
   * are added. Also `EVDB_VAR_APP_ROLE` and `--set app_role=web`. Not for secrets.
   */
  variables?: VariablesInput | null | undefined;
  /**
   * Whether `migrate up` keeps a snapshot of the statistics from before and after it. Default false.
   */
  snapshots?: boolean | null | undefined;
}

/** The export of a config file; `defineConfig` checks it in an editor. */
export interface ConfigFileInput extends SettingsInput {
  /** Where editors find the JSON schema of this file: `./node_modules/evdb/schemas/config-file.json`. */
  $schema?: Text;
  /** Settings that `--env <name>` or `EVDB_ENV` puts above the others. */
  environments?: Readonly<Record<string, SettingsInput>> | null | undefined;
  /** Findings that `evdb doctor` does not count. */
  doctor?: DoctorSettingsInput | null | undefined;
  /** How `evdb lint` judges migrations. */
  lint?: LintSettingsInput | null | undefined;
  /** Databases or schemas that commands take together with `--fleet <name>`. */
  fleets?: Readonly<Record<string, FleetInput>> | null | undefined;
}

/**
 * Returns a config unchanged, so that an editor completes and checks it.
 *
 * @example
 * // evdb.config.ts
 * export default defineConfig({
 *   environments: { production: { url: process.env.PRODUCTION_URL, protected: true } },
 * });
 */
export function defineConfig(config: ConfigFileInput): ConfigFileInput {
  return config;
}
