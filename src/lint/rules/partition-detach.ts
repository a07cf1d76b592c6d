import { commandsOf } from '../../sql/list-items.ts';
import { asKind } from '../../sql/tree.ts';
import { evidenceOf, isFresh, keyOfRange, type LintRule, relationOf } from '../rule.ts';
import { blockedMeanwhile, IN_NO_TRANSACTION_FILE, sized } from '../wording.ts';

/** A partition that could leave its table without blocking anybody. */
export const partitionDetach: LintRule = {
  name: 'partition-detach',
  kinds: ['AlterTableStmt'],
  group: 'locks',
  severity: 'warning',
  summary: 'detaches a partition without concurrently',
  check(at) {
    const alter = asKind(at.tree, 'AlterTableStmt');
    const parent = keyOfRange(at, alter?.relation);
    if (alter === undefined || isFresh(at, parent)) return [];
    // With a default partition PostgreSQL refuses to do it concurrently: lock-fanout tells of the locks.
    if (relationOf(at, parent)?.defaultPartition !== undefined) return [];
    return commandsOf(alter, at.text).flatMap(({ command, offset }) => {
      const partition = asKind(command.def, 'PartitionCmd');
      if (command.subtype !== 'AT_DetachPartition' || partition?.concurrent) return [];
      const name = keyOfRange(at, partition?.name);
      return [
        {
          message: `detaching ${name} takes ACCESS EXCLUSIVE on all of ${sized(at, parent)}: ${blockedMeanwhile('AccessExclusive')}`,
          hint: `Write "detach partition … concurrently" ${IN_NO_TRANSACTION_FILE}.`,
          offset,
          tables: [parent, name],
          lock: 'AccessExclusive' as const,
          evidence: evidenceOf(at, parent),
        },
      ];
    });
  },
};
