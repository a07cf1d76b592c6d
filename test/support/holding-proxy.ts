import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy that passes on a commit, and keeps its answer to itself. */
export interface HoldingProxy {
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
