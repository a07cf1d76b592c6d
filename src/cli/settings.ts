import { dirname, join } from 'node:path';
import { assertConnectionConfigured } from '../config/layers.ts';
import { type Config, type ConfigFlags, resolveConfig } from '../config/resolve.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { EvdbError } from '../errors.ts';
import type { LintRuleChoices } from '../lint/choice.ts';
import type { LintSettings } from '../lint/rule.ts';
import type { LintMigrationsOptions } from '../migrate/checks/lint.ts';
import { type MigrateOptions, migrateOptionsOf } from '../migrate/options.ts';
import { commandLine, sameCommand } from '../text/command-line.ts';
import type { CliContext } from './context.ts';
import type { CommandInput, Flags } from './define.ts';

/** Reads the configuration for a command, and says on stderr what is odd about it. */
export async function loadConfig({ context, flags, config: given }: CommandInput): Promise<Config> {
  if (given) return given;
  const config = await resolveConfig({
    flags: configFlags(flags),
    env: context.env,
    cwd: context.cwd,
  });
  for (const warning of config.warnings) context.note(`warning  ${warning}\n`);
  return config;
}

export function configFlags(flags: Flags): ConfigFlags {
  const { url, embedded, env, config, schema, migrationsDir, seedsDir } = flags as Record<
    string,
    string
  >;
  const { lockWait, lockTimeout, lockWaitBudget, statementTimeout, budget, checkDrift } =
    flags as Record<string, string>;
  const given = {
    url,
    env,
    config,
    schema,
    migrationsDir,
    seedsDir,
    lockWait,
    lockTimeout,
    lockWaitBudget,
    statementTimeout,
    budget,
    checkDrift,
  };
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    embedded: flags.embedded === true || (embedded as unknown) === true,
    ...(Array.isArray(flags.set) && { variables: parseVariables(flags.set) }),
  };
}

/** Of one that is given twice the last counts, as in psql. */
function parseVariables(given: string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((one) => {
      const [name = '', ...value] = one.split('=');
      if (value.length > 0) return [name, value.join('=')];
      throw new EvdbError('USAGE', `--set ${one}: there is no "="`, {
        hint: 'Write --set app_role=web.',
      });
    }),
  );
}

/** Where the embedded server of a project keeps its files; that of squashed migrations is the same one. */
export function embeddedDirectory({ migrationsDir }: Config): string {
  return join(dirname(migrationsDir.replace(SQUASHED, '')), '.evdb');
}

const SQUASHED = /[\\/]squashed[\\/]\d+$/;

/** What happens before a connection is made. */
interface BeforeConnecting {
  /** Throws where the command must not run: before a server is started or asked. */
  check?: ((config: Config) => void) | undefined;
  /** Whether the folder has to hold migrations; default false. */
  needsMigrations?: boolean | undefined;
  /** Whether the folder may hold none yet; default false. */
  mayBeEmpty?: boolean | undefined;
  /** Whether the command may make an embedded server where there is none; default false. */
  mayCreate?: boolean | undefined;
}

/**
 * The connection that a command uses; starts the embedded server where that is meant. A new one
 * is empty, so what looks at it or changes something there would do that to nothing.
 *
 * @throws {EvdbError} NOT_CONFIGURED, and those of `ensureEmbeddedServer`
 */
export async function resolveConnection(
  config: Config,
  context: CliContext,
  mayCreate = false,
): Promise<ConnectionOptions> {
  assertConnectionConfigured(config, context.env);
  const { connection } = config;
  if (connection.kind === 'server') return connection.options;
  if (!mayCreate) await requireEmbeddedServer(config, connection.implicit);
  if (connection.implicit) {
    context.note(
      'no database is configured: using the embedded PostgreSQL (--url or EVDB_URL names another)\n',
    );
  }
  const { ensureEmbeddedServer } = await import('../embedded/server.ts');
  const server = await ensureEmbeddedServer({
    directory: embeddedDirectory(config),
    onProgress: (message) => context.note(`${message}\n`),
  });
  if (server.started) {
    context.note(
      `the embedded PostgreSQL stays up on port ${server.port}; \`${commandLine('server stop')}\` ends it\n`,
    );
  }
  return server.connection;
}

/** @throws {EvdbError} NOT_CONFIGURED where the embedded server was never made */
async function requireEmbeddedServer(config: Config, isImplicit: boolean): Promise<void> {
  const { hasEmbeddedServer } = await import('../embedded/stop.ts');
  const directory = embeddedDirectory(config);
  if (hasEmbeddedServer({ directory })) return;
  const missing = `there is no embedded PostgreSQL in ${directory}`;
  throw new EvdbError(
    'NOT_CONFIGURED',
    isImplicit ? `no database is configured, and ${missing}` : missing,
    {
      hint: isImplicit
        ? `Set EVDB_URL, DATABASE_URL or DB_HOST, or pass --url postgres://user@host/database. \`${commandLine('migrate up')}\` makes an embedded one.`
        : `Only \`${commandLine('migrate up', { embedded: true })}\` and \`${commandLine('server start')}\` make one. Is this the right folder?`,
      details: { directory },
    },
  );
}

/**
 * What the migrate commands hand to the library.
 *
 * @param before throws before a server is started or asked
 */
export async function loadMigrateOptions(
  input: CommandInput,
  before?: BeforeConnecting['check'] | BeforeConnecting,
): Promise<{ config: Config; options: MigrateOptions }> {
  const { config, connection } = await loadDirectConnection(input, before);
  return { config, options: { ...migrateSettings(config, input.context), connection } };
}

/**
 * What a migrate command hands to the library where a folder without a migration is no error.
 *
 * @returns no options where there is nothing to look at: an empty folder, and an embedded server that
 *   was never made. None is made for it.
 */
export async function loadOptionsOrNothing(
  input: CommandInput,
  before: BeforeConnecting = {},
): Promise<{ config: Config; options: MigrateOptions | undefined }> {
  const config = await loadConfig(input);
  if (await hasNothingYet(config, input.context)) return { config, options: undefined };
  const asked = { ...before, needsMigrations: true, mayBeEmpty: true };
  const { connection } = await connectDirectly(input, config, asked);
  const settings = migrateSettings(config, input.context);
  return { config, options: { ...settings, mayBeEmpty: true, connection } };
}

async function hasNothingYet(config: Config, { env }: CliContext): Promise<boolean> {
  if ((config.migrationConnection ?? config.connection).kind === 'server') return false;
  assertConnectionConfigured(config, env);
  const { hasEmbeddedServer } = await import('../embedded/stop.ts');
  if (hasEmbeddedServer({ directory: embeddedDirectory(config) })) return false;
  return holdsNoMigration(config.migrationsDir);
}

/** @throws {EvdbError} those of `requireMigrations` but for a folder that holds nothing */
export async function holdsNoMigration(directory: string): Promise<boolean> {
  const { holdsMigrations } = await import('../migrate/plan/read.ts');
  return !holdsMigrations({ directory });
}

/** Said where the folder holds no migration. */
export function noMigrationsYet(): string {
  const create = commandLine('migrate create', {}, { args: ['first table'] });
  return `no migrations yet: \`${create}\` writes the first one`;
}

/** The connection that applications use. */
export async function loadConnection(
  input: CommandInput,
): Promise<{ config: Config; connection: ConnectionOptions }> {
  const config = await loadConfig(input);
  return { config, connection: await resolveConnection(config, input.context, false) };
}

/**
 * The connection of commands that need a session of their own: past a pooler where one is
 * configured for migrations.
 *
 * @param before throws before a server is started or asked
 */
export async function loadDirectConnection(
  input: CommandInput,
  before: BeforeConnecting['check'] | BeforeConnecting = {},
): Promise<{ config: Config; connection: ConnectionOptions }> {
  const config = await loadConfig(input);
  return connectDirectly(input, config, before);
}

/** `loadDirectConnection` for a configuration that is read already. */
async function connectDirectly(
  input: CommandInput,
  config: Config,
  before: BeforeConnecting['check'] | BeforeConnecting = {},
): Promise<{ config: Config; connection: ConnectionOptions }> {
  const asked: BeforeConnecting = typeof before === 'function' ? { check: before } : before;
  const { check, needsMigrations = false, mayBeEmpty, mayCreate = false } = asked;
  check?.(config);
  // With a server that runs the command itself looks at them, before it connects.
  if (needsMigrations && (config.migrationConnection ?? config.connection).kind === 'embedded') {
    const { requireMigrations } = await import('../migrate/plan/read.ts');
    requireMigrations({ directory: config.migrationsDir, mayBeEmpty });
  }
  const direct = config.migrationConnection;
  const connection = direct
    ? direct.options
    : await resolveConnection(config, input.context, mayCreate);
  return { config, connection };
}

/** The same without the connection, for commands that can do without. */
export function migrateSettings(
  config: Config,
  { env }: CliContext,
): Omit<MigrateOptions, 'connection'> {
  return migrateOptionsOf(config, env);
}

/**
 * How migrations are judged: the config file, and flags over it.
 *
 * @throws {EvdbError} CONFIG_INVALID, USAGE for rules and groups that are not there
 */
export async function lintOptionsOf(
  config: Config,
  flags: Flags,
): Promise<Omit<LintMigrationsOptions, 'paths'>> {
  const startAfter = (flags.startAfter as string | undefined) ?? config.lint.startAfter;
  return {
    directory: config.migrationsDir,
    mayBeEmpty: true,
    startAfter,
    searchPath: [config.schema, ...config.searchPath],
    variables: config.variables,
    settings: settingsOf(config, flags),
    choices: await choicesOf(config, flags),
  };
}

function settingsOf({ lint }: Config, flags: Flags): Partial<LintSettings> {
  const { smallTableRows, maxLockTimeoutMs } = lint;
  const serverVersion = (flags.serverVersion as number | undefined) ?? lint.serverVersion;
  return {
    ...(smallTableRows !== undefined && { smallTableRows }),
    ...(maxLockTimeoutMs !== undefined && { maxLockTimeoutMs }),
    ...(serverVersion !== undefined && { serverVersion }),
  };
}

async function choicesOf({ lint }: Config, flags: Flags): Promise<LintRuleChoices> {
  // Every command loads this file, and most of them no rule.
  const { LINT_RULES } = await import('../lint/rules.ts');
  const { assertKnownLintRules, LINT_RULE_GROUPS } = await import('../lint/choice.ts');
  const names = LINT_RULES.map(({ name }) => name);
  const given = Array.isArray(flags.rule) ? flags.rule.map(String) : [];
  const only = given.flatMap((list) => list.split(',').map((name) => name.trim()));
  const inFile = (source: string) => ({ source, code: 'CONFIG_INVALID' as const });
  assertKnownLintRules(Object.keys(lint.rules), names, inFile('lint.rules'));
  assertKnownLintRules(Object.keys(lint.groups), LINT_RULE_GROUPS, inFile('lint.groups'));
  assertKnownLintRules(only, names, { source: '--rule', code: 'USAGE' });
  return { rules: lint.rules, groups: lint.groups, only };
}

interface OptionalConnection {
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
  if (connection.emptyUrlIn !== undefined) {
    return { noConnectionReason: `"url" of ${connection.emptyUrlIn} is empty` };
  }
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

/** `--confirm` is the only word for consent, and most commands ask for it only where it is protected. */
export function requireConsent({ flags }: CommandInput, config: Config, command: string): void {
  if (!config.isProtected || flags.confirm || flags.dryRun) return;
  const [name = ''] = command.split(' ');
  throw new EvdbError(
    'CONFIRM_REQUIRED',
    `${environmentName(config)} is protected, and ${name} is meant for ${describeTarget(config)}`,
    {
      hint: `Nothing was changed. Look first (--dry-run), then: ${sameCommand(`migrate ${name}`, { confirm: true })}`,
    },
  );
}

export function environmentName({ environment }: Config): string {
  return environment === undefined ? 'this project' : `environment "${environment}"`;
}

/** Such as `schema "public" of database "shop" on db.example:5432`: what a command is about to change. */
export function describeTarget(config: Config): string {
  return `schema "${config.schema}" of ${describeDatabase(config)}`;
}

/** The database that commands with a session of their own go to. */
export function describeDatabase({ connection, migrationConnection }: Config): string {
  const used = migrationConnection ?? connection;
  if (used.kind === 'embedded') return 'the database of the embedded PostgreSQL';
  const { database, hosts } = used.options;
  const places = hosts.map(({ host, port }) => {
    if (host.startsWith('/')) return `${host}/.s.PGSQL.${port}`;
    return `${host.includes(':') ? `[${host}]` : host}:${port}`;
  });
  return `database "${database}" on ${places.join(', ')}`;
}

/** The name of that database, to be typed by whoever means to lose what is in it. */
export function databaseName({ connection, migrationConnection }: Config): string {
  const used = migrationConnection ?? connection;
  return used.kind === 'embedded' ? 'evdb' : used.options.database;
}
