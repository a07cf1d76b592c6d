import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const args = process.argv.slice(2);
// Answered before anything is loaded: a shell asks at each Tab, editors and scripts ask for the version.
if (args[0] === 'complete' && args[1] === '--') void answer();
else if (isVersionRequest()) process.stdout.write(`${readVersion()}\n`);
else void start();

function isVersionRequest(): boolean {
  return args.length === 1 && ['--version', '-V', 'version'].includes(args[0] ?? '');
}

function readVersion(): string {
  const file = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8');
  return (JSON.parse(file) as { version: string }).version;
}

async function answer(): Promise<void> {
  const { answerShell } = await import('./completion/answer.ts');
  answerShell(args.slice(2), { cwd: process.cwd(), env: process.env });
}

async function start(): Promise<void> {
  const { loadCached } = await import('./code-cache.ts');
  const call = { args, version: readVersion() };
  const program = loadCached(join(import.meta.dirname, 'program.cjs'), call);
  await (program as typeof import('./program.ts')).runProcess(process);
}
