import { PassThrough, Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { CliContext } from '../../src/cli/context.ts';
import { runCli as runInProcess } from '../../src/cli/run.ts';
import { fitText } from '../../src/text/wrap.ts';

/** A terminal that keeps what is written on it. */
export interface Terminal {
  /** Runs a command line on it, and gives its exit code. */
  run(...args: string[]): Promise<number>;
  /** All that was written, with its control sequences. */
  written(): string;
  /** What a person sees on the screen, or saw on it last. */
  screen(): string;
  /** What stands on the terminal after the program has ended. */
  left(): string;
  stderr(): string;
  /** Waits until a question is asked on stderr, and answers with these keys. */
  answer(question: string, ...keys: string[]): Promise<void>;
  resize(columns: number, rows: number): void;
  /** As Ctrl-C does. */
  interrupt(): void;
  /** Resolves when the screen shows the text. */
  shows(text: string): Promise<void>;
}

const SCREEN = { enter: '\u001b[?1049h', leave: '\u001b[?1049l' };
const HOME = '\u001b[H';

/** Makes a terminal without colours for commands that run in this process. */
export function createTerminal(
  size: { columns: number; rows: number },
  { cwd, url }: { cwd: string; url?: string },
): Terminal {
  let text = '';
  let stderr = '';
  let interrupt = () => {};
  const keyboard = new PassThrough();
  const tell = (part: string) => {
    stderr += part;
    for (const look of [...watchers]) look();
  };
  const watchers = new Set<() => void>();
  const current = { ...size };
  const lastFrame = () => text.slice(0, endOfScreen(text)).split(HOME).at(-1) ?? '';
  const show = (part: string) => {
    text += part;
    for (const look of [...watchers]) look();
  };
  const context: CliContext = {
    env: { ...(url !== undefined && { EVDB_URL: url }), PATH: '/usr/local/bin' },
    programPath: '/usr/local/bin/evdb',
    platform: 'linux',
    cwd,
    out: (part) => show(fitText(part, current.columns)),
    outWide: show,
    outVerbatim: show,
    noteVerbatim: (part) => tell(part),
    err: (part) => tell(fitText(part, current.columns)),
    note: (part) => tell(fitText(part, current.columns)),
    asking: {
      input: keyboard,
      output: Object.assign(
        new Writable({ write: (part, _, done) => done(void tell(String(part))) }),
        current,
      ),
    },
    errLine: () => undefined,
    lostOutput: () => Promise.resolve(undefined),
    isInteractive: true,
    isOutTerminal: true,
    outSize: () => current,
    outColour: false,
    errColour: false,
    onInterrupt: (callback) => {
      interrupt = callback;
      return () => {
        interrupt = () => {};
      };
    },
    onOutClosed: () => () => undefined,
  };
  return {
    run: (...args) => runInProcess(args, context),
    written: () => text,
    screen: () => withoutSequences(lastFrame()),
    left: () => withoutSequences(text.split(SCREEN.leave).at(-1) ?? ''),
    stderr: () => stderr,
    answer: async (question, ...keys) => {
      await waitFor(watchers, () => withoutSequences(stderr).includes(question));
      for (const key of keys) {
        keyboard.write(key);
        // As a person types: one key, then the next.
        await setImmediate();
      }
    },
    resize: (columns, rows) => Object.assign(current, { columns, rows }),
    interrupt: () => interrupt(),
    shows: (wanted) => waitFor(watchers, () => withoutSequences(lastFrame()).includes(wanted)),
  };
}

function waitFor(watchers: Set<() => void>, isThere: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!isThere()) return;
      watchers.delete(look);
      resolve();
    };
    watchers.add(look);
    look();
  });
}

function endOfScreen(text: string): number {
  const at = text.lastIndexOf(SCREEN.leave);
  return at === -1 ? text.length : at;
}

function withoutSequences(text: string): string {
  // biome reads a control character in a pattern as a slip of the pen
  const sequence = new RegExp(`${'\u001b'}\\[\\??[0-9]*[A-Za-z]`, 'g');
  return text.replace(sequence, '').replaceAll('\r\n', '\n');
}
