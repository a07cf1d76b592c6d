import type { CommanderError } from 'commander';
import { EvdbError } from '../errors.ts';
import { renderError } from '../report/error.ts';
import { commandLine, withCommandRenderer } from '../text/command-line.ts';
import { createCommandRenderer } from './command-renderer.ts';
import { type CliContext, loadStyle } from './context.ts';
import { EXIT, exitCodeFor } from './exit-codes.ts';
import { isJsonByNpm, isRunByNpm, npmWithDashes } from './npm-flags.ts';
import { toJson } from './output.ts';
import { givePipelines, isForPipeline, outputsIn } from './pipeline.ts';
import { buildProgram } from './program.ts';

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
  const program = buildProgram(context, state);
  const render = createCommandRenderer(program, args, context);
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
      await Promise.race([program.parseAsync(args, { from: 'user' }), failure]);
      return state.exitCode;
    } catch (error) {
      if (isHelp(error)) return (error as CommanderError).exitCode === 0 ? EXIT.done : EXIT.usage;
      return reportError(asEvdbError(error, context, state), { args, context, state });
    }
  }
}

function outputLost(cause: Error): EvdbError {
  return new EvdbError('OUTPUT_LOST', `the results could not be written: ${cause.message}`, {
    hint: 'The command itself ran to its end. Give stdout a place with space, and look with a command that only reads.',
    cause,
  });
}

/** What the command that ran leaves behind. */
export interface CliState {
  exitCode: number;
  /** Such as `migrate up`; empty until one was found. */
  command: string;
}

function isHelp(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? '';
  return code === 'commander.helpDisplayed' || code === 'commander.help';
}

function asEvdbError(error: unknown, { env }: CliContext, { command }: CliState): EvdbError {
  if (error instanceof EvdbError) return error;
  const { code = '', message } = error as { code?: string; message: string };
  if (code.startsWith('commander.')) {
    const [said = '', suggestion] = message.replace(/^error: /, '').split('\n');
    const isSurplusOfNpm = code === 'commander.excessArguments' && isRunByNpm(env);
    const hint = isSurplusOfNpm
      ? `Nothing was done. Put two dashes before flags, and quotes around a name of several words: ${npmWithDashes(env)} …`
      : suggestion?.replace(/^\(|\)$/g, '');
    return new EvdbError('USAGE', said, {
      hint: hint || `See: ${commandLine(command, { help: true })}`,
    });
  }
  return new EvdbError('INTERNAL', error instanceof Error ? error.message : String(error), {
    hint: 'This is a fault in evdb: please report it with the lines above.',
    cause: error,
  });
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
    const { failureReport } = await import('../report/pipeline/pipeline-report.ts');
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
