import { AsyncLocalStorage } from 'node:async_hooks';
import { quoteWord } from './shell.ts';

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

const renderers = new AsyncLocalStorage<CommandRenderer>();

/**
 * While `work` runs, every command in a hint, a fix or a report is written by `render`. The command
 * line uses it, because only there is known how evdb was called and with which options.
 */
export function withCommandRenderer<T>(render: CommandRenderer, work: () => T): T {
  return renderers.run(render, work);
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
  return (renderers.getStore() ?? renderPlainly)(command);
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
