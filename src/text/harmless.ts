/**
 * Text that is not ours, such as names, values, messages of the server and statements of other
 * sessions, may hold characters that move the cursor, hide what follows or rename the terminal, and
 * lines that a pipeline takes for its own commands. It is made harmless in one place, where it is
 * printed.
 */

/** Where the one form that a terminal gets differs from the character: a picture or a placeholder. */
export function harmlessCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  // U+2400 and on are pictures of the control characters.
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return '\u2421';
  return UNSAFE.test(character) ? '\ufffd' : character;
}

// The controls from 0x7f, the marks that turn the direction, line ends of Unicode, halves of a pair.
const UNSAFE_CLASS = '\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';
const UNSAFE = new RegExp(`[${UNSAFE_CLASS}]|\\p{Cs}`, 'u');

/** The sequences that our own colours are made of; nothing else may begin with an escape. */
const OURS = '\\x1b\\[(?:1|2|22|3[1-39])m';
const TO_REPLACE = new RegExp(`(${OURS})|[\\x00-\\x08\\x0b-\\x1f${UNSAFE_CLASS}]|\\p{Cs}`, 'gu');

/** What GitHub, and Azure with it, takes for a command: at the start of a line, or anywhere in it. */
const COMMAND_LINE = /^(\s*)(?=::|.*##(?:\[|vso\[))/gm;

/**
 * A text of one or more lines as it can be shown. Line breaks and tabs stay, and so do our colours.
 *
 * @param keepsColours whether there can be colours of ours in it; else those in it are not
 * @example harmlessText('a\x1b[2J\n::error::b') // 'a␛[2J\n| ::error::b'
 */
export function harmlessText(text: string, keepsColours = true): string {
  const isPlain = !/[^\n\t\x20-\x7e]/.test(text);
  const shown = isPlain
    ? text
    : text
        .replace(/\r\n/g, '\n')
        .replace(TO_REPLACE, (character, ours: string | undefined) =>
          ours !== undefined && keepsColours ? ours : character.replace(/^./su, harmlessCharacter),
        );
  return /::|##/.test(shown) ? shown.replace(COMMAND_LINE, '$1| ') : shown;
}

/** JSON with what its own rules leave as it is, but a terminal would obey, written as escapes. */
export function harmlessJson(json: string): string {
  return json.replace(
    new RegExp(`[${UNSAFE_CLASS}]`, 'g'),
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A value with every string in it replaced: those of arrays and of plain objects, not their keys. */
export function mapStrings<T>(value: T, replace: (text: string) => string): T {
  return mapUnknown(value, replace) as T;
}

function mapUnknown(value: unknown, replace: (text: string) => string): unknown {
  if (typeof value === 'string') return replace(value);
  if (Array.isArray(value)) return value.map((one) => mapUnknown(one, replace));
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, mapUnknown(one, replace)]),
  );
}

/** What stands in the place of every secret. */
export const MASK = '***';

const SECRET_NAME = /passw|pwd|secret|token|api_?key|scram/i;

function decodeLoosely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function maskParameter(parameter: string): string {
  const [name = '', ...value] = parameter.split('=');
  // Without "=" this is most likely the tail of a password that was not percent-encoded.
  if (value.length === 0) return parameter === '' ? '' : MASK;
  return SECRET_NAME.test(decodeLoosely(name)) ? `${name}=${MASK}` : parameter;
}

/**
 * Hides the password of a connection URL or of a libpq keyword string, also a malformed one:
 * where it is unclear what belongs to the password, too much is hidden rather than too little.
 *
 * @example maskUrl('postgres://app:secret@db/shop?sslmode=require')
 * // 'postgres://app:***@db/shop?sslmode=require'
 */
export function maskUrl(text: string): string {
  const scheme = /^\s*[a-z][\w+.-]*:\/\//i.exec(text)?.[0] ?? '';
  // Up to the last "@": a password that was not percent-encoded may hold every character.
  const userMasked = scheme + text.slice(scheme.length).replace(/^([^:]*):[\s\S]*@/, `$1:${MASK}@`);
  const queryAt = userMasked.indexOf('?');
  if (queryAt >= 0) {
    const parameters = userMasked.slice(queryAt + 1).split('&');
    return `${userMasked.slice(0, queryAt)}?${parameters.map(maskParameter).join('&')}`;
  }
  return userMasked.replace(
    /([\w]*(?:passw|pwd|secret|token|scram)\w*\s*=\s*)('(?:[^'\\]|\\[\s\S])*'?|(?:\\[\s\S]|\S)*)/gi,
    `$1${MASK}`,
  );
}

/** Hides the password of every URL that stands somewhere in a text. */
export function maskUrlsIn(text: string): string {
  return text.replace(/[a-z][\w+.-]*:\/\/[^\s'"`]+/gi, (url) => maskUrl(url));
}
