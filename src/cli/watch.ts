import { setTimeout as sleep } from 'node:timers/promises';
import { withInspection } from '../connection/inspection.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import type { CommandInput, CommandResult } from './define.ts';
import { EXIT, exitCodeFor } from './exit-codes.ts';
import { createWatchOutput, type WatchFrame, type WatchOutput } from './watch-output.ts';

export interface Watching {
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
