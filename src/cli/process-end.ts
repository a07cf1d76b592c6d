import { EvdbError } from '../errors.ts';
import type { CliContext } from './context.ts';

/** What ends the work from outside the command that runs. */
export interface ProcessEnd {
  /** Rejects where nobody in the command listens to a signal, catches an error, or goes on working. */
  failure: Promise<never>;
  /** The same context, whose commands are known to listen while they do. */
  guard(context: CliContext): CliContext;
  /** Whether what still runs has to be left behind. */
  isForced(): boolean;
  /** Called when the command has ended; what goes wrong afterwards is told by the caller. */
  finish(onLateFailure: (error: unknown) => void): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Turns what would end the process at once, without a word to whoever reads its results, into an
 * error that is told as any other.
 */
export function watchProcessEnd(proc: NodeJS.Process, statusCommand: () => string): ProcessEnd {
  let isForced = false;
  let listeners = 0;
  let late: ((error: unknown) => void) | undefined;
  const { promise: failure, reject } = withReject();
  const fail = (error: unknown) => (late ? late(error) : reject(error));
  const force = (error: unknown) => {
    isForced = true;
    fail(error);
  };
  for (const signal of SIGNALS) {
    proc.on(signal, () => {
      // A command that can wind up in an orderly way listens too.
      if (listeners === 0) force(new EvdbError('INTERRUPTED', 'interrupted'));
    });
  }
  proc.on('uncaughtException', force);
  const onIdle = () => fail(unfinished(statusCommand()));
  proc.once('beforeExit', onIdle);
  return {
    failure,
    guard: (context) => ({
      ...context,
      onInterrupt: (callback) => {
        listeners += 1;
        const stop = context.onInterrupt(callback);
        return () => {
          listeners -= 1;
          stop();
        };
      },
    }),
    isForced: () => isForced,
    finish: (onLateFailure) => {
      late = onLateFailure;
      proc.off('beforeExit', onIdle);
    },
  };
}

function withReject(): { promise: Promise<never>; reject: (error: unknown) => void } {
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<never>((_, rejectPromise) => {
    reject = rejectPromise;
  });
  // Where nothing has failed when the command ends, nobody looks any more.
  promise.catch(() => undefined);
  return { promise, reject };
}

/** Node ends when nothing is left to wait for, also amid the work: that must not look like success. */
function unfinished(statusCommand: string): EvdbError {
  return new EvdbError('INTERNAL', 'evdb ended before its work did', {
    hint: `This is a fault in evdb: please report it. \`${statusCommand}\` shows what is applied.`,
  });
}

const FLUSH_MS = 1000;

/** Waits until the reader has what was written, though not for one who does not read. */
export async function flush(streams: readonly NodeJS.WriteStream[]): Promise<void> {
  const written = streams.map(
    (stream) => new Promise<void>((resolve) => stream.write('', () => resolve())),
  );
  const over = new Promise<void>((resolve) => void setTimeout(resolve, FLUSH_MS).unref());
  await Promise.race([Promise.all(written), over]);
}

const LEFT_OPEN_MS = 1000;

/**
 * Ends the process once all is read, whatever a config file has left open: a timer in it, or a
 * connection, would keep the process for ever. Where nothing is open, Node ends before that.
 */
export function endOnceRead(proc: NodeJS.Process): void {
  let unread = 2;
  for (const stream of [proc.stdout, proc.stderr]) {
    stream.write('', () => {
      unread -= 1;
      if (unread === 0) setTimeout(() => proc.exit(), LEFT_OPEN_MS).unref();
    });
  }
}
