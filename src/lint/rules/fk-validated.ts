import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import type { Scan } from '../../impact/impact.ts';
import { asKind } from '../../sql/tree.ts';
import { placeOf, type TouchedGroup, touchedFor } from '../created.ts';
import { addNotValid } from '../not-valid.ts';
import {
  evidenceOf,
  isFresh,
  keyOfRange,
  type LintRule,
  relationOf,
  type StatementInContext,
} from '../rule.ts';
import { IN_LATER_FILE, lockName, tablesNamed } from '../wording.ts';

/** A foreign key whose rows are all looked up while no one can write to either table. */
export const fkValidated: LintRule = {
  name: 'fk-validated',
  kinds: ['AlterTableStmt'],
  group: 'locks',
  severity: 'error',
  summary:
    'adds a foreign key that is not NOT VALID, which reads the table and locks both against writes',
  check(at) {
    const child = keyOfRange(at, asKind(at.tree, 'AlterTableStmt')?.relation);
    if (isFresh(at, child)) return [];
    return touchedFor(at, at.impact.scans, ['foreign key']).map((scan) => {
      const name = scan.subject === undefined ? '' : ` ${quoteWhereNeeded(scan.subject)}`;
      const offset = placeOf(at, scan);
      const mode = at.impact.locks.find(({ relation }) => relation === child)?.mode;
      const lock = mode === 'AccessExclusive' ? mode : 'ShareRowExclusive';
      return {
        message: `${isEnforcing(at, scan) ? 'enforcing' : 'adding'} foreign key${name} ${looksUp(at, child, scan)} under ${lockName(lock)}: ${blocked(lock, child)}`,
        hint: isEnforcing(at, scan) ? ENFORCING_HINT : hintFor(at, child),
        severity: scan.isCertain ? 'error' : 'warning',
        offset,
        tables: scan.relations,
        lock,
        evidence: evidenceOf(at, child),
        fix: addNotValid(at, offset, 'CONSTR_FOREIGN'),
      };
    });
  },
};

function looksUp(at: StatementInContext, child: string, { relations }: TouchedGroup<Scan>): string {
  const others = relations.filter((one) => one !== child);
  const where = others.length === 0 ? 'the referenced table' : tablesNamed(at, others);
  return `looks every row of ${tablesNamed(at, [child])} up in ${where}`;
}

function blocked(lock: string, child: string): string {
  return lock === 'AccessExclusive'
    ? `no one can read or write ${child}, or write to the other table, meanwhile`
    : 'no one can write to either table meanwhile';
}

/** `alter constraint … enforced`, which validates at once. */
function isEnforcing(at: StatementInContext, { command }: TouchedGroup<Scan>): boolean {
  const commands = asKind(at.tree, 'AlterTableStmt')?.cmds ?? [];
  return asKind(commands[command ?? 0], 'AlterTableCmd')?.subtype === 'AT_AlterConstraint';
}

const ENFORCING_HINT = `Drop it and add it again as NOT VALID in one statement, and "validate constraint" ${IN_LATER_FILE}, beside reads and writes: enforcing validates at once.`;

function hintFor(at: StatementInContext, child: string): string {
  const isPartitioned = relationOf(at, child)?.kind === 'partitioned table';
  return isPartitioned && at.settings.serverVersion < 180_000
    ? `Before PostgreSQL 18 a partitioned table takes no NOT VALID foreign key: add it to each partition as NOT VALID, validate it ${IN_LATER_FILE}, and add it to ${child} last, which then takes over those of the partitions.`
    : `Add it as NOT VALID, which holds for new rows at once, and "validate constraint" ${IN_LATER_FILE}, beside reads and writes.`;
}
