import { emitKeypressEvents } from 'node:readline';

/** A key as `node:readline` reports it. */
export interface PressedKey {
  name?: string | undefined;
  sequence?: string | undefined;
  ctrl?: boolean | undefined;
}

/** What a program that has the whole terminal is told. */
export interface FullScreenHandlers {
  onKey(key: PressedKey): void;
  /** Everything has to be drawn again. */
  onResize(): void;
}

/** The other screen of a terminal, and its keys. */
export interface FullScreen {
  /** Draws lines from the top; they are cut where they are too wide. */
  draw(lines: readonly string[]): void;
  /** Gives the terminal back as it was, stops as Ctrl-Z does, and takes it again afterwards. */
  suspend(): void;
  /** Gives the terminal back as it was; may be called more than once. */
  leave(): void;
}

/** The other screen, no cursor, and lines that are cut instead of wrapped. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const CLEAR = '\u001b[2J';
const CLEAR_LINE = '\u001b[K';

const lineAt = (row: number) => `\u001b[${row};1H`;

/**
 * Takes the whole terminal. However the process ends, but for what cannot be caught, the terminal is
 * given back first: a shell without echo on the wrong screen is worse than any error.
 */
export function openFullScreen(proc: NodeJS.Process, handlers: FullScreenHandlers): FullScreen {
  const screen = new TerminalScreen(proc, handlers);
  const forget = giveBackAtTheEnd(proc, screen.giveBack);
  emitKeypressEvents(proc.stdin);
  proc.on('SIGTSTP', screen.suspend);
  proc.stdout.on('resize', screen.resize);
  screen.enter();
  return {
    draw: screen.draw,
    suspend: screen.suspend,
    leave() {
      screen.giveBack();
      forget();
      proc.off('SIGTSTP', screen.suspend);
      proc.off('SIGCONT', screen.resume);
      proc.stdout.off('resize', screen.resize);
    },
  };
}

function giveBackAtTheEnd(proc: NodeJS.Process, giveBack: () => void): () => void {
  proc.on('exit', giveBack);
  // Before those who tell the error, which has to stand on the usual screen.
  proc.on('uncaughtExceptionMonitor', giveBack);
  proc.prependListener('unhandledRejection', giveBack);
  return () => {
    proc.off('exit', giveBack);
    proc.off('uncaughtExceptionMonitor', giveBack);
    proc.off('unhandledRejection', giveBack);
  };
}

class TerminalScreen {
  readonly #proc: NodeJS.Process;
  readonly #handlers: FullScreenHandlers;
  #isOpen = false;
  #shown: readonly string[] = [];

  constructor(proc: NodeJS.Process, handlers: FullScreenHandlers) {
    this.#proc = proc;
    this.#handlers = handlers;
  }

  readonly #press = (_: unknown, key: PressedKey) => this.#handlers.onKey(key);

  readonly enter = (): void => {
    const { stdin, stdout } = this.#proc;
    this.#isOpen = true;
    this.#shown = [];
    stdin.setRawMode(true);
    stdin.resume();
    stdin.on('keypress', this.#press);
    stdout.write(ENTER + CLEAR);
  };

  readonly giveBack = (): void => {
    if (!this.#isOpen) return;
    const { stdin, stdout } = this.#proc;
    this.#isOpen = false;
    stdin.off('keypress', this.#press);
    stdin.setRawMode(false);
    stdin.pause();
    stdout.write(LEAVE);
  };

  readonly suspend = (): void => {
    if (!this.#isOpen) return;
    this.giveBack();
    this.#proc.off('SIGTSTP', this.suspend);
    this.#proc.once('SIGCONT', this.resume);
    // The whole group, as the terminal does it: npx in front of evdb has to stop as well.
    this.#proc.kill(0, 'SIGTSTP');
  };

  readonly resume = (): void => {
    this.#proc.on('SIGTSTP', this.suspend);
    this.enter();
    this.#handlers.onResize();
  };

  readonly resize = (): void => {
    this.#shown = [];
    if (this.#isOpen) this.#proc.stdout.write(CLEAR);
    this.#handlers.onResize();
  };

  readonly draw = (lines: readonly string[]): void => {
    if (!this.#isOpen) return;
    // Only what changed: a terminal far away gets a few bytes a second.
    const changed = lines.flatMap((line, at) =>
      line === this.#shown[at] ? [] : [lineAt(at + 1) + CLEAR_LINE + line],
    );
    this.#shown = lines;
    if (changed.length > 0) this.#proc.stdout.write(changed.join(''));
  };
}
