import type { ConnectionOptions, PasswordFunction } from '../connection/options.ts';
import { EvdbError } from '../errors.ts';
import { type Environment, findVariable, readVariable } from './environment.ts';
import { type FoundSetting, findSetting, type Layer, RANK } from './layers.ts';
import type { ConfigEntry } from './resolve.ts';

/** A server that was configured. */
export interface ServerConnection {
  kind: 'server';
  options: ConnectionOptions;
}

/** The embedded PostgreSQL; `implicit` if it was not asked for and nothing else is configured. */
export interface EmbeddedConnection {
  kind: 'embedded';
  implicit: boolean;
  /**
   * The environment of the config file that was chosen and has a `url` without a value. A command that needs a
   * database is refused then: neither this server nor another source is meant.
   */
  emptyUrlIn?: string;
}

/** The connections that a configuration comes to. */
interface ResolvedConnections {
  connection: ServerConnection | EmbeddedConnection;
  migrationConnection?: ServerConnection;
  entries: ConfigEntry[];
  warnings: string[];
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
  const isNothingNamed = choice.rank === RANK.none || choice.emptyUrlIn !== undefined;
  const isOnlyMigration = isNothingNamed && migration.choice !== undefined;
  const secret = findSecret(layers);
  const main = await resolveMain(
    (isOnlyMigration && migration.choice) || choice,
    environment,
    secret,
  );
  const unused = renderUnusedSources(choice, layers, environment);
  const warnings = [...unused, ...migration.warnings, ...main.warnings];
  if (migration.choice === undefined) return { ...main, warnings };
  const { resolveServer } = await import('./libpq.ts');
  const second = await resolveServer(
    'migrationConnection',
    'migrationUrl',
    migration.choice,
    environment,
    secret,
  );
  return {
    connection: main.connection,
    migrationConnection: { kind: 'server', options: second.options },
    entries: [...main.entries, ...second.entries],
    warnings: [...new Set([...warnings, ...second.warnings])],
  };
}

async function resolveMain(
  choice: ConnectionChoice,
  environment: Environment,
  secret: Secret | undefined,
): Promise<ResolvedConnections> {
  if (choice.kind === 'embedded') {
    const { rank, source, emptyUrlIn } = choice;
    const isEmpty = emptyUrlIn !== undefined;
    const implicit = rank === RANK.none || isEmpty;
    return {
      connection: { kind: 'embedded', implicit, ...(isEmpty && { emptyUrlIn }) },
      entries: [{ key: 'connection', value: isEmpty ? 'none' : 'embedded', source }],
      warnings: [],
    };
  }
  // On demand: without a server a command needs none of what reads URLs.
  const { resolveServer } = await import('./libpq.ts');
  const { options, ...rest } = await resolveServer(
    'connection',
    'url',
    choice,
    environment,
    secret,
  );
  return { connection: { kind: 'server', options }, ...rest };
}

/** The source that names the database, not read yet. */
export interface ConnectionChoice {
  kind: 'embedded' | 'url' | 'db-variables' | 'libpq-variables';
  rank: number;
  source: string;
  /** Not checked yet. */
  url?: string;
  emptyUrlIn?: string;
}

/**
 * Chooses the one source that names the database: `--embedded` or `--url`; then in the
 * environment `EVDB_URL`, `DATABASE_URL`, the `DB_*` set; then the same in `.env`; then the
 * config file; then the libpq variables; then nothing, which is the embedded PostgreSQL.
 *
 * The libpq variables come last, after the config file: as in libpq they are defaults, set once
 * in a shell's profile, and must not move a project to another database.
 *
 * @throws EvdbError `USAGE` where `--embedded` and `--url` are both given
 */
function chooseConnection(
  layers: readonly Layer[],
  environment: Environment,
  embeddedFlag: boolean,
): ConnectionChoice {
  const url = findSetting(layers, 'url');
  if (embeddedFlag) {
    if (url?.rank === RANK.flag) {
      throw new EvdbError('USAGE', '--embedded and --url cannot be used together', {
        hint: 'Leave out one of them.',
      });
    }
    return { kind: 'embedded', rank: RANK.flag, source: 'flag --embedded' };
  }
  if (url?.rank === RANK.flag) return fromSetting(url);
  return (
    chooseVariable(environment, 'environment') ??
    chooseVariable(environment, '.env') ??
    (url && fromSetting(url)) ??
    chooseLibpq(environment) ?? { kind: 'embedded', rank: RANK.none, source: 'default' }
  );
}

function chooseVariable(
  environment: Environment,
  origin: 'environment' | '.env',
): ConnectionChoice | undefined {
  const rank = origin === 'environment' ? RANK.environment : RANK.dotenv;
  for (const name of ['EVDB_URL', 'DATABASE_URL']) {
    const found = readVariable(environment, origin, name);
    if (found !== undefined) return fromUrl(rank, found.source, found.value);
  }
  const db =
    readVariable(environment, origin, 'DB_HOST') ?? readVariable(environment, origin, 'DB_NAME');
  return db && { kind: 'db-variables', rank, source: db.source };
}

function chooseLibpq(environment: Environment): ConnectionChoice | undefined {
  const names = ['PGSERVICE', 'PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER'];
  for (const name of names) {
    const found = findVariable(environment, name);
    if (found !== undefined) {
      return { kind: 'libpq-variables', rank: RANK.libpq, source: found.source };
    }
  }
  return undefined;
}

/**
 * Chooses the URL that migrations use, where it is another one.
 *
 * It counts only where it comes from the same source as the connection or from a stronger one:
 * `--url` or `DATABASE_URL` must never leave the migrations to run on the database that a config
 * file names.
 *
 * @throws EvdbError `CONFIG_INVALID` where it is `embedded:`
 */
function chooseMigrationConnection(
  layers: readonly Layer[],
  main: ConnectionChoice,
): { choice?: ConnectionChoice; warnings: string[] } {
  const found = findSetting(layers, 'migrationUrl');
  if (found === undefined) return { warnings: [] };
  if (found.rank > main.rank) {
    const why = `${main.source} comes first and may name another database`;
    return { warnings: [`the migration URL of ${found.source} is ignored: ${why}`] };
  }
  const choice = fromSetting(found);
  if (choice.kind === 'url') return { choice, warnings: [] };
  throw new EvdbError('CONFIG_INVALID', `${found.source}: a migration URL names a server`, {
    hint: 'Use url for the embedded PostgreSQL, and leave out the migration URL.',
  });
}

/** A password that stands beside what names the database, or how to get one. */
export interface Secret {
  password: string | PasswordFunction;
  source: string;
}

/**
 * Finds what gives the password where that which names the database has none.
 *
 * @throws EvdbError `CONFIG_INVALID` where one place has both, or `.env` a command: that file holds
 *   data, and nobody expects it to run something
 */
function findSecret(layers: readonly Layer[]): Secret | undefined {
  for (const layer of layers) {
    const password = layer.find('password');
    const command = layer.find('passwordCommand');
    if (password && command) throw twice(password, command);
    if (password) return { password: password.raw as Secret['password'], source: password.source };
    if (command?.rank === RANK.dotenv) throw commandInDotenv(command);
    if (command) return fromCommand(command);
  }
  return undefined;
}

function fromCommand({ raw, source, baseDir, rank }: FoundSetting): Secret {
  const inFile = rank >= RANK.fileEnvironment ? `${source} passwordCommand` : source;
  const command = raw as string | readonly string[];
  return {
    source: inFile,
    password: async (target) => {
      const { runPasswordCommand } = await import('./password-command.ts');
      return runPasswordCommand({ command, cwd: baseDir, source: inFile }, target);
    },
  };
}

function twice(password: FoundSetting, command: FoundSetting): EvdbError {
  const where =
    password.source === command.source
      ? password.source
      : `${password.source} and ${command.source}`;
  return new EvdbError(
    'CONFIG_INVALID',
    `${where}: password and passwordCommand cannot be used together`,
    {
      hint: 'Leave out one of them.',
    },
  );
}

function commandInDotenv({ source }: FoundSetting): EvdbError {
  return new EvdbError('CONFIG_INVALID', `${source}: a .env file cannot name a command to run`, {
    hint: 'Put passwordCommand into the config file, or EVDB_PASSWORD_COMMAND into the environment.',
  });
}

function fromSetting(found: FoundSetting): ConnectionChoice {
  if (found.raw !== '') return fromUrl(found.rank, found.source, String(found.raw));
  return { kind: 'embedded', rank: found.rank, source: found.source, emptyUrlIn: found.source };
}

function fromUrl(rank: number, source: string, url: string): ConnectionChoice {
  const isEmbedded = /^\s*embedded:(\/\/)?\s*$/i.test(url);
  return { kind: isEmbedded ? 'embedded' : 'url', rank, source, url };
}

/** Says what somebody has configured and would expect to count, but does not. */
function renderUnusedSources(
  choice: ConnectionChoice,
  layers: readonly Layer[],
  environment: Environment,
): string[] {
  const warnings: string[] = [];
  const own = layers.find((layer) => layer.rank === RANK.fileEnvironment)?.find('url');
  if (own?.raw && choice.rank > RANK.flag && choice.rank < RANK.fileEnvironment) {
    warnings.push(`${choice.source} names the database, not the url of ${own.source}`);
  }
  const stray = findVariable(environment, 'DB_USER') ?? findVariable(environment, 'DB_PASSWORD');
  if (stray !== undefined && choice.rank === RANK.none) {
    warnings.push(`${stray.source} is ignored: neither DB_HOST nor DB_NAME is set`);
  }
  return warnings;
}
