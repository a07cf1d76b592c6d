import type { DropStmt, Node } from '@pgsql/types';
import { asKind, objectNameOf, stringsOf, writtenNameOf } from '../sql/tree.ts';
import { type Catalog, findRelation, resolveKey } from './catalog.ts';
import { dropRelation, dropRoutine, dropSchema, dropType } from './replay-drop.ts';
import { removeIndex } from './replay-index.ts';
import { dropPublication } from './replay-uses.ts';

/** `drop …`; what only `cascade` takes along goes too, as without it nothing would have been there. */
export function replayDrop(catalog: Catalog, statement: DropStmt): void {
  for (const object of statement.objects ?? []) dropObject(catalog, statement, object);
}

const ON_TABLES = {
  OBJECT_TRIGGER: 'trigger',
  OBJECT_POLICY: 'policy',
  OBJECT_RULE: 'rule',
} as const;

function dropObject(catalog: Catalog, { removeType }: DropStmt, object: Node): void {
  const written = objectNameOf(object);
  if (written === undefined) return;
  switch (removeType) {
    case 'OBJECT_TABLE':
    case 'OBJECT_FOREIGN_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_SEQUENCE':
      dropRelation(catalog, resolveKey(catalog, written, catalog.relations));
      return;
    case 'OBJECT_INDEX':
      removeIndex(catalog, resolveKey(catalog, written, catalog.indexes));
      return;
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      dropType(catalog, resolveKey(catalog, written, catalog.types));
      return;
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE':
      dropRoutine(catalog, resolveKey(catalog, written, catalog.routines));
      return;
    case 'OBJECT_SCHEMA':
      dropSchema(catalog, written.name);
      return;
    case 'OBJECT_PUBLICATION':
      dropPublication(catalog, written.name);
      return;
    case 'OBJECT_TRIGGER':
    case 'OBJECT_POLICY':
    case 'OBJECT_RULE': {
      const items = asKind(object, 'List')?.items;
      const table = findRelation(catalog, writtenNameOf(items?.slice(0, -1)));
      const name = stringsOf(items).at(-1) ?? '';
      const kind = ON_TABLES[removeType];
      if (kind === 'trigger') table?.triggers?.delete(name);
      table?.uses?.delete(`${kind} ${name}`);
      return;
    }
  }
}
