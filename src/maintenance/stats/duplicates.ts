import type { Session } from '../../connection/session.ts';
import type { StatsReport } from '../../report/columns.ts';
import { findCatalogColumns } from './catalog-columns.ts';
import { readCounterAge } from './counted-since.ts';
import { renderDuplicates } from './duplicates-query.ts';
import { estimateNotes, runWithoutWaiting } from './exclusive-locks.ts';
import { requireSchema, type StatsOptions } from './scope.ts';

/** An index that can go, because another does all it does. */
export interface DuplicateIndexRow {
  schema: string;
  table: string;
  index: string;
  definition: string | null;
  sizeBytes: number;
  isSizeEstimated: boolean;
  /** Scans of the index that can go: the planner takes either of two equals. */
  scans: number;
  keptIndex: string;
  keptDefinition: string | null;
  /** `duplicate`: the same columns; `prefix`: the kept one has more. */
  kind: 'duplicate' | 'prefix';
  reason: string;
  partitions: number;
  dropSql: string;
  /** Makes it again; null where the definition could not be read. */
  revertSql: string | null;
}

/**
 * Indexes that another index makes needless, the largest first. Two are the same where columns,
 * operator classes, collations, sort order, expressions, predicate, included columns and access
 * method are; a B-tree also does for one on its first columns. Never named is what a foreign key
 * refers to, a primary key, an exclusion constraint, the replica identity, a part of a partitioned
 * index and what an extension owns. A unique constraint is named where another constraint makes
 * it needless.
 *
 * The event schema's `get_duplicate_indexes()` judges alike, but only its own schema.
 *
 * @throws {EvdbError} USAGE where the schema does not exist
 */
export async function readDuplicates(
  session: Session,
  options: StatsOptions = {},
): Promise<StatsReport<DuplicateIndexRow>> {
  await requireSchema(session, options);
  const columns = await findCatalogColumns(session, ['pg_index.indnullsnotdistinct']);
  const rows = (await runWithoutWaiting(session, options, (precision) =>
    renderDuplicates(options, precision, columns.size > 0),
  )) as unknown as DuplicateIndexRow[];
  const { countedSince } = await readCounterAge(session);
  const notes = estimateNotes(rows, options, ['index', 'indexes']);
  if (rows.some(({ kind }) => kind === 'prefix')) {
    notes.push({
      level: 'info',
      text: 'an index with more columns is larger, so one on the first columns may still be the faster to read',
      hint: 'Compare the sizes and the scans before dropping a prefix.',
    });
  }
  return { rows, countedSince, notes };
}
