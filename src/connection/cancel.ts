import type { BackendKey } from './driver.ts';
import type { HostAddress } from './options.ts';
import { connectSocket } from './socket.ts';

const CANCEL_REQUEST = 80877102;
const DEADLINE_MS = 2_000;

/**
 * Sends a CancelRequest as the protocol describes it: on a connection of its own, without TLS or
 * password, answered by nothing but the end of the connection. A server that cannot be reached is
 * not an error here: whoever cancels gives the connection up anyway.
 *
 * Source: PostgreSQL manual, "Message Flow", "Canceling Requests in Progress".
 */
export async function cancelStatement(key: BackendKey, address: HostAddress): Promise<void> {
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(CANCEL_REQUEST, 4);
  request.writeUInt32BE(key.pid, 8);
  request.writeUInt32BE(key.secret, 12);
  try {
    const socket = await connectSocket(address, DEADLINE_MS);
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
      socket.setTimeout(DEADLINE_MS, () => socket.destroy());
      // Not `end`: a pooler forgets a request whose sender has gone.
      socket.write(request);
      socket.resume();
    });
  } catch {
    // said above
  }
}
