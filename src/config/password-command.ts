/** The command that prints a password. Loaded where it is run. */

import type { PasswordTarget } from '../connection/options.ts';
import { EvdbError } from '../errors.ts';

/** Less than a function gets, so that it is the command of which a message tells. */
const TIME_LIMIT_MS = 25_000;

/** The longest tokens have some kB. */
const LONGEST_BYTES = 64 * 1024;

/** A command that prints a password. */
export interface PasswordCommand {
  /** Text is what a shell is given, a list a program and its arguments. */
  command: string | readonly string[];
  /** Where it runs. */
  cwd: string;
  /** What messages call it, such as `evdb.config.json passwordCommand`. */
  source: string;
  /** Default 25,000. */
  timeLimitMs?: number;
}

/**
 * Runs a command and takes what it prints for the password. Nothing of that is ever shown, nor of what
 * it says on stderr.
 *
 * @throws {EvdbError} PASSWORD_UNAVAILABLE
 */
export async function runPasswordCommand(
  { command, cwd, source, timeLimitMs = TIME_LIMIT_MS }: PasswordCommand,
  target: PasswordTarget,
): Promise<string> {
  const fail = (what: string, cause?: unknown) =>
    new EvdbError('PASSWORD_UNAVAILABLE', `${source}: the command ${what}`, {
      hint: 'Run it by itself to see what is wrong; evdb shows nothing of what it prints.',
      ...(cause !== undefined && { cause }),
    });
  const output = await runCommand({ command, cwd, timeLimitMs, target, fail });
  // As the shell does it in $(…).
  const password = output.replace(/[\r\n]+$/, '');
  if (password === '') throw fail('printed nothing');
  if (/[\r\n\0]/.test(password)) throw fail('printed more than one line');
  return password;
}

/** A shell takes them as "$PGHOST": nothing is put into the text of the command. */
function variablesOf({ host, port, user, database }: PasswordTarget): NodeJS.ProcessEnv {
  return { PGHOST: host, PGPORT: String(port), PGUSER: user, PGDATABASE: database };
}

interface Run {
  command: string | readonly string[];
  cwd: string;
  timeLimitMs: number;
  target: PasswordTarget;
  fail: (what: string, cause?: unknown) => EvdbError;
}

async function runCommand({ command, cwd, timeLimitMs, target, fail }: Run): Promise<string> {
  const { spawn } = await import('node:child_process');
  const isShell = typeof command === 'string';
  const [program = '', ...args] = isShell ? [command] : command;
  return new Promise((resolve, reject) => {
    if ([program, ...args].some((text) => text.includes('\0'))) throw fail('holds a NUL');
    const child = spawn(program, args, {
      shell: isShell,
      cwd,
      env: { ...process.env, ...variablesOf(target) },
      signal: target.signal,
      killSignal: 'SIGKILL',
      // It cannot ask anybody, and nobody reads what it complains of.
      stdio: ['ignore', 'pipe', 'ignore'],
      windowsHide: true,
    });
    const end = (settle: () => void) => {
      clearTimeout(timer);
      // What the shell started may hold on to it.
      child.stdout.destroy();
      child.kill('SIGKILL');
      settle();
    };
    const timer = setTimeout(
      () => end(() => reject(fail(`did not end within ${timeLimitMs / 1000} s`))),
      timeLimitMs,
    );
    const chunks: Buffer[] = [];
    let bytes = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > LONGEST_BYTES) end(() => reject(fail('printed more than 64 kB')));
    });
    child.once('error', (cause: NodeJS.ErrnoException) =>
      end(() => reject(fail(`cannot be started (${cause.code})`))),
    );
    child.once('close', (code, signal) => {
      const how = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
      end(() => (code === 0 ? resolve(Buffer.concat(chunks).toString('utf8')) : reject(fail(how))));
    });
  });
}
