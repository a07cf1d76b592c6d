import type { Node } from '@pgsql/types';
import type { ObjectKey } from '../catalog/catalog.ts';
import { commandsOf } from '../sql/list-items.ts';
import { asKind, relationNameOf, type WrittenName, writtenNameOf } from '../sql/tree.ts';
import { type FileState, isFresh, type StatementInContext } from './rule.ts';

/** Kinds of objects that a file can make and then take away again. */
export type CreatedKind =
  | 'table'
  | 'view'
  | 'materialized view'
  | 'schema'
  | 'function'
  | 'procedure'
  | 'aggregate'
  | 'sequence'
  | 'extension';

/**
 * Which statements of a file, by index, create an object with one of these kinds and this name.
 *
 * Made for what the catalog does not model, and to look ahead, such as for a view that stands in
 * for a renamed table. A name without a schema means the same as any with one.
 */
export function creationsOf(
  { trees }: FileState,
  kinds: readonly CreatedKind[],
  wanted: WrittenName,
): number[] {
  return trees.flatMap((tree, index) => {
    const made = tree === null ? undefined : madeBy(tree);
    return made && kinds.includes(made.kind) && isSameName(made, wanted) ? [index] : [];
  });
}

function isSameName(a: WrittenName, b: WrittenName): boolean {
  if (a.name !== b.name) return false;
  return a.schema === undefined || b.schema === undefined || a.schema === b.schema;
}

interface Made extends WrittenName {
  kind: CreatedKind;
}

function madeBy(tree: Node): Made | undefined {
  const schema = asKind(tree, 'CreateSchemaStmt')?.schemaname;
  if (schema) return { kind: 'schema', schema: undefined, name: schema };
  const extension = asKind(tree, 'CreateExtensionStmt')?.extname;
  if (extension) return { kind: 'extension', schema: undefined, name: extension };
  return relationMadeBy(tree) ?? routineMadeBy(tree);
}

function relationMadeBy(tree: Node): Made | undefined {
  const view = asKind(tree, 'ViewStmt')?.view;
  if (view) return { kind: 'view', ...relationNameOf(view) };
  const filled = asKind(tree, 'CreateTableAsStmt');
  if (filled?.into?.rel) {
    const kind = filled.objtype === 'OBJECT_MATVIEW' ? 'materialized view' : 'table';
    return { kind, ...relationNameOf(filled.into.rel) };
  }
  const table = asKind(tree, 'CreateStmt')?.relation;
  if (table) return { kind: 'table', ...relationNameOf(table) };
  const sequence = asKind(tree, 'CreateSeqStmt')?.sequence;
  return sequence && { kind: 'sequence', ...relationNameOf(sequence) };
}

function routineMadeBy(tree: Node): Made | undefined {
  const routine = asKind(tree, 'CreateFunctionStmt');
  if (routine) {
    return {
      kind: routine.is_procedure ? 'procedure' : 'function',
      ...writtenNameOf(routine.funcname),
    };
  }
  const define = asKind(tree, 'DefineStmt');
  return define?.kind === 'OBJECT_AGGREGATE'
    ? { kind: 'aggregate', ...writtenNameOf(define.defnames) }
    : undefined;
}

interface Touched {
  relation: ObjectKey;
  subject?: string;
  detail?: string;
  isCertain: boolean;
  command?: number;
  offset?: number;
}

/** What one subcommand does for one reason to one table, or to all partitions of one. */
export type TouchedGroup<T extends Touched> = T & { relations: ObjectKey[] };

/**
 * The rewrites, scans or builds with one of some reasons, without tables that nobody else can be
 * using, and those of one subcommand and subject taken together.
 */
export function touchedFor<T extends Touched & { reason: string }>(
  at: StatementInContext,
  all: readonly T[],
  reasons: readonly T['reason'][],
): TouchedGroup<T>[] {
  if (all.length === 0) return [];
  const groups = new Map<string, TouchedGroup<T>>();
  for (const one of all) {
    if (!reasons.includes(one.reason) || isFresh(at, one.relation)) continue;
    const key = JSON.stringify([one.command, one.reason, one.subject]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { ...one, relations: [one.relation] });
    else if (!group.relations.includes(one.relation)) {
      group.relations.push(one.relation);
      group.isCertain &&= one.isCertain;
    }
  }
  return [...groups.values()];
}

/** Where it is written: its own place, else that of its subcommand. */
export function placeOf(
  at: StatementInContext,
  { offset, command }: { offset?: number; command?: number },
): number {
  if (offset !== undefined) return offset;
  const alter = asKind(at.tree, 'AlterTableStmt');
  if (alter === undefined || command === undefined) return 0;
  return commandsOf(alter, at.text)[command]?.offset ?? 0;
}
