import type { ObjectKey } from '../../catalog/catalog.ts';
import { blockedBy, type LockMode, type LockTaken } from '../../impact/impact.ts';
import { asKind } from '../../sql/tree.ts';
import { isFresh, keyOfRange, type LintRule, type StatementInContext } from '../rule.ts';
import { blockedMeanwhile, lockName } from '../wording.ts';

/** Work that takes time, or waits for others, while the transaction keeps a table from everybody. */
export const workUnderStrongLock: LintRule = {
  name: 'work-under-strong-lock',
  group: 'tx',
  severity: 'warning',
  inDown: 'weaker',
  summary: 'keeps working while its transaction locks others out of a table',
  check(at) {
    const held = heldBefore(at);
    if (held === undefined) return [];
    const work = changedRows(at) ?? slowWork(at) ?? nextTable(at);
    if (work === undefined) return [];
    const { table, mode, line } = held;
    return [
      {
        message: `${work} while ${table} is locked under ${lockName(mode)} since line ${line}: ${blockedMeanwhile(mode)}`,
        hint: 'Put it into a migration of its own: a strong lock should be the last thing that a transaction takes, and for a moment only.',
        tables: [table],
        lock: mode,
        evidence: 'static',
        foldAs: transactionOf(at),
      },
    ];
  },
};

/** The line of its first lock, which no other transaction of the file has. */
function transactionOf({ file }: StatementInContext): string {
  for (const { line } of file.held.values()) return String(line);
  return '';
}

function isStrong(mode: LockMode): boolean {
  return blockedBy(mode).includes('writes');
}

/** The strongest of the tables that the transaction has locked. */
function heldBefore({ file }: StatementInContext) {
  let strongest: { table: ObjectKey; mode: LockMode; line: number } | undefined;
  for (const [table, { mode, line, reason }] of file.held) {
    if (!isStrong(mode) || NOT_A_TABLE.has(reason)) continue;
    if (strongest === undefined || (mode === 'AccessExclusive' && strongest.mode !== mode)) {
      strongest = { table, mode, line };
    }
  }
  return strongest;
}

const NOT_A_TABLE = new Set<LockTaken['reason']>(['index', 'sequence']);

function changedRows(at: StatementInContext): string | undefined {
  const { tree } = at;
  const insert = asKind(tree, 'InsertStmt');
  const values = asKind(insert?.selectStmt, 'SelectStmt')?.valuesLists;
  const changed =
    insert ?? asKind(tree, 'UpdateStmt') ?? asKind(tree, 'DeleteStmt') ?? asKind(tree, 'MergeStmt');
  if (changed === undefined) return asKind(tree, 'CopyStmt')?.is_from ? 'copies rows' : undefined;
  // Filling a table that nobody else knows with a list of values takes no time.
  if (values && isFresh(at, keyOfRange(at, changed.relation))) return undefined;
  return 'changes rows';
}

function slowWork(at: StatementInContext): string | undefined {
  const { scans, rewrites, builds } = at.impact;
  const felt = ({ relation }: { relation: ObjectKey }) => !isFresh(at, relation);
  const rewritten = rewrites.find(felt);
  if (rewritten) return `rewrites ${rewritten.relation}`;
  const built = builds.find(felt);
  if (built) return `builds an index over ${built.relation}`;
  const scanned = scans.find(felt);
  return scanned && `reads all of ${scanned.relation}`;
}

/** A strong lock on a table that the transaction does not keep yet may have to wait for others. */
function nextTable(at: StatementInContext): string | undefined {
  const next = at.impact.locks.find(({ relation, mode, reason }) => {
    if (!isStrong(mode) || OF_THE_SAME.has(reason) || isFresh(at, relation)) return false;
    const before = at.file.held.get(relation);
    return before === undefined || !isStrong(before.mode);
  });
  return next && `waits for a lock on ${next.relation}`;
}

/** Locks that come with that on the table itself. */
const OF_THE_SAME = new Set<LockTaken['reason']>(['index', 'sequence', 'partition']);
