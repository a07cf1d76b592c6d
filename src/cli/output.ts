import { maskSecretLines, maskSecrets } from '../sql/mask.ts';
import { harmlessJson, harmlessText, mapStrings } from '../text/harmless.ts';
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
export interface Output {
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
