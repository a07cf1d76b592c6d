import type { Catalog, Relation } from '../catalog/catalog.ts';
import { referencesTo, withDescendants } from '../catalog/replay/relation.ts';
import type { AlterTableCommand } from '../sql/list-items.ts';
import { asKind } from '../sql/tree.ts';
import type { Draft } from './draft.ts';
import { primaryKeyBehind } from './dropped.ts';
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

/** Why a relation stays that a statement drops without cascade. */
export function refuseRelationDrop(catalog: Catalog, dropped: readonly Relation[]): Refusal[] {
  const goes = new Set(dropped.flatMap((one) => withDescendants(catalog, one)));
  return dropped.flatMap((relation): Refusal[] => {
    const { key, kind, dependents } = relation;
    const view = [...dependents]
      .flatMap((one) => catalog.relations.get(one) ?? [])
      .find((one) => !goes.has(one));
    const foreign = referencesTo(catalog, key).find((one) => !goes.has(one.relation));
    const user = view
      ? `${view.kind} ${view.key} reads it`
      : foreign && `constraint ${foreign.constraint.name} of ${foreign.relation.key} references it`;
    if (user === undefined) return [];
    const hint = view
      ? `Drop ${view.key} first.`
      : `Drop constraint ${foreign?.constraint.name} of ${foreign?.relation.key} first.`;
    const message = `${kind} ${key} cannot be dropped, because ${user}`;
    return [{ sqlstate: '2BP01', message, hint, relation: key }];
  });
}

/** Why a key stays: a foreign key of another table rests on it, and on no other one of the same columns. */
export function refuseKeyDrop(
  catalog: Catalog,
  table: Relation,
  { command, offset }: AlterTableCommand,
): Refusal[] {
  const key = table.constraints.get(command.name ?? '');
  if (key?.index === undefined || command.behavior === 'DROP_CASCADE') return [];
  const isOn = (columns: readonly (string | undefined)[] = []) =>
    [...columns].sort().join() === [...key.columns].sort().join();
  const indexes = [...table.indexes].flatMap((one) => catalog.indexes.get(one) ?? []);
  if (indexes.some((one) => one.key !== key.index && one.isUnique && isOn(one.columns))) return [];
  const foreign = referencesTo(catalog, table.key).find(
    ({ relation, constraint }) => relation !== table && isOn(constraint.referencedColumns),
  );
  if (foreign === undefined) return [];
  const { relation, constraint } = foreign;
  return [
    {
      sqlstate: '2BP01',
      message: `constraint ${key.name} of ${table.key} cannot be dropped, because constraint ${constraint.name} of ${relation.key} references its columns`,
      hint: `Drop constraint ${constraint.name} of ${relation.key} first.`,
      relation: table.key,
      offset,
    },
  ];
}

/** What there is already; a statement that drops it itself may add it. */
export function refuseSecond(
  draft: Pick<Draft, 'catalog'>,
  table: Relation,
  { command, offset }: AlterTableCommand,
  all: readonly AlterTableCommand[],
): Refusal[] {
  const refused = (sqlstate: string, message: string, hint: string): Refusal[] => [
    { sqlstate, message, hint, relation: table.key, offset },
  ];
  const column = asKind(command.def, 'ColumnDef')?.colname ?? '';
  if (command.subtype === 'AT_AddColumn') {
    if (command.missing_ok || !table.columns.has(column)) return [];
    const drops = ({ command: { subtype, name } }: AlterTableCommand) =>
      subtype === 'AT_DropColumn' && name === column;
    if (all.some(drops)) return [];
    return refused(
      '42701',
      `${table.key} has a column ${column} already`,
      'Give the new column another name, or leave it out.',
    );
  }
  const key = primaryKeyBehind(draft, table, all);
  if (key === undefined) return [];
  return refused(
    '42P16',
    `${table.key} has a primary key already (${key.name})`,
    `Drop constraint ${key.name} first, or add a unique constraint.`,
  );
}
