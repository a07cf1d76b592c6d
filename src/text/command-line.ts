import { AsyncLocalStorage } from 'node:async_hooks';

/** Options by their long names: `true` for one without a value. */
export type PrintedFlags = Record<string, string | number | true | undefined>;

/** A command of evdb that somebody is told to run. */
export interface PrintedCommand {
  /** Such as `migrate reset`. */
  path: string;
  args: readonly string[] | undefined;
  flags: PrintedFlags;
  /**
   * Whether this is what runs now, once more: then everything that it was given is kept, else what
   * chooses the target.
   */
  isAgain: boolean;
  /** Options that the command must not be given, although what runs now has them. */
  without: readonly string[];
}

/** Writes a command as somebody can paste it. */
export type CommandRenderer = (command: PrintedCommand) => string;

interface Extra {
  args?: readonly string[];
  without?: readonly string[];
}

interface Rendering {
  render: CommandRenderer;
  /** What was written so far. */
  written: Set<string>;
}

const renderings = new AsyncLocalStorage<Rendering>();

/**
 * While `work` runs, every command in a hint, a fix or a report is written by `render`. The command
 * line uses it, because only there is known how evdb was called and with which options.
 */
export function withCommandRenderer<T>(render: CommandRenderer, work: () => T): T {
  return renderings.run({ render, written: new Set() }, work);
}

/**
 * The same where the work concerns one of many targets: its commands are given the flags that choose it.
 *
 * @param flagsFor gives them, for a command
 */
export function withCommandFlags<T>(
  flagsFor: (command: PrintedCommand) => PrintedFlags,
  work: () => T,
): T {
  const { render = renderPlainly, written = new Set<string>() } = renderings.getStore() ?? {};
  const chosen: CommandRenderer = (command) =>
    render({ ...command, flags: { ...flagsFor(command), ...command.flags } });
  return renderings.run({ render: chosen, written }, work);
}

/** The commands that were written so far: they stay in one piece where a text is broken into lines. */
export function writtenCommands(): Iterable<string> {
  return renderings.getStore()?.written ?? [];
}

/**
 * Another command of evdb, on the target of the one that runs now. Everything that is printed to be
 * pasted comes from here or from `sameCommand`; a test holds this.
 *
 * @example
 * commandLine('migrate status', { all: true }) // evdb migrate status --all
 */
export function commandLine(path: string, flags: PrintedFlags = {}, extra: Extra = {}): string {
  return render({ path, flags, isAgain: false, args: extra.args, without: extra.without ?? [] });
}

/**
 * The command that runs now, with all that it was given and with what is new.
 *
 * @param path the command, for programs that called its function instead
 * @example
 * sameCommand('migrate reset', { confirm: true })
 * // npm run migrate -- reset --schema tenant_a --confirm
 */
export function sameCommand(path: string, flags: PrintedFlags = {}, extra: Extra = {}): string {
  return render({ path, flags, isAgain: true, args: extra.args, without: extra.without ?? [] });
}

function render(command: PrintedCommand): string {
  const rendering = renderings.getStore();
  if (!rendering) return renderPlainly(command);
  const text = rendering.render(command);
  rendering.written.add(text);
  return text;
}

function renderPlainly({ path, args = [], flags }: PrintedCommand): string {
  const words = ['evdb', ...pathWords(path), ...args, ...flagWords(flags)];
  return words.map((word) => quoteWord(word, 'posix')).join(' ');
}

/** The words of a command's path; that of evdb itself is empty. */
export function pathWords(path: string): string[] {
  return path === '' ? [] : path.split(' ');
}

/** The words that give these options, such as `--as done`. */
export function flagWords(flags: PrintedFlags): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (value === true) return [`--${name}`];
    return String(value).startsWith('-') ? [`--${name}=${value}`] : [`--${name}`, String(value)];
  });
}

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
