import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Answered before anything is loaded: editors and scripts ask often. */
function isVersionRequest(args: string[]): boolean {
  return args.length === 1 && ['--version', '-V', 'version'].includes(args[0] ?? '');
}

const args = process.argv.slice(2);
const packageFile = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8');
const { version } = JSON.parse(packageFile) as { version: string };
if (isVersionRequest(args)) process.stdout.write(`${version}\n`);
else void start();

async function start(): Promise<void> {
  const { loadCached } = await import('./code-cache.ts');
  const program = loadCached(join(import.meta.dirname, 'program.cjs'), { args, version });
  await (program as typeof import('./program.ts')).runProcess(process);
}
