import { codeOf } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { whyUnreadable } from '../../file-system.ts';
import { displayPath } from './version.ts';

export function fileUnreadable(path: string, cause: unknown): EvdbError {
  return new EvdbError('FILE_UNREADABLE', `${displayPath(path)} ${whyUnreadable(cause)}`, {
    hint: 'Check that it is a regular file and that you may read it.',
    cause,
    details: { file: path },
  });
}

/** @param bytes its first ones at least */
export function notUtf8(path: string, bytes: Buffer): EvdbError {
  const shown = displayPath(path);
  const isUtf16 = UTF16_MARKS.has(bytes.toString('hex', 0, 2));
  const [what, from] = isUtf16 ? ['UTF-16, not UTF-8', 'UTF-16'] : ['not UTF-8', 'WINDOWS-1252'];
  return new EvdbError('NOT_UTF8', `${shown} is ${what}`, {
    hint: `Convert it${isUtf16 ? '' : ', for example'}: iconv -f ${from} -t UTF-8 ${shown}`,
    details: { file: shown },
  });
}

/** The byte order marks that UTF-16 begins with. */
const UTF16_MARKS = new Set(['fffe', 'feff']);

export function fileChanged(path: string, cause?: unknown): EvdbError {
  const shown = displayPath(path);
  return new EvdbError('FILE_CHANGED', `${shown} was changed while it ran`, {
    hint: 'It was rolled back. Run the command again when nothing writes to the file.',
    cause,
    details: { file: shown },
  });
}

/** @param byte from 1 */
export function nulByte(path: string, byte: number): EvdbError {
  const shown = displayPath(path);
  return new EvdbError('NUL_BYTE', `${shown} holds a NUL byte (at byte ${byte})`, {
    hint: `PostgreSQL text cannot hold one, and it would cut the file short. Remove it; if the file is UTF-16, convert it: iconv -f UTF-16LE -t UTF-8 ${shown}`,
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

/** The SQLSTATE of our own refusal, which PostgreSQL never uses. */
const NOT_RUN = 'EVDB0';

/**
 * Asks the server whether its own grammar accepts a statement, without running it: the server
 * reads the whole message before it runs the first statement of it, and that one fails here.
 *
 * @param session not inside a transaction
 */
export async function isAcceptedByServer(
  session: Session,
  statementText: string,
): Promise<boolean> {
  try {
    await session.run(
      `do $evdb$ begin raise 'evdb asks for the syntax alone' using errcode = '${NOT_RUN}'; end $evdb$;\n${statementText}`,
    );
  } catch (error) {
    if (session.isClosed) throw error;
    return codeOf(error) === NOT_RUN;
  }
  return false;
}

/**
 * The character that the database's encoding lacks, by which the server refused (22P05); undefined
 * where it refused by something else. Which one it is the server says in no field of its own: its
 * bytes stand in the message, alike in every language.
 */
export function lackingCharacter(error: unknown): string | undefined {
  if (codeOf(error) !== '22P05') return undefined;
  const [bytes] = /(?:0x[0-9a-f]{2}\b ?)+/.exec((error as Error).message) ?? [];
  return bytes && Buffer.from(bytes.replaceAll(/0x| /g, ''), 'hex').toString('utf8');
}
