import { EvdbError } from '../errors.ts';

/**
 * Quotes a name for use as an SQL identifier. It always adds the quotes, so reserved words and
 * upper case survive.
 *
 * @param name one identifier, not a dotted path; PostgreSQL cuts it after 63 bytes
 * @throws EvdbError `INVALID_NAME` for an empty name or one with a NUL in it
 * @example quoteIdent('my "table"') // "my ""table"""
 */
export function quoteIdent(name: string): string {
  if (name === '' || name.includes('\0')) {
    throw new EvdbError(
      'INVALID_NAME',
      name === '' ? 'an SQL name cannot be empty' : 'an SQL name cannot hold a NUL character',
      { hint: 'Use a name of 1 to 63 bytes without NUL.' },
    );
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Quotes text as an SQL string literal that means the same under every `standard_conforming_strings`
 * and `backslash_quote`.
 *
 * Characters beyond ASCII are written as they are, so that the server turns them into the database's
 * encoding as it does with the rest of a statement: escapes by byte skip that, and escapes by code
 * point fail in SQL_ASCII. The session has to read UTF-8 then, see `KEEP_UTF8_SQL`. A lone surrogate
 * becomes U+FFFD.
 *
 * @throws EvdbError `NUL_BYTE` for text with a NUL in it, which PostgreSQL cannot store
 * @example quoteLiteral("it's ü\n") // E'it''s ü\n'
 */
export function quoteLiteral(text: string): string {
  return `E'${text.replace(UNSAFE, escapeCharacter)}'`;
}

/**
 * What evdb and its driver write is UTF-8, whatever a script has set: sent as a message of its own,
 * in ASCII only, before anything else that may hold more.
 */
export const KEEP_UTF8_SQL = "set client_encoding = 'UTF8';";

/** A statement that may set it: `set client_encoding`, `set names`, a block, `set_config`. */
export const NAMES_ENCODING = /client_encoding|\bnames\b/i;

// The controls of ASCII, its two characters with a meaning inside E'', and halves of surrogate pairs.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to go
const UNSAFE = /[\x00-\x1f\x7f'\\]|\p{Surrogate}/gu;

function escapeCharacter(character: string): string {
  switch (character) {
    case "'":
      // Not \': backslash_quote may forbid it.
      return "''";
    case '\\':
      return '\\\\';
    case '\n':
      return '\\n';
    case '\0':
      throw new EvdbError('NUL_BYTE', 'PostgreSQL cannot store text that holds a NUL character.', {
        hint: 'Remove the NUL character.',
      });
  }
  const code = character.charCodeAt(0);
  if (code > 0x7f) return '\ufffd';
  return `\\x${code.toString(16).toUpperCase().padStart(2, '0')}`;
}
