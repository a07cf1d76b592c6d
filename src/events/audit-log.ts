import type { Row, Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import type { StatsReport } from '../report/columns.ts';
import { type EventSchemaTarget, onEventSchema, type SchemaNeed } from './event-schema.ts';

/** Which entries; all given conditions must match. */
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

/** Which entries are read, and how many. */
export interface ReadAuditLogOptions extends EventSchemaTarget, AuditFilter {
  /** The highest number of entries, from 1; default 20. */
  limit?: number | undefined;
  /** `next` of the page before. */
  before?: string | undefined;
}

/** A page of the audit log; `next` is where the next one begins, null at the end. */
export interface AuditLogPage {
  /** The newest first. */
  rows: AuditEntry[];
  /** Requests the next page, which has older entries; null on the last one. */
  next: string | null;
}

const NEED: SchemaNeed = {
  functions: { audit_log_changes: ['p_before_created_at', 'p_before_id'] },
  access: 'audit',
};

/**
 * Reads a page of the audit log, the newest entries first. A page begins after the last entry read,
 * so new entries neither shift nor repeat any.
 *
 * @throws {EvdbError} USAGE if `before` is not a cursor, and EVENT_SCHEMA_MISSING,
 *   PERMISSION_DENIED
 * @example
 * const { rows, next } = await readAuditLog(session, { table: 'events', record: 7 });
 */
export async function readAuditLog(
  session: Session,
  options: ReadAuditLogOptions = {},
): Promise<AuditLogPage> {
  const { limit = 20, table, record, actor, since, until } = options;
  const before = options.before === undefined ? undefined : parseAuditCursor(options.before);
  return onEventSchema(session, options, NEED, async ({ prefix, query }) => {
    const { rows } = await query<Row>(
      `select ${entryColumns('c')}
      from ${prefix}audit_log_changes(
        p_table => $1::text, p_row_id => $2::integer, p_actor => $3::text,
        p_since => $4::text::timestamptz, p_until => $5::text::timestamptz, p_limit => $6::integer,
        p_before_created_at => $7::text::timestamptz, p_before_id => $8::bigint) c
      order by c.created_at desc, c.id desc`,
      [
        ...[table, record, actor, since, until],
        // One more tells whether there is another page.
        limit + 1,
        ...[before?.createdAt, before?.id],
      ],
    );
    const entries = rows.slice(0, limit).map(parseEntry);
    const last = rows.length > limit ? entries.at(-1) : undefined;
    return { rows: entries, next: last ? `${last.createdAt}/${last.id}` : null };
  });
}

const CURSOR = /^(\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)\/(\d{1,19})$/;

/**
 * Checks a cursor, before anything is sent.
 *
 * @throws {EvdbError} USAGE
 * @example
 * const page = await readAuditLog(session, { limit: 20 });
 * if (page.next !== null) parseAuditCursor(page.next);
 */
export function parseAuditCursor(cursor: string): { createdAt: string; id: string } {
  const [, createdAt, id] = CURSOR.exec(cursor) ?? [];
  if (createdAt !== undefined && id !== undefined) return { createdAt, id };
  throw new EvdbError('USAGE', `"${cursor}" is not the end of a page of the audit log`, {
    hint: 'Give the cursor of the previous page, such as 2026-11-22T19:46:49.700000Z/46.',
  });
}

/** What one entry says about one column. */
export type AuditChange =
  /** A column without `old` was set by an insert; one without `new` went with a delete. */
  | { column: string; old?: unknown; new?: unknown }
  /** A secret: that it changed is all that is kept. */
  | { column: string; isRedacted: true };

/** One entry of the audit log. */
export interface AuditEntry {
  id: number;
  /** When the transaction began: ISO 8601 in UTC, with microseconds. */
  createdAt: string;
  table: string;
  /** `INSERT`, `UPDATE`, `DELETE`, `TRUNCATE` or `REPAIR`. */
  operation: string;
  /** The primary key of the row; null for `TRUNCATE`. */
  record: number | null;
  changes: AuditChange[];
  /** What the transaction set as `evdb.actor`. */
  actor: string | null;
  /** The role that logged in. */
  role: string;
  application: string | null;
  /** Entries of one transaction share it. */
  transactionId: string;
}

/** Renders a moment exactly: the driver's dates lose the microseconds. */
function renderMoment(expression: string): string {
  return `pg_catalog.to_char(${expression} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}

/** The columns that `parseEntry` reads, of an alias of the log. */
export function entryColumns(alias: string): string {
  return `${alias}.id::text as "id", ${renderMoment(`${alias}.created_at`)} as "createdAt",
    ${alias}.table_name as "table", ${alias}.operation, ${alias}.row_id as "record",
    ${alias}.old_values as "old", ${alias}.new_values as "new",
    pg_catalog.to_json(${alias}.redacted) as "redacted", ${alias}.actor,
    ${alias}.session_role as "role", ${alias}.application_name as "application",
    ${alias}.transaction_id::text as "transactionId"`;
}

type Image = Record<string, unknown> | null;

interface EntryRow extends Omit<AuditEntry, 'id' | 'changes'> {
  id: string;
  old: Image;
  new: Image;
  redacted: string[] | null;
}

/** Reads a row of `entryColumns`: of two images, only what differs. */
export function parseEntry(row: Row): AuditEntry {
  const { id, old, new: after, redacted, ...rest } = row as unknown as EntryRow;
  const { createdAt, table, operation, record, actor, role, application, transactionId } = rest;
  const secrets = (redacted ?? []).map((column) => ({ column, isRedacted: true as const }));
  return {
    ...{ id: Number(id), createdAt, table, operation, record },
    changes: [...listChanges(old, after), ...secrets],
    ...{ actor, role, application, transactionId },
  };
}

function listChanges(old: Image, after: Image): AuditChange[] {
  const columns = new Set([...Object.keys(old ?? {}), ...Object.keys(after ?? {})]);
  return [...columns].flatMap((column) => {
    const hasOld = old !== null && column in old;
    const hasNew = after !== null && column in after;
    if (hasOld && hasNew && isSame(old[column], after[column])) return [];
    return [
      {
        column,
        ...(hasOld ? { old: old[column] } : {}),
        ...(hasNew ? { new: after[column] } : {}),
      },
    ];
  });
}

/** The server has brought both into the same shape already. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** What entries can be counted by; days are UTC days. */
export type AuditDimension = 'day' | 'table' | 'operation' | 'actor';

/** How many entries there are of one kind; only the requested dimensions are set. */
export interface AuditSummaryRow {
  /** Such as `2026-11-22`, in UTC. */
  day?: string;
  table?: string;
  operation?: string;
  /** Null if no actor was named. */
  actor?: string | null;
  entries: number;
  /** ISO 8601 in UTC, with microseconds. */
  firstAt: string;
  lastAt: string;
}

/** Which entries are counted, and by what. */
export interface AuditSummaryOptions
  extends EventSchemaTarget,
    Pick<AuditFilter, 'since' | 'until'> {
  /** In the order of the columns; default table and operation. */
  by?: readonly AuditDimension[] | undefined;
  /** The highest number of rows; default 1000. */
  limit?: number | undefined;
}

const SUMMARY_NEED: SchemaNeed = { functions: { audit_log_changes: [] }, access: 'audit' };

const EXPRESSIONS: Record<AuditDimension, string> = {
  day: `pg_catalog.to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD')`,
  table: 'e.table_name',
  operation: 'e.operation',
  actor: 'e.actor',
};

/**
 * Counts the entries of the audit log. The newest days come first, within them the highest counts
 * first.
 *
 * @throws {EvdbError} EVENT_SCHEMA_MISSING, PERMISSION_DENIED
 * @example
 * const { rows } = await readAuditSummary(session, { by: ['actor'], since: new Date('2026-11-01') });
 */
export async function readAuditSummary(
  session: Session,
  options: AuditSummaryOptions = {},
): Promise<StatsReport<AuditSummaryRow>> {
  const { by = ['table', 'operation'], since, until, limit = 1000 } = options;
  return onEventSchema(session, options, SUMMARY_NEED, async ({ prefix, query }) => {
    const columns = by.map((name) => `${EXPRESSIONS[name]} as "${name}"`);
    const groups = by.map((_, index) => index + 1);
    const order = by.includes('day') ? `"day" desc, "entries" desc` : `"entries" desc`;
    const { rows } = await query<AuditSummaryRow>(
      `select ${[...columns, ''].join(', ')}count(*)::float8 as "entries",
        ${renderMoment('min(e.created_at)')} as "firstAt", ${renderMoment('max(e.created_at)')} as "lastAt"
      from ${prefix}audit_log_entries e
      where ($1::text is null or e.created_at >= $1::text::timestamptz)
        and ($2::text is null or e.created_at < $2::text::timestamptz)
      group by ${groups.join(', ')}
      order by ${order}, ${groups.join(', ')}
      limit $3::integer`,
      [since, until, limit + 1],
    );
    return {
      rows: rows.slice(0, limit),
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
