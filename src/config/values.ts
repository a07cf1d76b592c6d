import { resolve } from 'node:path';
import { EvdbError } from '../errors.ts';
import { parseDuration, renderDurationSetting } from '../text/units.ts';
import { type FoundSetting, findSetting, type Layer, RANK, type SettingKey } from './layers.ts';
import type { ConfigEntry } from './resolve.ts';

/** The settings beside the connection. */
export interface Settings {
  /** Absolute; default `migrations` in the project folder. */
  migrationsDir: string;
  /** Absolute; default `seeds` in the project folder. */
  seedsDir: string;
  /** The target of migrations; default `public`. */
  schema: string;
  /** PostgreSQL schema of the ledger; default `evdb`. */
  ledgerSchema: string;
  /** What follows the target in the search path of a migration; default nothing. */
  searchPath: string[];
  /** Asks for more consent: `reset` is refused, `down` needs `--confirm`. Default false. */
  isProtected: boolean;
  /** How long to wait for another runner; default 60000, 0 does not wait. */
  lockWaitMs: number;
  /** How runners exclude each other; default `advisory`. */
  lock: 'advisory' | 'lease';
  /** How long a lease lasts unless it is renewed; default 30000. */
  leaseMs: number;
  /** Replaces the ladder of short timeouts around statements that lock tables. */
  lockTimeoutMs?: number;
  /** How long to go on asking for table locks. Default: the ladder once, about 100 s. */
  lockWaitBudgetMs?: number;
  /** How long a data statement waits for a row; default 10000. */
  dataLockTimeoutMs: number;
  /** Limit of a single statement; 0 is none. Default: what the server says. */
  statementTimeoutMs?: number;
  /** The ledger keeps the text of a migration up to this size; default 1 MiB. */
  storedTextLimitBytes: number;
  /** What `migrate plan` is held against, as `parseBudget` reads it; default: nothing. */
  budget?: string;
  /** What `migrate up` does about drift; default `off`. */
  checkDrift: 'off' | 'warn' | 'error';
  /** Whether `migrate up` keeps a snapshot of the statistics from before and after; default false. */
  takesSnapshots: boolean;
}

/**
 * Reads and checks every setting beside the connection.
 *
 * @throws EvdbError `CONFIG_INVALID` that names the source of the value
 */
export function parseSettings(
  layers: readonly Layer[],
  projectDir: string,
): { settings: Settings; entries: ConfigEntry[] } {
  const reader = createReader(layers);
  const parseDir = (found: FoundSetting) => resolve(found.baseDir, parseText(found));
  const asIs = (value: string) => value;
  const inProject = (folder: string) => resolve(projectDir, folder);
  const settings = {
    migrationsDir: reader.read('migrationsDir', parseDir, inProject('migrations'), asIs),
    seedsDir: reader.read('seedsDir', parseDir, inProject('seeds'), asIs),
    ...readSchemas(reader),
    isProtected: readProtected(layers, reader.entries),
    ...readTimeouts(reader),
    ...readBudget(reader),
    checkDrift: reader.read(
      'checkDrift',
      (found) => parseWord(found, CHECK_DRIFT),
      CHECK_DRIFT[0],
      (word) => word,
    ),
    takesSnapshots: reader.read('snapshots', parseBoolean, false, (is) => is),
  };
  return { settings, entries: reader.entries };
}

/** Reads settings one by one and remembers where each came from. */
interface Reader {
  entries: ConfigEntry[];
  read<T>(
    key: SettingKey,
    parse: (found: FoundSetting) => T,
    fallback: T,
    render: (value: T) => ConfigEntry['value'],
  ): T;
}

function createReader(layers: readonly Layer[]): Reader {
  const entries: ConfigEntry[] = [];
  return {
    entries,
    read(key, parse, fallback, render) {
      const found = findSetting(layers, key);
      const value = found === undefined ? fallback : parse(found);
      entries.push({ key, value: render(value), source: found?.source ?? 'default' });
      return value;
    },
  };
}

function readSchemas(reader: Reader): Pick<Settings, 'schema' | 'ledgerSchema' | 'searchPath'> {
  const parseSchema = (found: FoundSetting) => checkOwnSchema(parseText(found), found.place);
  const asIs = (value: string) => value;
  const schema = reader.read('schema', parseSchema, 'public', asIs);
  const ledgerSchema = reader.read('ledgerSchema', parseSchema, 'evdb', asIs);
  const searchPath = reader.read('searchPath', parseList, [], (names) => names);
  if (schema !== ledgerSchema) return { schema, ledgerSchema, searchPath };
  const problem = `the schema "${schema}" cannot be the target and hold the ledger`;
  throw new EvdbError('CONFIG_INVALID', problem, {
    hint: 'Choose another target with --schema, or another ledger with EVDB_LEDGER_SCHEMA.',
  });
}

function readTimeouts(
  reader: Reader,
): Pick<
  Settings,
  | 'lockWaitMs'
  | 'lock'
  | 'leaseMs'
  | 'lockTimeoutMs'
  | 'lockWaitBudgetMs'
  | 'dataLockTimeoutMs'
  | 'statementTimeoutMs'
  | 'storedTextLimitBytes'
> {
  const render = (durationMs: number | undefined) =>
    durationMs === undefined ? null : renderDurationSetting(durationMs);
  const lockWaitMs = reader.read('lockWait', parseFoundDuration, 60_000, render);
  const lock = reader.read(
    'lock',
    (found) => parseWord(found, LOCKS),
    LOCKS[0],
    (word) => word,
  );
  const leaseMs = reader.read('leaseTime', parseLeaseTime, 30_000, render);
  const lockTimeoutMs = reader.read<number | undefined>(
    'lockTimeout',
    parseLockTimeout,
    undefined,
    render,
  );
  const lockWaitBudgetMs = reader.read<number | undefined>(
    'lockWaitBudget',
    parseFoundDuration,
    undefined,
    render,
  );
  const dataLockTimeoutMs = reader.read('dataLockTimeout', parseLockTimeout, 10_000, render);
  const statementTimeoutMs = reader.read<number | undefined>(
    'statementTimeout',
    parseFoundDuration,
    undefined,
    render,
  );
  return {
    lockWaitMs,
    lock,
    leaseMs,
    ...(lockTimeoutMs !== undefined && { lockTimeoutMs }),
    ...(lockWaitBudgetMs !== undefined && { lockWaitBudgetMs }),
    dataLockTimeoutMs,
    ...(statementTimeoutMs !== undefined && { statementTimeoutMs }),
    storedTextLimitBytes: reader.read('storedTextLimit', parseByteSize, 1024 ** 2, renderByteSize),
  };
}

function readBudget(reader: Reader): Pick<Settings, 'budget'> {
  const budget = reader.read<string | undefined>(
    'budget',
    parseText,
    undefined,
    (text) => text ?? null,
  );
  return budget === undefined ? {} : { budget };
}

const CHECK_DRIFT = ['off', 'warn', 'error'] as const;

const LOCKS = ['advisory', 'lease'] as const;

function parseWord<Word extends string>(
  { raw, place }: FoundSetting,
  words: readonly [Word, ...Word[]],
): Word {
  const word = words.find((one) => one === String(raw).trim().toLowerCase());
  if (word !== undefined) return word;
  throw new EvdbError('CONFIG_INVALID', `${place}: "${raw}" is none of ${words.join(', ')}`, {
    hint: `Write ${words.slice(0, -1).join(', ')} or ${words.at(-1)}.`,
  });
}

/** It is renewed three times as often, which a runner has to manage. */
const SHORTEST_LEASE_MS = 1_000;

function parseLeaseTime(found: FoundSetting): number {
  const durationMs = parseFoundDuration(found);
  if (durationMs >= SHORTEST_LEASE_MS) return durationMs;
  throw new EvdbError('CONFIG_INVALID', `${found.place}: a lease cannot be renewed that often`, {
    hint: 'Give at least 1s.',
  });
}

/** A variable can only add protection: consent is given on the command line and nowhere else. */
function readProtected(layers: readonly Layer[], entries: ConfigEntry[]): boolean {
  const variables = layers.filter((layer) => layer.rank < RANK.fileEnvironment);
  const files = layers.filter((layer) => layer.rank >= RANK.fileEnvironment);
  const fromVariable = findSetting(variables, 'protected');
  const fromFile = findSetting(files, 'protected');
  const found = fromVariable && parseBoolean(fromVariable) ? fromVariable : fromFile;
  const isProtected = found !== undefined && parseBoolean(found);
  entries.push({ key: 'protected', value: isProtected, source: found?.source ?? 'default' });
  return isProtected;
}

function parseText(found: FoundSetting): string {
  return String(found.raw);
}

function parseList(found: FoundSetting): string[] {
  const items = Array.isArray(found.raw) ? found.raw.map(String) : parseText(found).split(',');
  const names = items.map((name) => checkSearchPathEntry(name.trim(), found.place));
  return [...new Set(names)];
}

function parseFoundDuration(found: FoundSetting): number {
  const { raw, place } = found;
  return parseDuration(typeof raw === 'number' ? raw : String(raw), place);
}

function parseLockTimeout(found: FoundSetting): number {
  const durationMs = parseFoundDuration(found);
  if (durationMs > 0) return durationMs;
  const problem = `${found.place}: a lock timeout of 0 would wait forever`;
  throw new EvdbError('CONFIG_INVALID', problem, {
    hint: 'Every lock is asked for with a timeout: give at least 1ms.',
  });
}

const BYTES_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ...['', 'b'].map((unit) => [unit, 1] as const),
  ...['kb', 'kib'].map((unit) => [unit, 1024] as const),
  ...['mb', 'mib'].map((unit) => [unit, 1024 ** 2] as const),
  ...['gb', 'gib'].map((unit) => [unit, 1024 ** 3] as const),
]);

/** As in PostgreSQL, kB and KiB both mean 1024 bytes. */
function parseByteSize({ raw, place }: FoundSetting): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(String(raw));
  const factor = BYTES_PER_UNIT.get(match?.[2]?.toLowerCase() ?? '');
  const bytes = Math.round(Number(match?.[1]) * (factor ?? Number.NaN));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new EvdbError('CONFIG_INVALID', `${place}: "${raw}" is not a size`, {
    hint: 'Write a number of bytes, or a number with kB, MB or GB, for example 1MB.',
  });
}

/** In the largest unit that needs no fraction; `parseByteSize` reads it back. */
function renderByteSize(bytes: number): string {
  const units = [1024, 1024 ** 2, 1024 ** 3].filter((size) => bytes > 0 && bytes % size === 0);
  return `${bytes / (units.at(-1) ?? 1)}${['B', 'kB', 'MB', 'GB'][units.length]}`;
}

const BOOLEAN_WORDS: ReadonlyMap<string, boolean> = new Map([
  ...['true', '1', 'yes', 'on'].map((word) => [word, true] as const),
  ...['false', '0', 'no', 'off'].map((word) => [word, false] as const),
]);

function parseBoolean(found: FoundSetting): boolean {
  const value = BOOLEAN_WORDS.get(String(found.raw).trim().toLowerCase());
  if (value !== undefined) return value;
  throw new EvdbError('CONFIG_INVALID', `${found.place}: neither true nor false`, {
    hint: 'Write true or false.',
  });
}

/**
 * Checks that a schema may be the target of migrations or hold the ledger: those of
 * PostgreSQL itself may not.
 *
 * @throws EvdbError `CONFIG_INVALID`
 */
export function checkOwnSchema(name: string, source: string): string {
  checkIdentifier(name, source);
  if (/^pg_/.test(name) || name === 'information_schema') {
    const hint = 'Choose a name that does not begin with pg_ and is not information_schema.';
    throw invalidName(source, `the schema "${name}" belongs to PostgreSQL itself`, hint);
  }
  return name;
}

/**
 * Checks one schema of the search path that the configuration adds.
 *
 * @throws EvdbError `CONFIG_INVALID` for `$user`, which differs from role to role, and for
 *   `pg_temp`, which always stands last
 */
function checkSearchPathEntry(name: string, source: string): string {
  checkIdentifier(name, source);
  if (name === '$user' || /^pg_temp/.test(name)) {
    const hint = 'evdb makes the search path the same for everyone: target, yours, pg_temp.';
    throw invalidName(source, `"${name}" cannot be a part of searchPath`, hint);
  }
  return name;
}

/**
 * Checks that a name can be that of a PostgreSQL schema.
 *
 * @param name as it stands in the catalog, without quotes
 * @param source where the name comes from, for the error message
 * @throws EvdbError `CONFIG_INVALID` where it is empty, too long or holds a NUL
 */
function checkIdentifier(name: string, source: string): string {
  if (name.trim() === '' || name.includes('\0')) {
    throw invalidName(source, 'the name of a schema is empty', 'Name the schema, such as public.');
  }
  const bytes = Buffer.byteLength(name);
  if (bytes > LONGEST_NAME_BYTES) {
    const hint = `PostgreSQL's names have at most ${LONGEST_NAME_BYTES} bytes.`;
    throw invalidName(source, `the name "${name}" is too long (${bytes} bytes)`, hint);
  }
  return name;
}

/** PostgreSQL cuts longer names off without an error. */
const LONGEST_NAME_BYTES = 63;

function invalidName(source: string, problem: string, hint: string): EvdbError {
  return new EvdbError('CONFIG_INVALID', `${source}: ${problem}`, { hint });
}
