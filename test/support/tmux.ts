import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { terminalEnvironment } from './run-cli.ts';
import { until } from './waiting.ts';

const run = promisify(execFile);

/** A real terminal with a shell in it, as tmux has them. */
export interface Tmux {
  /** Types a line, and Enter. */
  type(line: string): Promise<void>;
  /** Presses keys by tmux's names for them, such as `Enter`, `Down` or `C-c`. */
  press(...keys: string[]): Promise<void>;
  /** What stands on the screen, and above it, without blanks at its ends. */
  read(): Promise<string>;
  /** The same with the sequences of colours. */
  readColours(): Promise<string>;
  /** Resolves when the terminal shows the text. */
  shows(text: string): Promise<void>;
  /** Types a line and waits until the command has ended; what it printed, and its exit code. */
  run(line: string): Promise<string>;
  /** Gives the terminal another size, as someone who drags its corner does. */
  resize(columns: number, rows: number): Promise<void>;
  close(): Promise<void>;
}

/** Why no test can have a terminal of tmux here; undefined where it can. */
export function whyNoTmux(): string | undefined {
  return spawnSync('tmux', ['-V']).status === 0 ? undefined : 'there is no tmux on the PATH';
}

/** Opens a terminal of a size of one's own, apart from all other servers of tmux. */
export async function openTmux(
  { columns, rows = 50 }: { columns: number; rows?: number },
  { cwd, env = {} }: { cwd: string; env?: Record<string, string> },
): Promise<Tmux> {
  const server = `evdb-test-${randomBytes(6).toString('hex')}`;
  const own = { ...terminalEnvironment(), ...env, PS1: '$ ', TERM: 'xterm-256color' };
  // The server has the environment of who calls first, and its shells have that.
  const tmux = async (...args: string[]) =>
    (await run('tmux', ['-L', server, '-f', '/dev/null', ...args], { env: own })).stdout;
  const size = ['-x', String(columns), '-y', String(rows)];
  const shell = ['sh', '-i'];
  await tmux(
    ...[
      'start-server',
      ';',
      'set',
      '-g',
      'history-limit',
      '5000',
      ';',
      'set',
      '-g',
      'status',
      'off',
    ],
    ...[';', 'new-session', '-d', ...size, '-c', cwd, ...shell],
  );
  // Joined: what the terminal itself had to break shows as one line that is too long.
  const capture = (...flags: string[]) => tmux('capture-pane', '-p', '-J', '-S', '-', ...flags);
  const read = async () => (await capture()).replace(/ +$/gm, '').trimEnd();
  const type = async (line: string) => {
    await tmux('send-keys', '-l', line);
    await tmux('send-keys', 'Enter');
  };
  let count = 0;
  return {
    type,
    press: async (...keys) => void (await tmux('send-keys', ...keys)),
    resize: async (width, height) =>
      void (await tmux('resize-window', '-x', String(width), '-y', String(height))),
    read,
    readColours: async () => (await capture('-e')).trimEnd(),
    shows: (text) => until(async () => (await read()).includes(text)),
    run: async (line) => {
      count += 1;
      await type(`clear; ${line}; echo "[$?] end ${count}"`);
      const end = new RegExp(`^\\[\\d+\\] end ${count}$`, 'm');
      await until(async () => end.test(await read()));
      const text = await read();
      await tmux('clear-history');
      return text.replace(/\n\$$/, '');
    },
    close: async () => void (await tmux('kill-server')),
  };
}
