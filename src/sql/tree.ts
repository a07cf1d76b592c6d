import type { Node, RangeVar, TypeName } from '@pgsql/types';

/** Any object of a syntax tree: a node's fields without the wrapper that names its kind. */
export type TreeObject = Record<string, unknown>;

/**
 * Calls `visit` for each node below and including `root`, parents first, with its kind and fields.
 *
 * @param visit returns false to leave out what is below the node
 * @example walkTree(tree, (kind) => { if (kind === 'FuncCall') calls++; })
 */
export function walkTree(
  root: unknown,
  // biome-ignore lint/suspicious/noConfusingVoidType: most visitors return nothing
  visit: (kind: string, fields: TreeObject) => boolean | void,
): void {
  if (Array.isArray(root)) {
    for (const item of root) walkTree(item, visit);
    return;
  }
  if (typeof root !== 'object' || root === null) return;
  // Nodes have no prototype but Object's; the pairs of Object.entries take twice as long.
  for (const key in root) {
    const value = (root as TreeObject)[key];
    if (typeof value !== 'object' || value === null) continue;
    const isNode = isKind(key) && !Array.isArray(value);
    if (isNode && visit(key, value as TreeObject) === false) continue;
    walkTree(value, visit);
  }
}

/** Kinds of nodes begin with a capital letter, fields do not. */
function isKind(key: string): boolean {
  const code = key.charCodeAt(0);
  return code >= 0x41 && code <= 0x5a;
}

/** The kind of a node, such as `AlterTableStmt`. */
export function kindOf(node: Node): string {
  for (const kind in node) return kind;
  return '';
}

/** The kind of a node and its fields, such as `AlterTableStmt`. */
export function openNode(node: Node): { kind: string; fields: TreeObject } {
  const [entry] = Object.entries(node);
  const [kind, fields] = entry as [string, TreeObject];
  return { kind, fields };
}

/** The fields of a node of one kind, undefined for every other. */
export function asKind<K extends KindOfNode>(
  node: Node | undefined,
  kind: K,
): FieldsOf<K> | undefined {
  return (node as Record<string, unknown> | undefined)?.[kind] as FieldsOf<K> | undefined;
}

type KindOfNode = Node extends infer N ? (N extends object ? keyof N & string : never) : never;
type FieldsOf<K extends string> = Extract<Node, Record<K, unknown>>[K &
  keyof Extract<Node, Record<K, unknown>>];

/** The strings of a list of names, such as the parts of `a.b`. */
export function stringsOf(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).map((node) => asKind(node, 'String')?.sval ?? '');
}

/** A name as a statement writes it: the schema only where it says one. */
export interface WrittenName {
  schema: string | undefined;
  name: string;
}

/** The name of a relation in a statement. */
export function relationNameOf({ schemaname, relname }: RangeVar): WrittenName {
  return { schema: schemaname || undefined, name: relname ?? '' };
}

/** The last two of a list of names, for objects that a list of strings names. */
export function writtenNameOf(nodes: readonly Node[] | undefined): WrittenName {
  const parts = stringsOf(nodes);
  return { schema: parts.at(-2) || undefined, name: parts.at(-1) ?? '' };
}

/** Whether a type is written as an array. */
export function isArrayType({ arrayBounds }: TypeName): boolean {
  return (arrayBounds?.length ?? 0) > 0;
}
