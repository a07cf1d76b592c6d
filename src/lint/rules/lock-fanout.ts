import { blockedBy, type LockTaken } from '../../impact/impact.ts';
import { asKind, kindOf } from '../../sql/tree.ts';
import {
  evidenceOf,
  isFresh,
  keyOfRange,
  type LintRule,
  relationOf,
  type StatementInContext,
} from '../rule.ts';
import { blockedMeanwhile, listed, lockName, pronounFor } from '../wording.ts';

/** Locks on tables that the statement does not change, or does not seem to lock. */
export const lockFanout: LintRule = {
  name: 'lock-fanout',
  group: 'locks',
  severity: 'info',
  summary: 'locks tables besides the one it names, or locks harder than it looks',
  check(at) {
    if (at.impact.locks.length === 0 || isTold(at)) return [];
    const others = at.impact.locks.filter((lock) => isFelt(at, lock) && !isOwn(at, lock));
    const locks = others.length > 0 ? others : hiddenLocks(at);
    const [strongest] = locks;
    if (strongest === undefined) return [];
    const isAlso = others.length > 0 ? 'also locks' : 'locks';
    return [
      {
        message: `${isAlso} ${listed(describe(locks))}: ${meanwhile(locks)}`,
        hint: hintFor(at, locks),
        severity: strongest.mode === 'AccessExclusive' ? 'warning' : 'info',
        tables: locks.map(({ relation }) => relation),
        lock: strongest.mode,
        evidence: evidenceOf(at, strongest.relation),
      },
    ];
  },
};

function meanwhile(locks: readonly LockTaken[]): string {
  const modes = new Set(locks.map(({ mode }) => blockedBy(mode)));
  const mode = locks[0]?.mode ?? 'AccessExclusive';
  const tables = locks.map(({ relation }) => relation);
  return modes.size === 1
    ? blockedMeanwhile(mode, pronounFor(tables))
    : 'no one can write to any of them meanwhile, or read those under ACCESS EXCLUSIVE';
}

/** Tables by mode: `a and b (ACCESS EXCLUSIVE)`. */
function describe(locks: readonly LockTaken[]): string[] {
  const byMode = new Map<string, string[]>();
  for (const { mode, relation } of locks) {
    byMode.set(mode, [...(byMode.get(mode) ?? []), relation]);
  }
  return [...byMode].map(([mode, relations]) => {
    const shown = relations.slice(0, MAX_NAMED);
    const rest = relations.length - shown.length;
    return `${listed(rest === 0 ? shown : [...shown, `${rest} more`])} (${lockName(mode as LockTaken['mode'])})`;
  });
}

const MAX_NAMED = 5;

function isFelt(at: StatementInContext, { relation, mode }: LockTaken): boolean {
  const blocked = blockedBy(mode);
  return (blocked === 'writes' || blocked === 'reads and writes') && !isFresh(at, relation);
}

function isOwn(_at: StatementInContext, { reason }: LockTaken): boolean {
  return reason === 'target' || reason === 'index' || reason === 'sequence';
}

/** Statements that do not look as if they locked what they name. */
function hiddenLocks(at: StatementInContext): LockTaken[] {
  const policy = asKind(at.tree, 'CreatePolicyStmt') ?? asKind(at.tree, 'AlterPolicyStmt');
  const trigger = asKind(at.tree, 'CreateTrigStmt');
  const view = asKind(at.tree, 'ViewStmt');
  const rule = asKind(at.tree, 'RuleStmt');
  const drop = asKind(at.tree, 'DropStmt');
  const isOnTable = ON_TABLE.has(drop?.removeType ?? '');
  const isReplaced =
    view?.replace === true && relationOf(at, keyOfRange(at, view.view)) !== undefined;
  if (!(policy || trigger || rule || isReplaced || isOnTable)) return [];
  return at.impact.locks.filter((lock) => isFelt(at, lock) && lock.reason !== 'sequence');
}

const ON_TABLE = new Set(['OBJECT_TRIGGER', 'OBJECT_POLICY', 'OBJECT_RULE']);

/** Whether another rule tells of these locks already. */
function isTold(at: StatementInContext): boolean {
  const kind = kindOf(at.tree);
  if (TOLD.has(kind)) return true;
  if (kind === 'CreateStmt') return asKind(at.tree, kind)?.partbound !== undefined;
  // A new check, and a new `not null`.
  if (kind === 'AlterDomainStmt') return /^[CO]$/.test(asKind(at.tree, kind)?.subtype ?? '');
  const alter = asKind(at.tree, 'AlterTableStmt');
  if (alter === undefined) return false;
  const hasDefault = relationOf(at, keyOfRange(at, alter.relation))?.defaultPartition !== undefined;
  return (alter.cmds ?? []).some((node) => {
    const subtype = asKind(node, 'AlterTableCmd')?.subtype;
    if (subtype !== 'AT_DetachPartition') return subtype === 'AT_AttachPartition';
    return !hasDefault || asKind(asKind(node, 'AlterTableCmd')?.def, 'PartitionCmd')?.concurrent;
  });
}

const TOLD = new Set(['IndexStmt', 'ReindexStmt', 'RefreshMatViewStmt', 'LockStmt']);

function hintFor(at: StatementInContext, locks: readonly LockTaken[]): string {
  if ('CreateTrigStmt' in at.tree || 'CreatePolicyStmt' in at.tree || 'ViewStmt' in at.tree) {
    return 'Keep the migration short: give the statement a migration of its own.';
  }
  const isCascade = (asKind(at.tree, 'AlterTableStmt')?.cmds ?? []).some(
    (node) => asKind(node, 'AlterTableCmd')?.behavior === 'DROP_CASCADE',
  );
  const isByKey = locks.some(({ reason }) => BY_FOREIGN_KEY.has(reason));
  return isByKey && ('DropStmt' in at.tree || isCascade)
    ? 'Drop the foreign keys first, each in a migration of its own, so that two tables at most are locked at a time.'
    : 'Give the statement a migration of its own, so that the locks are short.';
}

const BY_FOREIGN_KEY = new Set<LockTaken['reason']>(['referenced table', 'referencing table']);
