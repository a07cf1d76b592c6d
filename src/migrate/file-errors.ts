import { EvdbError } from '../errors.ts';
import { whyUnreadable } from '../file-system.ts';
import { displayPath } from './display-path.ts';

export function fileUnreadable(path: string, cause: unknown): EvdbError {
  return new EvdbError('FILE_UNREADABLE', `${displayPath(path)} ${whyUnreadable(cause)}`, {
    hint: 'Check that it is a regular file and that you may read it.',
    cause,
    details: { file: path },
  });
}

export function notUtf8(path: string): EvdbError {
  const shown = displayPath(path);
  return new EvdbError('NOT_UTF8', `${shown} is not UTF-8`, {
    hint: `Convert it, for example: iconv -f WINDOWS-1252 -t UTF-8 ${shown}`,
    details: { file: shown },
  });
}

/** @param byte from 1 */
export function nulByte(path: string, byte: number): EvdbError {
  const shown = displayPath(path);
  return new EvdbError('NUL_BYTE', `${shown} holds a NUL byte (at byte ${byte})`, {
    hint: 'PostgreSQL text cannot hold one, and it would cut the file short. Remove it.',
    details: { file: shown, byte },
  });
}

export function tooLong(path: string): EvdbError {
  const shown = displayPath(path);
  return new EvdbError('SCRIPT_TOO_LONG', `${shown} is too long to run without a transaction`, {
    hint: 'Split it, or let it run in a transaction: then it may have any length.',
    details: { file: shown },
  });
}
