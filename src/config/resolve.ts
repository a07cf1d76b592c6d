import { dirname, relative, resolve } from 'node:path';
import { EvdbError } from '../errors.ts';
import { type Cell, renderTable, type Style, type TableRenderer } from '../report/table.ts';
import {
  type EmbeddedConnection,
  resolveConnections,
  type ServerConnection,
} from './connection.ts';
import type { DoctorSettings } from './doctor-settings.ts';
import { type Environment, findVariable, readDotenv, type Variables } from './environment.ts';
import type { ConfigFile } from './file.ts';
import type { FleetSettings } from './fleet-settings.ts';
import { type LayerInput, planLayers, RANK, type SettingFlags } from './layers.ts';
import type { LintFileSettings } from './lint-settings.ts';
import { findProject } from './project.ts';
import { parseSettings, type Settings } from './values.ts';
import { resolveVariables } from './variables.ts';

/** The command line's settings; a program may pass the same. */
export interface ConfigFlags extends SettingFlags {
  /** Use the embedded PostgreSQL. */
  embedded?: boolean | undefined;
  /** Path of the config file, instead of searching for one. */
  config?: string | undefined;
  /** Name of an entry of `environments` in the config file. */
  env?: string | undefined;
  /** The values of variables that files declare, before those of other sources. */
  variables?: Readonly<Record<string, string>> | undefined;
}

/** One line of `evdb config`. */
export interface ConfigEntry {
  key: string;
  /** Secrets are masked. */
  value: string | number | boolean | readonly string[] | null;
  /** Such as `flag --url`, `environment EVDB_URL`, `.env DB_HOST`, `evdb.config.js`, `default`. */
  source: string;
}

/** All settings of evdb, checked and complete. */
export interface Config extends Settings {
  connection: ServerConnection | EmbeddedConnection;
  /** If set, migrations use this one: around a pooler, or as another role. */
  migrationConnection?: ServerConnection;
  /**
   * Absolute; the folder of the nearest config file or `package.json`, otherwise the working
   * folder.
   */
  projectDir: string;
  /** Absolute path of the config file that was read. */
  configFile?: string;
  /** Name of the chosen entry of `environments`. */
  environment?: string;
  /** The values of variables that files may declare, from all sources. */
  variables: Record<string, string>;
  /** Findings that `evdb doctor` does not count; only the config file can set them. */
  doctor: DoctorSettings;
  /** How migrations are judged; only the config file can say so. */
  lint: LintFileSettings;
  /** Databases and schemas that `--fleet` names; only the config file can list them. */
  fleets: Record<string, FleetSettings>;
  /** Warnings, one sentence each, without secrets. */
  warnings: string[];
  /** Each value with its source, for `evdb config`; secrets are masked. */
  entries: ConfigEntry[];
}

/** What `resolveConfig` reads. */
export interface ResolveConfigInput {
  /** Default none. */
  flags?: ConfigFlags;
  /** What messages call `flags.url` if a program passed it; default `flag --url`. */
  urlSource?: string;
  /** Default `process.env`. */
  env?: Variables;
  /** The folder to search from, and that relative paths of flags refer to; default the working folder. */
  cwd?: string;
}

/**
 * Finds the settings in effect. Each one is taken from the first of these sources that has it:
 *
 * 1. flags (`--schema`)
 * 2. the environment (`EVDB_SCHEMA`)
 * 3. `.env` next to the config file or `package.json`; a variable of the environment, even an
 *    empty one, hides that of `.env`
 * 4. the config file: the entry of `environments` that `--env` or `EVDB_ENV` names, then its top
 *    level
 * 5. defaults
 *
 * A single source names the whole database, in the same order. Within 2 and 3 `EVDB_URL` takes
 * precedence over `DATABASE_URL`, and that over the set `DB_HOST DB_PORT DB_NAME DB_USER
 * DB_PASSWORD DB_SSL`, which counts if `DB_HOST` or `DB_NAME` is set. What that source leaves out
 * is filled in as in libpq: service, `PGHOST` and so on, defaults, password file. These libpq
 * variables name the database themselves only if nothing else does, not even the config file. A
 * migration URL counts only from the same source or a stronger one. If nothing names a database,
 * it is the embedded PostgreSQL, `implicit: true`; a command that needs a database then calls
 * `assertConnectionConfigured`.
 *
 * Reads files, changes nothing, not even `process.env`, and opens no connection.
 *
 * @throws EvdbError `CONFIG_INVALID` for an invalid setting, `USAGE` for flags that exclude each
 *   other; no message contains a password
 * @example
 * const config = await resolveConfig({ flags: { url: 'postgres://app@localhost/shop' } });
 * config.connection // { kind: 'server', options: { hosts: [{ host: 'localhost', port: 5432 }], … } }
 */
export async function resolveConfig(input: ResolveConfigInput = {}): Promise<Config> {
  const { flags = {}, env = process.env } = input;
  const cwd = resolve(input.cwd ?? process.cwd());
  const scope = await readScope(flags, env, cwd);
  const { projectDir, file, environment } = scope;
  const chosen = chooseEnvironmentName(flags, environment);
  const fileLabel = file === undefined ? 'default' : relative(projectDir, file.path);
  const files = await selectFileSettings(scope, fileLabel, chosen?.value);
  const layers = planLayers({
    flags,
    urlSource: input.urlSource,
    environment,
    files,
    cwd,
    projectDir,
  });
  const connections = await resolveConnections(layers, environment, flags.embedded === true);
  const { settings, entries } = parseSettings(layers, projectDir);
  const { variables, entries: ofVariables } = resolveVariables({
    flags: flags.variables,
    environment,
    files,
  });
  return {
    ...connections,
    ...settings,
    variables,
    projectDir,
    ...(file !== undefined && { configFile: file.path }),
    ...(chosen !== undefined && { environment: chosen.value }),
    doctor: file?.doctor ?? { ignore: [] },
    lint: file?.lint ?? { rules: {}, groups: {} },
    fleets: file?.fleets ?? {},
    warnings: [...scope.warnings, ...connections.warnings],
    entries: [
      ...connections.entries,
      ...listScopeEntries(scope, fileLabel, chosen),
      ...entries,
      ...ofVariables,
    ],
  };
}

interface Scope {
  projectDir: string;
  file: ConfigFile | undefined;
  environment: Environment;
  warnings: string[];
}

async function readScope(flags: ConfigFlags, env: Variables, cwd: string): Promise<Scope> {
  const { directory, configFile, warnings } = findConfigFile(flags, env, cwd);
  const dotenv = await readDotenv(directory, env);
  let file: ConfigFile | undefined;
  if (configFile !== undefined) {
    const { loadConfigFile } = await import('./file.ts');
    file = await loadConfigFile(configFile);
  }
  return {
    projectDir: directory,
    file,
    environment: { real: env, dotenv: dotenv.variables },
    warnings: [...warnings, ...dotenv.warnings],
  };
}

function findConfigFile(
  flags: ConfigFlags,
  env: Variables,
  cwd: string,
): { directory: string; configFile?: string; warnings: string[] } {
  if (flags.config === '') {
    throw new EvdbError('CONFIG_INVALID', 'flag --config: the value is empty', {
      hint: 'Give it a path or leave it out. Is the variable that you pass set?',
    });
  }
  const named = flags.config ?? (env.EVDB_CONFIG || undefined);
  if (named === undefined) return findProject(cwd, env);
  const configFile = resolve(cwd, named);
  return { directory: dirname(configFile), configFile, warnings: [] };
}

function chooseEnvironmentName(
  flags: ConfigFlags,
  environment: Environment,
): { value: string; source: string } | undefined {
  if (flags.env === undefined) return findVariable(environment, 'EVDB_ENV');
  return { value: flags.env, source: 'flag --env' };
}

async function selectFileSettings(
  { file }: Scope,
  label: string,
  environmentName: string | undefined,
): Promise<LayerInput['files']> {
  const files = [];
  if (environmentName !== undefined) {
    const { selectEnvironment } = await import('./file.ts');
    const settings = selectEnvironment(file, environmentName);
    const source = `${label} environments.${environmentName}`;
    files.push({ settings, source, rank: RANK.fileEnvironment });
  }
  if (file !== undefined) files.push({ settings: file.settings, source: label, rank: RANK.file });
  return files;
}

function listScopeEntries(
  scope: Scope,
  fileSource: string,
  chosen: { value: string; source: string } | undefined,
): ConfigEntry[] {
  const path = scope.file?.path;
  return [
    { key: 'projectDir', value: scope.projectDir, source: fileSource },
    { key: 'configFile', value: path ?? null, source: fileSource },
    { key: 'environment', value: chosen?.value ?? null, source: chosen?.source ?? 'default' },
  ];
}

/** Each setting with its value and its source. */
export function renderConfig(
  entries: ConfigEntry[],
  style: Style,
  table: TableRenderer = renderTable,
): string {
  const columns = [
    { title: 'setting' },
    { title: 'value', text: 'wraps' as const },
    { title: 'source', text: 'wraps' as const },
  ];
  return table(columns, entries.map(renderRow), style);
}

function renderRow({ key, value, source }: ConfigEntry): Cell[] {
  return [
    { text: key },
    { text: renderValue(value) },
    { text: source, ...(source === 'default' && { colour: 'dim' as const }) },
  ];
}

function renderValue(value: ConfigEntry['value']): string {
  if (value === null) return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.join(', ');
  return String(value);
}
