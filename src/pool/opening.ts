import { codeOf } from '../connection/connection-error.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { openSession, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import type { PoolSettings } from './options.ts';
import { Slot } from './slot.ts';
import { APPLICATION_CODEC } from './values.ts';

export interface OpenSlotOptions {
  connection: ConnectionOptions;
  settings: PoolSettings;
  signal: AbortSignal;
  /** Called once when the opened connection is gone. */
  onClose: (slot: Slot) => void;
}

/**
 * Opens one connection. What its sessions shall hold goes along with the opening, so that
 * `reset all` comes back to it; a pooler that refuses that gets a plain one.
 *
 * @throws {EvdbError} as `openSession`
 */
export async function openSlot(options: OpenSlotOptions): Promise<Slot> {
  const { settings } = options;
  let slot: Slot | undefined;
  const onClose = () => {
    if (!slot) return;
    slot.isDead = true;
    options.onClose(slot);
  };
  const session = await openWithParameters(options, onClose);
  const jitter = 0.9 + Math.random() * 0.2;
  const lifetime = settings.maxLifetimeMillis * jitter;
  slot = new Slot(session, {
    settings,
    expiresAt: lifetime > 0 ? performance.now() + lifetime : Number.POSITIVE_INFINITY,
    prepares: settings.prepare === 'auto' ? !session.facts.isPooled : settings.prepare,
  });
  return slot;
}

async function openWithParameters(
  { connection, settings, signal }: OpenSlotOptions,
  onClose: () => void,
): Promise<Session> {
  const codec = APPLICATION_CODEC;
  // PgBouncer takes the second choice; what stands between may take none.
  const choices = [{ ...READABLE, ...timeLimits(settings) }, DATES, {}];
  for (const parameters of choices) {
    try {
      const opening = {
        ...{ codec, onClose, signal, parameters },
        ...{ pipelines: false, keepsTimeLimits: true },
      };
      return await openSession(connection, opening);
    } catch (error) {
      const isRefused = codeOf((error as Error).cause) === '08P01';
      if (!isRefused || parameters === choices.at(-1)) throw error;
    }
  }
  throw new EvdbError('INTERNAL', 'no way of opening a session was tried');
}

const DATES = { DateStyle: 'ISO' };

/** How the codec expects values, whatever the database or the role is set to. */
const READABLE = { ...DATES, bytea_output: 'hex' };

/** Settings that end what takes too long; behind a pooler they come with each transaction. */
function timeLimits(settings: PoolSettings): Record<string, string> {
  const { statementTimeoutMillis: statement, idleInTransactionTimeoutMillis: idle } = settings;
  return {
    ...(statement > 0 ? { statement_timeout: String(Math.ceil(statement)) } : {}),
    ...(idle > 0 ? { idle_in_transaction_session_timeout: String(Math.ceil(idle)) } : {}),
  };
}
