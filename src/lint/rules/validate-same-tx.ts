import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { isStronger } from '../../impact/impact.ts';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind } from '../../sql/tree.ts';
import {
  evidenceOf,
  isFresh,
  keyOfRange,
  type LintRule,
  type StatementInContext,
} from '../rule.ts';
import { IN_LATER_FILE, lockName, readsTables } from '../wording.ts';

/** A validation that reads the table while its transaction keeps others out of it. */
export const validateSameTx: LintRule = {
  name: 'validate-same-tx',
  kinds: ['AlterTableStmt'],
  group: 'locks',
  severity: 'error',
  summary: 'validates a constraint while the transaction still holds a stronger lock on the table',
  check(at) {
    const alter = asKind(at.tree, 'AlterTableStmt');
    const table = keyOfRange(at, alter?.relation);
    if (alter === undefined || isFresh(at, table)) return [];
    const held = strongerLock(at, table);
    if (held === undefined) return [];
    return commandsOf(alter, at.text)
      .filter(({ command }) => command.subtype === 'AT_ValidateConstraint')
      .map(({ command, offset }) => ({
        message: `validating ${quoteWhereNeeded(command.name ?? '?')} ${readsTables(at, [table], held.mode)}, because ${held.since} holds ${lockName(held.mode)}`,
        hint: `Validate ${IN_LATER_FILE}: then it runs under SHARE UPDATE EXCLUSIVE, beside reads and writes.`,
        offset,
        tables: [table],
        lock: held.mode,
        evidence: evidenceOf(at, table),
      }));
  },
};

/** A lock that the transaction, or another subcommand, holds and that keeps writers out. */
function strongerLock(at: StatementInContext, table: string) {
  const own = at.impact.locks.find(({ relation }) => relation === table)?.mode;
  if (own !== undefined && isStronger(own, 'Share')) {
    return { mode: own, since: 'the statement itself' };
  }
  const held = at.file.isTransactional ? at.file.held.get(table) : undefined;
  if (held === undefined || !isStronger(held.mode, 'Share')) return undefined;
  return { mode: held.mode, since: `the transaction since line ${held.line}` };
}
