import { EvdbError } from '../errors.ts';
import type { ScriptLocation, ServerErrorReport } from '../migrate/files/script-error.ts';
import { renderDiff, renderFindingLine, type Style } from '../report/table.ts';
import { maskSecretLines, maskSecrets } from '../sql/mask.ts';
import { harmlessJson, harmlessText, mapStrings } from '../text/harmless.ts';
import type { CliContext } from './context.ts';
import { EXIT } from './exit-codes.ts';

/**
 * The one place where text is made fit for a terminal and a log: nothing that is not ours moves the
 * cursor or speaks to the pipeline, and no statement shows its password.
 *
 * @param keepsColours whether what is printed here is coloured
 */
export function printable(text: string, keepsColours = true): string {
  return harmlessText(maskSecretLines(text), keepsColours);
}

/** The same for every string of a report that a renderer lays out. */
export function printableStrings<T>(report: T): T {
  return mapStrings(report, (text) => harmlessText(maskSecrets(text), false));
}

function stringify(data: object, indent: number, isVerbatim = false): string {
  return harmlessJson(
    JSON.stringify(isVerbatim ? data : mapStrings(data, maskSecrets), null, indent),
  );
}

/** Rises when a shape changes in a way that breaks its readers. */
const FORMAT_VERSION = 1;

/** Which command gives what, and with which exit code its process ends. */
interface Output {
  command: string;
  exitCode: number;
  /** The command's own keys; those of the envelope come before them, and win. */
  data: object;
  /** On one line: what ends an output that goes on and on. */
  isLine?: boolean;
  /** Whether secrets are what was asked for. */
  isVerbatim?: boolean | undefined;
}

/** The one shape of `--json`, of results and of errors. `ok` says that the exit code is 0. */
export function toJson({ command, exitCode, data, isLine = false, isVerbatim }: Output): string {
  const envelope = { formatVersion: FORMAT_VERSION, command, ok: exitCode === EXIT.done, exitCode };
  return `${stringify({ ...envelope, ...data, ...envelope }, isLine ? 0 : 2, isVerbatim)}\n`;
}

/**
 * One look of an output that goes on and on: without `ok` and `exitCode`, which only its last
 * line has.
 */
export function toJsonLook(command: string, data: object): string {
  const head = { formatVersion: FORMAT_VERSION, command };
  return `${stringify({ ...head, ...data, ...head }, 0)}\n`;
}

/** What ends the work from outside the command that runs. */
interface ProcessEnd {
  /** Rejects where nobody in the command listens to a signal, catches an error, or goes on working. */
  failure: Promise<never>;
  /** The same context, whose commands are known to listen while they do. */
  guard(context: CliContext): CliContext;
  /** Whether what still runs has to be left behind. */
  isForced(): boolean;
  /** Called when the command has ended; what goes wrong afterwards is told by the caller. */
  finish(onLateFailure: (error: unknown) => void): void;
}

export const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

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
  return new EvdbError('INTERNAL', 'evdb ended before it was done', {
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

/** The parts of an error that has a place in a script. */
interface Located {
  location?: ScriptLocation;
  excerpt?: string;
  server?: ServerErrorReport | undefined;
}

/** What happened, where, what PostgreSQL adds, and what to do next. */
export function renderError(error: EvdbError & Located, style: Style): string {
  const { location, excerpt, server, code, details } = error;
  const place = location ? `${location.file}:${location.line}:${location.column}: ` : '';
  const lines = [
    `${style.bad('error')} ${style.dim(error.code)}  ${place}${indent(error.message, 2)}`,
  ];
  if (excerpt) lines.push(excerpt);
  if (server?.detail) lines.push(`  detail: ${indent(server.detail, 10)}`);
  if (server?.hint) lines.push(`  server's hint: ${indent(server.hint, 17)}`);
  if (server?.where) lines.push(`  where: ${indent(server.where, 9)}`);
  if (server?.sqlstate) lines.push(`  sqlstate: ${server.sqlstate}`);
  if (typeof details.diff === 'string') lines.push(renderDiff(details.diff, style));
  if (Array.isArray(details.logTail))
    lines.push(...details.logTail.map((line) => `  log: ${line}`));
  if (code === 'ADOPTION_REFUSED' && Array.isArray(details.findings)) {
    lines.push(...details.findings.map((finding) => renderFindingLine(finding, style)));
  }
  if (error.hint) lines.push(`  ${style.bold('hint:')} ${error.hint}`);
  return lines.join('\n');
}

/**
 * Further lines are set in: what others wrote must not look like a line of ours. Its lines belong
 * together, and are masked so.
 */
function indent(text: string, columns: number): string {
  return maskSecrets(text).replaceAll('\n', `\n${' '.repeat(columns)}`);
}
