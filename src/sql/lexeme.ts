/**
 * Where one lexical element of PostgreSQL's SQL ends. All of these are pure, take UTF-16 offsets
 * and return -1 where the text ends first.
 */

const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x27;
const STAR = 0x2a;
const DASH = 0x2d;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;

/** The end of the line that holds `at`, without its line break: `\r` ends a comment too. */
export function endOfLine(text: string, at: number): number {
  let i = at;
  // Two calls of indexOf would read on to a far `\r` once for each comment.
  while (i < text.length && text.charCodeAt(i) !== LF && text.charCodeAt(i) !== CR) i++;
  return i;
}

/** The end of the comment that opens at `at`; comments nest. */
export function endOfBlockComment(text: string, at: number): number {
  let depth = 1;
  for (let i = at + 2; i < text.length; ) {
    const code = text.charCodeAt(i);
    if (code === STAR && text.charCodeAt(i + 1) === SLASH) {
      i += 2;
      if (--depth === 0) return i;
    } else if (code === SLASH && text.charCodeAt(i + 1) === STAR) {
      i += 2;
      depth++;
    } else i++;
  }
  return -1;
}

/** The end of what `quote` opens at `at` and closes again; a doubled quote stands for itself. */
export function endOfQuoted(text: string, at: number, quote: "'" | '"'): number {
  const code = quote.charCodeAt(0);
  let end = text.indexOf(quote, at + 1);
  while (end >= 0 && text.charCodeAt(end + 1) === code) end = text.indexOf(quote, end + 2);
  return end < 0 ? -1 : end + 1;
}

/** The end of the string whose quote is at `at` and in which a backslash escapes. */
export function endOfEscapeString(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === BACKSLASH) i++;
    else if (code === QUOTE) {
      if (text.charCodeAt(i + 1) !== QUOTE) return i + 1;
      i++;
    }
  }
  return -1;
}

/**
 * Whether a string goes on in a next pair of quotes: only where a line break and no block comment
 * stand between them.
 *
 * @param gap the white space and comments between the two
 */
export function joinsStrings(gap: string): boolean {
  const rest = gap.replace(/--[^\n\r]*/g, '');
  return /[\n\r]/.test(rest) && !rest.includes('/*');
}

const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;

/** The end of the dollar quote that opens at `at`, or 0 where this dollar opens none. */
export function endOfDollarQuote(text: string, at: number): number {
  DOLLAR_TAG.lastIndex = at;
  const tag = DOLLAR_TAG.exec(text)?.[0];
  if (tag === undefined) return 0;
  const close = text.indexOf(tag, at + tag.length);
  return close < 0 ? -1 : close + tag.length;
}

/** The end of the unquoted name or keyword that starts at `at`. */
export function endOfWord(text: string, at: number): number {
  let i = at + 1;
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const lower = code | 0x20;
    const isPart =
      (lower >= 0x61 && lower <= 0x7a) ||
      (code >= 0x30 && code <= 0x39) ||
      code === 0x5f ||
      code === 0x24 ||
      code > 0x7f;
    if (!isPart) break;
  }
  return i;
}

const NUMBER =
  /0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*(?:\.(?!\.)(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?/y;

/** The end of the number that starts at `at` with a digit or with a dot and a digit. */
export function endOfNumber(text: string, at: number): number {
  NUMBER.lastIndex = at;
  return NUMBER.test(text) ? NUMBER.lastIndex : at + 1;
}

const SIGN = 1;
const PLAIN = 2;
// Only an operator with one of these may end in + or -, so that `a=-1` needs no space.
const SPECIAL = 3;
const OPERATOR_CLASS = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if ('+-'.includes(character)) return SIGN;
  if ('*/<>='.includes(character)) return PLAIN;
  return '~!@#^&|`?%'.includes(character) ? SPECIAL : 0;
});
// PostgreSQL cuts names, and so operators, after this many bytes; a limit keeps `++++…` linear.
const MAX_OPERATOR_LENGTH = 63;

/** The end of the operator that starts at `at`; a comment ends it. */
export function endOfOperator(text: string, at: number): number {
  let endWithoutSigns = at + 1;
  let isSpecial = false;
  let end = at;
  for (; end < at + MAX_OPERATOR_LENGTH; end++) {
    const code = text.charCodeAt(end);
    const next = text.charCodeAt(end + 1);
    if ((code === DASH && next === DASH) || (code === SLASH && next === STAR)) break;
    const kind = OPERATOR_CLASS[code] ?? 0;
    if (kind === 0) break;
    if (kind !== SIGN) endWithoutSigns = end + 1;
    if (kind === SPECIAL) isSpecial = true;
  }
  return isSpecial ? end : endWithoutSigns;
}
