import type { PoolHealth } from './health.ts';
import type { LenderReports } from './lender.ts';
import type { DiscardReason, PoolMetricsRecorder } from './metrics.ts';

/** What a pool tells those who listen, as `pool.on(name, listener)`. No event holds a parameter. */
export interface PoolEvents {
  connect: [{ pid: number; durationMs: number }];
  disconnect: [{ pid: number; reason: DiscardReason }];
  acquire: [{ pid: number; waitMs: number }];
  release: [{ pid: number; useMs: number }];
  slowQuery: [{ pid: number; text: string; durationMs: number }];
  health: [PoolHealth];
  /** `stack` says where the connection was borrowed. */
  leak: [{ pid: number; heldMs: number; stack: string }];
}

/** Tells an event; what it holds is made only where somebody listens. */
export type Tell = <K extends keyof PoolEvents>(name: K, make: () => PoolEvents[K][0]) => void;

/** Counts and tells what the lender does. */
export function reportTo(metrics: PoolMetricsRecorder, tell: Tell): LenderReports {
  return {
    connected: (slot, durationMs) => {
      metrics.recordCreate(durationMs);
      tell('connect', () => ({ pid: slot.session.facts.pid, durationMs }));
    },
    connectFailed: (error) => metrics.recordConnectFailure(error.code),
    disconnected: (slot, reason) => {
      metrics.recordDiscard(reason);
      tell('disconnect', () => ({ pid: slot.session.facts.pid, reason }));
    },
    reset: metrics.recordReset,
  };
}
