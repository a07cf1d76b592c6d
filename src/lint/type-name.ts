import type { TypeName } from '@pgsql/types';
import { quoteWhereNeeded } from '../catalog/catalog.ts';
import { asKind, isArrayType, stringsOf } from '../sql/tree.ts';

/** A type as a message shows it, such as `varchar(20)` or `app.mood[]`. */
export function writtenType(type: TypeName | undefined): string {
  const names = stringsOf(type?.names).filter((name) => name !== 'pg_catalog');
  const modifiers = (type?.typmods ?? []).flatMap((node) => {
    const constant = asKind(node, 'A_Const');
    return constant?.ival === undefined ? [] : [constant.ival.ival ?? 0];
  });
  const inParentheses = modifiers.length === 0 ? '' : `(${modifiers.join(',')})`;
  const isArray = type !== undefined && isArrayType(type);
  return `${names.map(quoteWhereNeeded).join('.')}${inParentheses}${isArray ? '[]' : ''}`;
}
