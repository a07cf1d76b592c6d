import type { A_Const, CommonTableExpr, Node, RangeVar } from '@pgsql/types';
import { asKind, relationNameOf, stringsOf, walkTree } from '../sql/tree.ts';
import { type Catalog, type CatalogColumn, findRelation, type Relation } from './catalog.ts';
import { columnTypeOf, UNKNOWN_TYPE } from './column-type.ts';
import { columnOf, nameOfExpression } from './expression.ts';

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
  const uses = columnUses(query);
  view.reads = new Map();
  for (const range of rangesIn(query)) {
    const relation = findRelation(catalog, relationNameOf(range));
    if (relation === undefined || relation === view) continue;
    const alias = aliasOf(range);
    const used = new Set(view.reads.get(relation.key));
    const prefixed = uses.get(alias);
    const plain = uses.get('');
    // The name of a relation alone is its whole row.
    const isRow = plain?.has(alias) && !relation.columns.has(alias);
    const isAll = isRow || prefixed?.has('*') || plain?.has('*');
    for (const name of relation.columns.keys()) {
      if (isAll || prefixed?.has(name) || plain?.has(name)) used.add(name);
    }
    relation.dependents.add(view.key);
    view.everLinked?.add(relation);
    view.reads.set(relation.key, used);
  }
}

/** The columns that a query mentions, by the prefix that they have there, '' for none; `*` is all of them. */
function columnUses(query: unknown): Map<string, Set<string>> {
  const uses = new Map<string, Set<string>>();
  const add = (prefix: string, name: string) => {
    const names = uses.get(prefix) ?? new Set();
    uses.set(prefix, names.add(name));
  };
  walkTree(query, (kind, fields) => {
    if (kind === 'ColumnRef') {
      const parts = fields.fields as Node[];
      const isStar = asKind(parts.at(-1), 'A_Star') !== undefined;
      const [prefix = '', name = ''] = [parts.at(-2), parts.at(-1)].map(
        (part) => asKind(part, 'String')?.sval,
      );
      add(prefix, isStar ? '*' : name);
    }
    if (kind !== 'JoinExpr') return;
    // What both sides share is compared, and a natural join does not say what that is.
    if (fields.isNatural) add('', '*');
    for (const name of stringsOf(fields.usingClause as Node[] | undefined)) add('', name);
  });
  return uses;
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
