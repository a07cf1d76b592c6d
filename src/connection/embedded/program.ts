import type { RunAs } from './run-as.ts';

export interface ProgramResult {
  /** Null when a signal ended the program or it never started. */
  exitCode: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
  /** Why it could not be started at all, such as ENOENT. */
  errno: string | undefined;
}

export interface RunProgramOptions {
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
