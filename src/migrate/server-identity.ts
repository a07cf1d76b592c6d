import type { Asked } from '../connection/session.ts';

/** Which server answers, and since which promotion. */
export interface ServerIdentity {
  /** The same on a server and its standbys; null where the role may not ask for it. */
  system: string | null;
  /** Another one after each promotion and each restore to a point in time; null on a standby. */
  timeline: number | null;
}

/**
 * The timeline is that of what is written now: `pg_control_checkpoint` knows the new one only after
 * the first checkpoint behind a promotion.
 */
export async function readServerIdentity(session: Asked): Promise<ServerIdentity> {
  const [row] = await session.run(`select case when not pg_catalog.pg_is_in_recovery()
    then pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) end as "timeline"`);
  const system = await session
    .run('select system_identifier::text as "system" from pg_catalog.pg_control_system()')
    .then(
      ([found]) => String(found?.system),
      () => null,
    );
  const { timeline } = row as { timeline: string | null };
  return { system, timeline: timeline === null ? null : Number.parseInt(timeline, 16) };
}
