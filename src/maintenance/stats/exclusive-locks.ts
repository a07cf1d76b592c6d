import { codeOf } from '../../connection/connection-error.ts';
import type { Row, Session } from '../../connection/session.ts';
import type { ReportNote } from '../../report/columns.ts';
import { commandLine } from '../../text/command-line.ts';

/**
 * A common table expression with all that somebody holds, or waits for, exclusively. The functions
 * that tell a size or a definition wait for those; who waits counts too, because whoever comes
 * later queues behind.
 */
export const HELD = `held as materialized (
    select distinct l.relation as oid
    from pg_catalog.pg_locks l
    where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
      and l.database = (select d.oid from pg_catalog.pg_database d
        where d.datname = pg_catalog.current_database())
      and l.pid is distinct from pg_catalog.pg_backend_pid()
  )`;

/**
 * `estimate` opens no relation at all: sizes are those of the last vacuum or analyze, definitions
 * are left out, and ten thousand indexes take a third of the time.
 */
export type Precision = 'exact' | 'estimate';

/**
 * Runs a query that reads sizes. Where a lock comes in between and outlasts the session's
 * `lock_timeout`, it runs again without opening any relation.
 */
export async function runWithoutWaiting(
  session: Session,
  { precision = 'exact' }: { precision?: Precision | undefined },
  render: (precision: Precision) => string,
): Promise<Row[]> {
  try {
    return await session.run(render(precision));
  } catch (error) {
    if (codeOf(error) !== '55P03') throw error;
    return session.run(render('estimate'));
  }
}

/** The size of a relation's main fork; `alias` is one of pg_class. */
export function renderSize(alias: string, precision: Precision): string {
  const estimate = `${alias}.relpages * pg_catalog.current_setting('block_size')::bigint`;
  if (precision === 'estimate') return estimate;
  // Partitioned tables and indexes have no storage. What was dropped meanwhile has a size of null.
  return `case when ${alias}.relkind in ('I', 'p') then 0
      when ${alias}.oid in (select h.oid from held h) then ${estimate}
      else coalesce(pg_catalog.pg_relation_size(${alias}.oid), 0) end`;
}

/** Says which rows have an estimate because of a lock. */
export function estimateNotes(
  rows: { isSizeEstimated: boolean }[],
  { precision }: { precision?: Precision | undefined },
  [one, many]: [one: string, many: string],
): ReportNote[] {
  const count = rows.filter((row) => row.isSizeEstimated).length;
  if (count === 0 || precision === 'estimate') return [];
  return [
    {
      level: 'warning',
      text: `the size of ${count} ${count === 1 ? one : many} is an estimate, because somebody holds a lock`,
      hint: `\`${commandLine('stats locks')}\` shows who.`,
    },
  ];
}
