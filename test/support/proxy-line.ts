import type { Socket } from 'node:net';
import { type Random, randomOf } from './event-schema-random.ts';

export type Direction = 'toServer' | 'toClient';

/** What the proxy does to the bytes that pass it, on every line alike. */
export interface Faults {
  delayMs: number;
  jitterMs: number;
  /** Cuts the line on which the client sends `text`. */
  trap: { text: string; forward: boolean } | undefined;
  /** Cuts the line on which this many more bytes have passed. */
  limit: { direction: Direction; bytes: number } | undefined;
  /** Bytes that were passed on so far. */
  passed: Record<Direction, number>;
}

/** One connection of a client, and the one to the server that stands behind it. */
export interface Line {
  readonly isSwallowing: boolean;
  /** Resets both ends at once. */
  break(): void;
  setFlow(flows: boolean): void;
  /** Reads on one way and passes nothing on any more, not even the end. */
  swallow(direction: Direction): void;
}

/** Joins two sockets; `onEnd` is called when nothing can pass any more. */
export function joinSockets(
  client: Socket,
  server: Socket,
  faults: Faults,
  onEnd: () => void,
): Line {
  const lanes = {
    toServer: createLane(client, server, faults),
    toClient: createLane(server, client, faults),
  };
  const reset = () => {
    client.resetAndDestroy();
    server.resetAndDestroy();
  };
  /** What was passed on before a cut arrives, with an orderly end; the other way nothing does. */
  const cut = (direction: Direction, last: Buffer) => {
    const [from, to] = direction === 'toServer' ? [client, server] : [server, client];
    lanes.toServer.swallows = true;
    lanes.toClient.swallows = true;
    to.end(last);
    from.resetAndDestroy();
  };
  const pass = (direction: Direction, chunk: Buffer) => {
    const lane = lanes[direction];
    if (lane.swallows) return;
    const { trap, limit } = faults;
    if (direction === 'toServer' && trap && chunk.includes(trap.text)) {
      faults.trap = undefined;
      cut('toServer', trap.forward ? chunk : Buffer.alloc(0));
    } else if (limit?.direction === direction && chunk.length >= limit.bytes) {
      faults.limit = undefined;
      cut(direction, chunk.subarray(0, limit.bytes));
    } else {
      if (limit?.direction === direction) limit.bytes -= chunk.length;
      faults.passed[direction] += chunk.length;
      lane.send(chunk);
    }
  };
  const isSwallowing = () => lanes.toServer.swallows || lanes.toClient.swallows;
  client.on('data', (chunk) => pass('toServer', chunk));
  server.on('data', (chunk) => pass('toClient', chunk));
  for (const socket of [client, server]) {
    // A server that was swallowed from never hears that its client is gone.
    socket.on('close', () => {
      if (!isSwallowing() || (client.destroyed && server.destroyed)) onEnd();
    });
  }
  return {
    get isSwallowing() {
      return isSwallowing();
    },
    break: reset,
    setFlow: (flows) => {
      for (const socket of [client, server]) flows ? socket.resume() : socket.pause();
    },
    swallow: (direction) => {
      lanes[direction].swallows = true;
    },
  };
}

/** One way of a line. What waits in it keeps its order, whatever its delays. */
function createLane(from: Socket, to: Socket, faults: Faults) {
  const random: Random = randomOf(1);
  const waiting: { chunk: Buffer | 'end'; dueMs: number }[] = [];
  let lastMs = 0;
  const flush = () => {
    while (waiting[0] && waiting[0].dueMs <= performance.now()) {
      const chunk = waiting.shift()?.chunk;
      if (lane.swallows || !chunk) continue;
      if (chunk === 'end') to.end();
      else to.write(chunk);
    }
    const next = waiting[0];
    if (next) setTimeout(flush, Math.max(1, next.dueMs - performance.now()));
  };
  const send = (chunk: Buffer | 'end') => {
    if (faults.delayMs === 0 && waiting.length === 0) {
      if (chunk === 'end') to.end();
      else to.write(chunk);
      return;
    }
    const jitterMs = faults.jitterMs > 0 ? random.below(faults.jitterMs + 1) : 0;
    lastMs = Math.max(lastMs, performance.now() + faults.delayMs + jitterMs);
    waiting.push({ chunk, dueMs: lastMs });
    if (waiting.length === 1) setTimeout(flush, Math.max(1, lastMs - performance.now()));
  };
  const lane = { swallows: false, send };
  from.setNoDelay(true);
  from.on('error', () => lane.swallows || to.destroy());
  from.on('end', () => lane.swallows || send('end'));
  return lane;
}
