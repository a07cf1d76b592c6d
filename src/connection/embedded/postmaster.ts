import { existsSync, readFileSync, statSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { fileError } from './disk.ts';

/** What the server writes into `postmaster.pid`. */
export interface Postmaster {
  pid: number;
  startedAtSeconds: number;
  port: number;
  status: 'starting' | 'ready' | 'stopping' | 'standby' | 'unknown';
}

const CLOCK_SLACK_SECONDS = 5;

export function pidFilePath(dataDirectory: string): string {
  return join(dataDirectory, 'postmaster.pid');
}

/**
 * The server that runs on a data folder, or undefined. A pid alone proves nothing: after a crash
 * or a reboot another program may have it.
 *
 * @throws {EvdbError} PERMISSION_DENIED when the data folder is another user's
 */
export function findPostmaster(dataDirectory: string): Postmaster | undefined {
  const found = readPidFile(dataDirectory);
  return found && isPostmasterOf(found, dataDirectory) ? found : undefined;
}

/** Reads `postmaster.pid`; undefined when there is none or nothing is in it yet. */
export function readPidFile(dataDirectory: string): Postmaster | undefined {
  const path = pidFilePath(dataDirectory);
  let lines: string[];
  try {
    lines = readFileSync(path, 'latin1').split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, 'read', path);
  }
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return {
    pid,
    startedAtSeconds: Number(lines[2] ?? 0),
    port: Number(lines[3] ?? 0),
    status: parseStatus(lines[7]),
  };
}

function parseStatus(line: string | undefined): Postmaster['status'] {
  const word = line?.trim();
  return word === 'starting' || word === 'ready' || word === 'stopping' || word === 'standby'
    ? word
    : 'unknown';
}

/** Whether some process, whichever, has the pid. */
export function isPidInUse(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function isPostmasterOf({ pid, startedAtSeconds }: Postmaster, dataDirectory: string): boolean {
  if (!isPidInUse(pid)) return false;
  const proven = askProc(pid, dataDirectory) ?? askPs(pid, dataDirectory);
  if (proven !== undefined) return proven;
  // nobody to ask: at least it must have been started since this machine was
  return startedAtSeconds > Date.now() / 1000 - uptime() - CLOCK_SLACK_SECONDS;
}

/** Linux: a server stands in its data folder. Undefined where there is no /proc. */
function askProc(pid: number, dataDirectory: string): boolean | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'postgres') return false;
  } catch {
    return existsSync('/proc/self') ? false : undefined;
  }
  return standsIn(pid, dataDirectory) ?? hasArgument(pid, dataDirectory);
}

function standsIn(pid: number, dataDirectory: string): boolean | undefined {
  try {
    const place = statSync(`/proc/${pid}/cwd`);
    const data = statSync(dataDirectory);
    return place.ino === data.ino && place.dev === data.dev;
  } catch {
    // gone, or another user's: root in a container may not look (it lacks CAP_SYS_PTRACE)
    return undefined;
  }
}

function hasArgument(pid: number, dataDirectory: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words[words.indexOf('-D') + 1] === dataDirectory;
  } catch {
    return false;
  }
}

/** macOS and other systems without /proc. Undefined on Windows, or when `ps` does not run. */
function askPs(pid: number, dataDirectory: string): boolean | undefined {
  if (process.platform === 'win32') return undefined;
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const found = spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  return found.error ? undefined : found.stdout.includes(` -D ${dataDirectory} `);
}
