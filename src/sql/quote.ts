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
      name === '' ? 'An SQL name cannot be empty.' : 'An SQL name cannot hold a NUL character.',
      { hint: 'Use a name of 1 to 63 bytes without NUL.' },
    );
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Quotes text as an SQL string literal in pure ASCII, so that it means the same under every
 * `standard_conforming_strings`, `backslash_quote` and `client_encoding`.
 *
 * What is not ASCII is written as its UTF-8 bytes, which databases in UTF8 and in SQL_ASCII take as
 * they are; escapes by code point fail in the latter. A database in another encoding keeps the bytes
 * without knowing what they mean. A lone surrogate becomes U+FFFD.
 *
 * @throws EvdbError `NUL_BYTE` for text with a NUL in it, which PostgreSQL cannot store
 * @example quoteLiteral("it's ü") // E'it''s \xC3\xBC'
 */
export function quoteLiteral(text: string): string {
  return `E'${text.replace(UNSAFE, escapeCodePoint)}'`;
}

// Everything but printable ASCII, and of that the two characters with a meaning inside E''.
const UNSAFE = /[^\x20-\x7e]|['\\]/gu;

function escapeCodePoint(character: string): string {
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
  // A lone surrogate becomes U+FFFD here.
  return [...Buffer.from(character, 'utf8')]
    .map((byte) => `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('');
}
