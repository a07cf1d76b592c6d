import { Command, CommanderError } from 'commander';
import { EvdbError } from '../errors.ts';
import { commandLine, withCommandRenderer } from '../text/command-line.ts';
import { suggestName } from '../text/words.ts';
import { createCommandRenderer } from './command-renderer.ts';
import { AUDIT_COMMANDS } from './commands/audit.ts';
import { BACKFILL_COMMANDS } from './commands/backfill.ts';
import { DB_COMMANDS } from './commands/db.ts';
import { DOCTOR_COMMAND } from './commands/doctor.ts';
import { EVENTS_COMMANDS } from './commands/events.ts';
import { FLEET_COMMANDS } from './commands/fleet.ts';
import { LINT_COMMAND } from './commands/lint.ts';
import { MIGRATE_COMMANDS } from './commands/migrate.ts';
import { MONITOR_COMMAND } from './commands/monitor.ts';
import {
  COMPLETION_COMMAND,
  CONFIG_COMMAND,
  INIT_COMMAND,
  VERSION_COMMAND,
} from './commands/project.ts';
import { REPORT_COMMAND } from './commands/report.ts';
import { RULES_COMMANDS } from './commands/rules.ts';
import { SCHEMA_COMMANDS } from './commands/schema.ts';
import { SEED_COMMAND } from './commands/seed.ts';
import { SERVER_COMMANDS } from './commands/server.ts';
import { STATS_COMMANDS } from './commands/stats.ts';
import { TYPES_COMMAND } from './commands/typescript.ts';
import { type CliContext, loadStyle } from './context.ts';
import {
  addCommand,
  type CliState,
  type CommandGroup,
  type CommandSpec,
  commandPath,
  HELP_LAYOUT,
} from './define.ts';
import { EXIT, exitCodeFor } from './exit-codes.ts';
import { isJsonByNpm, isRunByNpm, npmWithDashes } from './npm-flags.ts';
import { outputOptions } from './options.ts';
import { renderError, toJson } from './output.ts';
import { givePipelines, isForPipeline, outputsIn } from './pipeline.ts';

/**
 * Runs one command line and gives its exit code. Nothing escapes as an exception; a fault in evdb
 * itself shows its stack.
 *
 * @param failure rejects where the process has to end, whatever the command does
 */
export async function runCli(
  args: string[],
  context: CliContext,
  failure: Promise<never> = new Promise(() => undefined),
): Promise<number> {
  const state: CliState = { exitCode: EXIT.done, command: '' };
  // npm's flags are held against those of every command.
  const words = isRunByNpm(context.env) ? [] : args;
  const program = buildProgram(context, state, words);
  const render = createCommandRenderer(() => buildProgram(context, state), args, context);
  return withCommandRenderer(render, async () => {
    const exitCode = await runProgram();
    const lost = await context.lostOutput();
    if (lost === undefined) return exitCode;
    // Not by reportError, which would print to stdout again.
    context.err(`${renderError(outputLost(lost), await loadStyle(context.errColour))}\n`);
    return exitCode === EXIT.done ? EXIT.failed : exitCode;
  });

  async function runProgram(): Promise<number> {
    try {
      const helped = findHelped(args, program, state);
      if (helped) {
        helped.outputHelp();
        return EXIT.done;
      }
      await Promise.race([program.parseAsync(args, { from: 'user' }), failure]);
      return state.exitCode;
    } catch (error) {
      if (isHelp(error)) return (error as CommanderError).exitCode === 0 ? EXIT.done : EXIT.usage;
      return reportError(await asEvdbError(error, args, { context, state }), {
        args,
        context,
        state,
      });
    }
  }
}

function outputLost(cause: Error): EvdbError {
  return new EvdbError('OUTPUT_LOST', `the results could not be written: ${cause.message}`, {
    hint: 'The command itself completed. Free some space for its output, and check with a command that only reads.',
    cause,
  });
}

function isHelp(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? '';
  return code === 'commander.helpDisplayed' || code === 'commander.help';
}

/**
 * The command whose help is asked for, by the word `help` or by the option, wherever it stands; undefined
 * where none is.
 *
 * @throws {CommanderError} for a command that is not there
 */
function findHelped(
  args: readonly string[],
  program: Command,
  state: CliState,
): Command | undefined {
  const end = args.indexOf('--');
  const words = end < 0 ? args : args.slice(0, end);
  let isAsked = words.some((word) => word === '--help' || word === '-h');
  let command = program;
  for (const word of words.filter((one) => !one.startsWith('-'))) {
    if (command.commands.length === 0) break;
    const child = command.commands.find((one) => one.name() === word);
    if (child) command = child;
    else if (word === 'help' && !isAsked) isAsked = true;
    else if (isAsked) {
      state.command = commandPath(command);
      throw unknownCommand(word, command);
    } else break;
  }
  return isAsked ? command : undefined;
}

function unknownCommand(word: string, { commands }: Command): CommanderError {
  const near = suggestName(
    word,
    commands.map((one) => one.name()),
  );
  const suggestion = near === undefined ? '' : `\n(Did you mean ${near}?)`;
  const message = `error: unknown command '${word}'${suggestion}`;
  return new CommanderError(EXIT.usage, 'commander.unknownCommand', message);
}

async function asEvdbError(
  error: unknown,
  args: readonly string[],
  { context, state: { command } }: { context: CliContext; state: CliState },
): Promise<EvdbError> {
  if (error instanceof EvdbError) return error;
  const { code = '', message } = error as { code?: string; message: string };
  if (code.startsWith('commander.')) {
    const [said = '', suggestion] = message.replace(/^error: /, '').split('\n');
    if (code === 'commander.excessArguments' && isRunByNpm(context.env)) {
      const line = npmWithDashes(context.env);
      const hint = `Nothing was done. Put two dashes before flags, and quotes around a name of several words: ${line} …`;
      return new EvdbError('USAGE', said, { hint });
    }
    const meant = MISUNDERSTOOD.has(code) ? await findMeant(args, code, context) : undefined;
    const hint = meant?.hint ?? suggestion?.replace(/^\(|\)$/g, '');
    return new EvdbError('USAGE', meant?.word ? `unknown command '${meant.word}'` : said, {
      hint: hint || `See: ${commandLine(command, { help: true })}`,
    });
  }
  return new EvdbError('INTERNAL', error instanceof Error ? error.message : String(error), {
    hint: 'This is a fault in evdb: please report it with the lines above.',
    cause: error,
  });
}

/** An option is unknown too where the command in front of it is. */
const MISUNDERSTOOD = new Set([
  'commander.unknownCommand',
  'commander.unknownOption',
  'commander.excessArguments',
]);

async function findMeant(args: readonly string[], code: string, context: CliContext) {
  const { explainMeant } = await import('./instincts.ts');
  const program = buildProgram(context, { exitCode: EXIT.usage, command: '' });
  const meant = explainMeant(args, program, context);
  const isOfOption = code === 'commander.unknownOption' && meant?.word === undefined;
  return isOfOption ? undefined : meant;
}

async function reportError(
  error: EvdbError,
  { args, context, state }: { args: string[]; context: CliContext; state: CliState },
): Promise<number> {
  const style = await loadStyle(context.errColour);
  if (error.code === 'INTERNAL' && error.cause instanceof Error) {
    context.err(`${error.cause.stack ?? ''}\n`);
  }
  context.err(`${renderError(error, style)}\n`);
  const exitCode = exitCodeFor(error.code);
  const outputs = outputsIn(args);
  if (isForPipeline(outputs.format) || outputs.reports.length > 0) {
    const { failureReport } = await import('../report/pipeline.ts');
    // Where the report itself cannot be written, that is the error which is told.
    await givePipelines(failureReport(state.command, error), outputs, context).catch(() => {});
  }
  if (outputs.format === 'json' || isJsonByNpm(context.env)) {
    const { code, message, hint, details } = error;
    const data = { error: { code, message, hint, details } };
    context.outVerbatim(
      toJson({ command: state.command, exitCode, data, isLine: outputs.isStream }),
    );
  }
  return exitCode;
}

/** In the order in which `evdb --help` lists them. */
const COMMANDS: (CommandSpec | CommandGroup)[] = [
  INIT_COMMAND,
  MIGRATE_COMMANDS,
  SEED_COMMAND,
  BACKFILL_COMMANDS,
  LINT_COMMAND,
  SCHEMA_COMMANDS,
  TYPES_COMMAND,
  STATS_COMMANDS,
  MONITOR_COMMAND,
  DOCTOR_COMMAND,
  REPORT_COMMAND,
  DB_COMMANDS,
  FLEET_COMMANDS,
  RULES_COMMANDS,
  AUDIT_COMMANDS,
  EVENTS_COMMANDS,
  SERVER_COMMANDS,
  CONFIG_COMMAND,
  COMPLETION_COMMAND,
  VERSION_COMMAND,
];

/**
 * The command line. Handlers are thin and load what they need when they run.
 *
 * @param words where they begin with the name of a command, that one alone is in it
 */
export function buildProgram(
  context: CliContext,
  state: CliState,
  words: readonly string[] = [],
): Command {
  const program = new Command('evdb')
    .description('PostgreSQL migrations and operations that never leave anything half done')
    .option('-V, --version', 'print the version')
    .helpCommand('help [command...]', 'display help for a command')
    .configureHelp(HELP_LAYOUT)
    .configureOutput({
      getOutHelpWidth: () => context.outSize().columns ?? 80,
      writeOut: context.out,
      writeErr: context.err,
      outputError: () => undefined,
    })
    .exitOverride()
    .addHelpText('after', help);
  for (const option of outputOptions()) program.addOption(option);
  const named = commandNamed(COMMANDS, words);
  for (const entry of named ? [named] : COMMANDS) addCommand(program, entry, { context, state });
  for (const command of program.commands) inheritSettings(command, program, state);
  return program;
}

/** The command that words begin with, alone in its groups; undefined where that is help, or no command. */
function commandNamed(
  entries: readonly (CommandSpec | CommandGroup)[],
  [first, ...rest]: readonly string[],
): CommandSpec | CommandGroup | undefined {
  const entry = entries.find(({ name }) => name === first);
  if (entry === undefined || !('commands' in entry)) return entry;
  const below = commandNamed(entry.commands, rest);
  return below && { ...entry, commands: [below] };
}

const help = () => `
Example:
  $ ${commandLine('migrate up', { embedded: true })}

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 a check found something, 4 temporary (try again), 130 interrupted.
`;

/** commander passes these on only to commands that are made after they were set. */
function inheritSettings(command: Command, from: Command, state: CliState): void {
  command.copyInheritedSettings(from).exitOverride((error) => {
    state.command = commandPath(command);
    throw error;
  });
  for (const child of command.commands) inheritSettings(child, command, state);
}
