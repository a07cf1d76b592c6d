import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What a client sent: the kind of the message and, where it holds one, the statement. */
export interface Sent {
  /** `simple` is a message of its own, `parse` is prepared for one use, `prepare` for many. */
  kind: 'simple' | 'parse' | 'prepare' | 'bind' | 'terminate';
  text: string;
}

/** Passes everything on, and writes down which statements the clients sent. */
export interface Wire {
  url: string;
  /** All statements so far, without the one by which each connection introduces itself. */
  sent(): Sent[];
  /** The texts that were sent since the last call. */
  news(): string[];
  close(): Promise<void>;
}

const SSL_REQUEST = 80877103;
const KINDS: Record<string, Sent['kind']> = { Q: 'simple', P: 'parse', B: 'bind', X: 'terminate' };

/** Starts it on a free loopback port before the server that `targetUrl` names. */
export async function startWire(targetUrl: string): Promise<Wire> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  const sent: Sent[] = [];
  let seen = 0;
  const server = createServer((client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port) });
    const read = createReader((message) => sent.push(message));
    client.on('data', read);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        client.destroy();
        upstream.destroy();
        sockets.delete(socket);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(targetUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  const statements = () => sent.filter(({ text }) => !text.includes('pg_is_in_recovery'));
  return {
    url: url.href,
    sent: statements,
    news: () => {
      const all = statements().filter(({ text }) => text !== '');
      const fresh = all.slice(seen).map(({ text }) => text);
      seen = all.length;
      return fresh;
    },
    close: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      return closed;
    },
  };
}

/** Cuts the bytes of one client into messages: the first ones have no letter. */
function createReader(note: (message: Sent) => void): (part: Buffer) => void {
  let rest = Buffer.alloc(0);
  let isStarted = false;
  return (part) => {
    rest = Buffer.concat([rest, part]);
    for (;;) {
      const head = isStarted ? 1 : 0;
      if (rest.length < head + 4) return;
      const length = head + rest.readInt32BE(head);
      if (rest.length < length) return;
      const body = rest.subarray(head + 4, length);
      if (isStarted) describe(rest.toString('latin1', 0, 1), body, note);
      else isStarted = body.readInt32BE(0) !== SSL_REQUEST;
      rest = rest.subarray(length);
    }
  };
}

function describe(letter: string, body: Buffer, note: (message: Sent) => void): void {
  const kind = KINDS[letter];
  if (kind === undefined) return;
  const [first = '', second = ''] = body.toString('utf8').split('\0');
  if (kind === 'simple') note({ kind, text: first });
  else if (kind === 'parse') note({ kind: first === '' ? 'parse' : 'prepare', text: second });
  else note({ kind, text: '' });
}
