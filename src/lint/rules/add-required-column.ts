import type { ColumnDef, Constraint } from '@pgsql/types';
import { quoteWhereNeeded, resolveKey } from '../../catalog/catalog.ts';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind, stringsOf, writtenNameOf } from '../../sql/tree.ts';
import type { Rule } from '../rule.ts';
import { evidenceOf, isFresh, keyOfRange, offsetOf, relationOf } from '../subject.ts';
import { IN_LATER_FILE, sized } from '../wording.ts';

/** A column that every row needs a value for, and none has. */
export const addRequiredColumn: Rule = {
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
      const column = asKind(command.def, 'ColumnDef');
      if (command.subtype !== 'AT_AddColumn' || column === undefined) return [];
      const required = requiredBy(column);
      if (required === undefined || hasValue(column)) return [];
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

function typeOf(at: Parameters<Rule['check']>[0], column: ColumnDef): string | undefined {
  const written = writtenNameOf(column.typeName?.names);
  return at.catalog.types.get(resolveKey(at.catalog, written, at.catalog.types))?.kind;
}

function constraintsOf(column: ColumnDef): Constraint[] {
  return (column.constraints ?? []).flatMap((node) => asKind(node, 'Constraint') ?? []);
}
