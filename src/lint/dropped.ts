import type { DropStmt, Node } from '@pgsql/types';
import { type ObjectKey, objectKey, quoteWhereNeeded, resolveKey } from '../catalog/catalog.ts';
import { itemOffsets } from '../sql/list-items.ts';
import { asKind, stringsOf, type WrittenName, writtenNameOf } from '../sql/tree.ts';
import { type CreatedKind, creationsOf } from './created.ts';
import { isFresh, isSurelyMissing, keyOf, type StatementInContext } from './rule.ts';

/** An object that a `drop` takes away. */
export interface DroppedObject {
  /** As a message names it, such as `materialized view`. */
  kind: DroppedKind;
  shown: string;
  /** Where it is a relation. */
  relation: ObjectKey | undefined;
  /** Its place, in UTF-16 units of the statement's text. */
  offset: number;
  /** Whether the file made it, or makes it again, or there is none. */
  isOwn: boolean;
}

type DroppedKind = CreatedKind | 'foreign table' | 'type' | 'domain' | 'routine';

const KINDS = new Map<string, DroppedKind>([
  ['OBJECT_TABLE', 'table'],
  ['OBJECT_FOREIGN_TABLE', 'foreign table'],
  ['OBJECT_VIEW', 'view'],
  ['OBJECT_MATVIEW', 'materialized view'],
  ['OBJECT_SEQUENCE', 'sequence'],
  ['OBJECT_TYPE', 'type'],
  ['OBJECT_DOMAIN', 'domain'],
  ['OBJECT_SCHEMA', 'schema'],
  ['OBJECT_FUNCTION', 'function'],
  ['OBJECT_PROCEDURE', 'procedure'],
  ['OBJECT_ROUTINE', 'routine'],
  ['OBJECT_AGGREGATE', 'aggregate'],
  ['OBJECT_EXTENSION', 'extension'],
]);

const RELATIONS = new Set<DroppedKind>([
  'table',
  'foreign table',
  'view',
  'materialized view',
  'sequence',
]);

/** What can be dropped and made again under the same name without a loss. */
const REPLACEABLE = new Map<DroppedKind, CreatedKind[]>([
  ['view', ['view', 'materialized view']],
  ['materialized view', ['materialized view', 'view']],
  ['function', ['function', 'aggregate']],
  ['procedure', ['procedure']],
  ['routine', ['function', 'procedure', 'aggregate']],
  ['aggregate', ['aggregate', 'function']],
  ['schema', ['schema']],
  ['extension', ['extension']],
]);

/**
 * The objects that a `drop` takes away, as far as an application can miss them: no indexes,
 * triggers, policies and the like.
 */
export function droppedObjects(at: StatementInContext, drop: DropStmt): DroppedObject[] {
  const kind = KINDS.get(drop.removeType ?? '');
  if (kind === undefined) return [];
  const offsets = itemOffsets(at.text, 0);
  return (drop.objects ?? []).map((node, index) => {
    const written = writtenOf(node);
    const relation = RELATIONS.has(kind) ? keyOf(at, written) : undefined;
    return {
      kind,
      shown: relation ?? shownName(written),
      relation,
      offset: index === 0 ? 0 : (offsets[index] ?? 0),
      isOwn:
        isOwn(at, kind, { written, relation }) ||
        (drop.missing_ok === true && relation !== undefined && isSurelyMissing(at, relation)),
    };
  });
}

function isOwn(
  at: StatementInContext,
  kind: DroppedKind,
  { written, relation }: { written: WrittenName; relation: ObjectKey | undefined },
): boolean {
  if (relation !== undefined && isFresh(at, relation)) return true;
  if (kind === 'type' || kind === 'domain') {
    return at.file.freshTypes.has(resolveKey(at.catalog, written, at.catalog.types));
  }
  const made = creationsOf(at.file, REPLACEABLE.get(kind) ?? [], written);
  // What holds rows, or whatever others put into it, is only its own when it was made before.
  const mayFollow = kind !== 'schema' && kind !== 'extension';
  return made.some((index) => mayFollow || index < at.statement.index);
}

function writtenOf(node: Node): WrittenName {
  const list = asKind(node, 'List')?.items ?? asKind(node, 'TypeName')?.names;
  if (list) return writtenNameOf(list);
  const names = asKind(node, 'ObjectWithArgs')?.objname;
  return names ? writtenNameOf(names) : { schema: undefined, name: stringsOf([node])[0] ?? '' };
}

function shownName({ schema, name }: WrittenName): string {
  return schema === undefined ? quoteWhereNeeded(name) : objectKey(schema, name);
}
