import type { PasswordFunction } from '../connection/options.ts';
import type { DoctorSettingsInput } from './doctor-settings.ts';
import type { LintSettingsInput } from './lint-settings.ts';

type Text = string | null | undefined;
/** Text such as `500ms`, `2s` or `10min`, or milliseconds as a number. */
type Duration = string | number | null | undefined;

/** Settings as a config file may write them; what is null, undefined or empty is not set. */
export interface SettingsInput {
  /** The database, such as `postgres://app@localhost:5432/events`; `embedded:` is the server that evdb brings. */
  url?: Text;
  /** Where migrations connect instead: past a pooler, or as the role that owns the tables. */
  migrationUrl?: Text;
  /**
   * The password, where what names the database has none: text, or a function that is asked anew for
   * each connection, such as for the token of a hosted database.
   */
  password?: Text | PasswordFunction;
  /**
   * A command that prints the password, asked anew for each connection. Text goes to the shell, a list
   * is a program and its arguments; PGHOST, PGPORT, PGUSER and PGDATABASE say what it is for.
   */
  passwordCommand?: Text | readonly string[];
  /** The folder of the SQL files, relative to the config file. Default `migrations`. */
  migrationsDir?: Text;
  /** The PostgreSQL schema that migrations work in. Default `public`. */
  schema?: Text;
  /** The PostgreSQL schema of evdb's own tables. Default `evdb`. */
  ledgerSchema?: Text;
  /** Further schemas that migrations find without a prefix, such as one for extensions. */
  searchPath?: readonly string[] | null | undefined;
  /** Refuses `reset`, and asks for `--confirm` where something is rolled back. Default false. */
  protected?: boolean | null | undefined;
  /** How long to wait while another runner migrates. Default `60s`. */
  lockWait?: Duration;
  /** How long to wait for a table lock at a time. Default: a ladder of short ones. */
  lockTimeout?: Duration;
  /** How long to go on asking for table locks, pauses included. Default: as long as the ladder. */
  lockWaitBudget?: Duration;
  /** How long a statement that changes data waits for a row. Default `10s`. */
  dataLockTimeout?: Duration;
  /** How long a single statement may run. Default: what the server says. */
  statementTimeout?: Duration;
  /** Up to which size the ledger keeps the text of a migration: text such as `1MB`, or bytes. Default 1 MiB. */
  storedTextLimit?: string | number | null | undefined;
  /** What `evdb migrate plan` is held against, such as `rewrite-rows=100k,access-exclusive=500ms`. */
  budget?: Text;
}

/** What a config file exports; `defineConfig` checks it in an editor. */
export interface ConfigFileInput extends SettingsInput {
  /** Where editors find the JSON schema of this file: `./node_modules/evdb/schemas/config-file.json`. */
  $schema?: Text;
  /** Settings that `--env <name>` or `EVDB_ENV` puts over the others. */
  environments?: Readonly<Record<string, SettingsInput>> | null | undefined;
  /** What `evdb doctor` does not count. */
  doctor?: DoctorSettingsInput | null | undefined;
  /** How `evdb lint` judges migrations. */
  lint?: LintSettingsInput | null | undefined;
}

/**
 * Gives a config back as it is, so that an editor completes and checks it.
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
