import type { ColumnDef, Node } from '@pgsql/types';
import type { ObjectKey } from '../catalog/catalog.ts';
import { asKind, relationNameOf, stringsOf } from '../sql/tree.ts';
import type { StatementInContext } from './rule.ts';
import { keyOf, keyOfRange } from './subject.ts';

/** A column that a statement defines. */
export interface DefinedColumn {
  table: ObjectKey;
  column: ColumnDef;
  /** The last part of its type's name, such as `varchar` or `int4`. */
  type: string;
  /** Whether it is the primary key, or the only column of it. */
  isKey: boolean;
}

/** The columns that a `create table`, an `add column` or an `alter column … type` defines. */
export function definedColumns(at: StatementInContext): DefinedColumn[] {
  const create = asKind(at.tree, 'CreateStmt');
  if (create) {
    const { schema, name } = relationNameOf(create.relation ?? {});
    const table = keyOf(at, { schema: schema ?? at.catalog.searchPath[0], name });
    return columnsIn(table, create.tableElts ?? []);
  }
  const alter = asKind(at.tree, 'AlterTableStmt');
  const added = (alter?.cmds ?? []).flatMap((node) => {
    const command = asKind(node, 'AlterTableCmd');
    const isDefined =
      command?.subtype === 'AT_AddColumn' || command?.subtype === 'AT_AlterColumnType';
    return isDefined && command.def ? [command.def] : [];
  });
  return columnsIn(keyOfRange(at, alter?.relation), added);
}

function columnsIn(table: ObjectKey, elements: Node[]): DefinedColumn[] {
  const key = elements.flatMap((node) => {
    const constraint = asKind(node, 'Constraint');
    return constraint?.contype === 'CONSTR_PRIMARY' ? stringsOf(constraint.keys) : [];
  });
  return elements.flatMap((node) => {
    const column = asKind(node, 'ColumnDef');
    if (column === undefined) return [];
    const isOwnKey = (column.constraints ?? []).some(
      (one) => asKind(one, 'Constraint')?.contype === 'CONSTR_PRIMARY',
    );
    const isKey = isOwnKey || (key.length === 1 && key[0] === column.colname);
    return [{ table, column, type: stringsOf(column.typeName?.names).at(-1) ?? '', isKey }];
  });
}
