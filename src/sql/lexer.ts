import {
  endOfBlockComment,
  endOfDollarQuote,
  endOfEscapeString,
  endOfLine,
  endOfNumber,
  endOfOperator,
  endOfQuoted,
  endOfWord,
  joinsStrings,
} from './lexeme.ts';

export type TokenKind =
  | 'word'
  | 'number'
  | 'string'
  | 'dollar'
  | 'identifier'
  | 'operator'
  | 'punctuation'
  | 'psql'
  /** Only one that never ends: the others are skipped. */
  | 'comment';

/** What a script leaves open at its end. */
export type Unterminated = 'string' | 'dollar' | 'comment' | 'identifier';

/** A place in SQL text and the token that ends there; `advance` moves it. */
export interface Cursor {
  readonly text: string;
  kind: TokenKind;
  /** Where the token starts, in UTF-16 units. */
  start: number;
  /** Where the token ends; set it to skip text that is not SQL. */
  end: number;
  unterminated: Unterminated | null;
  /** Whether the token is a string in which a backslash escapes. */
  isEscapeString: boolean;
}

/**
 * A cursor before the first token of `text`. It never throws, whatever the text holds.
 *
 * @param isWhole false for a text that goes on from another one
 */
export function openCursor(text: string, isWhole = true): Cursor {
  // A byte order mark is not white space to PostgreSQL, but no part of the script either.
  const start = isWhole && text.charCodeAt(0) === 0xfeff ? 1 : 0;
  return {
    text,
    kind: 'punctuation',
    start,
    end: start,
    unterminated: null,
    isEscapeString: false,
  };
}

/**
 * Moves to the next token, past white space and comments.
 *
 * The rules are those of PostgreSQL's own lexer with `standard_conforming_strings` on; psql's
 * backslash commands are one token up to the end of their line.
 *
 * @returns false at the end of the text
 */
export function advance(cursor: Cursor): boolean {
  const { text } = cursor;
  let at = cursor.end;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === SPACE || (code >= 9 && code <= 13)) at++;
    else if (code === DASH && text.charCodeAt(at + 1) === DASH) at = endOfLine(text, at);
    else if (code === SLASH && text.charCodeAt(at + 1) === STAR) {
      const end = endOfBlockComment(text, at);
      if (end < 0) return take(cursor, 'comment', at, end, 'comment');
      at = end;
    } else break;
  }
  return at < text.length && takeToken(cursor, at);
}

/** Whether the token is this unquoted word; `word` is in lower case. */
export function isWord(cursor: Cursor, word: string): boolean {
  if (cursor.kind !== 'word' || cursor.end - cursor.start !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    // Setting bit 5 turns the ASCII upper case into lower case.
    if ((cursor.text.charCodeAt(cursor.start + i) | 0x20) !== word.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether the token is this one character, such as `;`. */
export function isPunctuation(cursor: Cursor, character: string): boolean {
  return (
    cursor.kind === 'punctuation' &&
    cursor.end - cursor.start === 1 &&
    cursor.text.charCodeAt(cursor.start) === character.charCodeAt(0)
  );
}

const SPACE = 0x20;
const DOUBLE_QUOTE = 0x22;
const DOLLAR = 0x24;
const AMPERSAND = 0x26;
const QUOTE = 0x27;
const STAR = 0x2a;
const DASH = 0x2d;
const DOT = 0x2e;
const SLASH = 0x2f;
const COLON = 0x3a;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

type CharacterClass = 'word' | 'digit' | 'operator' | 'other';

const CLASSES: CharacterClass[] = Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[A-Za-z_]/.test(character)) return 'word';
  if (/[0-9]/.test(character)) return 'digit';
  return '~!@#^&|`?+-*/%<>='.includes(character) ? 'operator' : 'other';
});

// Sets the token; an end below zero says that the text ended first.
function take(
  cursor: Cursor,
  kind: TokenKind,
  start: number,
  end: number,
  unterminated: Unterminated | null = null,
): true {
  cursor.kind = kind;
  cursor.isEscapeString = false;
  cursor.start = start;
  cursor.end = end < 0 ? cursor.text.length : end;
  cursor.unterminated = end < 0 ? unterminated : null;
  return true;
}

function takeToken(cursor: Cursor, at: number): true {
  const { text } = cursor;
  const code = text.charCodeAt(at);
  // PostgreSQL counts every character beyond ASCII as a letter, even a no-break space.
  switch (code < 128 ? CLASSES[code] : 'word') {
    case 'word':
      return takeWord(cursor, at, code);
    case 'digit':
      return take(cursor, 'number', at, endOfNumber(text, at));
    case 'operator':
      return take(cursor, 'operator', at, endOfOperator(text, at));
  }
  switch (code) {
    case QUOTE:
      // The second part of E'…' escapes as the first does.
      return cursor.isEscapeString && joinsStrings(text.slice(cursor.end, at))
        ? takeEscapeString(cursor, at, at)
        : take(cursor, 'string', at, endOfQuoted(text, at, "'"), 'string');
    case DOUBLE_QUOTE:
      return take(cursor, 'identifier', at, endOfQuoted(text, at, '"'), 'identifier');
    case DOLLAR:
      return takeDollar(cursor, at);
    case BACKSLASH:
      return take(cursor, 'psql', at, endOfLine(text, at));
  }
  return takePunctuation(cursor, at, code);
}

function takeWord(cursor: Cursor, at: number, code: number): true {
  const { text } = cursor;
  const end = endOfWord(text, at);
  if (end - at > 1) return take(cursor, 'word', at, end);
  const letter = code | 0x20;
  const next = text.charCodeAt(end);
  if (next === QUOTE) {
    if (letter === 0x65 /* e */) return takeEscapeString(cursor, at, end);
    if (letter === 0x6e /* n */) {
      return take(cursor, 'string', at, endOfQuoted(text, end, "'"), 'string');
    }
    // No quote can stand inside b'' and x'', so a doubled one does not go on.
    if (letter === 0x62 || letter === 0x78) {
      return take(cursor, 'string', at, text.indexOf("'", end + 1) + 1 || -1, 'string');
    }
  }
  if (letter === 0x75 /* u */ && next === AMPERSAND) {
    const quote = text.charCodeAt(end + 1);
    if (quote === QUOTE) {
      return take(cursor, 'string', at, endOfQuoted(text, end + 1, "'"), 'string');
    }
    if (quote === DOUBLE_QUOTE) {
      return take(cursor, 'identifier', at, endOfQuoted(text, end + 1, '"'), 'identifier');
    }
  }
  return take(cursor, 'word', at, end);
}

function takeEscapeString(cursor: Cursor, at: number, quote: number): true {
  take(cursor, 'string', at, endOfEscapeString(cursor.text, quote), 'string');
  cursor.isEscapeString = true;
  return true;
}

function takeDollar(cursor: Cursor, at: number): true {
  const { text } = cursor;
  const end = endOfDollarQuote(text, at);
  if (end !== 0) return take(cursor, 'dollar', at, end, 'dollar');
  let digits = at + 1;
  while (CLASSES[text.charCodeAt(digits)] === 'digit') digits++;
  return take(cursor, digits > at + 1 ? 'number' : 'punctuation', at, digits);
}

function takePunctuation(cursor: Cursor, at: number, code: number): true {
  const { text } = cursor;
  const next = text.charCodeAt(at + 1);
  if (code === DOT && CLASSES[next] === 'digit') {
    return take(cursor, 'number', at, endOfNumber(text, at));
  }
  const isPair =
    (code === COLON && (next === COLON || next === EQUALS)) || (code === DOT && next === DOT);
  return take(cursor, 'punctuation', at, isPair ? at + 2 : at + 1);
}
