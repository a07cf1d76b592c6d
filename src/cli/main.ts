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
  const { runCli } = await import('./run.ts');
  const { processContext } = await import('./context.ts');
  const { commandLine } = await import('../text/command-line.ts');
  const sayUnfinished = () => tellUnfinished(commandLine('migrate status'));
  process.once('beforeExit', sayUnfinished);
  process.exitCode = await runCli(process.argv.slice(2), processContext(process));
  process.off('beforeExit', sayUnfinished);
}

/** Node ends when nothing is left to wait for, also amid the work: that must not look like success. */
function tellUnfinished(status: string): void {
  process.exitCode = 1;
  process.stderr.write(
    `error INTERNAL  evdb ended before its work did\n  hint: This is a fault in evdb: please report it. \`${status}\` shows what is applied.\n`,
  );
}
