import { quoteLiteral } from '../sql/quote.ts';
import { type ReplicationRow, readReplication } from '../stats/replication.ts';
import { GIB, MINUTE_MS, renderAge, renderBytes, renderCount, SECOND_MS } from '../text/units.ts';
import {
  type DoctorCheck,
  type DoctorFinding,
  severityOf,
  unknownsOf,
  warningsOf,
} from './check.ts';

/** A slot that nobody reads fills the disk sooner or later. */
const MUCH_RETAINED_BYTES = 10 * GIB;
/** Of max_slot_wal_keep_size: so little is written in minutes. */
const LITTLE_SAFE_BYTES = GIB;

/** Slots that nobody uses, that are lost, or that are about to be. */
export function judgeSlots(rows: ReplicationRow[]): DoctorFinding[] {
  return rows
    .filter(({ kind }) => kind === 'slot')
    .flatMap((row): DoctorFinding[] => {
      const { name, state, isActive, retainedBytes, safeBytes } = row;
      if (state === 'lost' || state?.startsWith('invalid')) {
        const message = `slot ${name} is ${state}: its consumer must start over`;
        return [{ severity: 'error', message, objects: [name], fix: dropSlot(name) }];
      }
      const isShort = safeBytes !== null && safeBytes < LITTLE_SAFE_BYTES;
      const retained = retainedBytes ?? 0;
      const isBad = isShort || retained >= MUCH_RETAINED_BYTES;
      if (isActive && !isBad) return [];
      const soon = isShort ? `, ${renderBytes(Math.max(0, safeBytes))} before it is lost` : '';
      return [
        {
          severity: isBad ? 'error' : 'warning',
          message: `slot ${name} is ${isActive ? 'behind' : 'inactive'} and keeps ${renderBytes(retained)} of WAL${soon}`,
          objects: [name],
          ...(isActive
            ? {
                hint: 'Find out why its reader is slow; max_slot_wal_keep_size limits what a slot keeps.',
              }
            : { fix: `${dropSlot(name)} -- unless its consumer comes back` }),
        },
      ];
    });
}

/** For people; what is not plain ASCII is escaped. */
function dropSlot(name: string): string {
  const isPlain = /^[\x20-\x7e]*$/.test(name);
  const literal = isPlain ? `'${name.replaceAll("'", "''")}'` : quoteLiteral(name);
  return `select pg_drop_replication_slot(${literal});`;
}

export const REPLICATION_SLOTS: DoctorCheck = {
  name: 'replication-slots',
  group: 'replication',
  async examine(_session, context) {
    const { rows } = await context.once(readReplication);
    const slots = rows.filter(({ kind }) => kind === 'slot').length;
    return { findings: judgeSlots(rows), summary: renderCount(slots, 'replication slot') };
  },
};

/** Users see old data on a standby, and that much is lost where it takes over. */
const LAG_MS = { warning: 30 * SECOND_MS, error: 5 * MINUTE_MS };
const LAG_BYTES = { warning: GIB / 4, error: 4 * GIB };

/** Standbys and subscribers of this server, or this one itself, that are behind or do not stream. */
export function judgeLag(rows: ReplicationRow[]): DoctorFinding[] {
  return rows
    .filter(({ kind, isHidden }) => kind !== 'slot' && kind !== 'backup' && !isHidden)
    .flatMap(({ kind, name, state, lagMs, lagBytes }): DoctorFinding[] => {
      const who = kind === 'receiver' ? `this standby (of ${name})` : `${kind} ${name}`;
      const [ms, bytes] = [lagMs ?? 0, lagBytes ?? 0];
      const found = [severityOf(ms, LAG_MS), severityOf(bytes, LAG_BYTES)];
      const severity = found.find((one) => one === 'error') ?? found.find(Boolean);
      if (severity !== undefined) {
        const message = `${who} is ${renderBytes(bytes)}${ms > 0 ? ` and ${renderAge(ms)}` : ''} behind`;
        return [{ severity, message, objects: [name], hint: SLOW_READER }];
      }
      // One that catches up is judged by its lag.
      if (state === 'streaming' || state === 'catchup') return [];
      const message = `${who} is in state ${state}`;
      return [{ severity: 'warning', message, objects: [name], hint: LOOK_INTO_LOG }];
    });
}

const SLOW_READER =
  'On the side that is behind look for long queries that hold up replay, a slow disk or a slow network.';
const LOOK_INTO_LOG = 'The log of the other side says why it does not stream.';

export const REPLICATION_LAG: DoctorCheck = {
  name: 'replication-lag',
  group: 'replication',
  async examine(_session, context) {
    const { rows, notes } = await context.once(readReplication);
    const streams = rows.filter(({ kind }) => kind !== 'slot').length;
    return {
      // It warns of a standby that receives nothing.
      findings: [...judgeLag(rows), ...warningsOf(notes), ...unknownsOf(notes)],
      summary: streams === 0 ? 'no server replicates' : renderCount(streams, 'stream'),
    };
  },
};
