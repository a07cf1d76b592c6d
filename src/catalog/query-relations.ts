import type { A_Const, CommonTableExpr, Node, RangeVar } from '@pgsql/types';
import { asKind, relationNameOf, walkTree } from '../sql/tree.ts';
import { type Catalog, type CatalogColumn, findRelation, type Relation } from './catalog.ts';
import { columnTypeOf, UNKNOWN_TYPE } from './column-type.ts';
import { columnOf, columnsIn, nameOfExpression } from './expression.ts';

/** The tables, views and sequences in the `from` clauses of a query, wherever they stand in it. */
export function rangesIn(query: unknown): RangeVar[] {
  const common = new Set<string>();
  const ranges: RangeVar[] = [];
  walkTree(query, (kind, fields) => {
    if (kind === 'CommonTableExpr') common.add((fields as CommonTableExpr).ctename ?? '');
    if (kind === 'RangeVar') ranges.push(fields as RangeVar);
  });
  return ranges.filter(({ schemaname, relname = '' }) => schemaname || !common.has(relname));
}

/** The relations of the catalog that a query reads, each once. */
export function relationsRead(catalog: Catalog, query: unknown): Relation[] {
  const found = rangesIn(query).flatMap(
    (range) => findRelation(catalog, relationNameOf(range)) ?? [],
  );
  return [...new Set(found)];
}

/** Notes that a view reads what its query names, and which columns. */
export function linkDependents(catalog: Catalog, view: Relation, query: unknown): void {
  const mentioned = new Set(columnsIn(query));
  let isAll = false;
  walkTree(query, (kind) => {
    isAll ||= kind === 'A_Star';
  });
  view.reads = new Map();
  for (const relation of relationsRead(catalog, query)) {
    if (relation === view) continue;
    relation.dependents.add(view.key);
    const used = [...relation.columns.keys()].filter((name) => isAll || mentioned.has(name));
    view.reads.set(relation.key, new Set(used));
  }
}

/** The columns that a query returns; the types only where they are those of a table or are cast. */
export function columnsOfQuery(catalog: Catalog, query: Node | undefined): CatalogColumn[] {
  let select = asKind(query, 'SelectStmt');
  // A union is called as its first part is.
  while (select && select.op !== 'SETOP_NONE' && select.larg) select = select.larg;
  if (select === undefined) return [];
  const sources = (select.fromClause ?? []).flatMap((node) => sourcesOf(catalog, node));
  return (select.targetList ?? []).flatMap((node) => {
    const target = asKind(node, 'ResTarget');
    const fields = asKind(target?.val, 'ColumnRef')?.fields ?? [];
    if (asKind(fields.at(-1), 'A_Star')) {
      const of = asKind(fields.at(-2), 'String')?.sval;
      return sources
        .filter(({ alias }) => of === undefined || alias === of)
        .flatMap(({ relation }) => [...relation.columns.values()].map(plainColumn));
    }
    const name = target?.name || nameOfExpression(target?.val) || '?column?';
    return [{ ...plainColumn({ name, type: typeOf(catalog, target?.val, sources) }) }];
  });
}

interface Source {
  alias: string;
  relation: Relation;
}

function sourcesOf(catalog: Catalog, node: Node): Source[] {
  const sources: Source[] = [];
  const left: (Node | undefined)[] = [node];
  while (left.length > 0) {
    const next = left.pop();
    const join = asKind(next, 'JoinExpr');
    if (join) left.push(join.rarg, join.larg);
    const range = asKind(next, 'RangeVar');
    const relation = range && findRelation(catalog, relationNameOf(range));
    if (relation) sources.push({ alias: aliasOf(range), relation });
  }
  return sources;
}

/** What the columns of a relation in a query are prefixed with. */
function aliasOf({ alias, relname = '' }: RangeVar): string {
  return alias?.aliasname ?? relname;
}

function typeOf(catalog: Catalog, value: Node | undefined, sources: readonly Source[]) {
  const cast = asKind(value, 'TypeCast');
  if (cast) return columnTypeOf(catalog, cast.typeName);
  const constant = asKind(value, 'A_Const');
  if (constant && !constant.isnull) return { ...UNKNOWN_TYPE, name: typeOfConstant(constant) };
  const name = columnOf(value);
  const fields = asKind(value, 'ColumnRef')?.fields ?? [];
  const of = asKind(fields.at(-2), 'String')?.sval;
  for (const { alias, relation } of sources) {
    const column = relation.columns.get(name ?? '');
    if (column && (of === undefined || of === alias)) return column.type;
  }
  return UNKNOWN_TYPE;
}

function typeOfConstant({ ival, fval, boolval }: A_Const): string {
  if (ival) return 'int4';
  if (fval) return 'numeric';
  return boolval ? 'bool' : 'text';
}

function plainColumn({ name, type }: Pick<CatalogColumn, 'name' | 'type'>): CatalogColumn {
  return { name, type, isNotNull: false, hasDefault: false, generated: undefined };
}
