import { closeSync, constants, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileError } from './disk.ts';
import { giveToFolderOwner } from './run-as.ts';

const ROTATE_BYTES = 5 * 1024 * 1024;

export function logPathOf(directory: string): string {
  return join(directory, 'server.log');
}

/** An open log file, and its length before the server wrote to it. */
export interface ServerLog {
  path: string;
  descriptor: number;
  startOffset: number;
}

/** Opens the log for the server to append to; a large one is set aside as `server.log.1`. */
export function openServerLog(directory: string): ServerLog {
  const path = logPathOf(directory);
  try {
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > ROTATE_BYTES) {
      renameSync(path, `${path}.1`);
    }
    const { O_APPEND, O_CREAT, O_RDWR, O_NOFOLLOW = 0 } = constants;
    const descriptor = openSync(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
    giveToFolderOwner(path, directory);
    return { path, descriptor, startOffset: fstatSync(descriptor).size };
  } catch (error) {
    throw fileError(error, 'write the server log', path);
  }
}

/** What the server has said since the log was opened, at most its last 8 kB. */
export function readServerLog({ descriptor, startOffset }: ServerLog): string {
  const size = fstatSync(descriptor).size - startOffset;
  const length = Math.min(size, 8192);
  const buffer = Buffer.alloc(Math.max(length, 0));
  readSync(descriptor, buffer, 0, buffer.length, startOffset + size - length);
  return buffer.toString('utf8').trim();
}

export function closeServerLog({ descriptor }: ServerLog): void {
  closeSync(descriptor);
}
