import type { Catalog, Relation } from '../catalog/catalog.ts';
import { withDescendants } from '../catalog/replay/relation.ts';
import type { AlterTableCommand } from '../sql/list-items.ts';
import type { Refusal } from './impact.ts';

/**
 * Why a column keeps its type, or stays: a view uses it. Only what the database says of a view is sure;
 * its text alone does not always tell which columns are whose.
 */
export function refuseColumnChange(
  catalog: Catalog,
  table: Relation,
  { command, offset }: AlterTableCommand,
): Refusal[] {
  const { subtype, name = '', behavior } = command;
  const isDropped = subtype === 'AT_DropColumn';
  if (isDropped && behavior === 'DROP_CASCADE') return [];
  const view = viewOn(catalog, table, name);
  if (view === undefined) return [];
  const place = { relation: table.key, offset };
  const why = `because ${view.kind} ${view.key} uses it`;
  if (isDropped) {
    return [
      {
        sqlstate: '2BP01',
        message: `column ${name} of ${table.key} cannot be dropped, ${why}`,
        hint: `Drop ${view.key} first, or replace it by one without the column.`,
        ...place,
      },
    ];
  }
  return [
    {
      sqlstate: '0A000',
      message: `the type of column ${name} of ${table.key} cannot change, ${why}`,
      hint: `Drop ${view.key} before and create it after it, in the same migration.`,
      ...place,
    },
  ];
}

function viewOn(catalog: Catalog, table: Relation, column: string): Relation | undefined {
  for (const { key, dependents } of withDescendants(catalog, table)) {
    for (const one of dependents) {
      const view = catalog.relations.get(one);
      if (view?.areReadsSure && view.reads?.get(key)?.has(column)) return view;
    }
  }
  return undefined;
}
