import { setTimeout as sleep } from 'node:timers/promises';
import { withInspection } from '../connection/inspection.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { renderDuration, renderTime } from '../text/units.ts';
import type { CommandInput, CommandResult } from './define.ts';
import { EXIT, exitCodeFor } from './exit-codes.ts';
import { printable, toJsonLook } from './output.ts';

interface Watching {
  /** Such as `stats locks`. */
  command: string;
  /** Between the end of one look and the next. */
  intervalMs: number;
  connection: ConnectionOptions;
  look(session: Session): Promise<WatchFrame>;
}

/** Longer than the server lets a statement run: past it the network has swallowed the answer. */
const ANSWER_DEADLINE_MS = 35_000;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Looks again and again on one session, until Ctrl-C or until nobody reads any more. A connection
 * that is lost is said and made again; one that cannot be made at all is an error.
 */
export async function watchReports(
  input: CommandInput,
  watching: Watching,
): Promise<CommandResult> {
  const { context } = input;
  const output = createWatchOutput(input, watching);
  const controller = new AbortController();
  let exitCode: number = EXIT.done;
  const stops = [
    context.onInterrupt(() => {
      exitCode = EXIT.interrupted;
      controller.abort();
      output.end();
    }),
    context.onOutClosed(() => controller.abort()),
  ];
  try {
    await lookUntilAborted(watching, output, controller.signal);
  } finally {
    for (const stop of stops) stop();
    output.end();
  }
  return { data: {}, text: '', exitCode, isStream: true };
}

async function lookUntilAborted(
  { intervalMs, connection, look }: Watching,
  output: WatchOutput,
  signal: AbortSignal,
): Promise<void> {
  let hasLooked = false;
  let failures = 0;
  const lookOn = async (session: Session) => {
    while (!signal.aborted) {
      output.show(await inTime(session, look(session)));
      hasLooked = true;
      failures = 0;
      await pause(intervalMs, signal);
    }
  };
  while (!signal.aborted) {
    try {
      await withInspection(connection, lookOn, { signal });
    } catch (error) {
      if (signal.aborted) return;
      if (!hasLooked || !isTemporary(error)) throw error;
      const pauseMs = Math.min(500 * 2 ** failures, LONGEST_PAUSE_MS);
      failures += 1;
      output.warn(error, pauseMs);
      await pause(pauseMs, signal);
    }
  }
}

/** Closing the session is what ends the look. */
async function inTime<T>(session: Session, look: Promise<T>): Promise<T> {
  const timer = setTimeout(() => void session.close({ force: true }), ANSWER_DEADLINE_MS);
  try {
    return await look;
  } finally {
    clearTimeout(timer);
  }
}

function isTemporary(error: unknown): error is EvdbError {
  return error instanceof EvdbError && exitCodeFor(error.code) === EXIT.temporary;
}

async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(durationMs, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** What one look gave: the same as data and as text. */
interface WatchFrame {
  data: object;
  text: string;
}

interface WatchOutput {
  show(frame: WatchFrame): void;
  /** Says what went wrong, and that it is tried again. */
  warn(error: EvdbError, againInMs: number): void;
  /** Gives the terminal back; may be called more than once. */
  end(): void;
}

interface Watched {
  command: string;
  intervalMs: number;
}

/** Redraws in place on a terminal; appends blocks, or lines of JSON, anywhere else. */
function createWatchOutput(input: CommandInput, watched: Watched): WatchOutput {
  const { context, flags } = input;
  if (flags.json) return createJsonOutput(input, watched);
  const isScreen = context.isOutTerminal && context.env.TERM !== 'dumb' && !flags.markdown;
  return isScreen ? createScreen(input, watched) : createBlocks(input);
}

function createJsonOutput({ context }: CommandInput, { command }: Watched): WatchOutput {
  return {
    show: ({ data }) => context.outVerbatim(toJsonLook(command, { at: new Date(), ...data })),
    warn: (error, againInMs) => context.err(`${describe(error, againInMs)}\n`),
    end: () => undefined,
  };
}

function createBlocks({ context, style }: CommandInput): WatchOutput {
  return {
    show: ({ text }) => context.out(`${style.dim(`-- ${renderClock()}`)}\n${text}\n\n`),
    warn: (error, againInMs) => context.err(`${describe(error, againInMs)}\n`),
    end: () => undefined,
  };
}

/** The other screen, no cursor, and lines that are cut instead of wrapped. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

function createScreen(
  { context, style }: CommandInput,
  { command, intervalMs }: Watched,
): WatchOutput {
  let last: WatchFrame | undefined;
  let isEntered = false;
  let hasEnded = false;
  const draw = (warning: string[]) => {
    if (hasEnded) return;
    const every = style.dim(`every ${renderDuration(intervalMs)}  ${renderClock()}`);
    const head = [`${style.bold(`evdb ${command}`)}  ${every}`, ...warning, ''];
    const lines = [...head, ...(last?.text.split('\n') ?? [])];
    const shown = cutLines(lines, context.outSize().rows ?? lines.length);
    const text = shown.map((line) => printable(line) + CLEAR_LINE).join('\r\n');
    // in one piece, and over what is there: a cleared screen would flicker
    context.outVerbatim(`${isEntered ? '' : ENTER}${HOME}${text}${CLEAR_BELOW}`);
    isEntered = true;
  };
  return {
    show: (frame) => {
      last = frame;
      draw([]);
    },
    warn: (error, againInMs) => draw([style.bad(describe(error, againInMs))]),
    end: () => {
      if (hasEnded) return;
      hasEnded = true;
      // what was seen last stays to be read
      if (isEntered) context.outVerbatim(`${LEAVE}${last ? `${printable(last.text)}\n` : ''}`);
    },
  };
}

function cutLines(lines: string[], height: number): string[] {
  if (lines.length <= height) return lines;
  const shown = lines.slice(0, Math.max(1, height - 1));
  return [...shown, `… ${lines.length - shown.length} more lines: a higher terminal shows them`];
}

function describe(error: EvdbError, againInMs: number): string {
  return `${error.message}: trying again in ${renderDuration(againInMs)}`;
}

function renderClock(): string {
  return renderTime(new Date().toISOString());
}
