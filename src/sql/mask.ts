import { MASK, maskUrlsIn } from '../text/harmless.ts';
import {
  endOfBlockComment,
  endOfDollarQuote,
  endOfEscapeString,
  endOfLine,
  endOfQuoted,
  joinsStrings,
} from './lexeme.ts';

/** What secrets stand behind: keywords, and names of options; not parts of longer names. */
const BEFORE_SECRET =
  /(?<![\w$])(?:ssl)?(?:password|passwd|passphrase|pwd|secret|token|api_?key)(?![\w$])"?/gi;

/**
 * Hides the secrets of SQL, wherever in a text it stands and however the secret is written: behind
 * `password` as a string of any kind, with comments between, as an option in quotes, in connection
 * strings and URLs. Where it is unclear what belongs to the secret, too much is hidden rather than
 * too little.
 *
 * @example maskSecrets("alter role app password $$x$$ login") // "alter role app password '***' login"
 */
export function maskSecrets(text: string): string {
  let masked = '';
  let from = 0;
  for (const match of text.matchAll(BEFORE_SECRET)) {
    const after = match.index + match[0].length;
    if (after < from) continue;
    const secret = findSecret(text, after);
    if (secret === undefined) continue;
    masked += text.slice(from, secret.start) + secret.shown;
    from = secret.end;
  }
  masked += text.slice(from);
  return masked.includes('://') ? maskUrlsIn(masked) : masked;
}

/** As `maskSecrets` for a text in lines that belong together by chance only, such as a table. */
export function maskSecretLines(text: string): string {
  return /passw|passphrase|pwd|secret|token|api_?key|:\/\//i.test(text)
    ? text.split('\n').map(maskSecrets).join('\n')
    : text;
}

interface Secret {
  start: number;
  end: number;
  shown: string;
}

function findSecret(text: string, after: number): Secret | undefined {
  // As in `password=abc` of a connection string, which stands in a literal.
  const bare = /^=(?!\s|$|['"$(:%])[^\s'"&;,)]+/.exec(text.slice(after, after + 1000));
  if (bare) return { start: after + 1, end: after + bare[0].length, shown: MASK };
  const operator = skipGap(text, after);
  const sign = /^(?:=>|:=|=|:)/.exec(text.slice(operator, operator + 2))?.[0] ?? '';
  const start = skipGap(text, operator + sign.length);
  // A template whose value follows somewhere.
  if (/^%[\dLs]/.test(text.slice(start, start + 2))) return toTheEnd(text, start);
  const isJson = sign === ':' && text[start] === '"';
  const end = isJson ? endOrAll(text, endOfQuoted(text, start, '"')) : endOfString(text, start);
  if (end === undefined) return undefined;
  // A quote that ends in the middle of a word has not begun what it seemed to.
  if (/[\w$'"]/.test(text[end] ?? ' ')) return toTheEnd(text, start);
  return { start, end, shown: isJson ? `"${MASK}"` : `'${MASK}'` };
}

function toTheEnd(text: string, start: number): Secret {
  return { start, end: text.length, shown: MASK };
}

/** Behind white space and comments. */
function skipGap(text: string, from: number): number {
  let at = from;
  for (;;) {
    if (/\s/.test(text[at] ?? '')) at++;
    else if (text.startsWith('/*', at)) at = endOrAll(text, endOfBlockComment(text, at));
    else if (text.startsWith('--', at)) at = endOfLine(text, at);
    else return at;
  }
}

/** The end of a string constant of any kind, with the parts that continue it on further lines. */
function endOfString(text: string, start: number): number | undefined {
  if (text[start] === '$') {
    const end = endOfDollarQuote(text, start);
    return end === 0 ? undefined : endOrAll(text, end);
  }
  const prefix = /^(?:[ebxn]|u&)?'/i.exec(text.slice(start, start + 3))?.[0];
  if (prefix === undefined) return undefined;
  const quote = start + prefix.length - 1;
  const isEscape = /^e/i.test(prefix);
  // Inside of another literal the quotes are doubled.
  if (text[quote + 1] === "'" && /[^\s,;)\]]/.test(text[quote + 2] ?? ' ')) {
    const close = text.indexOf("''", quote + 2);
    return close < 0 ? text.length : close + 2;
  }
  const end = endOrAll(
    text,
    isEscape ? endOfEscapeString(text, quote) : endOfQuoted(text, quote, "'"),
  );
  const next = skipGap(text, end);
  const goesOn = text[next] === "'" && joinsStrings(text.slice(end, next));
  return goesOn ? endOfString(text, next) : end;
}

function endOrAll(text: string, end: number): number {
  return end < 0 ? text.length : end;
}
