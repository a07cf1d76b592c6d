import type { AlterFunctionStmt, CreateFunctionStmt, CreateTrigStmt, Node } from '@pgsql/types';
import { asKind, relationNameOf, stringsOf, writtenNameOf } from '../sql/tree.ts';
import { type Catalog, findRelation, objectKey, type Routine, resolveKey } from './catalog.ts';
import { columnsIn } from './expression.ts';
import { withDescendants } from './replay-relation.ts';
import { dropUses, noteUses, useColumns } from './replay-uses.ts';

const ORDER = ['immutable', 'stable', 'volatile'] as const;

/** The more volatile of two. */
function moreVolatile(a: Routine['volatility'], b: Routine['volatility']): Routine['volatility'] {
  return ORDER.indexOf(a) > ORDER.indexOf(b) ? a : b;
}

function optionIn(options: readonly Node[] | undefined, name: string): string | undefined {
  for (const node of options ?? []) {
    const option = asKind(node, 'DefElem');
    if (option?.defname === name) return asKind(option.arg, 'String')?.sval;
  }
  return undefined;
}

function volatilityIn(options: readonly Node[] | undefined): Routine['volatility'] | undefined {
  const value = optionIn(options, 'volatility');
  return ORDER.find((one) => one === value);
}

/** `create function` and `create procedure`; a new overload leaves the more volatile one. */
export function replayRoutine(catalog: Catalog, statement: CreateFunctionStmt, text: string): void {
  const { schema, name } = writtenNameOf(statement.funcname);
  const key = objectKey(schema ?? catalog.searchPath[0] ?? 'public', name);
  const volatility = volatilityIn(statement.options) ?? 'volatile';
  const existing = statement.replace ? undefined : catalog.routines.get(key);
  catalog.routines.set(key, {
    key,
    volatility: existing ? moreVolatile(existing.volatility, volatility) : volatility,
    language: optionIn(statement.options, 'language')?.toLowerCase() ?? 'sql',
    definition: text,
  });
  dropUses(catalog, 'function', key);
  if (statement.sql_body) noteUses(catalog, { kind: 'function', name: key }, statement.sql_body);
}

/** `alter function … volatile` */
export function replayRoutineChange(catalog: Catalog, { func, actions }: AlterFunctionStmt): void {
  const key = resolveKey(catalog, writtenNameOf(func?.objname), catalog.routines);
  const routine = catalog.routines.get(key);
  const volatility = volatilityIn(actions);
  if (routine && volatility) routine.volatility = volatility;
}

/** `create trigger`; one for each row of a partitioned table is in its partitions too. */
export function replayTrigger(catalog: Catalog, statement: CreateTrigStmt): void {
  const relation = statement.relation && findRelation(catalog, relationNameOf(statement.relation));
  if (relation === undefined) return;
  const routine = resolveKey(catalog, writtenNameOf(statement.funcname), catalog.routines);
  const isInherited = statement.row === true && relation.kind === 'partitioned table';
  for (const one of isInherited ? withDescendants(catalog, relation) : [relation]) {
    one.triggers ??= new Map();
    one.triggers.set(statement.trigname ?? '', routine);
    const name = statement.trigname ?? '';
    const columns = [...stringsOf(statement.columns), ...columnsIn(statement.whenClause)];
    useColumns(one, { kind: 'trigger', name, columns: new Set(columns) });
  }
}
