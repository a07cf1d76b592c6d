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
  const masked = maskFound(text, findSecrets(text), { start: 0, end: text.length });
  return masked.includes('://') ? maskUrlsIn(masked) : masked;
}

/**
 * A part of a text around `at`, in two halves, without the secrets of the whole: what a secret stands behind
 * may be on a line before.
 */
export function maskAround(
  text: string,
  at: number,
  { start, end }: { start: number; end: number },
): [before: string, behind: string] {
  const from = Math.max(0, start - CONTEXT_CHARACTERS);
  const around = text.slice(from, end);
  const secrets = findSecrets(around);
  const before = maskFound(around, secrets, { start: start - from, end: at - from });
  // One that the cut goes through stands in the first half.
  const uncut = secrets.map((one) => (one.start < at - from ? { ...one, shown: '' } : one));
  return [before, maskFound(around, uncut, { start: at - from, end: end - from })];
}

const CONTEXT_CHARACTERS = 2_000;

function maskFound(
  text: string,
  secrets: Secret[],
  { start, end }: { start: number; end: number },
): string {
  let masked = '';
  let from = start;
  for (const secret of secrets) {
    if (secret.end <= from || secret.start >= end) continue;
    masked += text.slice(from, Math.max(from, secret.start)) + secret.shown;
    from = secret.end;
  }
  return masked + text.slice(from, Math.max(from, end));
}

/** In order, and none inside of another. */
function findSecrets(text: string): Secret[] {
  const found: Secret[] = [];
  let from = 0;
  for (const match of text.matchAll(BEFORE_SECRET)) {
    const after = match.index + match[0].length;
    if (after < from) continue;
    const secret = findSecret(text, after);
    if (secret === undefined) continue;
    found.push(secret);
    from = secret.end;
  }
  return found;
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

/** Behind white space, also as an escape string writes it, and comments. */
function skipGap(text: string, from: number): number {
  let at = from;
  for (;;) {
    if (/\s/.test(text[at] ?? '')) at++;
    else if (/^\\[nrtfv]/.test(text.slice(at, at + 2))) at += 2;
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
