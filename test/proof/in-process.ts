import { Writable } from 'node:stream';
import { processContext } from '../../src/cli/context.ts';
import { runCli } from '../../src/cli/run.ts';

/** How a command line ended that ran in this process. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command line as a process does, from its arguments to the bytes that it writes, without one. */
export async function runHere(
  args: string[],
  { cwd, env }: { cwd: string; env: Record<string, string> },
): Promise<Ended> {
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written) =>
    new Writable({
      decodeStrings: false,
      write: (part, _, done) => {
        written[name] += String(part);
        done();
      },
    });
  const proc = {
    ...{ env, argv: ['node', '/usr/local/bin/evdb', ...args], platform: process.platform },
    ...{ stdout: stream('stdout'), stderr: stream('stderr'), stdin: process.stdin },
    ...{ cwd: () => cwd, on: () => proc, off: () => proc, pid: process.pid },
  };
  const context = processContext(proc as unknown as NodeJS.Process);
  const code = await runCli(args, context);
  return { code, ...written };
}
