// What tests of the use of indexes share.

import type postgres from 'postgres';
import { closeSql, openSql } from '../support/databases.ts';

/** A row of get_index_usage_stats(). */
export interface IndexUsage {
  schemaname: string;
  tablename: string;
  indexname: string;
  idx_scan: string;
  usage_ratio: string | null;
  index_size: string;
  index_size_bytes: string;
  is_unique: boolean;
  enforces_constraint: boolean;
  supports_foreign_key: boolean;
  is_valid: boolean;
  last_idx_scan: Date | null;
  stats_since: Date;
  table_scans: string;
  table_writes: string;
}

/** Counters reach the views when the session that counts goes idle for long enough, or ends. */
export async function useInOwnSession(url: string, statements: string[]): Promise<void> {
  const sql = openSql(url, 1);
  try {
    for (const statement of statements) await sql.unsafe(statement);
  } finally {
    await closeSql(sql);
  }
}

/** Waits, up to ten seconds, until scans of the index are counted. */
export async function waitForScans(sql: postgres.Sql, indexname: string): Promise<IndexUsage> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const [row] = await sql<IndexUsage[]>`
      select * from get_index_usage_stats() where indexname = ${indexname} and idx_scan > 0`;
    if (row) return row;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no scan of ${indexname} was ever counted`);
}
