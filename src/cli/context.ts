import { isatty } from 'node:tty';
import type { ReportRenderOptions } from '../report/render-report.ts';
import { PLAIN, type Style, type TableRenderer } from '../report/table.ts';
import { cutToWidth } from '../text/width.ts';
import { fitText } from '../text/wrap.ts';
import type { FullScreen, FullScreenHandlers } from './full-screen.ts';
import { printable, SIGNALS } from './output.ts';
import type { Asking } from './prompts.ts';

/** All that a command knows of the world: tests pass their own. */
export interface CliContext {
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** The file that was called, such as `/usr/local/bin/evdb`. */
  programPath: string;
  platform: NodeJS.Platform;
  /** Results as text, made fit to be shown: in lines of the terminal's width. */
  out(text: string): void;
  /** The same for what was asked for as wide as it is. */
  outWide(text: string): void;
  /** Results as they are: data, and what a format has made fit already. */
  outVerbatim(text: string): void;
  /** Errors, and questions to a person, made fit to be shown. */
  err(text: string): void;
  /** Progress, notes and warnings: as `err`, and nothing with --quiet. */
  note(text: string): void;
  /** The same as it is: what a format has made fit already. */
  noteVerbatim(text: string): void;
  /** One line of what is under way, where the next one takes its place; an empty one takes it away. */
  errLine(text: string): void;
  /** Why results that were printed did not arrive; undefined where they did, or nobody reads on. */
  lostOutput(): Promise<Error | undefined>;
  /** Whether a person sees the progress. */
  isInteractive: boolean;
  /** Whom to ask; undefined where nobody sits at a terminal. */
  asking?: Asking | undefined;
  /** Takes the whole terminal and its keys; undefined where there is none. */
  openFullScreen?: ((handlers: FullScreenHandlers) => Promise<FullScreen>) | undefined;
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

/**
 * The context of a real process. What the flags for all commands say of the output counts for errors in
 * the rest of the line too, so they are looked for before that is parsed.
 */
export function processContext(proc: NodeJS.Process): CliContext {
  const { env, stdout, stderr } = proc;
  const { isQuiet, isColourless } = readOutputFlags(proc.argv.slice(2));
  const canAsk = stderr.isTTY === true && !env.CI && env.TERM !== 'dumb';
  const lost: LostOutput = {};
  noteLostOutput(stdout, lost);
  // Where there is nobody to tell, there is nothing to be done.
  noteLostOutput(stderr, {});
  const outColour = !isColourless && wantsColour(env, stdout.isTTY);
  const errColour = !isColourless && wantsColour(env, stderr.isTTY);
  const outSize = () => ({ columns: stdout.columns ?? readColumns(env), rows: stdout.rows });
  const err = (text: string) =>
    void stderr.write(fitText(printable(text, errColour), stderr.columns ?? readColumns(env)));
  return {
    env,
    cwd: proc.cwd(),
    programPath: proc.argv[1] ?? '',
    platform: proc.platform,
    out: (text) => void stdout.write(fitText(printable(text, outColour), outSize().columns)),
    outWide: (text) => void stdout.write(printable(text, outColour)),
    outVerbatim: (text) => void stdout.write(text),
    err,
    note: isQuiet ? () => undefined : err,
    noteVerbatim: isQuiet ? () => undefined : (text) => void stderr.write(text),
    errLine: (text) => {
      if (!canAsk || isQuiet) return;
      const line = cutToWidth(printable(text, errColour), (stderr.columns ?? NARROW) - 1);
      stderr.write(`\r\u001b[K${line}`);
    },
    lostOutput: () => flush(stdout, lost),
    isInteractive: canAsk && !isQuiet,
    // Making `proc.stdin` takes a while, so it is made for a question alone.
    get asking() {
      return canAsk && isatty(0) ? { input: proc.stdin, output: stderr } : undefined;
    },
    get openFullScreen() {
      const isThere = stdout.isTTY === true && env.TERM !== 'dumb' && isatty(0);
      return isThere ? (handlers: FullScreenHandlers) => loadFullScreen(proc, handlers) : undefined;
    },
    isOutTerminal: stdout.isTTY === true,
    outSize,
    outColour,
    errColour,
    onInterrupt: (callback) => onSignals(proc, callback),
    onOutClosed: (callback) => {
      stdout.once('error', callback);
      return () => void stdout.off('error', callback);
    },
  };
}

async function loadFullScreen(
  proc: NodeJS.Process,
  handlers: FullScreenHandlers,
): Promise<FullScreen> {
  const { openFullScreen } = await import('./full-screen.ts');
  return openFullScreen(proc, handlers);
}

const NARROW = 80;

/** Shells keep COLUMNS to themselves, so whoever exports it means it. */
function readColumns({ COLUMNS = '' }: NodeJS.ProcessEnv): number | undefined {
  return /^[1-9]\d{0,4}$/.test(COLUMNS) ? Number(COLUMNS) : undefined;
}

/** npm passes on the Ctrl-C that the terminal has sent already. */
const SAME_INTERRUPT_MS = 1000;

/** Another signal ends the process as if nobody listened: winding up may hang as well. */
function onSignals(proc: NodeJS.Process, callback: () => void): () => void {
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
    for (const signal of SIGNALS) proc.off(signal, listener);
  };
  for (const signal of SIGNALS) proc.on(signal, listener);
  return stop;
}

/**
 * `evdb … | head` ends the reader early; that is no error. A full disk behind stdout is one, which is
 * told at the end: neither must end a migration.
 */
function noteLostOutput(stream: NodeJS.WriteStream, lost: LostOutput): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') lost.error ??= error;
  });
}

interface LostOutput {
  error?: NodeJS.ErrnoException;
}

/** Waits until what was printed is written, or cannot be. */
function flush(stream: NodeJS.WriteStream, lost: LostOutput): Promise<Error | undefined> {
  return new Promise((resolve) => {
    if (lost.error || stream.destroyed || stream.writableEnded) resolve(lost.error);
    // An error comes by its own event too, which may be later than this.
    else stream.write('', () => setImmediate(() => resolve(lost.error)));
  });
}

function readOutputFlags(args: readonly string[]): { isQuiet: boolean; isColourless: boolean } {
  const end = args.indexOf('--');
  const words = end < 0 ? args : args.slice(0, end);
  return {
    // Short ones may stand together, such as `-yq`.
    isQuiet: words.some((word) => /^(--quiet|-[a-z]*q[a-z]*)$/i.test(word)),
    isColourless: words.includes('--no-color'),
  };
}

/** https://no-color.org: any value but the empty one. FORCE_COLOR is for pipelines that show it. */
function wantsColour(env: NodeJS.ProcessEnv, isTerminal: boolean | undefined): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR) return !['0', 'false'].includes(env.FORCE_COLOR);
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

/** Boxes for people, plain columns for logs and files; never wider than the terminal. */
export async function loadTable(context: CliContext): Promise<TableRenderer | undefined> {
  const { columns: width } = context.outSize();
  if (width === undefined) return undefined;
  const [{ fitTable }, table] = await Promise.all([
    import('../report/fit-table.ts'),
    loadBoxes(context),
  ]);
  return (columns, rows, style) => fitTable(columns, rows, style, { width, table });
}

async function loadBoxes({ isOutTerminal }: CliContext): Promise<TableRenderer | undefined> {
  if (!isOutTerminal) return undefined;
  const { renderTerminalTable } = await import('../report/terminal-table.ts');
  return renderTerminalTable;
}

/** How reports are shown: asked for each time, because a terminal changes its size. */
export async function loadRenderOptions({
  context,
  flags,
  style,
}: {
  context: CliContext;
  flags: Record<string, unknown>;
  style: Style;
}): Promise<() => ReportRenderOptions> {
  if (flags.markdown) return () => ({ style, format: 'markdown' });
  const table = await loadBoxes(context);
  return () => ({
    style,
    width: context.outSize().columns,
    full: flags.full === true,
    ...(table && { table }),
  });
}
