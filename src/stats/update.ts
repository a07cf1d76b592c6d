import { codeOf, isConnectionLoss, queryError } from '../connection/connection-error.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { openSession, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import type { ReportView, StatsReport, Tone } from '../report/columns.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { renderState } from '../text/words.ts';
import { renderTableParts, requireSchema, type StatsOptions } from './catalog-queries.ts';

/** Which tables to analyze. */
export interface UpdateStatisticsOptions extends StatsOptions {
  /** Ends the work after the table that is being analyzed is cut off. */
  signal?: AbortSignal | undefined;
  /** Called after each table. */
  onProgress?: ((row: UpdateStatisticsRow, done: number, total: number) => void) | undefined;
}

/** The result for one table; a partitioned one represents its partitions. */
export interface UpdateStatisticsRow {
  schema: string;
  table: string;
  outcome: 'analyzed' | 'skippedNoPrivilege' | 'skippedLocked' | 'skippedDropped' | 'failed';
  /** Why it was not analyzed, with who blocks it if that is known. */
  reason: string | null;
  durationMs: number;
}

interface Warning {
  severity: string;
  message: string;
}

interface Target {
  schema: string;
  table: string;
  mayAnalyze: boolean;
}

/** Less than it takes to chase an autovacuum away, and nobody queues behind us for long. */
const LOCK_TIMEOUT_MS = 50;

/**
 * Analyzes every table and materialized view, one after the other, each in a separate transaction,
 * and returns the result for each. It does not wait for locks: locked tables are skipped.
 *
 * The event schema's `update_table_statistics()` does the same in one transaction, which keeps
 * every table locked against DDL and vacuum until its end; so it is not used.
 *
 * @throws {EvdbError} as `pingDatabase`; READ_ONLY on a standby; USAGE if the schema does not exist
 * @example
 * const { rows } = await updateStatistics(connection, { schema: 'public' });
 */
export async function updateStatistics(
  connection: ConnectionOptions,
  options: UpdateStatisticsOptions = {},
): Promise<StatsReport<UpdateStatisticsRow>> {
  const { signal, onProgress } = options;
  const warnings: Warning[] = [];
  const session = await openSession(connection, {
    signal,
    onNotice: (notice) => warnings.push(notice),
  });
  const abort = () => void session.cancel().finally(() => session.close({ force: true }));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    refuseStandby(session);
    refusePooler(session);
    await session.run(`set lock_timeout = ${LOCK_TIMEOUT_MS}; set statement_timeout = 0`);
    await requireSchema(session, options);
    const targets = (await session.run(renderTargets(options))) as unknown as Target[];
    const rows: UpdateStatisticsRow[] = [];
    for (const target of targets) {
      signal?.throwIfAborted();
      const row = await analyze(session, target, warnings);
      rows.push(row);
      onProgress?.(row, rows.length, targets.length);
    }
    return { rows, countedSince: null, notes: [] };
  } catch (error) {
    throw signal?.aborted ? signal.reason : queryError(error);
  } finally {
    signal?.removeEventListener('abort', abort);
    await session.close();
  }
}

function refuseStandby({ facts, options }: Session): void {
  if (!facts.isInRecovery) return;
  throw new EvdbError(
    'READ_ONLY',
    `the server of database "${options.database}" is a standby, which takes its statistics from the primary`,
    { hint: 'Run this on the primary.' },
  );
}

/** Without a time limit of its own session it could not promise to wait for nobody. */
function refusePooler({ facts }: Session): void {
  if (!facts.isPooled) return;
  throw new EvdbError('POOLER_DETECTED', 'the statistics cannot be updated through a pooler', {
    hint: 'Set EVDB_MIGRATION_URL, or pass --url, to reach the server itself.',
  });
}

async function analyze(
  session: Session,
  { schema, table, mayAnalyze }: Target,
  warnings: Warning[],
): Promise<UpdateStatisticsRow> {
  const startedAt = performance.now();
  const row = (
    outcome: UpdateStatisticsRow['outcome'],
    reason: string | null = null,
  ): UpdateStatisticsRow => {
    return { schema, table, outcome, reason, durationMs: performance.now() - startedAt };
  };
  if (!mayAnalyze) {
    return row(
      'skippedNoPrivilege',
      `${session.facts.user} owns neither the table nor the database`,
    );
  }
  warnings.length = 0;
  try {
    await session.run(`analyze (skip_locked) ${quoteIdent(schema)}.${quoteIdent(table)}`);
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (isConnectionLoss(error) || code === '57014') throw error;
    if (code === '55P03') return row('skippedLocked', await readLocker(session, schema, table));
    if (code === '42P01' || code === '3F000') return row('skippedDropped', 'dropped meanwhile');
    return row('failed', `${(error as Error).message} (${code})`);
  }
  // What cannot be locked or is not allowed is only a warning, and the command a success.
  const warning = warnings.find(({ severity }) => severity === 'WARNING');
  if (!warning) return row('analyzed');
  if (codeOf(warning) === '55P03') {
    return row('skippedLocked', await readLocker(session, schema, table));
  }
  return row('failed', warning.message);
}

/** Names who holds or wants a lock that stands in the way, as far as that is still so. */
async function readLocker(session: Session, schema: string, table: string): Promise<string> {
  const [blocker] = await session.run(renderLocker(schema, table));
  return blocker === undefined
    ? 'locked by another session'
    : `process ${blocker.pid ?? 'of a prepared transaction'} holds or wants a ${blocker.mode} on ${blocker.relation}`;
}

/**
 * What `updateStatistics` analyzes: tables and materialized views, and partitioned tables as a
 * whole, which autovacuum never looks at. Whether it may is asked first, because without the right
 * to it `analyze` only warns.
 */
function renderTargets(options: StatsOptions): string {
  return `with recursive ${renderTableParts(options)}
  select n.nspname as "schema", w.relname as "table",
    pg_catalog.bool_and(${MAY_ANALYZE}) as "mayAnalyze"
  from parts p
  join pg_catalog.pg_class c on c.oid = p.part
  join pg_catalog.pg_class w on w.oid = p.whole
  join pg_catalog.pg_namespace n on n.oid = w.relnamespace
  join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
  where c.relkind <> 'f'
  group by w.oid, w.relname, n.nspname
  order by n.nspname, w.relname`;
}

// The privilege to maintain has a name, and a role that grants it, where the server knows it.
const MAY_ANALYZE = `pg_catalog.pg_has_role(c.relowner, 'usage')
      or pg_catalog.pg_has_role(d.datdba, 'usage')
      or case when exists (select from pg_catalog.pg_roles r where r.rolname = 'pg_maintain')
        then pg_catalog.has_table_privilege(c.oid, 'maintain') else false end`;

/** Who holds, or waits for, a lock on a table or a part of it that `analyze` cannot go along with. */
function renderLocker(schema: string, table: string): string {
  return `with recursive parts (part) as (
    select c.oid from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${quoteLiteral(schema)} and c.relname = ${quoteLiteral(table)}
    union all
    select h.inhrelid from parts p join pg_catalog.pg_inherits h on h.inhparent = p.part
  )
  select l.pid, l.mode, pg_catalog.format('%I.%I', n.nspname, c.relname) as relation
  from pg_catalog.pg_locks l
  join pg_catalog.pg_class c on c.oid = l.relation
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where l.locktype = 'relation' and l.relation in (select p.part from parts p)
    and l.database = (select d.oid from pg_catalog.pg_database d
      where d.datname = pg_catalog.current_database())
    and l.pid is distinct from pg_catalog.pg_backend_pid()
    and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
      'ExclusiveLock', 'AccessExclusiveLock')
  order by l.granted desc, l.relation
  limit 1`;
}

export const UPDATE_VIEW: ReportView<UpdateStatisticsRow> = {
  title: 'Statistics update',
  columns: [
    { header: 'table', value: (row) => `${row.schema}.${row.table}` },
    { header: 'outcome', value: (row) => renderState(row.outcome), tone: toneOf },
    { header: 'time', value: (row) => row.durationMs, unit: 'ms', priority: 2 },
    { header: 'why', value: (row) => row.reason, priority: 1, text: 'wraps' },
  ],
  empty: () => 'there are no tables',
};

function toneOf({ outcome }: UpdateStatisticsRow): Tone {
  if (outcome === 'analyzed') return 'good';
  return outcome === 'failed' ? 'critical' : 'warning';
}
