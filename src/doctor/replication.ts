import type { ReportNote } from '../report/columns.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { type ReplicationRow, readReplication } from '../stats/replication.ts';
import { GIB, MINUTE_MS, renderAge, renderBytes, renderCount, SECOND_MS } from '../text/units.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

/** Users see old data on a standby, and that much is lost where it takes over. */
const WARNING_MS = 30 * SECOND_MS;
const CRITICAL_MS = 5 * MINUTE_MS;
const WARNING_BYTES = GIB / 4;
const LAG_CRITICAL_BYTES = 4 * GIB;

/** Standbys of this server, or this one itself, that are behind or do not stream. */
export function judgeLag(rows: ReplicationRow[]): DoctorFinding[] {
  return rows
    .filter(({ kind, isHidden }) => kind !== 'slot' && !isHidden)
    .flatMap(({ kind, name, state, lagMs, lagBytes }): DoctorFinding[] => {
      const who = kind === 'receiver' ? `this standby (of ${name})` : `standby ${name}`;
      const [ms, bytes] = [lagMs ?? 0, lagBytes ?? 0];
      if (ms >= WARNING_MS || bytes >= WARNING_BYTES) {
        const isCritical = ms >= CRITICAL_MS || bytes >= LAG_CRITICAL_BYTES;
        const reason = `${who} is ${renderBytes(bytes)}${ms > 0 ? ` and ${renderAge(ms)}` : ''} behind`;
        return [{ status: isCritical ? 'critical' : 'warning', object: name, reason, fix: null }];
      }
      // A base backup is no standby, and one that catches up is judged by its lag.
      if (state === 'streaming' || state === 'backup' || state === 'catchup') return [];
      return [
        { status: 'warning', object: name, reason: `${who} is in state ${state}`, fix: null },
      ];
    });
}

/** A standby that receives nothing. */
function detachedOf(notes: ReportNote[]): DoctorFinding[] {
  return notes
    .filter(({ level }) => level === 'warning')
    .map(({ text, hint }) => ({
      status: 'warning',
      object: null,
      reason: text,
      fix: hint ?? null,
    }));
}

export const REPLICATION_LAG: DoctorCheck = {
  name: 'replication-lag',
  group: 'replication',
  async examine(_session, context) {
    const { rows, notes } = await context.once(readReplication);
    const streams = rows.filter(({ kind }) => kind !== 'slot').length;
    return {
      findings: [...judgeLag(rows), ...detachedOf(notes), ...unknownsOf(notes)],
      summary: streams === 0 ? 'no server replicates' : renderCount(streams, 'stream'),
    };
  },
};

/** A slot that nobody reads fills the disk sooner or later. */
const SLOT_CRITICAL_BYTES = 10 * GIB;
/** Of max_slot_wal_keep_size: so little is written in minutes. */
const CRITICAL_SAFE_BYTES = GIB;

const drop = (name: string) => `select pg_drop_replication_slot(${plainLiteral(name)});`;

/** Slots that nobody uses, that are lost, or that are about to be. */
export function judgeSlots(rows: ReplicationRow[]): DoctorFinding[] {
  return rows
    .filter(({ kind }) => kind === 'slot')
    .flatMap((row): DoctorFinding[] => {
      const { name, state, isActive, retainedBytes, safeBytes } = row;
      if (state === 'lost' || state?.startsWith('invalid')) {
        const reason = `slot ${name} is ${state}: who used it must begin anew`;
        return [{ status: 'critical', object: name, reason, fix: drop(name) }];
      }
      const isShort = safeBytes !== null && safeBytes < CRITICAL_SAFE_BYTES;
      const retained = retainedBytes ?? 0;
      if (isActive && !isShort && retained < SLOT_CRITICAL_BYTES) return [];
      const isCritical = isShort || retained >= SLOT_CRITICAL_BYTES;
      const soon = isShort ? `, ${renderBytes(Math.max(0, safeBytes))} before it is lost` : '';
      return [
        {
          status: isCritical ? 'critical' : 'warning',
          object: name,
          reason: `slot ${name} is ${isActive ? 'behind' : 'inactive'} and keeps ${renderBytes(retained)} of WAL${soon}`,
          fix: isActive ? null : `${drop(name)} -- unless its reader comes back`,
        },
      ];
    });
}

/** For people; what is not plain ASCII is escaped. */
function plainLiteral(name: string): string {
  return /^[\x20-\x7e]*$/.test(name) ? `'${name.replaceAll("'", "''")}'` : quoteLiteral(name);
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
