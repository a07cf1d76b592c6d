import { codeOf } from '../connection/connection-error.ts';

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
