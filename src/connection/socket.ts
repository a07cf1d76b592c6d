import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import type { HostAddress } from './options.ts';

/** A query of the driver, which can be settled from outside. */
export interface CopyQuery extends Promise<unknown> {
  resolve(value: unknown): void;
}

/**
 * Feeds the rows to a `copy … from stdin`.
 *
 * The driver settles such a query with a stream when the server asks for rows, and once more, heard
 * by nobody, when the server has the last word: so an error behind the last row would be lost, and
 * the stream would never end. Here the second word counts, and the stream is only a place to write.
 *
 * @param query not sent yet; nothing may be sent behind it before it is done
 * @param start sends the query, and settles as it does
 * @param rows bytes or text in pieces of any size; where they throw, the copy fails on the server
 *   too, and what they threw is thrown
 */
export async function runCopyIn(
  query: CopyQuery,
  start: () => Promise<unknown>,
  rows: AsyncIterable<Buffer | string> | Iterable<Buffer | string>,
): Promise<void> {
  const settle = query.resolve;
  let open: (stream: Writable | undefined) => void = () => undefined;
  const opened = new Promise<Writable | undefined>((resolve) => {
    open = resolve;
  });
  query.resolve = (value) => {
    if (value instanceof Writable) open(value);
    else settle(value);
  };
  const done = start();
  const pump: Pump = { isOver: false, wake: () => undefined };
  const stop = () => {
    pump.isOver = true;
    pump.wake();
    open(undefined);
  };
  done.then(stop, stop);
  const stream = await opened;
  if (stream) await feed(stream, rows, pump, done);
  await done;
}

interface Pump {
  /** Whether the server has answered: it takes no more rows. */
  isOver: boolean;
  /** Ends the wait for a piece to be on its way. */
  wake: () => void;
}

async function feed(
  stream: Writable,
  rows: AsyncIterable<Buffer | string> | Iterable<Buffer | string>,
  pump: Pump,
  done: Promise<unknown>,
): Promise<void> {
  // The driver destroys the stream with the error that `done` tells.
  stream.on('error', () => undefined);
  try {
    // One piece is read while the one before is still on its way.
    let before = Promise.resolve();
    let wake: () => void = () => undefined;
    for await (const piece of rows) {
      if (pump.isOver) return;
      pump.wake = wake;
      const sent = new Promise<void>((resolve) => {
        wake = resolve;
        stream.write(piece, () => resolve());
      });
      await before;
      before = sent;
    }
  } catch (error) {
    stream.destroy(new Error('the rows ended early'));
    await done.catch(() => undefined);
    throw error;
  }
  if (!pump.isOver) stream.end();
}

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
