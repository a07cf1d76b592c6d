import type { Row } from '../connection/session.ts';

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
export function renderMoment(expression: string): string {
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
