import { setTimeout as sleep } from 'node:timers/promises';
import { withInspection } from '../../connection/inspection.ts';
import type { ConnectionOptions } from '../../connection/options.ts';
import { EvdbError } from '../../errors.ts';
import { createAuditFollower, type FollowAuditLogOptions } from '../../events/audit-follow.ts';
import type { AuditEntry } from '../../events/audit-log.ts';
import { renderEntry } from '../../events/report.ts';
import { renderDuration } from '../../text/units.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, exitCodeFor } from '../exit-codes.ts';
import { toJsonLook } from '../output.ts';

const INTERVAL_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
/** Longer than the server lets a statement run: past it the network has swallowed the answer. */
const ANSWER_DEADLINE_MS = 35_000;

/**
 * Prints entries as they come, until Ctrl-C or until nobody reads any more. A connection that is
 * lost is made again, and nothing is missed or repeated over that.
 */
export async function watchAuditLog(
  { context, flags, style }: CommandInput,
  connection: ConnectionOptions,
  options: FollowAuditLogOptions,
): Promise<CommandResult> {
  const controller = new AbortController();
  let exitCode: number = EXIT.done;
  const stops = [
    context.onInterrupt(() => {
      exitCode = EXIT.interrupted;
      controller.abort();
    }),
    context.onOutClosed(() => controller.abort()),
  ];
  const print = (entry: AuditEntry) => {
    if (flags.json) context.outVerbatim(toJsonLook('audit log', entry));
    else context.out(`${renderEntry(entry, style)}\n`);
  };
  const warn = (text: string) => context.err(`${text}\n`);
  try {
    await followUntilAborted(connection, options, { print, warn, signal: controller.signal });
  } finally {
    for (const stop of stops) stop();
  }
  return { data: {}, text: '', exitCode, isStream: true };
}

interface Watcher {
  print(entry: AuditEntry): void;
  warn(text: string): void;
  signal: AbortSignal;
}

async function followUntilAborted(
  connection: ConnectionOptions,
  options: FollowAuditLogOptions,
  { print, warn, signal }: Watcher,
): Promise<void> {
  const follower = createAuditFollower(options);
  let hasLooked = false;
  let failures = 0;
  while (!signal.aborted) {
    try {
      await withInspection(
        connection,
        async (session) => {
          while (!signal.aborted) {
            const deadline = setTimeout(
              () => void session.close({ force: true }),
              ANSWER_DEADLINE_MS,
            );
            const entries = await follower.look(session).finally(() => clearTimeout(deadline));
            for (const entry of entries) print(entry);
            hasLooked = true;
            failures = 0;
            await pause(INTERVAL_MS, signal);
          }
        },
        { signal },
      );
    } catch (error) {
      if (signal.aborted) return;
      if (!hasLooked || !isTemporary(error)) throw error;
      const pauseMs = Math.min(500 * 2 ** failures, LONGEST_PAUSE_MS);
      failures += 1;
      warn(`${error.message}: trying again in ${renderDuration(pauseMs)}`);
      await pause(pauseMs, signal);
    }
  }
}

function isTemporary(error: unknown): error is EvdbError {
  return error instanceof EvdbError && exitCodeFor(error.code) === EXIT.temporary;
}

function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return sleep(durationMs, undefined, { signal }).catch(() => undefined);
}
