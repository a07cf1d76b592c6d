import type { Node } from '@pgsql/types';
import { type Catalog, type ObjectKey, resolveKey } from '../catalog/catalog.ts';
import { asKind, stringsOf, type TreeObject, walkTree, writtenNameOf } from '../sql/tree.ts';
import { isVolatileBuiltin } from './builtin-functions.ts';

/** `unknown` where it calls a function that nobody knows. */
export type Volatility = 'volatile' | 'constant' | 'unknown';

/** Whether an expression has another value for each row, so that PostgreSQL has to write it into each. */
export function volatilityOf(catalog: Catalog, expression: unknown): Volatility {
  let found: Volatility = 'constant';
  walkTree(expression, (kind, fields) => {
    if (kind !== 'FuncCall') return;
    const one = volatilityOfCall(catalog, fields);
    if (one === 'volatile' || found === 'constant') found = one;
  });
  return found;
}

function volatilityOfCall(catalog: Catalog, { funcname }: TreeObject): Volatility {
  const { schema, name } = writtenNameOf(funcname as Node[]);
  const isVolatile =
    schema === undefined || schema === 'pg_catalog' ? isVolatileBuiltin(name) : undefined;
  if (isVolatile !== undefined) return isVolatile ? 'volatile' : 'constant';
  const routine = catalog.routines.get(resolveKey(catalog, { schema, name }, catalog.routines));
  if (routine === undefined) return 'unknown';
  if (routine.volatility !== 'volatile') return 'constant';
  // The planner may put the body of an SQL function in its place, which can be a constant.
  return routine.language === 'sql' ? 'unknown' : 'volatile';
}

/** The sequences that an expression moves or reads, as far as their names are written out. */
export function sequencesIn(catalog: Catalog, expression: unknown): ObjectKey[] {
  const found: ObjectKey[] = [];
  walkTree(expression, (kind, fields) => {
    if (kind !== 'FuncCall') return;
    const name = stringsOf(fields.funcname as Node[]).at(-1) ?? '';
    const [first] = (fields.args as Node[] | undefined) ?? [];
    const text = SEQUENCE_FUNCTIONS.has(name) ? constantText(first) : undefined;
    if (text === undefined) return;
    const [last = '', schema] = namesOf(text).reverse();
    const key = resolveKey(catalog, { schema, name: last }, catalog.relations);
    if (catalog.relations.has(key) || !catalog.isComplete) found.push(key);
  });
  return found;
}

const SEQUENCE_FUNCTIONS = new Set(['nextval', 'setval', 'currval']);

function constantText(node: Node | undefined): string | undefined {
  const inner = asKind(node, 'TypeCast')?.arg ?? node;
  return asKind(inner, 'A_Const')?.sval?.sval;
}

/** The parts of a name as `regclass` reads it. */
function namesOf(text: string): string[] {
  const parts = text.match(/"(?:[^"]|"")*"|[^".]+/g) ?? [];
  return parts.map((part) =>
    part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.toLowerCase(),
  );
}
