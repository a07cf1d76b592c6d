import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { type AuditEntry, entryColumns, parseEntry } from './audit-entry.ts';
import { type EventSchemaTarget, onEventSchema, type SchemaNeed } from './event-schema.ts';

/** Which entries; all that are given have to fit. */
export interface AuditFilter {
  table?: string | undefined;
  /** Primary key of the row. */
  record?: number | undefined;
  actor?: string | undefined;
  /** From this moment on. */
  since?: Date | undefined;
  /** Until before this moment. */
  until?: Date | undefined;
}

export interface ReadAuditLogOptions extends EventSchemaTarget, AuditFilter {
  /** How many entries at most, from 1; default 20. */
  limit?: number | undefined;
  /** `next` of the page before. */
  before?: string | undefined;
}

export interface AuditLogPage {
  /** The newest first. */
  rows: AuditEntry[];
  /** Asks for the next page, which has older entries; null on the last one. */
  next: string | null;
}

const NEED: SchemaNeed = {
  functions: { audit_log_changes: ['p_before_created_at', 'p_before_id'] },
  access: 'audit',
};

/**
 * Reads a page of the audit log, the newest entries first. Pages are told apart by the last entry
 * read, so entries that come in between neither shift nor repeat any.
 *
 * @throws {EvdbError} USAGE for a `before` that is none, and those of `onEventSchema`
 * @example
 * const { rows, next } = await readAuditLog(session, { table: 'events', record: 7 });
 */
export async function readAuditLog(
  session: Session,
  options: ReadAuditLogOptions = {},
): Promise<AuditLogPage> {
  const { limit = 20, table, record, actor, since, until } = options;
  const before = options.before === undefined ? undefined : parseAuditCursor(options.before);
  return onEventSchema(session, options, NEED, async (prefix) => {
    // Times go as text, because the driver would cut their microseconds off.
    const rows = await session.query(
      `select ${entryColumns('c')}
      from ${prefix}audit_log_changes(
        p_table => $1::text, p_row_id => $2::integer, p_actor => $3::text,
        p_since => $4::text::timestamptz, p_until => $5::text::timestamptz, p_limit => $6::integer,
        p_before_created_at => $7::text::timestamptz, p_before_id => $8::bigint) c
      order by c.created_at desc, c.id desc`,
      [
        table ?? null,
        record?.toString() ?? null,
        actor ?? null,
        since?.toISOString() ?? null,
        until?.toISOString() ?? null,
        // One more tells whether there is another page.
        String(limit + 1),
        before?.createdAt ?? null,
        before?.id ?? null,
      ],
      false,
    );
    const entries = rows.slice(0, limit).map(parseEntry);
    const last = rows.length > limit ? entries.at(-1) : undefined;
    return { rows: entries, next: last ? `${last.createdAt}/${last.id}` : null };
  });
}

const CURSOR = /^(\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)\/(\d{1,19})$/;

/**
 * Checks a cursor, before anything is asked.
 *
 * @throws {EvdbError} USAGE
 */
export function parseAuditCursor(cursor: string): { createdAt: string; id: string } {
  const [, createdAt, id] = CURSOR.exec(cursor) ?? [];
  if (createdAt !== undefined && id !== undefined) return { createdAt, id };
  throw new EvdbError('USAGE', `"${cursor}" is not the end of a page of the audit log`, {
    hint: 'Give what the page before names as its end, such as 2026-11-22T19:46:49.700000Z/46.',
  });
}
