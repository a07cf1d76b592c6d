import type { Lender } from './lender.ts';
import type { PoolSettings } from './options.ts';
import type { Slot } from './slot.ts';

const TICK_MILLIS = 1_000;
const PING_MILLIS = 5_000;

/**
 * Looks after the connections: ends those whose server does not answer, closes what idled too long
 * or is too old, uses the others now and then, and opens what is missing for `min`. Does not keep
 * the process alive.
 *
 * @returns ends it
 */
export function startKeeper(lender: Lender, settings: PoolSettings): () => void {
  const smallest = Math.min(
    ...[settings.idleTimeoutMillis, settings.keepaliveIntervalMillis].filter((time) => time > 0),
    TICK_MILLIS,
  );
  const timer = setInterval(() => tend(lender, settings), Math.max(smallest, 10));
  timer.unref();
  return () => clearInterval(timer);
}

function tend(lender: Lender, settings: PoolSettings): void {
  const { idleTimeoutMillis, keepaliveIntervalMillis, min } = settings;
  const now = performance.now();
  for (const slot of lender.slots) slot.checkDeadline(now);
  // The least used come first: those are the ones that can go.
  for (const slot of [...lender.idleSlots]) {
    if (now >= slot.expiresAt) {
      lender.retire(slot, 'lifetime');
    } else if (
      idleTimeoutMillis > 0 &&
      now - slot.idleSince >= idleTimeoutMillis &&
      lender.counts.total > min
    ) {
      lender.retire(slot, 'idle');
    } else if (keepaliveIntervalMillis > 0 && now - slot.provenAt >= keepaliveIntervalMillis) {
      if (lender.withdraw(slot)) void ping(lender, slot);
    }
  }
  lender.fill();
}

async function ping(lender: Lender, slot: Slot): Promise<void> {
  try {
    await slot.probe(PING_MILLIS);
    lender.restore(slot);
  } catch {
    lender.discard(slot, 'validation');
  }
}
