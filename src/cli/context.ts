import { EvdbError } from '../errors.ts';
import { PLAIN, type Style } from '../report/style.ts';
import type { TableRenderer } from '../report/table.ts';
import { commandLine } from '../text/command-line.ts';

/** All that a command knows of the world: tests pass their own. */
export interface CliContext {
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** The file that was called, such as `/usr/local/bin/evdb`. */
  programPath: string;
  platform: NodeJS.Platform;
  /** Results. */
  out(text: string): void;
  /** Everything else. */
  err(text: string): void;
  /** Whether a person sees the progress. */
  isInteractive: boolean;
  /** Whether results go to a terminal. */
  isOutTerminal: boolean;
  /** Of the terminal that shows the results; of files and pipes only what COLUMNS asks for. */
  outSize(): { columns: number | undefined; rows: number | undefined };
  outColour: boolean;
  errColour: boolean;
  /** Calls back on the first Ctrl-C or termination; gives a function that stops it. */
  onInterrupt(callback: () => void): () => void;
  /** Calls back when whoever read the results went away, as `head` does; gives a function that stops it. */
  onOutClosed(callback: () => void): () => void;
}

/** The context of a real process. */
export function processContext(proc: NodeJS.Process): CliContext {
  const { env, stdout, stderr } = proc;
  for (const stream of [stdout, stderr]) quietBrokenPipe(stream);
  return {
    env,
    cwd: proc.cwd(),
    programPath: proc.argv[1] ?? '',
    platform: proc.platform,
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    isInteractive: stderr.isTTY === true && !env.CI && env.TERM !== 'dumb',
    isOutTerminal: stdout.isTTY === true,
    outSize: () => ({ columns: stdout.columns ?? readColumns(env), rows: stdout.rows }),
    outColour: wantsColour(env, stdout.isTTY),
    errColour: wantsColour(env, stderr.isTTY),
    onInterrupt: (callback) => onSignals(proc, callback),
    onOutClosed: (callback) => {
      stdout.once('error', callback);
      return () => void stdout.off('error', callback);
    },
  };
}

/** Shells keep COLUMNS to themselves, so whoever exports it means it. */
function readColumns({ COLUMNS = '' }: NodeJS.ProcessEnv): number | undefined {
  return /^[1-9]\d{0,4}$/.test(COLUMNS) ? Number(COLUMNS) : undefined;
}

/** npm passes on the Ctrl-C that the terminal has sent already. */
const SAME_INTERRUPT_MS = 1000;

/** Another signal ends the process as if nobody listened: winding up may hang as well. */
function onSignals(proc: NodeJS.Process, callback: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let firstAt: number | undefined;
  const listener = (signal: NodeJS.Signals) => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      callback();
    } else if (performance.now() - firstAt > SAME_INTERRUPT_MS) {
      proc.removeAllListeners(signal);
      proc.kill(proc.pid, signal);
    }
  };
  const stop = () => {
    for (const signal of signals) proc.off(signal, listener);
  };
  for (const signal of signals) proc.on(signal, listener);
  return stop;
}

/** `evdb … | head` ends the reader early; that is no error, and must not end a migration. */
function quietBrokenPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    const code = error.code === 'ENOSPC' ? 'DISK_FULL' : 'INTERNAL';
    throw new EvdbError(code, `cannot write the output (${error.code ?? error.message})`, {
      hint: `What the command did is done: \`${commandLine('migrate status')}\` shows what is applied.`,
      cause: error,
    });
  });
}

/** https://no-color.org: any value but the empty one. FORCE_COLOR is for pipelines that show it. */
function wantsColour(env: NodeJS.ProcessEnv, isTerminal: boolean | undefined): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR && env.FORCE_COLOR !== '0') return true;
  return isTerminal === true && env.TERM !== 'dumb';
}

/** Loads the colours only where they are shown. */
export async function loadStyle(isColoured: boolean): Promise<Style> {
  if (!isColoured) return PLAIN;
  const { Chalk } = await import('chalk');
  const chalk = new Chalk({ level: 1 });
  return {
    bold: (text) => chalk.bold(text),
    dim: (text) => chalk.dim(text),
    good: (text) => chalk.green(text),
    warn: (text) => chalk.yellow(text),
    bad: (text) => chalk.red(text),
  };
}

/** Boxes for people, plain columns for logs and files. */
export async function loadTable({ isOutTerminal }: CliContext): Promise<TableRenderer | undefined> {
  if (!isOutTerminal) return undefined;
  const { renderTerminalTable } = await import('../report/terminal-table.ts');
  return renderTerminalTable;
}
