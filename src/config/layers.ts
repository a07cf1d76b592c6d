import { EvdbError } from '../errors.ts';
import type { SettingsInput } from './define.ts';
import { type Environment, readVariable, type Variables } from './environment.ts';
import type { FileSettings } from './file.ts';
import type { Config } from './resolve.ts';

/** Every setting, by its key in the config file, with the kind of value it takes. */
export const SETTING_KINDS = {
  url: 'string',
  migrationUrl: 'string',
  password: 'secret',
  passwordCommand: 'command',
  migrationsDir: 'string',
  seedsDir: 'string',
  schema: 'string',
  ledgerSchema: 'string',
  searchPath: 'list',
  protected: 'boolean',
  lockWait: 'duration',
  lock: 'string',
  leaseTime: 'duration',
  lockTimeout: 'duration',
  lockWaitBudget: 'duration',
  dataLockTimeout: 'duration',
  statementTimeout: 'duration',
  storedTextLimit: 'size',
  budget: 'string',
  checkDrift: 'string',
  variables: 'variables',
  snapshots: 'boolean',
} as const satisfies Record<keyof SettingsInput, string>;

export type SettingKey = keyof SettingsInput;

/** Settings as they come from the command line, or from a program: strings or values. */
export type SettingFlags = {
  [key in Exclude<
    SettingKey,
    'protected' | 'snapshots' | 'password' | 'passwordCommand' | 'variables'
  >]?: string | number | readonly string[] | undefined;
};

/** The order of the sources; the lowest number wins. */
export const RANK = {
  flag: 0,
  environment: 1,
  dotenv: 2,
  fileEnvironment: 3,
  file: 4,
  libpq: 5,
  none: 6,
} as const;

/** The value of a setting where one source has it. */
export interface FoundSetting {
  /** Not checked yet: text from flags and variables, any allowed type from a config file. */
  raw: unknown;
  /** Such as `flag --schema`, `environment EVDB_SCHEMA`, `.env EVDB_SCHEMA`, `evdb.config.js`. */
  source: string;
  /** The same for messages about its value: with the key, where a file is the source. */
  place: string;
  rank: number;
  /** What a relative path is relative to. */
  baseDir: string;
}

/** One source of settings. */
export interface Layer {
  rank: number;
  find(key: SettingKey): FoundSetting | undefined;
}

/** What the layers are made of. */
export interface LayerInput {
  flags: SettingFlags;
  /** What messages call `flags.url`; default `flag --url`. */
  urlSource?: string | undefined;
  environment: Environment;
  /** What the config file says, the strongest first, each with the name that messages use. */
  files: readonly { settings: FileSettings; source: string; rank: number }[];
  cwd: string;
  projectDir: string;
}

/**
 * Puts the sources of settings in order: flags, environment, `.env`, the chosen environment of
 * the config file, the rest of the config file. Paths in flags and in the environment are
 * relative to the working folder, those in files relative to the folder of the file.
 */
export function planLayers(input: LayerInput): Layer[] {
  const { flags, urlSource, environment, files, cwd, projectDir } = input;
  return [
    flagLayer(flags, cwd, urlSource),
    variableLayer(environment, 'environment', cwd),
    variableLayer(environment, '.env', projectDir),
    ...files.map(({ settings, source, rank }) => fileLayer(settings, source, rank, projectDir)),
  ];
}

function flagLayer(flags: SettingFlags, baseDir: string, urlSource?: string): Layer {
  const values: Partial<Record<SettingKey, unknown>> = flags;
  const find = (key: SettingKey): FoundSetting | undefined => {
    const raw = values[key];
    if (raw === undefined) return undefined;
    const source = (key === 'url' ? urlSource : undefined) ?? `flag ${renderFlag(key)}`;
    // `--url "$UNSET"` must not fall back to another database.
    if (raw === '') {
      throw new EvdbError('CONFIG_INVALID', `${source}: the value is empty`, {
        hint: 'Give it a value or leave it out. Is the variable that you pass set?',
      });
    }
    return { raw, source, place: source, rank: RANK.flag, baseDir };
  };
  return { rank: RANK.flag, find };
}

/** `--migrations-dir` for `migrationsDir`. */
function renderFlag(key: SettingKey): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function variableLayer(
  environment: Environment,
  origin: 'environment' | '.env',
  baseDir: string,
): Layer {
  const rank = origin === 'environment' ? RANK.environment : RANK.dotenv;
  const find = (key: SettingKey): FoundSetting | undefined => {
    const found = readVariable(environment, origin, renderVariable(key));
    return found && { raw: found.value, source: found.source, place: found.source, rank, baseDir };
  };
  return { rank, find };
}

/** `EVDB_MIGRATIONS_DIR` for `migrationsDir`. */
function renderVariable(key: SettingKey): string {
  return `EVDB_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function fileLayer(settings: FileSettings, source: string, rank: number, baseDir: string): Layer {
  const find = (key: SettingKey): FoundSetting | undefined => {
    const raw = settings[key];
    if (raw === undefined) return undefined;
    return { raw, source, place: `${source}: "${key}"`, rank, baseDir };
  };
  return { rank, find };
}

/** Finds a setting in the first layer that has it. */
export function findSetting(layers: readonly Layer[], key: SettingKey): FoundSetting | undefined {
  for (const layer of layers) {
    const found = layer.find(key);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Refuses the implicit embedded PostgreSQL if a forgotten connection string would look like
 * success: in a pipeline (`CI`), in production (`NODE_ENV=production`), and where the chosen
 * environment of the config file has a `url` without a value. Commands that need a
 * database call it first; `CI=false` counts as not set.
 *
 * @param env default `process.env`
 * @throws EvdbError `NOT_CONFIGURED`
 * @example
 * const config = await resolveConfig();
 * assertConnectionConfigured(config, process.env);
 */
export function assertConnectionConfigured(
  config: Pick<Config, 'connection'>,
  env: Variables = process.env,
): void {
  if (config.connection.kind !== 'embedded' || !config.connection.implicit) return;
  const { emptyUrlIn } = config.connection;
  if (emptyUrlIn !== undefined) {
    throw new EvdbError('NOT_CONFIGURED', `${emptyUrlIn}: "url" is empty`, {
      hint: 'Is the variable that it is read from set? To choose a database all the same, pass --url or --embedded.',
    });
  }
  const isProduction = env.NODE_ENV === 'production';
  if (!isProduction && !isSwitchedOn(env.CI)) return;
  const reason = isProduction ? 'NODE_ENV is production' : 'CI is set';
  throw new EvdbError('NOT_CONFIGURED', `no database is configured, and ${reason}`, {
    hint:
      'Set EVDB_URL, DATABASE_URL or DB_HOST, or pass --url postgres://user@host/database. ' +
      'To use the embedded PostgreSQL here, pass --embedded or set EVDB_URL=embedded:.',
  });
}

function isSwitchedOn(value: string | undefined): boolean {
  return !['', '0', 'false', 'no', 'off'].includes(value?.trim().toLowerCase() ?? '');
}
