import { EXIT } from './exit-codes.ts';

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
}

/** The one shape of `--json`, of results and of errors. `ok` says that the exit code is 0. */
export function toJson({ command, exitCode, data, isLine = false }: Output): string {
  const envelope = { formatVersion: FORMAT_VERSION, command, ok: exitCode === EXIT.done, exitCode };
  return `${JSON.stringify({ ...envelope, ...data, ...envelope }, null, isLine ? 0 : 2)}\n`;
}

/**
 * One look of an output that goes on and on: without `ok` and `exitCode`, which only its last
 * line has.
 */
export function toJsonLook(command: string, data: object): string {
  const head = { formatVersion: FORMAT_VERSION, command };
  return `${JSON.stringify({ ...head, ...data, ...head })}\n`;
}
