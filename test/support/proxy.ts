import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Random, randomOf } from './random.ts';

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
  /**
   * Cuts the connection on which the client sends its `packet`-th packet from now on, counted from 1
   * over all connections: before the server hears it, or after, so that nobody hears the answer.
   */
  cutAtPacket(packet: number, options: { forward: boolean }): void;
  /** Whether a cut that was asked for is still to come. */
  isArmed(): boolean;
  /** Takes back the cut that is still to come. */
  disarm(): void;
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
}: State): Pick<
  FaultyProxy,
  'delay' | 'drop' | 'cutAfter' | 'cutOn' | 'cutAtPacket' | 'isArmed' | 'disarm'
> {
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
      faults.trap = { hits: (chunk) => chunk.includes(text), forward };
    },
    cutAtPacket: (packet, { forward }) => {
      let left = packet;
      faults.trap = { hits: () => --left === 0, forward };
    },
    isArmed: () => faults.trap !== undefined || faults.limit !== undefined,
    disarm: () => {
      faults.trap = undefined;
      faults.limit = undefined;
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

export type Direction = 'toServer' | 'toClient';

/** What the proxy does to the bytes that pass it, on every line alike. */
interface Faults {
  delayMs: number;
  jitterMs: number;
  /** Cuts the line on which the client sends what it waits for. */
  trap: { hits(chunk: Buffer): boolean; forward: boolean } | undefined;
  /** Cuts the line on which this many more bytes have passed. */
  limit: { direction: Direction; bytes: number } | undefined;
  /** Bytes that were passed on so far. */
  passed: Record<Direction, number>;
}

/** One connection of a client, and the one to the server that stands behind it. */
interface Line {
  readonly isSwallowing: boolean;
  /** Resets both ends at once. */
  break(): void;
  setFlow(flows: boolean): void;
  /** Reads on one way and passes nothing on any more, not even the end. */
  swallow(direction: Direction): void;
}

/** Joins two sockets; `onEnd` is called when nothing can pass any more. */
function joinSockets(client: Socket, server: Socket, faults: Faults, onEnd: () => void): Line {
  const lanes = {
    toServer: createLane(client, server, faults),
    toClient: createLane(server, client, faults),
  };
  const reset = () => {
    client.resetAndDestroy();
    server.resetAndDestroy();
  };
  /** What was passed on before a cut arrives, with an orderly end; the other way nothing does. */
  const cut = (direction: Direction, last: Buffer) => {
    const [from, to] = direction === 'toServer' ? [client, server] : [server, client];
    lanes.toServer.swallows = true;
    lanes.toClient.swallows = true;
    to.end(last);
    from.resetAndDestroy();
  };
  const pass = (direction: Direction, chunk: Buffer) => {
    const lane = lanes[direction];
    if (lane.swallows) return;
    const { trap, limit } = faults;
    if (direction === 'toServer' && trap?.hits(chunk)) {
      faults.trap = undefined;
      cut('toServer', trap.forward ? chunk : Buffer.alloc(0));
    } else if (limit?.direction === direction && chunk.length >= limit.bytes) {
      faults.limit = undefined;
      cut(direction, chunk.subarray(0, limit.bytes));
    } else {
      if (limit?.direction === direction) limit.bytes -= chunk.length;
      faults.passed[direction] += chunk.length;
      lane.send(chunk);
    }
  };
  const isSwallowing = () => lanes.toServer.swallows || lanes.toClient.swallows;
  client.on('data', (chunk) => pass('toServer', chunk));
  server.on('data', (chunk) => pass('toClient', chunk));
  for (const socket of [client, server]) {
    // A server that was swallowed from never hears that its client is gone.
    socket.on('close', () => {
      if (!isSwallowing() || (client.destroyed && server.destroyed)) onEnd();
    });
  }
  return {
    get isSwallowing() {
      return isSwallowing();
    },
    break: reset,
    setFlow: (flows) => {
      for (const socket of [client, server]) flows ? socket.resume() : socket.pause();
    },
    swallow: (direction) => {
      lanes[direction].swallows = true;
    },
  };
}

/** One way of a line. What waits in it keeps its order, whatever its delays. */
function createLane(from: Socket, to: Socket, faults: Faults) {
  const random: Random = randomOf(1);
  const waiting: { chunk: Buffer | 'end'; dueMs: number }[] = [];
  let lastMs = 0;
  const flush = () => {
    while (waiting[0] && waiting[0].dueMs <= performance.now()) {
      const chunk = waiting.shift()?.chunk;
      if (lane.swallows || !chunk) continue;
      if (chunk === 'end') to.end();
      else to.write(chunk);
    }
    const next = waiting[0];
    if (next) setTimeout(flush, Math.max(1, next.dueMs - performance.now()));
  };
  const send = (chunk: Buffer | 'end') => {
    if (faults.delayMs === 0 && waiting.length === 0) {
      if (chunk === 'end') to.end();
      else to.write(chunk);
      return;
    }
    const jitterMs = faults.jitterMs > 0 ? random.below(faults.jitterMs + 1) : 0;
    lastMs = Math.max(lastMs, performance.now() + faults.delayMs + jitterMs);
    waiting.push({ chunk, dueMs: lastMs });
    if (waiting.length === 1) setTimeout(flush, Math.max(1, lastMs - performance.now()));
  };
  const lane = { swallows: false, send };
  from.setNoDelay(true);
  from.on('error', () => lane.swallows || to.destroy());
  from.on('end', () => lane.swallows || send('end'));
  return lane;
}

/** A TCP proxy that passes on a commit, and keeps its answer to itself. */
interface HoldingProxy {
  url: string;
  /** Resolves when the server has answered a commit; the answer is held back. */
  held: Promise<void>;
  /** Closes every connection at once, and each new one too. */
  cut(): void;
  /** Closes every connection at once; new ones lead to another server from now on. */
  switchTo(url: string): void;
  close(): Promise<void>;
}

/** The message of a single `commit`, apart from its length. */
const COMMIT = 'commit\0';

/** Starts a proxy on a free loopback port before the server that `targetUrl` names. */
export async function startHoldingProxy(targetUrl: string): Promise<HoldingProxy> {
  let target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  let isCut = false;
  let isSwitched = false;
  let tellHeld: (() => void) | undefined;
  const held = new Promise<void>((resolve) => {
    tellHeld = resolve;
  });
  const listener = createServer((client) => {
    if (isCut) return void client.resetAndDestroy();
    const server = connect(Number(target.port || 5432), target.hostname);
    const passes = isSwitched;
    let holds = false;
    client.on('data', (chunk) => {
      holds ||= !passes && chunk.includes(COMMIT);
      server.write(chunk);
    });
    server.on('data', (chunk) => {
      if (holds) tellHeld?.();
      else client.write(chunk);
    });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from.setNoDelay(true));
      from.on('error', () => to.destroy());
      from.on('end', () => to.end());
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  const url = new URL(targetUrl);
  url.hostname = '127.0.0.1';
  url.port = typeof address === 'object' && address ? String(address.port) : '';
  const cut = () => {
    isCut = true;
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    url: url.href,
    held,
    cut,
    switchTo: (url) => {
      target = new URL(url);
      isSwitched = true;
      for (const socket of sockets) socket.resetAndDestroy();
    },
    close: async () => {
      cut();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
