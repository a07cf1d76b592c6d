import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import {
  dropInvalidIndex,
  findIndex,
  type IndexState,
  listInvalidIndexes,
  listReindexLeftovers,
} from './index-state.ts';
import type { LoneStatement } from './lone-statement.ts';

/** How long clearing away may take when somebody wants the runner to stop. */
const HASTE = '2s';

interface Care {
  worker: Session;
  /** Whether the runner was asked to stop. */
  isAborted: () => boolean;
  /** Called where an invalid index could not be dropped. */
  onLeftBehind: () => void;
}

/**
 * Runs a statement that builds indexes without blocking anybody, so that none stays invalid: `if
 * not exists` would accept one of a build that failed, which is dropped first; and what a failure
 * leaves is dropped afterwards.
 */
export async function withIndexCare<T>(
  lone: LoneStatement,
  care: Care,
  run: () => Promise<T>,
): Promise<T> {
  if (lone.kind !== 'create-index' && lone.kind !== 'reindex') return run();
  const { worker } = care;
  if (lone.kind === 'create-index') await dropMasked(lone, worker);
  const before = await listInvalid(lone, worker);
  try {
    const result = await run();
    await refuseInvalid(lone, worker);
    return result;
  } catch (error) {
    if (!worker.isClosed) await dropNew(lone, before, care).catch(care.onLeftBehind);
    throw error;
  }
}

type IndexBuild = Extract<LoneStatement, { kind: 'create-index' | 'reindex' }>;
type IndexCreation = Extract<LoneStatement, { kind: 'create-index' }>;

async function dropMasked(
  { table, name, ifNotExists }: IndexCreation,
  worker: Session,
): Promise<void> {
  if (!ifNotExists || name === undefined) return;
  const found = await findIndex(worker, table, name);
  if (found?.isValid === false) await dropInvalidIndex(worker, found);
}

function listInvalid(lone: IndexBuild, worker: Session): Promise<IndexState[]> {
  return lone.kind === 'reindex'
    ? listReindexLeftovers(worker, lone.scope)
    : listInvalidIndexes(worker, lone.table);
}

/** The server has said that it is done, so this would be a surprise; it must not pass unseen. */
async function refuseInvalid(lone: IndexBuild, worker: Session): Promise<void> {
  if (lone.kind !== 'create-index' || lone.name === undefined) return;
  const found = await findIndex(worker, lone.table, lone.name);
  if (found?.isValid !== false) return;
  throw new EvdbError('MIGRATION_FAILED', `the index ${found.name} is not valid`, {
    hint: `It is not used by queries. Drop it (drop index concurrently ${found.name};) and run the command again.`,
  });
}

async function dropNew(lone: IndexBuild, before: IndexState[], care: Care): Promise<void> {
  const known = new Set(before.map(({ oid }) => oid));
  if (care.isAborted()) await care.worker.run(`set lock_timeout = '${HASTE}'`);
  for (const index of await listInvalid(lone, care.worker)) {
    if (!known.has(index.oid)) await dropInvalidIndex(care.worker, index);
  }
}
