import type { Node } from '@pgsql/types';
import { type Catalog, type ObjectKey, resolveKey } from '../catalog/catalog.ts';
import type { SqlParser } from '../sql/parser.ts';
import type { Statement } from '../sql/statements.ts';
import { asKind, type TreeObject, walkTree, writtenNameOf } from '../sql/tree.ts';
import { readBody } from './body.ts';

/** A statement to judge: one of the script, or one that a statement of the script runs. */
export interface ExpandedStatement {
  text: string;
  tree: Node;
  /** Where `text` starts in the script, in UTF-16 units; of the outer statement for a called function. */
  start: number;
  isEmbedded: boolean;
  isConditional: boolean;
  isDynamic: boolean;
  routine?: ObjectKey;
}

/** Stands for SQL that nobody can read. */
const OPAQUE: Node = { DoStmt: {} };

/** How deep functions that call functions are followed. */
const MAX_DEPTH = 8;

/** How many statements are followed: functions that call each other several times multiply. */
const MAX_EXPANDED = 5000;

/**
 * A statement with those that run inside of it: the body of a `do` block, and of functions in SQL
 * or PL/pgSQL that it calls and that a migration has created.
 */
export function expandStatement(
  statement: Statement,
  tree: Node,
  { catalog, parser }: { catalog: Catalog; parser: SqlParser },
): ExpandedStatement[] {
  const outer: ExpandedStatement = {
    text: statement.text,
    tree,
    start: statement.start,
    isEmbedded: false,
    isConditional: false,
    isDynamic: false,
  };
  const expanded = [outer];
  const queue = { catalog, parser, into: expanded, seen: new Set<ObjectKey>() };
  if ('DoStmt' in tree) addBody(outer, outer, queue, 0);
  else addCalls(outer, queue, 0);
  return expanded;
}

interface Queue {
  catalog: Catalog;
  parser: SqlParser;
  into: ExpandedStatement[];
  seen: Set<ObjectKey>;
}

/** @param holder the statement whose body is read; its place is that of `outer` plus the offset */
function addBody(
  outer: ExpandedStatement,
  holder: { text: string; tree: Node; routine?: ObjectKey },
  queue: Queue,
  depth: number,
): void {
  const body = readBody(holder.text, holder.tree, queue.parser);
  const { routine } = holder;
  const place = (offset: number) => ({
    start: routine === undefined ? outer.start + offset : outer.start,
    ...(routine !== undefined && { routine }),
  });
  if (body === undefined || queue.into.length + body.length > MAX_EXPANDED) {
    queue.into.push({ ...outer, ...place(0), tree: OPAQUE, isEmbedded: true, isDynamic: true });
    return;
  }
  for (const { text, offset, isDynamic, isConditional } of body) {
    const tree = isDynamic ? null : queue.parser.parse(text);
    const depends = isConditional || outer.isConditional;
    const embedded = { ...place(offset), isEmbedded: true, isConditional: depends };
    if (tree === null) {
      // What cannot be parsed alone, such as `x := 1`, runs no statement; what is not known may.
      if (isDynamic) queue.into.push({ ...embedded, text, tree: OPAQUE, isDynamic });
      continue;
    }
    const inner = { ...embedded, text, tree, isDynamic: false };
    queue.into.push(inner);
    addCalls(inner, queue, depth);
  }
}

function addCalls(statement: ExpandedStatement, queue: Queue, depth: number): void {
  const { catalog, parser, seen } = queue;
  if (depth >= MAX_DEPTH || catalog.routines.size === 0 || !canCall(statement.tree)) return;
  const follow = (kind: string, fields: TreeObject) => {
    if (kind !== 'FuncCall') return;
    const written = writtenNameOf(fields.funcname as Node[]);
    const key = resolveKey(catalog, written, catalog.routines);
    const { definition } = catalog.routines.get(key) ?? {};
    if (definition === undefined || seen.has(key)) return;
    const tree = parser.parse(definition);
    if (tree === null || asKind(tree, 'CreateFunctionStmt') === undefined) return;
    seen.add(key);
    addBody(statement, { text: definition, tree, routine: key }, queue, depth + 1);
    seen.delete(key);
  };
  walkTree(statement.tree, follow);
  // The call itself is not a node of its own; what stands in its arguments is.
  const call = asKind(statement.tree, 'CallStmt')?.funccall;
  if (call) follow('FuncCall', call as TreeObject);
}

/** Defaults, checks and index expressions call functions too, but those rarely run statements. */
function canCall(tree: Node): boolean {
  return 'SelectStmt' in tree || 'CallStmt' in tree;
}
