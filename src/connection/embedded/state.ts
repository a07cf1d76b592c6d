import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * What `.evdb/server.json` remembers. Nothing in it is the truth about a running server (that is
 * `postmaster.pid`); it says where the cluster lies and spares the next command a few questions.
 */
export interface ServerState {
  /** Absolute folder that holds `data/` and `password`. */
  home: string;
  /** Full version of the server that ran last, such as `18.4`. */
  version: string;
  /** The port of the last start; tried first at the next one, so the URL stays the same. */
  port: number;
  /** `process.platform` of the last start. */
  platform: string;
  /** Object ids of the databases known to exist: `data/base/<oid>` proves it without a query. */
  databases: Record<string, number>;
}

export const FORMAT_VERSION = 1;

/** The folder of one cluster, its home, holds `data/` beside the `password` of its superuser. */
export function dataDirectoryOf(home: string): string {
  return join(home, 'data');
}

export function passwordPathOf(home: string): string {
  return join(home, 'password');
}

export function statePath(directory: string): string {
  return join(directory, 'server.json');
}

/** Reads the state; a missing or damaged file is the same as none, because it is only a memory. */
export function readState(directory: string): ServerState | undefined {
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(statePath(directory), 'utf8'));
  } catch {
    return undefined;
  }
  if (!isStateFile(found)) return undefined;
  const { home, version, port, platform, databases } = found;
  return { home: resolve(directory, home), version, port, platform, databases };
}

function isStateFile(value: unknown): value is ServerState {
  if (typeof value !== 'object' || value === null) return false;
  const { formatVersion, home, version, port, platform, databases } = value as Record<
    string,
    unknown
  >;
  return (
    formatVersion === FORMAT_VERSION &&
    typeof home === 'string' &&
    typeof version === 'string' &&
    typeof port === 'number' &&
    typeof platform === 'string' &&
    typeof databases === 'object' &&
    databases !== null
  );
}
