import { blockedBy, LOCK_MODES } from '../../impact/impact.ts';
import { asKind } from '../../sql/tree.ts';
import { evidenceOf, isFresh, keyOfRange, type LintRule, offsetOf } from '../rule.ts';
import { sized, UNTIL_COMMIT, underLock } from '../wording.ts';

/** A lock that is asked for by name and keeps writers out. */
export const lockTable: LintRule = {
  name: 'lock-table',
  kinds: ['LockStmt'],
  group: 'locks',
  severity: 'warning',
  summary: 'locks a table by name, so that others wait until the transaction ends',
  check(at) {
    const { relations, mode = LOCK_MODES.length } = asKind(at.tree, 'LockStmt') ?? {};
    const lock = LOCK_MODES[mode - 1];
    if (lock === undefined || !blockedBy(lock).includes('writes')) return [];
    return (relations ?? []).flatMap((node) => {
      const range = asKind(node, 'RangeVar');
      const table = keyOfRange(at, range);
      if (range === undefined || isFresh(at, table)) return [];
      return [
        {
          message: `locks ${sized(at, table)} ${underLock(lock)}, and ${UNTIL_COMMIT}`,
          hint: 'Let the statements take the locks that they need, or ask for SHARE UPDATE EXCLUSIVE, which keeps out only other changes of the structure.',
          offset: offsetOf(at, range.location),
          tables: [table],
          lock,
          evidence: evidenceOf(at, table),
        },
      ];
    });
  },
};
