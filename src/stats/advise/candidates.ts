import type { Node, RangeVar, SelectStmt } from '@pgsql/types';
import { asKind, descend, relationNameOf, stringsOf, type WrittenName } from '../../sql/tree.ts';

/** How a statement uses the columns of one relation in one of its queries. */
export interface RelationUse {
  relation: WrittenName;
  /** Compared with `=`, `in` or `= any` and something else than the relation's own columns. */
  equal: string[];
  /** Compared with `<`, `>=`, `between` and their like. */
  range: string[];
  /** The columns of the `order by`, if all are of this relation and run in the same direction. */
  sort: string[];
}

/** What a statement names that the catalog has to say something about. */
export interface StatementUses {
  uses: RelationUse[];
  relations: WrittenName[];
  /** Functions, by their names alone. */
  functions: Set<string>;
  operators: Set<string>;
  /** What an `update` sets, by relation. */
  updates: { relation: WrittenName; columns: string[] }[];
}

/** The relations of one query, and the query that it stands in. */
interface Scope {
  sources: Map<string, RelationUse>;
  parent: Scope | undefined;
}

/** Says whether a relation has a column, which names without a prefix are resolved by. */
export type HasColumn = (relation: WrittenName, column: string) => boolean;

/**
 * Reads from the tree of a statement which columns it compares and sorts by. What stands below `or`
 * and `not` is left out: one index does not answer it.
 */
export function readUses(tree: Node, hasColumn: HasColumn): StatementUses {
  const found: StatementUses = {
    uses: [],
    relations: [],
    functions: new Set(),
    operators: new Set(),
    updates: [],
  };
  const ctes = new Set<string>();
  descend<Scope | undefined>(tree, undefined, (field, value, scope) => {
    if (Array.isArray(value)) return scope;
    const fields = value as Record<string, unknown>;
    if (field === 'CommonTableExpr') ctes.add(String(fields.ctename));
    if (field === 'RangeVar') found.relations.push(relationNameOf(value as RangeVar));
    if (field === 'FuncCall') found.functions.add(lastName(fields.funcname));
    if (field === 'A_Expr') found.operators.add(lastName(fields.name));
    if (!QUERIES.has(field)) return scope;
    const inner = openScope(field, fields, scope);
    readQuery(fields, inner, hasColumn);
    found.uses.push(...inner.sources.values());
    const target = fields.relation as RangeVar | undefined;
    if (target?.relname) {
      // These hold it as a plain field, without its kind.
      found.relations.push(relationNameOf(target));
      if (field === 'UpdateStmt') {
        const targets = (fields.targetList ?? []) as Node[];
        const columns = targets.map((node) => asKind(node, 'ResTarget')?.name ?? '');
        found.updates.push({ relation: relationNameOf(target), columns });
      }
    }
    return inner;
  });
  const isTable = ({ schema, name }: WrittenName) => schema !== undefined || !ctes.has(name);
  found.uses = found.uses.filter(({ relation }) => isTable(relation));
  found.relations = found.relations.filter(isTable);
  return found;
}

const QUERIES = new Set(['SelectStmt', 'UpdateStmt', 'DeleteStmt', 'InsertStmt', 'MergeStmt']);

function lastName(names: unknown): string {
  return stringsOf(names as Node[] | undefined).at(-1) ?? '';
}

function openScope(
  kind: string,
  fields: Record<string, unknown>,
  parent: Scope | undefined,
): Scope {
  const sources: Scope['sources'] = new Map();
  const add = (range: RangeVar) => {
    const use = { relation: relationNameOf(range), equal: [], range: [], sort: [] };
    sources.set(range.alias?.aliasname ?? range.relname ?? '', use);
  };
  const target = fields.relation as RangeVar | undefined;
  if (target?.relname && kind !== 'InsertStmt') add(target);
  const from = (fields.fromClause ?? fields.usingClause ?? []) as Node[];
  for (const node of joinedNodes(from)) {
    const range = asKind(node, 'RangeVar');
    if (range) add(range);
  }
  return { sources, parent };
}

/** The items of a from clause with those of its joins. */
function joinedNodes(from: readonly Node[]): Node[] {
  const nodes: Node[] = [];
  const left: (Node | undefined)[] = [...from].reverse();
  while (left.length > 0) {
    const node = left.pop();
    if (node === undefined) continue;
    nodes.push(node);
    const join = asKind(node, 'JoinExpr');
    if (join) left.push(join.rarg, join.larg);
  }
  return nodes;
}

/** A column of a relation of this query, or of one that it stands in. */
interface FoundColumn {
  use: RelationUse;
  column: string;
}

function readQuery(fields: Record<string, unknown>, scope: Scope, hasColumn: HasColumn): void {
  const find = (node: Node | undefined) => findColumn(node, scope, hasColumn);
  const from = joinedNodes((fields.fromClause ?? fields.usingClause ?? []) as Node[]);
  const conditions = [fields.whereClause as Node | undefined];
  for (const node of from) {
    const join = asKind(node, 'JoinExpr');
    conditions.push(join?.quals);
    for (const name of stringsOf(join?.usingClause)) {
      for (const use of scope.sources.values()) {
        if (hasColumn(use.relation, name)) use.equal.push(name);
      }
    }
  }
  conditions.push(fields.joinCondition as Node | undefined);
  for (const condition of conjuncts(conditions)) readCondition(condition, find);
  readSort(fields as SelectStmt, find);
}

function conjuncts(conditions: readonly (Node | undefined)[]): Node[] {
  const found: Node[] = [];
  const left = [...conditions].reverse();
  while (left.length > 0) {
    const node = left.pop();
    if (node === undefined) continue;
    const bool = asKind(node, 'BoolExpr');
    if (bool?.boolop === 'AND_EXPR') left.push(...(bool.args ?? []).toReversed());
    else if (!bool) found.push(node);
  }
  return found;
}

const RANGE = new Set(['<', '<=', '>', '>=']);

function readCondition(node: Node, find: (node: Node | undefined) => FoundColumn | undefined) {
  const link = asKind(node, 'SubLink');
  if (link?.subLinkType === 'ANY_SUBLINK') add(find(link.testexpr), 'equal');
  const expression = asKind(node, 'A_Expr');
  if (!expression) return;
  const { kind, lexpr, rexpr } = expression;
  const operator = lastName(expression.name);
  const [left, right] = [find(lexpr), find(rexpr)];
  if (kind === 'AEXPR_BETWEEN') add(left, 'range');
  else if (kind === 'AEXPR_IN' || kind === 'AEXPR_OP_ANY') {
    if (operator === '=') add(left, 'equal');
  } else if (kind === 'AEXPR_OP') {
    // A relation's columns that are compared with each other are found by no index.
    if (left && right && left.use === right.use) return;
    const how = operator === '=' ? 'equal' : RANGE.has(operator) ? 'range' : undefined;
    if (how === undefined) return;
    if (left && !mentions(rexpr, left, find)) add(left, how);
    if (right && !mentions(lexpr, right, find)) add(right, how);
  }
}

function add(found: FoundColumn | undefined, how: 'equal' | 'range'): void {
  if (found && !found.use[how].includes(found.column)) found.use[how].push(found.column);
}

/** Whether an expression reads the relation of a column itself. */
function mentions(
  expression: Node | undefined,
  { use }: FoundColumn,
  find: (node: Node | undefined) => FoundColumn | undefined,
): boolean {
  let isFound = false;
  descend(expression, undefined, (field, value) => {
    if (field === 'ColumnRef' && find({ ColumnRef: value } as Node)?.use === use) isFound = true;
    return undefined;
  });
  return isFound;
}

function readSort(
  { sortClause = [] }: SelectStmt,
  find: (node: Node | undefined) => FoundColumn | undefined,
): void {
  const keys = sortClause.map((node) => asKind(node, 'SortBy'));
  const columns = keys.map((key) => find(key?.node));
  const [first] = columns;
  if (!first || columns.some((column) => column?.use !== first.use)) return;
  const isDescending = keys.map((key) => key?.sortby_dir === 'SORTBY_DESC');
  const isPlain = keys.every((key) => key?.sortby_nulls === 'SORTBY_NULLS_DEFAULT');
  if (!isPlain || new Set(isDescending).size > 1) return;
  first.use.sort = columns.map((column) => column?.column ?? '');
}

function findColumn(
  node: Node | undefined,
  scope: Scope,
  hasColumn: HasColumn,
): FoundColumn | undefined {
  const fields = asKind(node, 'ColumnRef')?.fields ?? [];
  const names = stringsOf(fields);
  const column = names.at(-1) ?? '';
  if (column === '') return undefined;
  const prefix = names.at(-2);
  for (let at: Scope | undefined = scope; at; at = at.parent) {
    if (prefix !== undefined) {
      const use = at.sources.get(prefix);
      if (use) return { use, column };
      continue;
    }
    const having = [...at.sources.values()].filter(({ relation }) => hasColumn(relation, column));
    if (having.length === 1) return { use: having[0] as RelationUse, column };
    if (having.length > 1) return undefined;
  }
  return undefined;
}

/** More columns make an index larger and rarely find less. */
const MOST_EQUAL = 3;
const MOST_SORTED = 2;

/**
 * The columns of B-tree indexes that could answer a use, without those that the planner can get from
 * another one of them: equality first, the most distinct first, then one range or the order.
 *
 * @param distinct how many different values a column has, as far as the server knows
 */
export function candidateColumns(
  { equal, range, sort }: RelationUse,
  distinct: (column: string) => number,
): string[][] {
  const ordered = [...new Set(equal)].sort((a, b) => distinct(b) - distinct(a));
  const first = ordered.slice(0, MOST_EQUAL);
  const [compared] = range.filter((column) => !first.includes(column));
  const sorted = sort.filter((column) => !first.includes(column)).slice(0, MOST_SORTED);
  const lists = [
    ...(compared === undefined ? [] : [[...first, compared]]),
    ...(sorted.length === 0 ? [] : [[...first, ...sorted]]),
    first,
    first.slice(0, 1),
  ].filter((list) => list.length > 0);
  const known = new Set<string>();
  return lists.filter((list) => {
    const key = JSON.stringify(list);
    return known.has(key) ? false : known.add(key);
  });
}
