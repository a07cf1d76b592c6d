import { isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as NodeTlsOptions } from 'node:tls';
import { EvdbError } from '../errors.ts';
import { readPlainFile } from '../file-system.ts';
import type { ConnectionOptions, HostAddress } from './options.ts';

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Puts TLS on an open socket, and gives the socket to go on with. */
type Secure = (socket: Socket, signal: AbortSignal | undefined) => Promise<Socket>;

/**
 * Reads the certificates, and gives what asks the server for TLS as the protocol describes it.
 * `prefer` (and `allow`) fall back to plain text where the server offers none, as libpq's do.
 *
 * Source: PostgreSQL manual, "Message Flow", "SSL Session Encryption".
 */
export function prepareTls(options: ConnectionOptions, address: HostAddress): Secure {
  if (options.sslMode === 'disable' || address.host.startsWith('/')) return async (plain) => plain;
  const settings = tlsSettings(options, address);
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
