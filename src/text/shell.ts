/** Whose quoting a printed command follows. */
export type Shell = 'posix' | 'powershell' | 'cmd';

/** Characters that no shell reads anything into, wherever they stand in a word. */
const PLAIN = /^[\w@%+:,./-][\w@%+=:,./-]*$/;
const PLAIN_ON_WINDOWS = /^[\w+:./\\-][\w+=:./\\-]*$/;
/** What cannot be seen, or moves what stands around it: it must not reach the screen as it is. */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

/**
 * Writes a word so that a shell takes it for exactly that word, whatever it holds, and so that it
 * stays on one line. A name that somebody else chose can then stand in a command that is pasted.
 *
 * @example
 * quoteWord("it's $(here)", 'posix') // 'it'\''s $(here)'
 */
export function quoteWord(word: string, shell: Shell): string {
  if (shell === 'posix') return quoteForPosix(word);
  if (PLAIN_ON_WINDOWS.test(word)) return word;
  // What both read alike, because which of the two it is can only be guessed.
  if (/^[\p{L}\p{N} _+=:./-]+$/u.test(word)) return `"${word}"`;
  return shell === 'powershell' ? quoteForPowerShell(word) : quoteForCmd(word);
}

/** The value of a variable of the environment, as one word. */
export function variableWord(name: string, shell: Shell): string {
  if (shell === 'posix') return `"$${name}"`;
  return shell === 'powershell' ? `"$env:${name}"` : `"%${name}%"`;
}

function quoteForPosix(word: string): string {
  if (PLAIN.test(word)) return word;
  if (!UNSEEN.test(word)) return `'${word.replaceAll("'", "'\\''")}'`;
  // Octal, because every shell that knows this form reads exactly three digits.
  const octal = (text: string) =>
    [...new TextEncoder().encode(text)]
      .map((byte) => `\\${byte.toString(8).padStart(3, '0')}`)
      .join('');
  const body = [...word].map((one) => {
    if (UNSEEN.test(one) || one === '!') return octal(one);
    return one === '\\' || one === "'" ? `\\${one}` : one;
  });
  return `$'${body.join('')}'`;
}

/** Curly quotes end a quoted word there as straight ones do. */
function quoteForPowerShell(word: string): string {
  if (!UNSEEN.test(word)) return `'${word.replace(/['‘’‚‛]/g, '$&$&')}'`;
  const body = Array.from(word, (one) => {
    if (!UNSEEN.test(one)) return /[`$"“”„]/.test(one) ? `\`${one}` : one;
    return [...one.split('')].map((unit) => `$([char]${unit.charCodeAt(0)})`).join('');
  });
  return `"${body.join('')}"`;
}

/** A line end cannot be typed there at all: what stands in its place makes a name that is nobody's. */
function quoteForCmd(word: string): string {
  const seen = Array.from(word, (one) => (UNSEEN.test(one) ? '<?>' : one)).join('');
  return `"${seen.replaceAll('"', '""').replaceAll('%', '"^%"')}"`;
}
