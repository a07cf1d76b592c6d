import { setTimeout as sleep } from 'node:timers/promises';
import { withInspection } from '../connection/inspection.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { renderDuration, renderTime } from '../text/units.ts';
import { fitText } from '../text/wrap.ts';
import type { CliContext } from './context.ts';
import type { CommandInput, CommandResult } from './define.ts';
import { EXIT, exitCodeFor, isInterrupted, withStop } from './exit-codes.ts';
import { printable, toJsonLook } from './output.ts';

/** What is looked at again and again, and how that is shown. */
export interface Watching<T> {
  connection: ConnectionOptions;
  /** Between the end of one look and the next. */
  intervalMs: number;
  /** Gives undefined where there is nothing new to show. */
  look(session: Session): Promise<T | undefined>;
  show(seen: T): void;
  /** Says what went wrong, and that it is tried again. */
  warn(text: string): void;
  /** Called before the first look that succeeded is shown. */
  begin?(): Promise<void>;
  /** Gives the terminal back; may be called more than once. */
  end?(): void;
  /** Waits for the next look; default: for as long as it is told. */
  pause?(durationMs: number, signal: AbortSignal): Promise<void>;
  /** Ends it as well; with the reason INTERRUPTED as Ctrl-C does. */
  stop?: AbortSignal;
}

/**
 * Looks again and again on one session, until Ctrl-C or until nobody reads any more. A connection
 * that is lost is said and made again; one that cannot be made at all is an error.
 */
export async function watch<T>(context: CliContext, watching: Watching<T>): Promise<CommandResult> {
  const end = () => watching.end?.();
  const exitCode = await withStop(context, { endsUnread: true }, async (interrupted) => {
    const signal = AbortSignal.any([interrupted, ...(watching.stop ? [watching.stop] : [])]);
    signal.addEventListener('abort', end, { once: true });
    try {
      await lookUntilAborted(watching, signal);
    } finally {
      end();
    }
    return isInterrupted(signal) ? EXIT.interrupted : EXIT.done;
  });
  return { data: {}, text: '', exitCode, isStream: true };
}

/** Longer than the server lets a statement run: past it the network has swallowed the answer. */
const ANSWER_DEADLINE_MS = 35_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

async function lookUntilAborted<T>(watching: Watching<T>, signal: AbortSignal): Promise<void> {
  const { connection, intervalMs, look, show, warn } = watching;
  const pause = watching.pause ?? sleepUntilAborted;
  let hasLooked = false;
  let failures = 0;
  const lookOn = async (session: Session) => {
    while (!signal.aborted) {
      const seen = await inTime(session, look(session));
      if (!hasLooked) await watching.begin?.();
      hasLooked = true;
      if (seen !== undefined && !signal.aborted) show(seen);
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
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
      failures += 1;
      warn(`${error.message}: trying again in ${renderDuration(pauseMs)}`);
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

async function sleepUntilAborted(durationMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(durationMs, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** What one look at a report gave: the same as data and as text. */
interface WatchFrame {
  data: object;
  text: string;
}

/** A report that is watched, and the name of its command, such as `stats locks`. */
interface WatchedReport extends Pick<Watching<WatchFrame>, 'connection' | 'intervalMs' | 'look'> {
  command: string;
}

type WatchOutput = Pick<Watching<WatchFrame>, 'show' | 'warn' | 'end'>;

/** Redraws in place on a terminal; appends blocks, or lines of JSON, anywhere else. */
export function watchReports(input: CommandInput, watched: WatchedReport): Promise<CommandResult> {
  const { context, flags, style } = input;
  const isScreen = context.isOutTerminal && context.env.TERM !== 'dumb' && !flags.markdown;
  const inLines: WatchOutput = {
    show: flags.json
      ? ({ data }) => context.outVerbatim(toJsonLook(watched.command, { at: new Date(), ...data }))
      : ({ text }) => context.out(`${style.dim(`-- ${renderClock()}`)}\n${text}\n\n`),
    warn: (text) => context.note(`${text}\n`),
  };
  const output = isScreen && !flags.json ? createScreen(input, watched) : inLines;
  return watch(context, { ...watched, ...output });
}

/** The other screen, no cursor, and lines that are cut instead of wrapped. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

function createScreen(
  { context, style }: CommandInput,
  { command, intervalMs }: WatchedReport,
): WatchOutput {
  let last: WatchFrame | undefined;
  let isEntered = false;
  let hasEnded = false;
  /** As much as fits on one line. */
  const renderHead = (width = Number.POSITIVE_INFINITY) => {
    const every = `every ${renderDuration(intervalMs)}  ${renderClock()}`;
    const name = `evdb ${command}`;
    const since = [every, renderClock()].find((text) => name.length + 2 + text.length <= width);
    return since === undefined ? style.bold(name) : `${style.bold(name)}  ${style.dim(since)}`;
  };
  const draw = (warning: string[]) => {
    if (hasEnded) return;
    const { columns, rows } = context.outSize();
    const head = [renderHead(columns), ...warning, ''];
    const lines = fitText([...head, ...(last ? [last.text] : [])].join('\n'), columns).split('\n');
    const shown = cutLines(lines, rows ?? lines.length);
    // In front of the line: behind one that is full the cursor stands on its last character.
    const text = shown.map((line) => CLEAR_LINE + printable(line)).join('\r\n');
    // in one piece, and over what is there: a cleared screen would flicker
    context.outVerbatim(`${isEntered ? '' : ENTER}${HOME}${text}${CLEAR_BELOW}`);
    isEntered = true;
  };
  return {
    show: (frame) => {
      last = frame;
      draw([]);
    },
    warn: (text) => draw([style.bad(text)]),
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
  return [...shown, `… ${lines.length - shown.length} more lines need a taller terminal`];
}

function renderClock(): string {
  return renderTime(new Date().toISOString());
}
