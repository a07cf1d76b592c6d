import type { Socket } from 'node:net';
import type { HostAddress } from './options.ts';

/** Opens a TCP or Unix socket, bounded by one deadline and an abort signal. */
export async function connectSocket(
  address: HostAddress,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Socket> {
  const { connect } = await import('node:net');
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
