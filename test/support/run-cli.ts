import { type ChildProcess, spawn } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { inject } from 'vitest';

export interface CliOptions {
  /** The folder evdb is called in. */
  cwd: string;
  /** Added to the scrubbed environment; `undefined` removes a variable. */
  env?: Record<string, string | undefined>;
  /** What standard input holds; it is closed where nothing is given. */
  input?: string;
  /** Kills the process when it is aborted. */
  signal?: AbortSignal;
  /** When a process counts as hanging and is killed; default 50000. */
  timeoutMs?: number;
}

export interface CliResult {
  /** The exit code, null where a signal ended the process. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunningCli {
  child: ChildProcess;
  /** What was printed so far. */
  output: { stdout: string; stderr: string };
  /** Resolves when a stream has printed `text`; rejects where the process ends before. */
  printed(text: string): Promise<void>;
  /** Resolves when the process has ended; rejects where it had to be killed for hanging. */
  result: Promise<CliResult>;
}

/** What would make evdb behave otherwise here than on a machine where none of it is set. */
const foreign =
  /^(PG|DB_|EVDB_|npm_|GITHUB_|GITLAB_|CI_|VITEST|DATABASE_URL$|CI$|NODE_ENV$|NODE_OPTIONS$|FORCE_COLOR$|COLUMNS$|LINES$|TEST$|INIT_CWD$)/i;

/** Runs `evdb` as a process of its own, and waits for its end. */
export function runCli(args: string[], options: CliOptions): Promise<CliResult> {
  return startCli(args, options).result;
}

/** Starts `evdb` as a process of its own, for tests that kill it or look at it while it runs. */
export function startCli(args: string[], options: CliOptions): RunningCli {
  // What runs the tests needs not be what runs the tool: evdb promises more versions of Node.
  const node = process.env.EVDB_TEST_NODE || process.execPath;
  const { program, PATH } = findProgram();
  const child = spawn(node, [program, ...args], {
    cwd: options.cwd,
    env: { ...scrubEnvironment(process.env), XDG_CACHE_HOME: cacheHome(), PATH, ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  child.stdin?.end(options.input);
  options.signal?.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
  const output = collectOutput(child);
  const result = waitForEnd(child, args, output, options.timeoutMs ?? 50_000);
  // Whoever only waits for a text hears of the end there.
  result.catch(() => undefined);
  return { child, output, result, printed: (text) => waitForText(child, output, text) };
}

/** Runs a line that evdb printed as somebody does who pastes it, in bash. */
export function pasteCommand(line: string, options: CliOptions): Promise<CliResult> {
  const { PATH } = findProgram();
  const child = spawn('bash', ['-c', line], {
    cwd: options.cwd,
    env: { ...scrubEnvironment(process.env), PATH, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return waitForEnd(child, [line], collectOutput(child), options.timeoutMs ?? 50_000);
}

/** The environment of a shell in which `evdb` is the packed one. */
export function terminalEnvironment(): Record<string, string> {
  const env = { ...scrubEnvironment(process.env), XDG_CACHE_HOME: cacheHome(), ...findProgram() };
  const { program: _, NO_COLOR: __, ...kept } = env as NodeJS.ProcessEnv;
  return kept as Record<string, string>;
}

/** The command as a shell finds it: by its name, in a folder of PATH. Hints then call it `evdb`. */
function findProgram(): { program: string; PATH: string } {
  const bin = inject('evdbBin');
  const folder = join(dirname(bin), '../../.bin');
  const program = process.platform === 'win32' ? bin : join(folder, 'evdb');
  return { program, PATH: `${folder}${delimiter}${process.env.PATH ?? ''}` };
}

/** Beside what the tests run, so that nothing of it stays with whoever runs them. */
function cacheHome(): string {
  return join(inject('packedProject'), '.cache');
}

/** The environment without connection settings, npm's and CI's variables, and without colour. */
export function scrubEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(([name]) => !foreign.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: '1' };
}

function collectOutput(child: ChildProcess): RunningCli['output'] {
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  return output;
}

function waitForEnd(
  child: ChildProcess,
  args: string[],
  output: RunningCli['output'],
  timeoutMs: number,
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    let hangs = false;
    const timer = setTimeout(() => {
      hangs = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.once('error', reject);
    // Not `exit`: the streams may still hold output then.
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const said = `stdout:\n${output.stdout}\nstderr:\n${output.stderr}`;
      if (hangs) reject(new Error(`evdb ${args.join(' ')} hung for ${timeoutMs} ms\n${said}`));
      else resolve({ code, signal, ...output });
    });
  });
}

function waitForText(
  child: ChildProcess,
  output: RunningCli['output'],
  text: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (output.stdout.includes(text) || output.stderr.includes(text)) resolve();
    };
    look();
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.once('close', () => {
      reject(new Error(`evdb ended before it printed "${text}"\n${output.stdout}${output.stderr}`));
    });
  });
}
