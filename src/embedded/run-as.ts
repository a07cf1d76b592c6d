import { chownSync, readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { EvdbError } from '../errors.ts';

/** The unprivileged user that runs PostgreSQL in root's place. */
export interface RunAs {
  uid: number;
  gid: number;
  name: string;
}

/**
 * Decides who runs PostgreSQL on existing data: it refuses root, and data that is not its own.
 * Undefined means the current user.
 *
 * @throws {EvdbError} EMBEDDED_START_FAILED when the data belongs to root
 */
export function findDataOwner(dataDirectory: string): RunAs | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = statSync(dataDirectory);
  if (uid !== 0) return { uid, gid, name: String(uid) };
  const home = dirname(dataDirectory);
  throw new EvdbError(
    'EMBEDDED_START_FAILED',
    `the data in ${dataDirectory} belongs to root, and PostgreSQL refuses to run as root`,
    {
      hint: `Give it to an ordinary user: chown -R nobody ${home}`,
      details: { dataDirectory },
    },
  );
}

/**
 * Decides who runs PostgreSQL on a new cluster. Undefined means the current user. As root it is
 * the owner of the folder (so that `sudo` leaves nothing behind that the owner cannot use), else
 * `nobody`.
 *
 * @throws {EvdbError} EMBEDDED_UNAVAILABLE when the user has no passwd entry, which initdb needs
 */
export function chooseRunAs(folder: string): RunAs | undefined {
  const uid = process.getuid?.();
  if (uid === undefined) return undefined;
  if (uid !== 0) {
    requirePasswdEntry(uid);
    return undefined;
  }
  const owner = statSync(folder).uid;
  const found =
    (owner === 0 ? undefined : findUser((user) => user.uid === owner)) ??
    findUser((user) => user.name === 'nobody');
  if (found) return found;
  throw new EvdbError(
    'EMBEDDED_UNAVAILABLE',
    'PostgreSQL refuses to run as root, and there is no user "nobody" to run it as',
    { hint: 'Run evdb as an ordinary user, or set EVDB_URL to a PostgreSQL server.' },
  );
}

function requirePasswdEntry(uid: number): void {
  try {
    userInfo();
  } catch (cause) {
    throw new EvdbError(
      'EMBEDDED_UNAVAILABLE',
      `the user id ${uid} has no entry in /etc/passwd, and PostgreSQL's initdb refuses such users`,
      {
        hint: `Run as a user that the system knows, let root add this one (echo "evdb:x:${uid}:0::/tmp:/bin/sh" >> /etc/passwd), or set EVDB_URL to a PostgreSQL server.`,
        cause,
        details: { uid },
      },
    );
  }
}

function findUser(matches: (user: RunAs) => boolean): RunAs | undefined {
  let passwd: string;
  try {
    passwd = readFileSync('/etc/passwd', 'utf8');
  } catch {
    return undefined;
  }
  for (const line of passwd.split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (!name || !uid || !gid) continue;
    // some systems write the id of nobody as a negative number
    const user = { name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
    if (user.uid !== 0 && matches(user)) return user;
  }
  return undefined;
}

/** Whether the user may enter a folder and every folder above it. */
export function canEnter(folder: string, user: RunAs): boolean {
  for (let at = folder; ; at = dirname(at)) {
    if (!hasMode(at, user, 0o1)) return false;
    if (at === dirname(at)) return true;
  }
}

/** Whether the permission bits (4 read, 2 write, 1 execute or enter) hold for the user. */
export function hasMode(path: string, user: RunAs, bits: number): boolean {
  const { uid, gid, mode } = statSync(path);
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
  return ((mode >> shift) & bits) === bits;
}

/** As root, gives a file to the owner of the folder it lies in; a no-op for everyone else. */
export function giveToFolderOwner(path: string, folder: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(folder);
  if (uid !== 0) chownSync(path, uid, gid);
}

export interface ProgramResult {
  /** Null when a signal ended the program or it never started. */
  exitCode: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
  /** Why it could not be started at all, such as ENOENT. */
  errno: string | undefined;
}

interface RunProgramOptions {
  env: NodeJS.ProcessEnv;
  runAs: RunAs | undefined;
  /** For a program whose children outlive it: they would keep its output open. */
  isSilent?: boolean;
}

/** Runs a program to its end and hands back what it said; it throws for nothing. */
export async function runProgram(
  program: string,
  args: string[],
  { env, runAs, isSilent = false }: RunProgramOptions,
): Promise<ProgramResult> {
  const { spawn } = await import('node:child_process');
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      env,
      // a folder that every user may stand in
      cwd: '/',
      stdio: isSilent ? 'ignore' : ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
      ...identity(runAs),
    });
    let [stdout, stderr] = ['', ''];
    child.stdout?.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ exitCode: null, signal: null, stdout, stderr, errno: error.code });
    });
    child.on('close', (exitCode, signal) => {
      resolve({ exitCode, signal, stdout, stderr, errno: undefined });
    });
  });
}

/** The options of `spawn` that make the child another user; it loses root's groups too. */
export function identity(runAs: RunAs | undefined): { uid?: number; gid?: number } {
  return runAs ? { uid: runAs.uid, gid: runAs.gid } : {};
}

/**
 * The environment of the server: nothing of the caller's, because PGDATA, PGPORT, PGOPTIONS and
 * the locale would all change what it does.
 */
export function serverEnvironment(libraryPath: string | undefined): NodeJS.ProcessEnv {
  const kept = ['PATH', 'SystemRoot', 'SYSTEMDRIVE', 'TEMP', 'TMP', 'TMPDIR', 'USERPROFILE'];
  const env: NodeJS.ProcessEnv = { LC_ALL: 'C', TZ: 'UTC' };
  for (const name of kept) if (process.env[name] !== undefined) env[name] = process.env[name];
  if (libraryPath) env.LD_LIBRARY_PATH = libraryPath;
  return env;
}
