import { connect, createServer, type Socket } from 'node:net';

/** A proxy that speaks for a server and answers some statements wrongly. */
export interface LyingServer {
  url: string;
  /** What clients sent as simple queries so far, before it was changed. */
  heard: string[];
  /** Answers nothing from one query on until another one has come by the same connection. */
  holdBack(from: RegExp, until: RegExp): void;
  close(): Promise<void>;
}

/** What is done to the text of a simple query before the server behind gets it. */
export type Lie = (text: string) => string;

/** Servers that are not what they look like; each behaves as PostgreSQL but for one thing. */
export const LIES = {
  /** Every session gets every advisory lock. */
  sharedLocks: (text) =>
    text.replace(/pg_catalog\.pg_(?:try_advisory_lock|advisory_unlock)\([^)]*\)/g, 'true'),
  /** There is no such function. */
  noLocks: (text) => text.replaceAll('pg_try_advisory_lock', 'pg_no_such_lock'),
  /** What is created in a transaction is there, whatever becomes of that. */
  committedDdl: (text) => text.replace(/^rollback$/, 'commit'),
  /** One statement of DDL a transaction. */
  oneDdl: (text) => (/^create table "evdb_probe/.test(text) ? NOT_SUPPORTED : text),
  /** Behind DDL there is no savepoint. */
  noSavepoints: (text) => (text.startsWith('savepoint') ? NOT_SUPPORTED : text),
  /** The way back to a savepoint leads nowhere, and nothing says so. */
  deafSavepoints: (text) => text.replace(/rollback to savepoint/, 'release savepoint'),
  /** A session forgets its settings between two messages. */
  forgetful: (text) => `reset all; ${text}`,
  /** Each message comes to another backend. */
  manyBackends: (text) =>
    text.replace(/pg_catalog\.pg_backend_pid\(\)/g, '(pg_catalog.random() * 1000000000)::integer'),
} satisfies Record<string, Lie>;

const NOT_SUPPORTED =
  "do $lie$ begin raise exception 'not supported' using errcode = 'feature_not_supported'; end $lie$";

/** Starts it on a free loopback port before the server that `targetUrl` names. */
export async function startLyingServer(targetUrl: string, lie: Lie): Promise<LyingServer> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  const heard: string[] = [];
  let hold: { from: RegExp; until: RegExp } | undefined;
  const listener = createServer((client) => {
    const server = connect(Number(target.port || 5432), target.hostname.replace(/^\[|\]$/g, ''));
    const pass = createFilter((text) => {
      heard.push(text);
      if (hold?.from.test(text)) server.pause();
      if (hold?.until.test(text)) server.resume();
      return lie(text);
    });
    client.on('data', (chunk) => server.write(pass(chunk)));
    server.on('data', (chunk) => client.write(chunk));
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from.setNoDelay(true));
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  const url = new URL(targetUrl);
  url.hostname = '127.0.0.1';
  url.port = typeof address === 'object' && address ? String(address.port) : '';
  return {
    url: url.href,
    heard,
    holdBack: (from, until) => {
      hold = { from, until };
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

/** Requests that come before the protocol's start: for TLS, for GSS encryption. */
const BEFORE_START = new Set([80877103, 80877104]);

/** Takes the bytes of a client apart into messages, and changes the texts of simple queries. */
function createFilter(change: Lie): (chunk: Buffer) => Buffer {
  let waiting = Buffer.alloc(0);
  let isStarted = false;
  return (chunk) => {
    waiting = Buffer.concat([waiting, chunk]);
    const out: Buffer[] = [];
    for (;;) {
      const head = isStarted ? 1 : 0;
      const length = waiting.length < head + 4 ? undefined : waiting.readInt32BE(head) + head;
      if (length === undefined || waiting.length < length) return Buffer.concat(out);
      const message = waiting.subarray(0, length);
      waiting = waiting.subarray(length);
      if (isStarted && message[0] === 0x51) out.push(queryMessage(change(textOf(message))));
      else out.push(message);
      isStarted ||= !BEFORE_START.has(message.readInt32BE(4));
    }
  };
}

function textOf(message: Buffer): string {
  return message.subarray(5, -1).toString('utf8');
}

function queryMessage(text: string): Buffer {
  const body = Buffer.from(`${text}\0`);
  const message = Buffer.alloc(5 + body.length);
  message.write('Q');
  message.writeInt32BE(4 + body.length, 1);
  body.copy(message, 5);
  return message;
}
