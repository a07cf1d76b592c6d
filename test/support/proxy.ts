import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Direction, type Faults, joinSockets, type Line } from './proxy-line.ts';

/** A TCP proxy before a server, whose line can be cut, delayed or fall silent. */
export interface FaultyProxy {
  /** The server's URL by way of the proxy. */
  url: string;
  /** How many connections it holds. */
  connections(): number;
  /** How many connections it was asked for since it started. */
  attempts(): number;
  /** Bytes that were passed on so far. */
  passed(direction: Direction): number;
  /** Closes all connections at once and resets new ones until `restore`. */
  cut(): void;
  /** Keeps every connection, new ones too, and forwards nothing until `restore`. */
  silence(): void;
  /** Forwards again: first what piled up, then what comes. Lines that lost bytes are reset. */
  restore(): void;
  /** Nothing listens on the port any more, until `accept`; what is connected stays so. */
  refuse(): void;
  accept(): Promise<void>;
  /** Holds back each packet of both directions, in order, for `ms` and up to `jitterMs` more. */
  delay(ms: number, jitterMs?: number): void;
  /** Swallows all that the open connections send; new ones work. They stay open until `restore`. */
  drop(direction: Direction | 'both'): void;
  /** Cuts the connection on which the next `bytes` bytes have passed, be it amid a message. */
  cutAfter(bytes: number, direction: Direction): void;
  /**
   * Cuts the one connection on which the client sends `text`: before the server hears it
   * (`forward` false), or after, so that the server acts on it and nobody hears the answer.
   */
  cutOn(text: string, options: { forward: boolean }): void;
  close(): Promise<void>;
}

interface State {
  mode: 'open' | 'silent' | 'cut';
  lines: Set<Line>;
  faults: Faults;
  attempts: number;
}

/** Starts a proxy on a free loopback port before the server that `targetUrl` names. */
export async function startProxy(targetUrl: string): Promise<FaultyProxy> {
  const target = new URL(targetUrl);
  const state: State = { mode: 'open', lines: new Set(), faults: noFaults(), attempts: 0 };
  const listener = createServer((client) => join(state, client, target));
  const port = await listen(listener, 0);
  const url = new URL(targetUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  return {
    url: url.href,
    connections: () => state.lines.size,
    attempts: () => state.attempts,
    passed: (direction) => state.faults.passed[direction],
    ...lineFaults(state),
    refuse: () => void listener.close(),
    accept: async () => void (await listen(listener, port)),
    ...byteFaults(state),
    close: () => {
      const ended = new Promise<void>((resolve) => listener.close(() => resolve()));
      for (const line of state.lines) line.break();
      return ended;
    },
  };
}

function noFaults(): Faults {
  const passed = { toServer: 0, toClient: 0 };
  return { delayMs: 0, jitterMs: 0, trap: undefined, limit: undefined, passed };
}

function lineFaults(state: State): Pick<FaultyProxy, 'cut' | 'silence' | 'restore'> {
  return {
    cut: () => {
      state.mode = 'cut';
      for (const line of state.lines) line.break();
    },
    silence: () => {
      state.mode = 'silent';
      for (const line of state.lines) line.setFlow(false);
    },
    restore: () => {
      state.mode = 'open';
      for (const line of state.lines) {
        if (line.isSwallowing) line.break();
        else line.setFlow(true);
      }
    },
  };
}

function byteFaults({
  faults,
  lines,
}: State): Pick<FaultyProxy, 'delay' | 'drop' | 'cutAfter' | 'cutOn'> {
  return {
    delay: (ms, jitterMs = 0) => {
      faults.delayMs = ms;
      faults.jitterMs = jitterMs;
    },
    drop: (direction) => {
      const directions = direction === 'both' ? (['toServer', 'toClient'] as const) : [direction];
      for (const line of lines) for (const way of directions) line.swallow(way);
    },
    cutAfter: (bytes, direction) => {
      faults.limit = { direction, bytes };
    },
    cutOn: (text, { forward }) => {
      faults.trap = { text, forward };
    },
  };
}

function listen(listener: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(port, '127.0.0.1', () => {
      listener.removeListener('error', reject);
      const address = listener.address();
      if (address && typeof address === 'object') resolve(address.port);
    });
  });
}

function join(state: State, client: Socket, target: URL): void {
  state.attempts += 1;
  if (state.mode === 'cut') {
    client.resetAndDestroy();
    return;
  }
  const server = connect(Number(target.port || 5432), target.hostname.replace(/^\[|\]$/g, ''));
  const line = joinSockets(client, server, state.faults, () => state.lines.delete(line));
  state.lines.add(line);
  if (state.mode === 'silent') line.setFlow(false);
}
