import { quoteLiteral } from '../../sql/quote.ts';
import { type ReplicationRow, readReplication } from '../../stats/replication.ts';
import { describeBytes, describeCount, GIB } from '../../text/units.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** A slot that nobody reads fills the disk sooner or later. */
const CRITICAL_BYTES = 10 * GIB;
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
      if (isActive && !isShort && retained < CRITICAL_BYTES) return [];
      const isCritical = isShort || retained >= CRITICAL_BYTES;
      const soon = isShort ? `, ${describeBytes(Math.max(0, safeBytes))} before it is lost` : '';
      return [
        {
          status: isCritical ? 'critical' : 'warning',
          object: name,
          reason: `slot ${name} is ${isActive ? 'behind' : 'inactive'} and keeps ${describeBytes(retained)} of WAL${soon}`,
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
    return { findings: judgeSlots(rows), summary: describeCount(slots, 'replication slot') };
  },
};
