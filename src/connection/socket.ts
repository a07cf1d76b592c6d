/**
 * The socket below the driver: how it is opened, how TLS is put on it, and what the server says last.
 * Loaded only where something is connected to.
 */

import { connect, isIP, type Socket } from 'node:net';
import type { ConnectionOptions as NodeTlsOptions } from 'node:tls';
import { EvdbError } from '../errors.ts';
import { readPlainFile } from '../file-system.ts';
import type { ConnectionOptions, HostAddress } from './options.ts';

/** Opens a socket, with TLS on it where that is wanted. */
export async function openSocket(
  options: ConnectionOptions,
  address: HostAddress,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const secure = await prepareTls(options, address);
  return secure(await connectSocket(address, options.connectTimeoutMs, signal), signal);
}

/** Opens a TCP or Unix socket, bounded by one deadline and an abort signal. */
export async function connectSocket(
  address: HostAddress,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Socket> {
  signal?.throwIfAborted();
  const isUnixSocket = address.host.startsWith('/');
  const socket = isUnixSocket
    ? connect({ path: `${address.host}/.s.PGSQL.${address.port}` })
    : connect({ host: address.host, port: address.port, noDelay: true, keepAlive: true });
  // The driver reads the name for TLS's server name indication from here.
  Object.assign(socket, { host: address.host, port: address.port });
  // Between the connect and the driver's own listener nobody else would hear of a reset.
  socket.on('error', () => undefined);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(connectTimeout(address)), timeoutMs);
    const onAbort = () => fail(signal?.reason);
    const fail = (error: unknown) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeListener('error', fail);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
  });
}

function connectTimeout(address: HostAddress): Error {
  return Object.assign(new Error(`no answer from ${address.host}:${address.port}`), {
    code: 'ETIMEDOUT',
  });
}

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Puts TLS on an open socket, and gives the socket to go on with. */
type Secure = (socket: Socket, signal: AbortSignal | undefined) => Promise<Socket>;

/**
 * Reads the certificates, and gives what asks the server for TLS as the protocol describes it.
 * `prefer` (and `allow`) fall back to plain text where the server offers none, as libpq's do.
 *
 * Source: PostgreSQL manual, "Message Flow", "SSL Session Encryption".
 */
async function prepareTls(options: ConnectionOptions, address: HostAddress): Promise<Secure> {
  if (options.sslMode === 'disable' || address.host.startsWith('/')) return async (plain) => plain;
  const settings = tlsSettings(options, address);
  // Only now, because loading it takes longer than connecting.
  const { connect: connectTls } = await import('node:tls');
  const servername = isIP(address.host) ? {} : { servername: address.host };
  return async (plain, signal) => {
    const limit = { timeoutMs: options.connectTimeoutMs, signal };
    plain.write(SSL_REQUEST);
    const answer = await settled<Buffer>(plain, 'data', limit);
    // What came along with the answer was not encrypted, so it need not be from the server.
    const said = answer.length === 1 ? answer.toString('latin1') : '';
    if (said === 'N' && mayBePlain(options)) return plain;
    if (said !== 'S') {
      plain.destroy();
      throw said === 'N'
        ? coded('ERR_TLS_NOT_OFFERED', 'the server does not offer it')
        : coded('UNEXPECTED_ANSWER', 'what answers there does not speak as PostgreSQL does');
    }
    const secure = connectTls({ socket: plain, ...servername, ...settings });
    await settled(secure, 'secureConnect', limit);
    return secure;
  };
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function mayBePlain({ sslMode, sslRootCert }: ConnectionOptions): boolean {
  return (sslMode === 'prefer' || sslMode === 'allow') && sslRootCert !== 'system';
}

/** Waits for an event of a socket; its error, its end, the deadline and the signal come before it. */
function settled<T>(
  socket: Socket,
  event: 'data' | 'secureConnect',
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onClose = () => fail(coded('ECONNRESET', 'the server closed the connection'));
    const onAbort = () => fail(signal?.reason);
    const timer = setTimeout(() => fail(coded('ETIMEDOUT', 'no answer')), timeoutMs);
    const succeed = (value: T) => {
      settle();
      resolve(value);
    };
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', fail).off('close', onClose).off(event, succeed);
      // Until the driver listens nobody else would hear of a reset.
      socket.on('error', () => undefined);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', fail).once('close', onClose).once(event, succeed);
  });
}

/**
 * The host is named because an address has no server name, and Node would look for `localhost` in
 * its certificate then.
 */
function tlsSettings(options: ConnectionOptions, { host }: HostAddress): NodeTlsOptions {
  const { sslMode } = options;
  const files = {
    host,
    ...(options.sslRootCert && options.sslRootCert !== 'system'
      ? { ca: readPem(options.sslRootCert) }
      : {}),
    ...(options.sslCert ? { cert: readPem(options.sslCert) } : {}),
    ...(options.sslKey ? { key: readPem(options.sslKey) } : {}),
    ...Object.fromEntries(Object.entries(options.tls ?? {}).filter(([, pem]) => pem !== undefined)),
  };
  if (sslMode === 'verify-full' || options.sslRootCert === 'system') return files;
  // libpq: a root certificate turns `require` into `verify-ca`
  if (sslMode === 'verify-ca' || (sslMode === 'require' && options.sslRootCert)) {
    return { ...files, checkServerIdentity: () => undefined };
  }
  if (sslMode === 'require') return { ...files, rejectUnauthorized: false };
  return { rejectUnauthorized: false };
}

function readPem(path: string): Buffer {
  try {
    return readPlainFile(path);
  } catch (cause) {
    throw new EvdbError('CONFIG_INVALID', `cannot read the certificate file ${path}`, {
      hint: 'Check sslrootcert, sslcert and sslkey.',
      cause,
    });
  }
}

/** What a server says before it closes a connection, field by field as the driver names them. */
export interface LastWords {
  severity: string;
  code: string;
  message: string;
  detail?: string;
  hint?: string;
}

/**
 * Hears what the server says last. The driver waits for what follows an error, and nothing follows a
 * fatal one, so it tells of a closed connection only; and of what comes while nothing runs it tells
 * nobody.
 *
 * @returns reads what the server said before it closed the connection, where it said anything
 */
export function hearLastWords(socket: Socket): () => LastWords | undefined {
  // Read only where a connection is lost: all that happens on the way of every answer is this.
  let before: Buffer | undefined;
  let last: Buffer | undefined;
  socket.on('data', (chunk: Buffer) => {
    before = last;
    last = chunk;
  });
  return () => {
    if (last === undefined) return undefined;
    return readFatal(last) ?? (before && readFatal(Buffer.concat([before, last])));
  };
}

const FIELDS: Record<string, keyof LastWords> = {
  C: 'code',
  M: 'message',
  D: 'detail',
  H: 'hint',
};

/** The longest that is looked at; the server's messages of this kind are one line. */
const LONGEST = 8192;

/**
 * Finds an error message that ends where the bytes do. It cannot be taken for something else: no
 * value in text format holds a zero byte, which is what its length begins with.
 */
function readFatal(bytes: Buffer): LastWords | undefined {
  const first = Math.max(0, bytes.length - LONGEST);
  for (let at = bytes.length - 7; at >= first; at--) {
    const isMessage = bytes[at] === 0x45 && bytes.readUInt32BE(at + 1) === bytes.length - at - 1;
    if (isMessage) return fatalOf(bytes.toString('utf8', at + 5, bytes.length));
  }
  return undefined;
}

/** `V` is the severity in English; poolers send `S` alone, which is English with them. */
function fatalOf(text: string): LastWords | undefined {
  const said: Record<string, string> = {};
  for (const field of text.split('\0')) {
    const key = field[0];
    if (key !== undefined) said[key] = field.slice(1);
  }
  const severity = said.V ?? said.S;
  if (severity !== 'FATAL' && severity !== 'PANIC') return undefined;
  const words: LastWords = { severity, code: '', message: '' };
  for (const [key, name] of Object.entries(FIELDS)) {
    const value = said[key];
    if (value !== undefined) words[name] = value;
  }
  return words;
}
