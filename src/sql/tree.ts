import type { CreateSchemaStmt, Node, RangeVar, TypeName } from '@pgsql/types';

/** Any object of a syntax tree: a node's fields without the wrapper that names its kind. */
export type TreeObject = Record<string, unknown>;

/** What `descend` leaves out what is below an object for. */
export const SKIP = Symbol('skip');

/**
 * Calls `enter` for each object and list below and including `root`, parents first and in the order
 * of the text. This is the only walk over trees: a statement may be nested as deep as PostgreSQL takes
 * it, and here that costs memory alone and no stack.
 *
 * @param context for `root`; what `enter` returns is the context of what is below, unless it is `SKIP`
 * @param enter gets the field that the object stands in, '' for `root` and for what stands in a list
 */
export function descend<Context>(
  root: unknown,
  context: Context,
  enter: (field: string, value: object, context: Context) => Context | typeof SKIP,
): void {
  const fields = [''];
  const values: unknown[] = [root];
  const contexts = [context];
  while (values.length > 0) {
    const field = fields.pop() ?? '';
    const value = values.pop();
    const inherited = contexts.pop() as Context;
    if (typeof value !== 'object' || value === null) continue;
    const below = enter(field, value, inherited);
    if (below === SKIP) continue;
    const first = values.length;
    if (Array.isArray(value)) {
      for (let i = value.length - 1; i >= 0; i--) {
        values.push(value[i]);
        fields.push('');
        contexts.push(below);
      }
      continue;
    }
    // Nodes have no prototype but Object's; the pairs of Object.entries take twice as long.
    for (const key in value) {
      const inner = (value as TreeObject)[key];
      if (typeof inner !== 'object' || inner === null) continue;
      values.push(inner);
      fields.push(key);
      contexts.push(below);
    }
    reverseFrom(values, first);
    reverseFrom(fields, first);
  }
}

/** What was pushed last is taken first, so what is written first has to come last. */
function reverseFrom(list: unknown[], first: number): void {
  for (let low = first, high = list.length - 1; low < high; low++, high--) {
    const kept = list[low];
    list[low] = list[high];
    list[high] = kept;
  }
}

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
  descend(root, undefined, (field, value) => {
    const isNode = isKind(field) && !Array.isArray(value);
    return isNode && visit(field, value as TreeObject) === false ? SKIP : undefined;
  });
}

/** Calls `visit` for every object: relations and types mostly stand as plain fields, without their kind. */
export function visitObjects(root: unknown, visit: (fields: TreeObject) => void): void {
  descend(root, undefined, (_, value) => {
    if (!Array.isArray(value)) visit(value as TreeObject);
    return undefined;
  });
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

/** What the schema of a `create schema` is called: `authorization x` alone names it after the role. */
export function schemaNameOf({ schemaname, authrole }: CreateSchemaStmt): string {
  return schemaname || authrole?.rolename || 'current_user';
}

/** The last two of a list of names, for objects that a list of strings names. */
export function writtenNameOf(nodes: readonly Node[] | undefined): WrittenName {
  const parts = stringsOf(nodes);
  return { schema: parts.at(-2) || undefined, name: parts.at(-1) ?? '' };
}

/**
 * What the object of a `drop`, `rename`, `set schema`, `comment` and their like is called, however the
 * grammar writes it: a string, a list, a type, a routine. Undefined for what has no name, such as a cast.
 */
export function objectNameOf(object: Node | undefined): WrittenName | undefined {
  const plain = asKind(object, 'String')?.sval;
  if (plain) return { schema: undefined, name: plain };
  const names =
    asKind(object, 'List')?.items ??
    asKind(object, 'TypeName')?.names ??
    asKind(object, 'ObjectWithArgs')?.objname;
  const written = writtenNameOf(names);
  return written.name === '' ? undefined : written;
}

/** Whether a type is written as an array. */
export function isArrayType({ arrayBounds }: TypeName): boolean {
  return (arrayBounds?.length ?? 0) > 0;
}

/** A copy of a tree without what says where something stands. */
export function withoutPlaces(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPlaces);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'location' && !key.startsWith('stmt_'))
      .map(([key, inner]) => [key, withoutPlaces(inner)]),
  );
}
