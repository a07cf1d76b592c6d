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
  process.exitCode = await runCli(process.argv.slice(2), processContext(process));
}
