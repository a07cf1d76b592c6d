import { EvdbError } from '../errors.ts';
import { commandLine } from '../text/command-line.ts';
import { processContext } from './context.ts';
import { endOnceRead, flush, watchProcessEnd } from './output.ts';
import { runCli } from './run.ts';

/** Runs the command line of a process, and ends it with the exit code. */
export async function runProcess(proc: NodeJS.Process): Promise<void> {
  const end = watchProcessEnd(proc, () => commandLine('migrate status'));
  const context = end.guard(processContext(proc));
  proc.exitCode = await runCli(proc.argv.slice(2), context, end.failure);
  end.finish((error) => {
    proc.exitCode = 1;
    const { code, message } =
      error instanceof EvdbError ? error : new EvdbError('INTERNAL', String(error));
    context.err(`error ${code}  ${message}\n`);
  });
  if (!end.isForced()) return endOnceRead(proc);
  await flush([proc.stdout, proc.stderr]);
  proc.exit();
}
