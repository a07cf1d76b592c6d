import { readFileSync } from 'node:fs';

/** Answered before anything is loaded: editors and scripts ask often. */
function isVersionRequest(args: string[]): boolean {
  return args.length === 1 && (args[0] === '--version' || args[0] === '-V');
}

if (isVersionRequest(process.argv.slice(2))) {
  const path = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  process.stdout.write(`${version}\n`);
} else {
  void start();
}

async function start(): Promise<void> {
  const { EvdbError } = await import('../errors.ts');
  const { runCli } = await import('./run.ts');
  const { processContext } = await import('./context.ts');
  const { endOnceRead, flush, watchProcessEnd } = await import('./output.ts');
  const { commandLine } = await import('../text/command-line.ts');
  const end = watchProcessEnd(process, () => commandLine('migrate status'));
  const context = end.guard(processContext(process));
  process.exitCode = await runCli(process.argv.slice(2), context, end.failure);
  end.finish((error) => {
    process.exitCode = 1;
    const { code, message } =
      error instanceof EvdbError ? error : new EvdbError('INTERNAL', String(error));
    context.err(`error ${code}  ${message}\n`);
  });
  if (!end.isForced()) return endOnceRead(process);
  await flush([process.stdout, process.stderr]);
  process.exit();
}
