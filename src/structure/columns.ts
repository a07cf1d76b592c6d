import { CATALOG } from './catalogs.ts';
import type { DraftIndex, DraftObject } from './make-objects.ts';
import { objectKeyOf } from './structure.ts';

/**
 * Columns say only what is their own: one of a view nothing, an inherited one where it differs from
 * its parent's. Tables get the order of their columns, identity columns their sequence, and not-null
 * constraints with a name take the place of the column's mark.
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
  nameNotNulls(drafts, index);
  inheritParts(relations, byTable);
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

/** From PostgreSQL 18 on each is a constraint, and most have the name that PostgreSQL gave them. */
function nameNotNulls(drafts: DraftObject[], index: DraftIndex): void {
  for (const { kind, row } of drafts) {
    if (kind !== 'constraint' || row.contype !== 'n' || row.isPlainNotNull === true) continue;
    const column = index.find(CATALOG.class, row.ofOid, row.column);
    if (column) delete column.parts['not null'];
  }
}

/** What a child has from its parents is theirs. */
function inheritParts(relations: DraftObject[], byTable: Map<string, DraftObject[]>): void {
  const byName = new Map(relations.map((relation) => [relation.name, relation]));
  const own = new Map<DraftObject, Record<string, string>>();
  for (const relation of relations) {
    const parents = parentsOf(relation).map((name) => byName.get(name));
    if (parents.length === 0) continue;
    for (const column of byTable.get(objectKeyOf(relation)) ?? []) {
      const inherited = parents
        .flatMap((parent) => (parent ? (byTable.get(objectKeyOf(parent)) ?? []) : []))
        .find(({ own: name }) => name === column.own);
      if (inherited) own.set(column, differing(column.parts, inherited.parts));
    }
  }
  // not before all were compared: parents may be children too
  for (const [column, parts] of own) {
    column.parts = parts;
    column.isDropped = true;
  }
}

/** The names of the tables that it has its columns from. */
function parentsOf({ parts }: Pick<DraftObject, 'parts'>): string[] {
  const said = parts['partition of'] ?? parts.inherits;
  return said === undefined ? [] : splitNames(said);
}

/** Splits `public.a, public."b, c"`. */
export function splitNames(names: string): string[] {
  return names.match(/(?:"(?:[^"]|"")*"|[^,"])+/g)?.map((name) => name.trim()) ?? [];
}

function differing(
  parts: Record<string, string>,
  inherited: Record<string, string>,
): Record<string, string> {
  const own = Object.entries(parts).filter(([name, value]) => inherited[name] !== value);
  const result = Object.fromEntries(own);
  if (inherited.default !== undefined && parts.default === undefined) result.default = 'none';
  return result;
}
