import type { Catalog, Relation } from '../catalog/catalog.ts';

/** What a view reads, also through other views; nothing for what holds rows of its own. */
export function readThrough(
  { relations }: Catalog,
  view: Relation | undefined,
): ReadonlySet<Relation> {
  const found = new Set<Relation>();
  const follow = (relation: Relation | undefined) => {
    for (const key of relation?.kind === 'view' ? (relation.reads?.keys() ?? []) : []) {
      const read = relations.get(key);
      if (read === undefined || found.has(read)) continue;
      found.add(read);
      follow(read);
    }
  };
  follow(view);
  return found;
}
