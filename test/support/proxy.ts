import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy before a server, whose line can be cut or fall silent. */
export interface FaultyProxy {
  /** The server's URL by way of the proxy. */
  url: string;
  /** How many connections it holds. */
  connections(): number;
  /** Closes all connections at once and refuses new ones until `restore`. */
  cut(): void;
  /** Keeps every connection, new ones too, and forwards nothing until `restore`. */
  silence(): void;
  /** Forwards again: first what piled up, then what comes. */
  restore(): void;
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
  trap: { text: string; forward: boolean } | undefined;
}

interface Line {
  client: Socket;
  server: Socket;
}

/** Starts a proxy on a free loopback port before the server that `targetUrl` names. */
export async function startProxy(targetUrl: string): Promise<FaultyProxy> {
  const target = new URL(targetUrl);
  const state: State = { mode: 'open', lines: new Set(), trap: undefined };
  const listener = createServer((client) => join(state, client, target));
  const port = await listen(listener);
  const url = new URL(targetUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  return {
    url: url.href,
    connections: () => state.lines.size,
    cut: () => {
      state.mode = 'cut';
      for (const line of state.lines) breakLine(line);
    },
    silence: () => {
      state.mode = 'silent';
      for (const line of state.lines) setFlow(line, false);
    },
    restore: () => {
      state.mode = 'open';
      for (const line of state.lines) setFlow(line, true);
    },
    cutOn: (text, { forward }) => {
      state.trap = { text, forward };
    },
    close: () => {
      for (const line of state.lines) breakLine(line);
      return new Promise((resolve) => listener.close(() => resolve()));
    },
  };
}

function listen(listener: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', () => {
      const address = listener.address();
      if (address && typeof address === 'object') resolve(address.port);
    });
  });
}

function join(state: State, client: Socket, target: URL): void {
  if (state.mode === 'cut') {
    client.resetAndDestroy();
    return;
  }
  const server = connect(Number(target.port || 5432), target.hostname.replace(/^\[|\]$/g, ''));
  const line = { client, server };
  state.lines.add(line);
  client.on('data', (chunk) => forwardToServer(state, line, chunk));
  server.on('data', (chunk) => client.write(chunk));
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.setNoDelay(true);
    from.on('error', () => to.destroy());
    from.on('end', () => to.end());
    from.on('close', () => state.lines.delete(line));
  }
  if (state.mode === 'silent') setFlow(line, false);
}

function forwardToServer(state: State, line: Line, chunk: Buffer): void {
  const trap = state.trap;
  if (!trap || !chunk.includes(trap.text)) {
    line.server.write(chunk);
    return;
  }
  state.trap = undefined;
  line.server.removeAllListeners('data').resume();
  // An orderly end: the server still reads, and acts on, what was sent before it.
  if (trap.forward) line.server.end(chunk);
  else line.server.destroy();
  line.client.resetAndDestroy();
}

function breakLine({ client, server }: Line): void {
  client.resetAndDestroy();
  server.resetAndDestroy();
}

function setFlow({ client, server }: Line, flows: boolean): void {
  for (const socket of [client, server]) {
    if (flows) socket.resume();
    else socket.pause();
  }
}
