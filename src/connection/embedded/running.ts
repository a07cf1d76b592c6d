// Loaded by every command that uses the embedded server: keep the imports few.

import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import type { ConnectionOptions } from '../options.ts';
import { fileError } from './disk.ts';
import { findPostmaster } from './postmaster.ts';
import { dataDirectoryOf, passwordPathOf, readState } from './state.ts';

export interface RunningServer {
  pid: number;
  port: number;
  dataDirectory: string;
  /** Such as `18.4`. */
  version: string;
  connection: ConnectionOptions;
}

export const EMBEDDED_USER = 'postgres';
export const DEFAULT_DATABASE = 'evdb';

/**
 * The server of a folder if it accepts connections and has the database, else undefined. Reads a
 * few small files and asks nobody, so it takes less than a millisecond.
 */
export function findRunningServer(
  folder: string,
  database = DEFAULT_DATABASE,
): RunningServer | undefined {
  if (!existsSync(folder)) return undefined;
  const state = readState(realpathSync(folder));
  if (!state) return undefined;
  const dataDirectory = dataDirectoryOf(state.home);
  const postmaster = findPostmaster(dataDirectory);
  if (postmaster?.status !== 'ready') return undefined;
  const oid = state.databases[database];
  if (oid === undefined || !existsSync(join(dataDirectory, 'base', String(oid)))) return undefined;
  return {
    pid: postmaster.pid,
    port: postmaster.port,
    dataDirectory,
    version: state.version,
    connection: connectionTo(state.home, postmaster.port, database),
  };
}

/** @throws {EvdbError} PERMISSION_DENIED when the password belongs to another user */
export function connectionTo(home: string, port: number, database: string): ConnectionOptions {
  return {
    hosts: [{ host: '127.0.0.1', port }],
    database,
    user: EMBEDDED_USER,
    password: readPassword(passwordPathOf(home)),
    sslMode: 'disable',
    applicationName: 'evdb',
    connectTimeoutMs: 10_000,
  };
}

function readPassword(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw fileError(error, 'read', path);
  }
}

/** A server that others may be using is not moved to another port. */
export function requirePort(wanted: number | undefined, port: number): void {
  if (wanted === undefined || wanted === port) return;
  throw new EvdbError('USAGE', `the embedded server already runs, on port ${port}`, {
    hint: `Stop it first with \`${commandLine('server stop')}\`, or leave the port out.`,
    details: { port, wanted },
  });
}
