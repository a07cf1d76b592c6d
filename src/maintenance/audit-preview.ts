import type { Session } from '../connection/session.ts';
import { requireRetentionDays } from './audit-cleanup.ts';
import { type EventSchemaTarget, onEventSchema, type SchemaNeed } from './event-schema.ts';
import type { StatsReport } from './stats-report.ts';

/** What a cleanup would do to one partition, or to `audit_logs_overflow`. */
export interface CleanupPreview {
  partition: string;
  /** `drop` gives its disk space back, `delete` does not. */
  action: 'drop' | 'delete';
  entries: number;
  freedBytes: number;
}

const NEED: SchemaNeed = {
  functions: { preview_audit_cleanup: ['days_to_keep'] },
  access: 'owner',
};

/**
 * Says what `cleanUpAuditLog` would remove; changes nothing.
 *
 * @throws {EvdbError} USAGE for days that are no whole number from 1, and those of `onEventSchema`
 */
export async function previewAuditCleanup(
  session: Session,
  { days, ...target }: EventSchemaTarget & { days: number },
): Promise<StatsReport<CleanupPreview>> {
  requireRetentionDays(days);
  return onEventSchema(session, target, NEED, async (prefix) => {
    const rows = await session.run(
      `select partition_name as "partition", action, entries::float8 as "entries",
        freed_bytes::float8 as "freedBytes"
      from ${prefix}preview_audit_cleanup(days_to_keep => ${days})`,
    );
    return { rows: rows as unknown as CleanupPreview[], countedSince: null, notes: [] };
  });
}
