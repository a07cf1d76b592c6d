import type { AlterTableStmt, CreateStmt } from '@pgsql/types';
import type { Scan } from '../../impact/impact.ts';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind } from '../../sql/tree.ts';
import {
  evidenceOf,
  isFresh,
  keyOfRange,
  type LintRule,
  offsetOf,
  type RuleFinding,
  type StatementInContext,
} from '../rule.ts';
import { blockedMeanwhile, readsTables, sized } from '../wording.ts';

/** A new partition that holds up its whole table, or is read while no one can use it. */
export const partitionAttach: LintRule = {
  name: 'partition-attach',
  kinds: ['CreateStmt', 'AlterTableStmt'],
  group: 'locks',
  severity: 'warning',
  summary:
    'adds a partition in a way that locks the whole table, or reads the partition under lock',
  check(at) {
    const create = asKind(at.tree, 'CreateStmt');
    if (create?.partbound) return judgeCreate(at, create);
    const alter = asKind(at.tree, 'AlterTableStmt');
    return alter ? judgeAttach(at, alter) : [];
  },
};

function judgeCreate(at: StatementInContext, create: CreateStmt): RuleFinding[] {
  const parentRange = asKind(create.inhRelations?.[0], 'RangeVar');
  const parent = keyOfRange(at, parentRange);
  if (isFresh(at, parent)) return [];
  const partition = keyOfRange(at, create.relation);
  const scan = scansOf(at, 'default partition')[0];
  const andDefault = scan === undefined ? '' : `, and it ${readsDefault(at, scan)}`;
  return [
    {
      message: `creating ${partition} as a partition takes ACCESS EXCLUSIVE on all of ${sized(at, parent)}: ${blockedMeanwhile('AccessExclusive')}${andDefault}`,
      hint: `Create the table on its own ("create table … (like ${parent} including defaults including constraints)"), then attach it: that lets others read and write ${parent}.`,
      offset: offsetOf(at, parentRange?.location),
      tables: [parent, ...(scan === undefined ? [] : [scan.relation])],
      lock: 'AccessExclusive',
      evidence: evidenceOf(at, parent),
    },
  ];
}

function judgeAttach(at: StatementInContext, alter: AlterTableStmt): RuleFinding[] {
  if (isFresh(at, keyOfRange(at, alter.relation))) return [];
  const scans = [...scansOf(at, 'attach partition'), ...scansOf(at, 'default partition')];
  if (scans.length === 0) return [];
  return commandsOf(alter, at.text)
    .filter(({ command }) => command.subtype === 'AT_AttachPartition')
    .map(({ command, offset }) => {
      const partition = keyOfRange(at, asKind(command.def, 'PartitionCmd')?.name);
      return {
        message: `attaching ${partition} ${scans.map((scan) => readsForAttach(at, scan)).join(', and ')}`,
        hint: ATTACH_HINT,
        offset,
        tables: scans.map(({ relation }) => relation),
        lock: 'AccessExclusive' as const,
        evidence: evidenceOf(at, partition),
      };
    });
}

function readsForAttach(at: StatementInContext, scan: Scan): string {
  return scan.reason === 'default partition'
    ? readsDefault(at, scan)
    : readsTables(at, [scan.relation], 'AccessExclusive');
}

function readsDefault(at: StatementInContext, { relation }: Scan): string {
  return `${readsTables(at, [relation], 'AccessExclusive')} (it is the default partition, whose rows may belong in the new one)`;
}

function scansOf(at: StatementInContext, reason: Scan['reason']): Scan[] {
  return at.impact.scans.filter((scan) => scan.reason === reason && !isFresh(at, scan.relation));
}

const ATTACH_HINT =
  'First give the table a check that says the same as the bounds, with "is not null" for each key column, as NOT VALID, and validate it in a later migration; on the default partition a check that excludes the new bounds does the same.';
