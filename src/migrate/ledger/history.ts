import { codeOf } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { maskSecrets } from '../../sql/mask.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';

/** Which ledger, and which copy of the schema in it. */
export interface ReadMigrationHistoryOptions {
  /** Default `evdb`. */
  ledgerSchema?: string | undefined;
  /** The PostgreSQL schema that the migrations are applied to; default `public`. */
  schema?: string | undefined;
}

/** Something that happened to a migration. */
export interface MigrationHistoryRow {
  /** As the file name writes it; null where it was about all of them, such as a reset. */
  label: string | null;
  name: string | null;
  action: 'up' | 'down' | 'failed' | 'repaired' | 'baseline' | 'reset' | 'adopted' | 'resumed';
  /** When it was done. */
  occurredAt: Date;
  durationMs: number | null;
  databaseUser: string;
  osUser: string | null;
  hostName: string | null;
  toolVersion: string;
  gitCommit: string | null;
  ciUrl: string | null;
  /** What the server said, without secrets. */
  error: string | null;
}

/**
 * Reads everything that ever happened to the migrations of a schema, the oldest first.
 *
 * @returns null if there is no ledger, or this role may not read it
 * @throws {EvdbError} QueryError if the server refuses a statement
 * @example
 * const history = await withInspection(connection, (session) => readMigrationHistory(session));
 */
export async function readMigrationHistory(
  session: Session,
  { ledgerSchema = 'evdb', schema = 'public' }: ReadMigrationHistoryOptions = {},
): Promise<MigrationHistoryRow[] | null> {
  const history = `${quoteIdent(ledgerSchema)}.history`;
  try {
    // Asked first: a statement that fails leaves an error in the server's log.
    const [found] = await session.run(
      `select pg_catalog.to_regclass(${quoteLiteral(history)}) is not null as "isThere"`,
    );
    if (found?.isThere !== true) return null;
    const rows = (await session.run(`select label, name, action, occurred_at as "occurredAt",
        duration_ms as "durationMs", database_user as "databaseUser", os_user as "osUser",
        host_name as "hostName", tool_version as "toolVersion", git_commit as "gitCommit",
        ci_url as "ciUrl", error
      from ${history}
      where target_schema = ${quoteLiteral(schema)}
      order by id`)) as unknown as MigrationHistoryRow[];
    return rows.map((row) => ({ ...row, error: row.error && maskSecrets(row.error) }));
  } catch (error) {
    // undefined_table, invalid_schema_name, insufficient_privilege
    if (['42P01', '3F000', '42501'].includes(codeOf(error) ?? '')) return null;
    throw error;
  }
}
