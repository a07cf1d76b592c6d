import type postgres from 'postgres';
import { closeSql, openSql } from '../support/databases.ts';

/** An operation of a mix; what it resolves to does not matter. */
export type Operation = (sql: postgres.Sql) => Promise<unknown>;

/**
 * Runs every operation on one of `clients` connections and returns how often each SQLSTATE (or code of
 * the driver) came up. A client whose connection was lost, or whose statement was
 * cancelled, goes on with a new one.
 */
export async function crowd(
  url: string,
  clients: number,
  operations: Operation[],
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const waiting = operations.values();
  const work = async () => {
    let sql = openSql(url, 1);
    // All of them take from the same list.
    for (const operation of waiting) {
      try {
        await operation(sql);
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === undefined) throw error;
        counts[code] = (counts[code] ?? 0) + 1;
        // Refused, or to be tried again: the session is as it was. Otherwise nobody knows.
        if (!/^(23|40)...$/.test(code)) {
          await closeSql(sql);
          sql = openSql(url, 1);
        }
      }
    }
    await closeSql(sql);
  };
  await Promise.all(Array.from({ length: clients }, work));
  return counts;
}
