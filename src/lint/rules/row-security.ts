import type { Node } from '@pgsql/types';
import { quoteWhereNeeded, type Relation } from '../../catalog/catalog.ts';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind, stringsOf, writtenNameOf } from '../../sql/tree.ts';
import {
  evidenceOf,
  isFresh,
  keyOf,
  keyOfRange,
  type LintRule,
  type RuleFinding,
  relationOf,
  type StatementInContext,
} from '../rule.ts';

/** Rows that an application does not see any more, or that everybody does. */
export const rowSecurity: LintRule = {
  name: 'row-security',
  kinds: ['AlterTableStmt', 'DropStmt'],
  group: 'compat',
  severity: 'warning',
  summary: 'enables row security without a policy, or takes row security or a policy away',
  check(at) {
    const drop = asKind(at.tree, 'DropStmt');
    if (drop === undefined) return judgeTable(at);
    if (drop.removeType !== 'OBJECT_POLICY') return [];
    return (drop.objects ?? []).flatMap((node) => judgeDrop(at, node, drop.missing_ok === true));
  },
};

function judgeTable(at: StatementInContext): RuleFinding[] {
  const alter = asKind(at.tree, 'AlterTableStmt');
  const table = keyOfRange(at, alter?.relation);
  if (alter === undefined || isFresh(at, table)) return [];
  return commandsOf(alter, at.text).flatMap(({ command, offset }) => {
    const found = judgeCommand(at, table, command.subtype);
    const place = { offset, tables: [table], evidence: evidenceOf(at, table) };
    return found === undefined ? [] : [{ ...found, ...place }];
  });
}

function judgeCommand(
  at: StatementInContext,
  table: string,
  subtype: string | undefined,
): Omit<RuleFinding, 'tables'> | undefined {
  const relation = relationOf(at, table);
  if (subtype === 'AT_DisableRowSecurity') {
    return {
      message: `disables row security on ${table}: every role with a privilege on the table sees and changes all rows`,
      hint: 'Leave it enabled, and add a policy for the role that has to see more.',
    };
  }
  const isOn = relation?.hasRowSecurity === true;
  if (subtype !== 'AT_EnableRowSecurity' || isOn || hasPolicy(relation)) return undefined;
  if (makesPolicy(at, table)) return undefined;
  const isKnown = relation !== undefined;
  return {
    message: `enables row security on ${table}, ${isKnown ? 'which has no policy' : 'for which no migration makes a policy'}: every role but its owner sees no row and can write none`,
    hint: 'Create the policies in the same migration, before it.',
    severity: isKnown ? 'error' : 'warning',
    stillHolds: (after) => !hasPolicy(after.relations.get(table)),
  };
}

function hasPolicy(relation: Relation | undefined): boolean {
  return policiesOf(relation).length > 0;
}

function policiesOf(relation: Relation | undefined): string[] {
  return [...(relation?.uses?.values() ?? [])].flatMap(({ kind, name }) =>
    kind === 'policy' ? [name] : [],
  );
}

/** Whether a statement of the file behind this one makes a policy, of a name where one is given. */
function makesPolicy(at: StatementInContext, table: string, name?: string): boolean {
  return at.file.trees.slice(at.statement.index).some((tree) => {
    const policy = asKind(tree ?? undefined, 'CreatePolicyStmt');
    if (policy === undefined || keyOfRange(at, policy.table) !== table) return false;
    return name === undefined || policy.policy_name === name;
  });
}

function judgeDrop(at: StatementInContext, node: Node, isOptional: boolean): RuleFinding[] {
  const items = asKind(node, 'List')?.items ?? [];
  const name = stringsOf(items).at(-1) ?? '';
  const table = keyOf(at, writtenNameOf(items.slice(0, -1)));
  const relation = relationOf(at, table);
  const policies = policiesOf(relation);
  const isMissing = isOptional && relation !== undefined && !policies.includes(name);
  if (isMissing || isFresh(at, table) || makesPolicy(at, table, name)) return [];
  const isLast = relation?.hasRowSecurity === true && policies.join() === name;
  if (isLast && makesPolicy(at, table)) return [];
  return [
    {
      message: isLast
        ? `drops the last policy of ${table}: every role but its owner sees no row and can write none`
        : `drops policy ${quoteWhereNeeded(name)} of ${table}: roles see and change other rows than before`,
      hint: 'Create what takes its place in the same migration; alter policy changes one without a gap.',
      severity: isLast ? 'error' : 'warning',
      tables: [table],
      evidence: evidenceOf(at, table),
      ...(isLast && { stillHolds: (after) => !hasPolicy(after.relations.get(table)) }),
    },
  ];
}
