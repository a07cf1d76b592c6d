import type { AlterTableCmd, AlterTableStmt, ColumnDef, Constraint, Node } from '@pgsql/types';
import { quoteWhereNeeded, resolveKey } from '../../catalog/catalog.ts';
import { provenNotNull } from '../../catalog/expression.ts';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind, kindOf, stringsOf, writtenNameOf } from '../../sql/tree.ts';
import {
  evidenceOf,
  isFresh,
  keyOfRange,
  type LintRule,
  offsetOf,
  type RuleFinding,
  relationOf,
  type StatementInContext,
} from '../rule.ts';
import { IN_LATER_FILE, listed, sized } from '../wording.ts';

/** A column that every row needs a value for, and none has. */
export const addRequiredColumn: LintRule = {
  name: 'add-required-column',
  kinds: ['AlterTableStmt'],
  group: 'data',
  severity: 'error',
  summary:
    'adds a column that may not be null and has no default, which fails on a table with rows',
  check(at) {
    const alter = asKind(at.tree, 'AlterTableStmt');
    const table = keyOfRange(at, alter?.relation);
    if (alter === undefined || isFresh(at, table)) return [];
    const isEmpty = relationOf(at, table)?.rows === 0;
    return commandsOf(alter, at.text).flatMap(({ command, offset }) => {
      const demanded = demandedBy(at, alter, { table, command });
      if (demanded.length > 0) return [demandOf(at, { table, columns: demanded, offset })];
      const column = asKind(command.def, 'ColumnDef');
      if (command.subtype !== 'AT_AddColumn' || column === undefined) return [];
      const required = requiredBy(column);
      if (required === undefined || hasValue(column) || isEmptied(at, table)) return [];
      const name = quoteWhereNeeded(column.colname ?? '?');
      // The domain may bring a default of its own.
      const isDomain = typeOf(at, column) === 'domain';
      return [
        {
          message: `adds column ${name} to ${sized(at, table)}, ${required.why} and without a default: it fails as soon as the table has a row`,
          hint: `Add the column without NOT NULL, fill it in batches, and set NOT NULL ${IN_LATER_FILE} as the rule set-not-null shows; a constant default works at once.`,
          ...((isEmpty || isDomain) && { severity: 'warning' as const }),
          offset: required.location === undefined ? offset : offsetOf(at, required.location),
          tables: [table],
          evidence: evidenceOf(at, table),
        },
      ];
    });
  },
};

/** The columns that a new constraint demands a value of, and that the file adds without one. */
function demandedBy(
  at: StatementInContext,
  alter: AlterTableStmt,
  { table, command }: { table: string; command: AlterTableCmd },
): string[] {
  const constraint = asKind(command.def, 'Constraint');
  if (command.subtype !== 'AT_AddConstraint' || constraint === undefined) return [];
  const columns =
    constraint.contype === 'CONSTR_CHECK'
      ? provenNotNull(constraint.raw_expr)
      : constraint.contype === 'CONSTR_NOTNULL'
        ? stringsOf(constraint.keys)
        : [];
  const before = at.file.trees.slice(0, at.statement.index).flatMap((tree) => {
    const earlier = asKind(tree ?? undefined, 'AlterTableStmt');
    return earlier && keyOfRange(at, earlier.relation) === table ? [earlier] : [];
  });
  const added = new Set([...before, alter].flatMap(addedWithoutValue));
  const known = relationOf(at, table)?.columns;
  return columns.filter((name) => added.has(name) && !known?.get(name)?.hasDefault);
}

function addedWithoutValue({ cmds }: AlterTableStmt): string[] {
  return (cmds ?? []).flatMap((node) => {
    const { subtype, def } = asKind(node, 'AlterTableCmd') ?? {};
    const column = asKind(def, 'ColumnDef');
    return subtype === 'AT_AddColumn' && column && !hasValue(column) ? [column.colname ?? ''] : [];
  });
}

function demandOf(
  at: StatementInContext,
  { table, columns, offset }: { table: string; columns: string[]; offset: number },
): RuleFinding {
  const names = listed(columns.map(quoteWhereNeeded));
  return {
    message: `demands a value of ${names} in ${sized(at, table)}, which the migration adds without a default: every insert of an application that does not know it yet fails`,
    hint: `Give the column a default, or add the constraint ${IN_LATER_FILE}, once every version of the application that still runs writes the column.`,
    offset,
    tables: [table],
    evidence: evidenceOf(at, table),
  };
}

/** Whether the file has taken all rows away before and put none in since. */
function isEmptied(at: StatementInContext, table: string): boolean {
  const isIt = (node: Node | undefined) => keyOfRange(at, asKind(node, 'RangeVar')) === table;
  for (const tree of at.file.trees.slice(0, at.statement.index).reverse()) {
    if (tree === null || FILLS.has(kindOf(tree))) return false;
    const emptied = asKind(tree, 'TruncateStmt')?.relations?.some(isIt);
    const remove = asKind(tree, 'DeleteStmt');
    const isAll = remove && remove.whereClause === undefined && remove.usingClause === undefined;
    if (emptied || (isAll && keyOfRange(at, remove.relation) === table)) return true;
  }
  return false;
}

/** What may put rows into any table. */
const FILLS = new Set(['InsertStmt', 'CopyStmt', 'MergeStmt', 'SelectStmt', 'DoStmt', 'CallStmt']);

function requiredBy(column: ColumnDef): { why: string; location: number | undefined } | undefined {
  const constraints = constraintsOf(column);
  const notNull = constraints.find(({ contype }) => contype === 'CONSTR_NOTNULL');
  if (notNull) return { why: 'NOT NULL', location: notNull.location };
  const primary = constraints.find(({ contype }) => contype === 'CONSTR_PRIMARY');
  return primary && { why: 'as primary key', location: primary.location };
}

function hasValue(column: ColumnDef): boolean {
  const type = stringsOf(column.typeName?.names).at(-1) ?? '';
  if (SERIAL.has(type)) return true;
  return constraintsOf(column).some(({ contype, raw_expr }) => {
    if (contype === 'CONSTR_DEFAULT') return !isNullLiteral(raw_expr);
    return contype === 'CONSTR_IDENTITY' || contype === 'CONSTR_GENERATED';
  });
}

function isNullLiteral(expression: Constraint['raw_expr']): boolean {
  return asKind(expression, 'A_Const')?.isnull === true;
}

const SERIAL = new Set(['serial', 'bigserial', 'smallserial', 'serial2', 'serial4', 'serial8']);

function typeOf(at: Parameters<LintRule['check']>[0], column: ColumnDef): string | undefined {
  const written = writtenNameOf(column.typeName?.names);
  return at.catalog.types.get(resolveKey(at.catalog, written, at.catalog.types))?.kind;
}

function constraintsOf(column: ColumnDef): Constraint[] {
  return (column.constraints ?? []).flatMap((node) => asKind(node, 'Constraint') ?? []);
}
