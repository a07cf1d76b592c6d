import type { Catalog, Relation } from '../catalog/catalog.ts';

/** What a view reads, also through other views; nothing for what holds rows of its own. */
export function readThrough(
  { relations }: Catalog,
  view: Relation | undefined,
): ReadonlySet<Relation> {
  const found = new Set<Relation>();
  const readBy = ({ kind, reads }: Relation) => {
    for (const key of kind === 'view' ? (reads?.keys() ?? []) : []) {
      const read = relations.get(key);
      if (read !== undefined) found.add(read);
    }
  };
  if (view !== undefined) readBy(view);
  // A set gives what is added to it meanwhile, too.
  for (const read of found) readBy(read);
  return found;
}
