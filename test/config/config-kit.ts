import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { Variables } from '../../src/config/environment.ts';
import { type Config, type ConfigFlags, resolveConfig } from '../../src/config/resolve.ts';
import { parseConnectionUrl } from '../../src/config/url.ts';
import type { ConnectionOptions } from '../../src/connection/options.ts';
import { EvdbError } from '../../src/errors.ts';

/** What a test puts into each source of settings. */
export interface Sources {
  flags?: ConfigFlags;
  env?: Variables;
  /** Text of `.env`. */
  dotenv?: string;
  /** Contents of `evdb.config.json`. */
  file?: Record<string, unknown>;
}

/** A project folder that is new for each test, with its own home folder. */
export interface ConfigProject {
  readonly dir: string;
  /** Writes a file that only its owner may read, unless told otherwise; returns its path. */
  write(name: string, text: string, mode?: number): string;
  resolve(sources: Sources): Promise<Config>;
  /** Resolves settings that name a server; `text` is all that `evdb config` would print. */
  resolveServer(env: Variables, url?: string): Promise<ResolvedServer>;
}

export interface ResolvedServer {
  options: ConnectionOptions;
  warnings: string[];
  text: string;
}

/** Makes the project before each test and removes it after. */
export function useConfigProject(): ConfigProject {
  let dir = '';
  const write: ConfigProject['write'] = (name, text, mode = 0o600) => {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'evdb-config-'));
    mkdirSync(join(dir, 'home'));
    write('package.json', '{ "devDependencies": { "evdb": "^0.1.0" } }');
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const resolve: ConfigProject['resolve'] = ({ flags = {}, env = {}, dotenv, file }) => {
    if (dotenv !== undefined) write('.env', dotenv);
    if (file !== undefined) write('evdb.config.json', JSON.stringify(file));
    return resolveConfig({ flags, env: { HOME: join(dir, 'home'), ...env }, cwd: dir });
  };
  return {
    get dir() {
      return dir;
    },
    write,
    resolve,
    resolveServer: async (env, url) => {
      const { connection, warnings, entries } = await resolve({ env, flags: { url } });
      if (connection.kind !== 'server') throw new Error('no server was configured');
      return { options: connection.options, warnings, text: JSON.stringify(entries) };
    },
  };
}

/** The error with which a URL is refused. */
export function urlErrorOf(url: string): EvdbError {
  try {
    parseConnectionUrl(url, {}, 'environment EVDB_URL');
  } catch (error) {
    if (error instanceof EvdbError) return error;
    throw error;
  }
  throw new Error(`${url} was accepted`);
}
