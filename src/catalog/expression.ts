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
  const parts: Node[] = [];
  const left = expression === undefined ? [] : [expression];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const bool = asKind(next, 'BoolExpr');
    if (bool?.boolop !== 'AND_EXPR') parts.push(next);
    else for (const part of (bool.args ?? []).toReversed()) left.push(part);
  }
  return parts;
}

/** What stands inside of any number of casts. */
export function withoutCasts(expression: Node | undefined): Node | undefined {
  let inner = expression;
  for (let cast = asKind(inner, 'TypeCast'); cast; cast = asKind(inner, 'TypeCast')) {
    inner = cast.arg;
  }
  return inner;
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
  // What the outer expressions give where those inside have no name.
  let fallback = '';
  for (let at = expression; at !== undefined; ) {
    const { kind, fields } = openNode(at);
    const named = ownName(kind, fields);
    if (named.name !== undefined) return named.name || fallback;
    fallback = named.fallback || fallback;
    at = named.inner;
  }
  return fallback;
}

/** The name that an expression gives by itself, or the expression inside of it that decides first. */
function ownName(
  kind: string,
  fields: TreeObject,
): { name: string } | { name?: undefined; inner: Node | undefined; fallback?: string } {
  switch (kind) {
    case 'ColumnRef':
      return { name: asKind((fields.fields as Node[] | undefined)?.at(-1), 'String')?.sval ?? '' };
    case 'FuncCall':
      return { name: stringsOf(fields.funcname as Node[]).at(-1) ?? '' };
    case 'TypeCast':
      return { inner: fields.arg as Node, fallback: nameOfType(fields) };
    case 'CollateClause':
      return { inner: fields.arg as Node };
    case 'MinMaxExpr':
      return { name: fields.op === 'IS_LEAST' ? 'least' : 'greatest' };
    case 'CaseExpr':
      return { inner: fields.defresult as Node | undefined, fallback: 'case' };
    case 'A_Indirection': {
      const field = asKind((fields.indirection as Node[]).at(-1), 'String')?.sval;
      return field === undefined ? { inner: fields.arg as Node } : { name: field };
    }
    default:
      return { name: FIXED[kind] ?? '' };
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
