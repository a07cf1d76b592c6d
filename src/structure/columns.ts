import { CATALOG } from './catalogs.ts';
import type { DraftIndex, DraftObject } from './make-objects.ts';
import { objectKeyOf } from './structure.ts';

/**
 * A column of a view says nothing of itself. Tables get the order of their columns, identity columns
 * their sequence.
 */
export function mendColumns(drafts: DraftObject[], index: DraftIndex): void {
  const byTable = new Map<string, DraftObject[]>();
  for (const draft of drafts) {
    if (draft.kind === 'column' && draft.of) getList(byTable, draft.of).push(draft);
    else if (draft.kind === 'identity') linkIdentity(draft, index);
  }
  const relations = drafts.filter((draft) => byTable.has(objectKeyOf(draft)));
  for (const relation of relations) {
    if (relation.kind === 'view' || relation.kind === 'materialized view') {
      const columns = byTable.get(objectKeyOf(relation)) ?? [];
      addViewColumns(relation, columns);
      for (const column of columns) quietViewColumn(column);
    } else {
      addColumnOrder(relation, byTable.get(objectKeyOf(relation)) ?? []);
    }
  }
}

function getList(lists: Map<string, DraftObject[]>, key: string): DraftObject[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

function linkIdentity(draft: DraftObject, index: DraftIndex): void {
  const column = index.find(CATALOG.class, draft.row.ofOid, draft.row.ofSub);
  if (column) draft.of = objectKeyOf(column);
}

/** Only a view that is needed by what it needs itself is made from this; see `renderStructure`. */
function addViewColumns(view: DraftObject, columns: DraftObject[]): void {
  const said = columns.map(({ own, parts }) => {
    const collation = parts.collation ? ` collate ${parts.collation}` : '';
    return `null::${parts.type}${collation} as ${own}`;
  });
  view.parts.columns = said.join(', ');
}

/** Its type is said by the view's definition. */
function quietViewColumn(column: DraftObject): void {
  const { type: _, collation: __, 'not null': ___, ...said } = column.parts;
  column.parts = said;
  column.isDropped = true;
}

function addColumnOrder(relation: DraftObject, columns: DraftObject[]): void {
  relation.parts.columns = columns.map(({ own }) => own).join(', ');
}
