import type { AlterTableStmt } from '@pgsql/types';
import { quoteWhereNeeded, resolveKey } from '../../catalog/catalog.ts';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind, relationNameOf } from '../../sql/tree.ts';
import { keyOfRange, type LintRule, type RuleFinding, type StatementInContext } from '../rule.ts';

/** Statements that take an index for good which an interrupted build may have left invalid. */
export const invalidIndexMasked: LintRule = {
  name: 'invalid-index-masked',
  kinds: ['IndexStmt', 'AlterTableStmt'],
  group: 'tx',
  severity: 'warning',
  summary: 'mistakes an invalid index, left by an interrupted build, for a valid one',
  check(at) {
    const create = asKind(at.tree, 'IndexStmt');
    if (create?.concurrent && create.if_not_exists) {
      const name = create.idxname === undefined ? '' : ` ${quoteWhereNeeded(create.idxname)}`;
      return [
        {
          message: `when an earlier build of index${name} was interrupted, PostgreSQL takes its invalid remains for what "if not exists" asks for; evdb rebuilds them, and no other tool does`,
          hint: 'Leave out "if not exists": evdb drops and rebuilds what an interruption left when the migration runs again.',
          tables: [keyOfRange(at, create.relation)],
        },
      ];
    }
    const alter = asKind(at.tree, 'AlterTableStmt');
    return alter === undefined ? [] : judgeUsingIndex(at, alter);
  },
};

function judgeUsingIndex(at: StatementInContext, alter: AlterTableStmt): RuleFinding[] {
  const table = keyOfRange(at, alter.relation);
  return commandsOf(alter, at.text).flatMap(({ command, offset }) => {
    const name = asKind(command.def, 'Constraint')?.indexname;
    if (name === undefined) return [];
    const { schema } = relationNameOf(alter.relation ?? {});
    const index = at.catalog.indexes.get(
      resolveKey(at.catalog, { schema, name }, at.catalog.indexes),
    );
    if (index?.isValid || (index === undefined && isMadeHere(at, name))) return [];
    const shown = quoteWhereNeeded(name);
    return [
      {
        message:
          index === undefined
            ? `no migration makes index ${shown}, so nothing tells whether it is valid`
            : `index ${shown} is invalid: its build was interrupted`,
        hint: `Build it with "create unique index concurrently" in an earlier migration; an invalid one has to be dropped first: drop index concurrently ${shown}`,
        offset,
        tables: [table],
        evidence: index === undefined ? 'static' : 'live',
      },
    ];
  });
}

/** By this file, on a table that no migration makes, so that the index is not known either. */
function isMadeHere({ file, statement }: StatementInContext, name: string): boolean {
  return file.trees
    .slice(0, statement.index)
    .some((tree) => asKind(tree ?? undefined, 'IndexStmt')?.idxname === name);
}
