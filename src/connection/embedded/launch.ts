import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { ServerLog } from './log.ts';
import { identity, runProgram } from './program.ts';
import type { RunAs } from './run-as.ts';
import type { UsableBinaries } from './usable-binaries.ts';

export interface LaunchOptions {
  dataDirectory: string;
  port: number;
  binaries: UsableBinaries;
  runAs: RunAs | undefined;
  settings: Record<string, string>;
  /** Whether to listen on a socket in the data folder too; some file systems cannot hold one. */
  hasSocket: boolean;
  log: ServerLog;
}

/** A server on its way up. */
export interface Launch {
  /** Undefined where somebody else is its parent. */
  pid: number | undefined;
  /** How it ended, once it has. */
  readonly ended: Record<string, unknown> | undefined;
}

/** As Linux prints it in fdinfo. */
const O_CLOEXEC = 0o2000000;

/** Starts the server and returns at once. */
export async function launchServer(options: LaunchOptions): Promise<Launch> {
  return process.platform === 'win32' ? launchWithPgCtl(options) : launchDirectly(options);
}

/**
 * The server is our own child rather than pg_ctl's, so that its end is seen at once. It leads a
 * session of its own (Ctrl-C goes to the terminal's session) and holds nothing of ours but the
 * log (a parent that waits for our output to close must not wait for the server).
 */
async function launchDirectly(options: LaunchOptions): Promise<Launch> {
  const { spawn } = await import('node:child_process');
  const { binaries, log, runAs } = options;
  const child = spawn(binaries.postgres, serverArguments(options), {
    env: binaries.env,
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.descriptor, log.descriptor, ...maskInherited(log.descriptor)],
    ...identity(runAs),
  });
  child.unref();
  let ended: Record<string, unknown> | undefined;
  child.once('error', (error: NodeJS.ErrnoException) => {
    ended = { errno: error.code };
  });
  child.once('exit', (exitCode, signal) => {
    ended = { exitCode, signal };
  });
  return {
    pid: child.pid,
    get ended() {
      return ended;
    },
  };
}

/**
 * Puts the log in the place of every descriptor that this process got from its own parent and
 * would pass on: Node closes the first few alone, and a pipe among the others would keep whoever
 * reads from it waiting for as long as the server runs.
 */
function maskInherited(descriptor: number): ('ignore' | number)[] {
  const masks: ('ignore' | number)[] = [];
  for (const name of existsSync('/dev/fd') ? readdirSync('/dev/fd') : []) {
    const fd = Number(name);
    if (fd < 3 || isClosedOnExec(fd)) continue;
    while (masks.length < fd - 3) masks.push('ignore');
    masks[fd - 3] = descriptor;
  }
  return masks;
}

function isClosedOnExec(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return (Number.parseInt(flags ?? '0', 8) & O_CLOEXEC) !== 0;
  } catch {
    // closed meanwhile, or a system without /proc, where masking one more does no harm
    return process.platform === 'linux';
  }
}

/** On Windows only pg_ctl knows how to give up an administrator's rights, which the server refuses. */
async function launchWithPgCtl(options: LaunchOptions): Promise<Launch> {
  const { binaries, dataDirectory, log } = options;
  const [, , ...rest] = serverArguments(options);
  const serverOptions = rest.map((word) => `"${word}"`).join(' ');
  const args = ['start', '--wait', '-D', dataDirectory, '-l', log.path, '-o', serverOptions];
  const { exitCode, errno } = await runProgram(binaries.pgCtl, args, {
    env: binaries.env,
    runAs: undefined,
    isSilent: true,
  });
  return { pid: undefined, ended: exitCode === 0 ? undefined : { exitCode, errno } };
}

function serverArguments(options: LaunchOptions): string[] {
  const { dataDirectory, hasSocket, port, settings } = options;
  // the server stands in its data folder: "." keeps the path of the socket short
  const all = { unix_socket_directories: hasSocket ? '.' : '', ...settings };
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', dataDirectory, '-p', String(port), ...flags];
}
