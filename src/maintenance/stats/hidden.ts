import type { ReportNote } from '../../report/columns.ts';
import { quoteIdent } from '../../sql/quote.ts';

/**
 * SQL for whether the server shows the current role what the sessions of another role do.
 *
 * @param roleId SQL for the other role's id; null or 0 for processes that belong to nobody
 */
export function seesRole(roleId: string): string {
  return `(pg_catalog.pg_has_role('pg_read_all_stats', 'usage')
    or coalesce(pg_catalog.pg_has_role(nullif(${roleId}, 0), 'usage'), false))`;
}

/** Says what a role without `pg_read_all_stats` cannot see, and what would let it. */
export function hiddenNote(what: string, user: string): ReportNote {
  return {
    level: 'unknown',
    text: `${what} hidden from ${user}, which is not a member of pg_read_all_stats`,
    hint: `Let an administrator run: grant pg_read_all_stats to ${quoteIdent(user)};`,
  };
}
