import { EvdbError } from '../errors.ts';
import type { ConnectionSet } from './connection-set.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** How a pool is, for a readiness probe or a dashboard. */
export interface PoolHealth {
  /** `degraded`: it works, but callers wait or connections cannot be opened. */
  status: 'ok' | 'degraded' | 'down';
  /** How long the server took to answer, in ms; null if it did not. */
  latencyMs: number | null;
  connections: { total: number; idle: number; used: number; pending: number; connecting: number };
  /** Such as 180004; null while no connection is open. */
  serverVersion: number | null;
  /** Why it is not `ok`. */
  error: { code: string; message: string } | null;
}

const PROBE_MILLIS = 5_000;

/** Has a connection answer `select 1`, and says what that shows. Never throws. */
export async function probeHealth(
  connections: ConnectionSet,
  signal: AbortSignal,
): Promise<PoolHealth> {
  const startedAt = performance.now();
  let latencyMs: number | null = null;
  let failure: EvdbError | undefined;
  try {
    const connection = connections.takeIdle() ?? (await takeForProbe(connections, signal));
    try {
      await connection.probe(PROBE_MILLIS);
      latencyMs = performance.now() - startedAt;
    } finally {
      connections.release(connection, performance.now());
    }
  } catch (error) {
    failure = error as EvdbError;
  }
  const { counts } = connections;
  const { lastError } = connections.connector;
  const error = lastError ?? failure ?? (counts.pending > 0 ? noneFree() : undefined);
  const isBusy = failure?.code === 'ACQUIRE_TIMEOUT' && !lastError && counts.total > 0;
  const isDown = latencyMs === null && !isBusy;
  // Whether it still holds only another attempt can tell, and nobody may need one for hours.
  const isStale = latencyMs !== null && counts.pending + counts.connecting === 0;
  if (lastError && isStale) connections.connector.connect().catch(() => undefined);
  return {
    status: isDown ? 'down' : error ? 'degraded' : 'ok',
    latencyMs,
    connections: counts,
    serverVersion: [...connections.open][0]?.session.facts.serverVersion ?? null,
    error: error ? { code: error.code, message: error.message } : null,
  };
}

/**
 * Checks again and again, one check at a time; 0 turns it off. Does not keep the process alive.
 *
 * @returns ends it
 */
export function startHealthChecks(intervalMillis: number, check: () => Promise<void>): () => void {
  if (intervalMillis === 0) return () => undefined;
  let isChecking = false;
  const timer = setInterval(async () => {
    if (isChecking) return;
    isChecking = true;
    await check();
    isChecking = false;
  }, intervalMillis);
  timer.unref();
  return () => clearInterval(timer);
}

/** Without any connection one is opened right away: a refusal is known at once then. */
async function takeForProbe(
  connections: ConnectionSet,
  signal: AbortSignal,
): Promise<PooledConnection> {
  signal.throwIfAborted();
  const { total, connecting } = connections.counts;
  if (total + connecting === 0) await connections.connector.connect();
  return connections.take({ timeoutMillis: PROBE_MILLIS, signal, explainTimeout: noneFree });
}

function noneFree(): EvdbError {
  return new EvdbError('ACQUIRE_TIMEOUT', 'all connections are in use, and callers wait', {
    hint: 'Look for statements that take long, or raise max.',
  });
}
