import type { Node, RangeVar } from '@pgsql/types';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind } from '../../sql/tree.ts';
import {
  keyOf,
  keyOfRange,
  type LintRule,
  type RuleFinding,
  type StatementInContext,
} from '../rule.ts';

/** A table whose rows a crash takes. */
export const unloggedTable: LintRule = {
  name: 'unlogged-table',
  kinds: ['CreateStmt', 'CreateTableAsStmt', 'AlterTableStmt'],
  group: 'data',
  severity: 'info',
  summary: 'makes a table unlogged, which is empty after a crash and on every standby',
  check(at) {
    const table = newTable(at.tree);
    if (table?.range?.relpersistence === 'u') return [unlogged(nameOfNew(at, table.range), 0)];
    const alter = asKind(at.tree, 'AlterTableStmt');
    if (alter === undefined) return [];
    return commandsOf(alter, at.text)
      .filter(({ command }) => command.subtype === 'AT_SetUnLogged')
      .map(({ offset }) => unlogged(keyOfRange(at, alter.relation), offset));
  },
};

function unlogged(table: string, offset: number): RuleFinding {
  return {
    message: `${table} is unlogged: after a crash it is empty, and standbys and subscribers never see its rows`,
    hint: 'Leave it logged unless every row can be made again.',
    offset,
    tables: [table],
  };
}

/** A table that nobody cleans. */
export const autovacuumDisabled: LintRule = {
  name: 'autovacuum-disabled',
  kinds: ['CreateStmt', 'CreateTableAsStmt', 'AlterTableStmt'],
  group: 'data',
  severity: 'info',
  summary: 'switches autovacuum off for a table, which then grows and is planned by old statistics',
  check(at) {
    const table = newTable(at.tree);
    if (table?.range && isOff(table.options)) return [uncleaned(nameOfNew(at, table.range), 0)];
    const alter = asKind(at.tree, 'AlterTableStmt');
    if (alter === undefined) return [];
    return commandsOf(alter, at.text)
      .filter(
        ({ command: { subtype, def } }) =>
          subtype === 'AT_SetRelOptions' && isOff(asKind(def, 'List')?.items),
      )
      .map(({ offset }) => uncleaned(keyOfRange(at, alter.relation), offset));
  },
};

function uncleaned(table: string, offset: number): RuleFinding {
  return {
    message: `autovacuum leaves ${table} alone: dead rows stay, statistics grow old, and it runs all the same before transaction ids run out`,
    hint: 'Leave it on and let it run more often, for example with a lower autovacuum_vacuum_scale_factor.',
    offset,
    tables: [table],
  };
}

interface NewTable {
  range: RangeVar | undefined;
  options: readonly Node[] | undefined;
}

function newTable(tree: Node): NewTable | undefined {
  const create = asKind(tree, 'CreateStmt');
  if (create) return { range: create.relation, options: create.options };
  const into = asKind(tree, 'CreateTableAsStmt')?.into;
  return into && { range: into.rel, options: into.options };
}

function nameOfNew(at: StatementInContext, { schemaname, relname = '' }: RangeVar): string {
  return keyOf(at, { schema: schemaname || at.catalog.searchPath[0], name: relname });
}

/** Of the table itself or of what it stores elsewhere. */
function isOff(options: readonly Node[] | undefined): boolean {
  return (options ?? []).some((node) => {
    const { defname, arg } = asKind(node, 'DefElem') ?? {};
    if (defname !== 'autovacuum_enabled' || arg === undefined) return false;
    const word =
      asKind(arg, 'String')?.sval ??
      asKind(arg, 'TypeName')
        ?.names?.map((one) => asKind(one, 'String')?.sval)
        .join('.');
    const number = asKind(arg, 'Integer');
    return (
      /^(?:f|fa|fal|fals|false|of|off|n|no|0)$/i.test(word ?? '') ||
      (number !== undefined && !number.ival)
    );
  });
}
