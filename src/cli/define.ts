import { Argument, type Command, Help, type HelpConfiguration, Option } from 'commander';
import type { Config } from '../config/resolve.ts';
import { EvdbError } from '../errors.ts';
import type { PipelineReport } from '../report/pipeline.ts';
import type { Style } from '../report/table.ts';
import { commandLine } from '../text/command-line.ts';
import { wrapWords } from '../text/wrap.ts';
import { type CliContext, loadStyle } from './context.ts';
import { readNpmFlags } from './npm-flags.ts';
import { fleetOptions, OF_FLEETS, OF_WAVES, outputOptions } from './options.ts';
import { toJson } from './output.ts';
import { formatOptions, givePipelines, isForPipeline, type ReportFile } from './pipeline.ts';
import { runWithConsent } from './prompts.ts';

/** What a command gives back: the same result as data and as text. */
export interface CommandResult {
  data: object;
  text: string;
  /** Default 0. */
  exitCode?: number;
  /** The same for pipelines, of commands that take `--format`; made only where it is asked for. */
  pipeline?: () => Promise<PipelineReport>;
  /** Whether the command has printed its results itself, while it ran: one line ends them as JSON. */
  isStream?: boolean;
  /** Whether it is to be used as it is: SQL that is run again, a URL that was asked for. */
  isVerbatim?: boolean;
}

export interface CommandInput {
  context: CliContext;
  /** Positional arguments, in order. */
  args: string[];
  flags: Flags;
  /** Of the member of a fleet that the command runs for; else it is read. */
  config?: Config;
  /** Of the results on stdout. */
  style: Style;
}

export type Flags = Record<string, string | number | boolean | undefined>;

export interface CommandSpec {
  name: string;
  summary: string;
  /** Longer text for `--help`. */
  description?: string;
  /** Such as `<name>`, with its description and, where only these are taken, its choices. */
  arguments?: [syntax: string, description: string, choices?: readonly string[]][];
  /** Made when the command is built: those of all commands would slow every start. */
  options?: () => Option[];
  /** Command lines, without the leading `evdb`. */
  examples: string[];
  /** Whether it takes `--format`; its results then have a `pipeline`. */
  hasFormats?: boolean;
  /** How it runs for the members of a fleet; absent: it takes no `--fleet`. */
  fleet?: FleetUse;
  run(input: CommandInput): Promise<CommandResult>;
}

/** How a command runs for the members of a fleet. */
export interface FleetUse {
  /** Whether it changes something: then waves, a budget for failures and a record of the run make sense. */
  writes: boolean;
  /** What is shown of a member where all is well: the last line of its text, or all of it. */
  shows: 'line' | 'text';
}

/** Commands under one name, such as `migrate`. */
export interface CommandGroup extends Pick<CommandSpec, 'name' | 'summary' | 'examples'> {
  commands: (CommandSpec | CommandGroup)[];
}

/** What the command that ran leaves behind. */
export interface CliState {
  exitCode: number;
  /** Such as `migrate up`; empty until one was found. */
  command: string;
}

type HandlerName<Handlers> = {
  [Name in keyof Handlers]: Handlers[Name] extends CommandSpec['run'] ? Name : never;
}[keyof Handlers];

/** Gives the handlers of a file by their names; the file is loaded when one of them runs. */
export function handlersOf<Handlers>(
  load: () => Promise<Handlers>,
): (name: HandlerName<Handlers>) => CommandSpec['run'] {
  return (name) => async (input) => ((await load())[name] as CommandSpec['run'])(input);
}

/** Adds a command that calls `run` and prints what it gives, or a group of them. */
export function addCommand(
  parent: Command,
  entry: CommandSpec | CommandGroup,
  use: { context: CliContext; state: CliState },
): void {
  if (!('commands' in entry)) {
    defineCommand(parent, entry, use);
    return;
  }
  const group = parent.command(entry.name).summary(entry.summary).description(entry.summary);
  for (const option of outputOptions()) group.addOption(option);
  group.addHelpText('after', renderExamples(entry.examples));
  for (const below of entry.commands) addCommand(group, below, use);
}

function defineCommand(
  parent: Command,
  spec: CommandSpec,
  { context, state }: { context: CliContext; state: CliState },
): void {
  const command = parent.command(spec.name).summary(spec.summary);
  command.description(spec.description ?? spec.summary);
  for (const [syntax, description, choices] of spec.arguments ?? []) {
    const argument = new Argument(syntax, description);
    command.addArgument(choices ? argument.choices(choices) : argument);
  }
  for (const option of spec.options?.() ?? []) command.addOption(option);
  command.addOption(new Option('--json', 'print the result as JSON'));
  for (const option of spec.hasFormats || spec.fleet ? formatOptions() : [])
    command.addOption(option);
  if (spec.fleet) addFleetOptions(command, spec.fleet);
  for (const option of outputOptions()) command.addOption(option);
  command.addHelpText('after', renderExamples(spec.examples));
  command.action(async () => {
    state.command = commandPath(command);
    const flags = readNpmFlags(command, context.env) as Flags;
    const format = flags.format as string | undefined;
    if (format === 'json') flags.json = true;
    const style = await loadStyle(context.outColour && !flags.json && !isForPipeline(format));
    const args = command.processedArgs.filter((arg) => arg !== undefined).flat() as string[];
    const run = flags.fleet === undefined ? forOne(spec) : forFleet(spec, state.command);
    const result = await runWithConsent(run, { context, args, flags, style });
    await giveResult(result, { flags, command: state.command, context });
    state.exitCode = result.exitCode ?? 0;
  });
}

/** `doctor` has an `--only` of its own, which takes labels beside its checks. */
function addFleetOptions(command: Command, { writes }: FleetUse): void {
  const own = new Set(command.options.map(({ long }) => long));
  for (const option of fleetOptions(writes)) {
    if (!own.has(option.long)) command.addOption(option);
  }
}

function forFleet(spec: CommandSpec, command: string): CommandSpec['run'] {
  return async (input) => {
    const { runForFleet } = await import('./fleet.ts');
    return runForFleet(spec, input, command);
  };
}

/** Refuses what only a fleet can be given. */
function forOne(spec: CommandSpec): CommandSpec['run'] {
  if (!spec.fleet) return spec.run;
  const { writes } = spec.fleet;
  return async (input) => {
    const formats = spec.hasFormats ? [] : ['format', 'report'];
    const only = spec.name === 'doctor' ? [] : ['only'];
    const [given] = [...only, ...OF_FLEETS, ...(writes ? OF_WAVES : []), ...formats].filter(
      (name) => input.flags[name] !== undefined && !(name === 'format' && input.flags.json),
    );
    if (given === undefined) return spec.run(input);
    const flag = given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new EvdbError('USAGE', `--${flag} is for fleets, and there is no --fleet`, {
      hint: 'Name the fleet of the config file: --fleet <name>.',
    });
  };
}

async function giveResult(
  result: CommandResult,
  { flags, command, context }: { flags: Flags; command: string; context: CliContext },
): Promise<void> {
  const format = flags.format as string | undefined;
  const reports = (flags.report ?? []) as unknown as ReportFile[];
  if (result.pipeline && (isForPipeline(format) || reports.length > 0)) {
    await givePipelines(await result.pipeline(), { format, reports }, context);
  }
  if (isForPipeline(format)) return;
  const { data, text, exitCode = 0, isStream = false, isVerbatim } = result;
  if (flags.json) {
    context.outVerbatim(toJson({ command, exitCode, data, isLine: isStream, isVerbatim }));
  } else if (!isStream && text !== '') {
    if (isVerbatim) context.outVerbatim(`${text}\n`);
    else if (flags.full || flags.markdown) context.outWide(`${text}\n`);
    else context.out(`${text}\n`);
  }
}

/** Beside a term, a description has at least this room, or it stands below the term. */
const LEAST_BESIDE = 32;
const BELOW = '      ';

/** How help is laid out: as wide as the terminal, and readable on a narrow one. */
export const HELP_LAYOUT: HelpConfiguration = {
  minWidthToWrap: LEAST_BESIDE,
  formatItem(term, termWidth, description, helper) {
    const { helpWidth = 80 } = helper;
    if (description === '' || helpWidth - termWidth - 4 >= LEAST_BESIDE) {
      return Help.prototype.formatItem.call(helper, term, termWidth, description, helper);
    }
    const lines = wrapWords(description, helpWidth - BELOW.length);
    return [`  ${term}`, ...lines.map((line) => `${BELOW}${line}`)].join('\n');
  },
};

function renderExamples(examples: string[]): () => string {
  const title = examples.length === 1 ? 'Example' : 'Examples';
  // Only when help is shown is known how evdb was called.
  return () =>
    `\n${title}:\n${examples.map((example) => `  $ ${commandLine('')} ${example}`).join('\n')}\n`;
}

/** Such as `migrate up`; empty for evdb itself. */
export function commandPath(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name());
  return names.join(' ');
}
