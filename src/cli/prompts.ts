import type { Readable, Writable } from 'node:stream';
import { EvdbError } from '../errors.ts';
import type { CliContext } from './context.ts';
import type { CommandInput, CommandResult, CommandSpec } from './define.ts';

/** Where a person can be asked: what they type, and where the question stands. */
export interface Asking {
  input: Readable;
  /** Not stdout, which may be read by a program. */
  output: Writable;
}

/** One of the answers to choose from. */
export interface Choice<T> {
  value: T;
  label: string;
  hint?: string | undefined;
}

/** Questions to a person; each throws INTERRUPTED on Ctrl-C, and nothing has been done then. */
export interface Prompts {
  select<T extends string>(message: string, choices: Choice<T>[], initial?: T): Promise<T>;
  confirm(message: string, initial: boolean): Promise<boolean>;
  /** @param expected what has to be typed, letter by letter */
  typed(message: string, expected: string): Promise<void>;
}

/** The questions of a terminal; undefined where nobody sits at one. */
export async function loadPrompts(context: CliContext): Promise<Prompts | undefined> {
  if (context.asking === undefined) return undefined;
  // Loaded by the commands alone that ask.
  const clack = await import('@clack/prompts');
  const streams = { ...context.asking };
  const answered = <T>(answer: T): Exclude<T, symbol> => {
    if (clack.isCancel(answer)) {
      throw new EvdbError('INTERRUPTED', 'cancelled before anything was done');
    }
    return answer as Exclude<T, symbol>;
  };
  return {
    select: async (message, choices, initial) => {
      const options = choices.map(({ value, label, hint }) => ({
        ...{ value: value as string, label },
        ...(hint !== undefined && { hint }),
      }));
      const answer = await clack.select({ message, options, initialValue: initial, ...streams });
      return answered(answer) as (typeof choices)[number]['value'];
    },
    confirm: async (message, initial) =>
      answered(await clack.confirm({ message, initialValue: initial, ...streams })),
    typed: async (message, expected) => {
      const validate = (value = '') =>
        value === expected ? undefined : `Type "${expected}" exactly, or press Ctrl-C to cancel.`;
      answered(await clack.text({ message, validate, ...streams }));
    },
  };
}

/**
 * Runs a command, and where it needs a consent that no flag gave, asks for it and runs it again. A
 * command that cannot be undone asks for a name to be typed, which it gives as `details.typed`.
 *
 * @throws {EvdbError} CONFIRM_REQUIRED where nobody can be asked, INTERRUPTED where the answer is no
 */
export async function runWithConsent(
  run: CommandSpec['run'],
  input: CommandInput,
): Promise<CommandResult> {
  try {
    return await run(input);
  } catch (error) {
    const { context, flags } = input;
    const isAsked = error instanceof EvdbError && error.code === 'CONFIRM_REQUIRED';
    if (!isAsked || flags.confirm === true || flags.json === true) throw error;
    const prompts = await loadPrompts(context);
    if (!prompts) throw error;
    context.err(`${error.message}\n`);
    const { typed } = error.details;
    if (typeof typed === 'string') await prompts.typed(`To continue, type: ${typed}`, typed);
    else await requireYes(prompts, 'Continue?');
    return run({ ...input, flags: { ...flags, confirm: true } });
  }
}

/**
 * Asks a question whose answer is no unless somebody says yes.
 *
 * @throws {EvdbError} INTERRUPTED where the answer is no
 */
export async function requireYes(prompts: Prompts, question: string): Promise<void> {
  if (await prompts.confirm(question, false)) return;
  throw new EvdbError('INTERRUPTED', 'cancelled; nothing was changed');
}
