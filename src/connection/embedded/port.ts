import { createHash } from 'node:crypto';
import { EvdbError } from '../../errors.ts';

const LOOPBACK = '127.0.0.1';

// below the range from which systems give ports to outgoing connections
const FIRST_PORT = 20000;
const PORT_COUNT = 10000;
const ATTEMPTS = 100;

export interface ChoosePortOptions {
  /** The folder the server belongs to: the same folder tends to get the same port. */
  directory: string;
  /** The port of the last start, if any. */
  preferred: number | undefined;
  /** A port that must be had. */
  pinned: number | undefined;
}

/**
 * Finds a free loopback port.
 *
 * @throws {EvdbError} PORT_TAKEN when the pinned port, or every port tried, cannot be had
 */
export async function choosePort(options: ChoosePortOptions): Promise<number> {
  const { pinned, preferred, directory } = options;
  if (pinned !== undefined) {
    const errno = await findPortError(pinned);
    if (errno === undefined) return pinned;
    throw portTaken(`port ${pinned} on ${LOOPBACK} cannot be used (${errno})`, { port: pinned });
  }
  if (preferred && (await isPortFree(preferred))) return preferred;
  const start = createHash('sha256').update(directory).digest().readUInt32BE(0) % PORT_COUNT;
  for (let step = 0; step < ATTEMPTS; step += 1) {
    const port = FIRST_PORT + ((start + step) % PORT_COUNT);
    if (await isPortFree(port)) return port;
  }
  const first = FIRST_PORT + start;
  throw portTaken(`${ATTEMPTS} ports on ${LOOPBACK}, from ${first} on, are all in use`, { first });
}

export async function isPortFree(port: number): Promise<boolean> {
  return (await findPortError(port)) === undefined;
}

/** Why one cannot listen on a loopback port, such as EADDRINUSE; undefined when one can. */
async function findPortError(port: number): Promise<string | undefined> {
  const { createServer } = await import('node:net');
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'UNKNOWN'));
    server.listen({ host: LOOPBACK, port, exclusive: true }, () => {
      server.close(() => resolve(undefined));
    });
  });
}

function portTaken(message: string, details: Record<string, unknown>): EvdbError {
  return new EvdbError('PORT_TAKEN', message, {
    hint: 'Stop the program that listens there, or let evdb choose the port.',
    details,
  });
}
