import type { Node } from '@pgsql/types';
import { asKind, openNode, stringsOf, type TreeObject, walkTree } from '../sql/tree.ts';

/** The columns that an expression mentions, each once, in the order of mention. */
export function columnsIn(expression: unknown): string[] {
  const columns = new Set<string>();
  walkTree(expression, (kind, fields) => {
    if (kind !== 'ColumnRef') return;
    const name = asKind((fields.fields as Node[] | undefined)?.at(-1), 'String')?.sval;
    if (name !== undefined) columns.add(name);
  });
  return [...columns];
}

/** What holds wherever the expression does: the parts of its outermost `and`. */
export function conjunctsOf(expression: Node | undefined): Node[] {
  const bool = asKind(expression, 'BoolExpr');
  if (bool?.boolop === 'AND_EXPR') return (bool.args ?? []).flatMap(conjunctsOf);
  return expression === undefined ? [] : [expression];
}

/** The columns that a check rules out nulls for: `x is not null`, alone or under `and`. */
export function provenNotNull(expression: Node | undefined): string[] {
  return conjunctsOf(expression).flatMap((part) => {
    const test = asKind(part, 'NullTest');
    const name = test?.nulltesttype === 'IS_NOT_NULL' ? columnOf(test.arg) : undefined;
    return name === undefined ? [] : [name];
  });
}

/** The column that an expression consists of, undefined for any other. */
export function columnOf(expression: Node | undefined): string | undefined {
  const fields = asKind(expression, 'ColumnRef')?.fields;
  return asKind(fields?.at(-1), 'String')?.sval;
}

/** What PostgreSQL calls a column that is made of an expression; '' where it finds no name. */
export function nameOfExpression(expression: Node | undefined): string {
  if (expression === undefined) return '';
  const { kind, fields } = openNode(expression);
  switch (kind) {
    case 'ColumnRef':
      return columnOf(expression) ?? '';
    case 'FuncCall':
      return stringsOf(fields.funcname as Node[]).at(-1) ?? '';
    case 'TypeCast':
      return nameOfExpression(fields.arg as Node) || nameOfType(fields);
    case 'CollateClause':
      return nameOfExpression(fields.arg as Node);
    case 'MinMaxExpr':
      return fields.op === 'IS_LEAST' ? 'least' : 'greatest';
    case 'CaseExpr':
      return nameOfExpression(fields.defresult as Node | undefined) || 'case';
    case 'A_Indirection':
      return (
        asKind((fields.indirection as Node[]).at(-1), 'String')?.sval ??
        nameOfExpression(fields.arg as Node)
      );
    default:
      return FIXED[kind] ?? '';
  }
}

const FIXED: Record<string, string> = {
  CoalesceExpr: 'coalesce',
  A_ArrayExpr: 'array',
  RowExpr: 'row',
  XmlExpr: 'xml',
};

function nameOfType(cast: TreeObject): string {
  const { names } = cast.typeName as { names?: Node[] };
  return stringsOf(names).at(-1) ?? '';
}
