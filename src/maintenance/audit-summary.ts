import type { Session } from '../connection/session.ts';
import { renderMoment } from './audit-entry.ts';
import type { AuditFilter } from './audit-log.ts';
import { type EventSchemaTarget, onEventSchema, type SchemaNeed } from './event-schema.ts';
import type { StatsReport } from './stats-report.ts';

/** By what entries can be counted; days are those of UTC. */
export type AuditDimension = 'day' | 'table' | 'operation' | 'actor';

/** How many entries there are of one kind; only what was asked for is set. */
export interface AuditSummaryRow {
  /** Such as `2026-11-22`, in UTC. */
  day?: string;
  table?: string;
  operation?: string;
  /** Null where no actor was named. */
  actor?: string | null;
  entries: number;
  /** ISO 8601 in UTC, with microseconds. */
  firstAt: string;
  lastAt: string;
}

export interface AuditSummaryOptions
  extends EventSchemaTarget,
    Pick<AuditFilter, 'since' | 'until'> {
  /** In the order of the columns; default table and operation. */
  by?: readonly AuditDimension[] | undefined;
  /** How many rows at most; default 1000. */
  limit?: number | undefined;
}

const NEED: SchemaNeed = { functions: { audit_log_changes: [] }, access: 'audit' };

const EXPRESSIONS: Record<AuditDimension, string> = {
  day: `pg_catalog.to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD')`,
  table: 'e.table_name',
  operation: 'e.operation',
  actor: 'e.actor',
};

/**
 * Counts the entries of the audit log. Days come newest first, within them the most entries first.
 *
 * @throws {EvdbError} as `onEventSchema`
 * @example
 * const { rows } = await readAuditSummary(session, { by: ['actor'], since: lastWeek });
 */
export async function readAuditSummary(
  session: Session,
  options: AuditSummaryOptions = {},
): Promise<StatsReport<AuditSummaryRow>> {
  const { by = ['table', 'operation'], since, until, limit = 1000 } = options;
  return onEventSchema(session, options, NEED, async (prefix) => {
    const columns = by.map((name) => `${EXPRESSIONS[name]} as "${name}"`);
    const groups = by.map((_, index) => index + 1);
    const order = by.includes('day') ? `"day" desc, "entries" desc` : `"entries" desc`;
    const rows = await session.query(
      `select ${[...columns, ''].join(', ')}count(*)::float8 as "entries",
        ${renderMoment('min(e.created_at)')} as "firstAt", ${renderMoment('max(e.created_at)')} as "lastAt"
      from ${prefix}audit_log_entries e
      where ($1::text is null or e.created_at >= $1::text::timestamptz)
        and ($2::text is null or e.created_at < $2::text::timestamptz)
      group by ${groups.join(', ')}
      order by ${order}, ${groups.join(', ')}
      limit $3::integer`,
      [since?.toISOString() ?? null, until?.toISOString() ?? null, String(limit + 1)],
      false,
    );
    return {
      rows: rows.slice(0, limit) as unknown as AuditSummaryRow[],
      countedSince: since ?? (await readOldest(session, prefix)),
      notes:
        rows.length > limit
          ? [{ level: 'info', text: `only the first ${limit} rows are shown`, hint: '--limit' }]
          : [],
    };
  });
}

/** Along the primary key of each partition, whatever they hold. */
async function readOldest(session: Session, prefix: string): Promise<Date | null> {
  const [row] = await session.run(`select min(e.at) as "oldest" from (
    select min(a.created_at) as at from ${prefix}audit_logs a
    union all select min(o.created_at) from ${prefix}audit_logs_overflow o) e`);
  return (row?.oldest as Date | null) ?? null;
}
