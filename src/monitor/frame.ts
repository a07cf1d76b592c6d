import type { ActivityRow } from '../stats/activity.ts';
import type { LockRow } from '../stats/locks.ts';
import type { ReplicationRow } from '../stats/replication.ts';
import {
  COUNTERS,
  type CounterName,
  type EventQueue,
  type MonitorLook,
  type MonitorPulse,
} from './look.ts';
import {
  counterRate,
  type EventRate,
  rateStatements,
  registrationRate,
  type StatementRate,
  saleRows,
} from './rates.ts';

/** A look as a program reads it. What was not read is null. */
export interface MonitorFrame extends Pick<MonitorPulse, 'database' | 'connections' | 'waits'> {
  at: Date;
  /** A second, since the look before; null in the first look, and where the server does not say. */
  rates: Record<CounterName, number | null>;
  activity: ActivityRow[] | null;
  locks: LockRow[] | null;
  /** Those that ran in the last half minute. */
  statements: StatementRate[] | null;
  replication: ReplicationRow[] | null;
  sale: {
    registrationsPerSecond: number | null;
    events: EventRate[];
    queues: EventQueue[];
  } | null;
  notes: string[];
}

/**
 * The last look, with what happened since the looks before it.
 *
 * @param looks oldest first, at least one
 * @example
 * const frame = await withInspection(connection, async (session) =>
 *   frameOf([await createMonitorReader(session).look(MONITOR_VIEWS)]),
 * );
 */
export function frameOf(looks: readonly MonitorLook[]): MonitorFrame {
  const [look, before] = [looks.at(-1), looks.at(-2)];
  if (!look) throw new Error('there is no look');
  const { pulse, activity, locks, replication, sale, notes } = look;
  const rateOf = (name: CounterName) => (before ? counterRate(before, look, name) : null);
  return {
    ...{ at: pulse.at, database: pulse.database, connections: pulse.connections },
    rates: Object.fromEntries(
      COUNTERS.map((name) => [name, rateOf(name)]),
    ) as MonitorFrame['rates'],
    waits: pulse.waits,
    activity: activity ?? null,
    locks: locks ?? null,
    statements: look.statements ? rateStatements(looks) : null,
    replication: replication ?? null,
    sale: sale
      ? {
          registrationsPerSecond: registrationRate(looks),
          events: saleRows(looks),
          queues: sale.queues,
        }
      : null,
    notes,
  };
}
