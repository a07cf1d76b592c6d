import type {
  Catalog,
  CatalogColumn,
  CatalogConstraint,
  ColumnUse,
  Relation,
  RelationKind,
} from '../catalog/catalog.ts';
import { referencesTo, referencesToRows, withDescendants } from '../catalog/replay/relation.ts';
import type { AlterTableCommand } from '../sql/list-items.ts';
import { asKind } from '../sql/tree.ts';
import type { Draft } from './draft.ts';
import { droppedBy, primaryKeyBehind } from './dropped.ts';
import type { Refusal } from './impact.ts';

type Question = Pick<Draft, 'catalog' | 'serverVersion'>;

/** Why a column keeps its type, or stays. */
export function refuseColumnChange(
  question: Question,
  table: Relation,
  change: AlterTableCommand,
  all: readonly AlterTableCommand[],
): Refusal[] {
  const { subtype, name = '' } = change.command;
  const isDropped = subtype === 'AT_DropColumn';
  const place = { relation: table.key, offset: change.offset };
  const fate = isDropped
    ? `column ${name} of ${table.key} cannot be dropped`
    : `the type of column ${name} of ${table.key} cannot change`;
  const parted = withDescendants(question.catalog, table).find((one) =>
    one.partitionKey?.columns.includes(name),
  );
  if (parted) {
    const message = `${fate}, because it is in the partition key of ${parted.key}`;
    const hint = 'Make a new table that is partitioned as you need it, and move the rows over.';
    return [{ sqlstate: '42P16', message, hint, ...place }];
  }
  const user = isDropped
    ? userOfDropped(question, table, change, all)
    : userOfChanged(question, table, name, all);
  if (user === undefined) return [];
  const { kind, shown } = user;
  const message = `${fate}, because ${shown} uses it`;
  const instead = kind.endsWith('view') ? ', or replace it by one without the column' : '';
  const first = `Drop ${shown} first${instead}.`;
  const around = `Drop ${shown} before and create it after it, in the same migration.`;
  return isDropped
    ? [{ sqlstate: '2BP01', message, hint: first, ...place }]
    : [{ sqlstate: codeOfChange(kind, question), message, hint: around, ...place }];
}

/** Early versions call the one of a generated column a syntax error. */
function codeOfChange(kind: ColumnUser['kind'], { serverVersion }: Question): string {
  return kind === 'generated column' && serverVersion < 150_000 ? '42601' : '0A000';
}

function userOfDropped(
  { catalog, serverVersion }: Question,
  table: Relation,
  { command: { name = '', behavior }, index }: AlterTableCommand,
  all: readonly AlterTableCommand[],
): ColumnUser | undefined {
  if (behavior === 'DROP_CASCADE') return undefined;
  const before = all.slice(0, index);
  // A child that is no partition may have the column for itself too, and then keeps it.
  const where = table.kind === 'partitioned table' ? withDescendants(catalog, table) : [table];
  // Before 15 the columns that are generated from it go with it.
  const goes = serverVersion < 150_000 ? generatedFrom(table.columns, name) : [];
  const columns = [name, ...goes.map((one) => one.name)];
  const { constraints } = droppedBy({ catalog }, { key: table.key, relation: table }, before);
  for (const one of where) {
    for (const column of columns) {
      const generated = goes.length > 0 ? [] : generatedUsers(one, column, before);
      const keys = keysOn(catalog, one, column, constraints);
      const [user] = [...usersOf(catalog, one, column), ...generated, ...keys];
      if (user) return user;
    }
  }
  return undefined;
}

/** A foreign key gets the new type's operators; all that the statement drops is gone by then. */
function userOfChanged(
  { catalog }: Question,
  table: Relation,
  column: string,
  all: readonly AlterTableCommand[],
): ColumnUser | undefined {
  for (const one of withDescendants(catalog, table)) {
    const [user] = [...usersOf(catalog, one, column), ...generatedUsers(one, column, all)];
    if (user) return user;
  }
  return undefined;
}

/** What uses a column. */
interface ColumnUser {
  kind: RelationKind | ColumnUse['kind'] | 'generated column' | 'constraint';
  shown: string;
}

/**
 * What surely uses a column: the text of a view or a function alone does not always tell which columns
 * are whose.
 */
function usersOf(catalog: Catalog, { key, dependents, uses }: Relation, column: string) {
  const users: ColumnUser[] = [];
  for (const one of dependents) {
    const view = catalog.relations.get(one);
    if (!view?.areReadsSure || !view.reads?.get(key)?.has(column)) continue;
    users.push({ kind: view.kind, shown: `${view.kind} ${view.key}` });
  }
  for (const { kind, name, columns, owner, isSure } of uses?.values() ?? []) {
    if (!isSure || !columns.has(column)) continue;
    const isOfTable = kind !== 'function' && kind !== 'publication';
    const shown = `${kind} ${name}${isOfTable ? ` on ${owner?.key ?? key}` : ''}`;
    users.push({ kind, shown });
  }
  return users;
}

/** @param before what the same statement does by then */
function generatedUsers(
  { key, columns }: Relation,
  column: string,
  before: readonly AlterTableCommand[],
): ColumnUser[] {
  const isFreed = (name: string) =>
    before.some(
      ({ command }) =>
        command.name === name &&
        (command.subtype === 'AT_DropColumn' || command.subtype === 'AT_DropExpression'),
    );
  return generatedFrom(columns, column)
    .filter(({ name }) => !isFreed(name))
    .map(({ name }) => ({ kind: 'generated column', shown: `generated column ${name} of ${key}` }));
}

/** The columns that are generated from one, which no other one can be generated from. */
export function generatedFrom(columns: Relation['columns'], name: string): CatalogColumn[] {
  return [...columns.values()].filter((one) => one.name !== name && one.reads?.includes(name));
}

function keysOn(
  catalog: Catalog,
  { key }: Relation,
  column: string,
  dropped: ReadonlySet<CatalogConstraint>,
): ColumnUser[] {
  return referencesTo(catalog, key)
    .filter(({ constraint }) => constraint.referencedColumns?.includes(column))
    .filter(({ constraint }) => !constraint.isInherited && !dropped.has(constraint))
    .map(({ relation, constraint }) => ({
      kind: 'constraint',
      shown: `constraint ${constraint.name} of ${relation.key}`,
    }));
}

/** Why a relation stays that a statement drops without cascade. */
export function refuseRelationDrop(catalog: Catalog, dropped: readonly Relation[]): Refusal[] {
  const goes = new Set(dropped.flatMap((one) => withDescendants(catalog, one)));
  return dropped.flatMap((relation): Refusal[] => {
    const { key, kind } = relation;
    const [user] = withDescendants(catalog, relation).flatMap((one) => [
      ...readersOf(catalog, one, goes),
      ...keysToRows(catalog, one, goes),
    ]);
    if (user === undefined) return [];
    const message = `${kind} ${key} cannot be dropped, because ${user.shown} ${user.does}`;
    const hint = `Drop ${user.shown} first.`;
    return [{ sqlstate: '2BP01', message, hint, relation: key }];
  });
}

/** What stays when a relation goes, and does not let it. */
interface RelationUser {
  shown: string;
  does: string;
}

function readersOf(
  catalog: Catalog,
  { dependents, uses }: Relation,
  goes: ReadonlySet<Relation>,
): RelationUser[] {
  const readers: RelationUser[] = [];
  for (const one of dependents) {
    const view = catalog.relations.get(one);
    if (view && !goes.has(view)) readers.push({ shown: `${view.kind} ${one}`, does: 'reads it' });
  }
  for (const { kind, name, owner, isSure } of uses?.values() ?? []) {
    const stays = kind === 'function' || (owner !== undefined && !goes.has(owner));
    if (!isSure || !stays) continue;
    readers.push({ shown: `${kind} ${name}${owner ? ` on ${owner.key}` : ''}`, does: 'reads it' });
  }
  return readers;
}

/** A foreign key to a partitioned table needs each of its partitions; those of partitions go with it. */
function keysToRows(
  catalog: Catalog,
  { key }: Relation,
  goes: ReadonlySet<Relation>,
): RelationUser[] {
  return referencesToRows(catalog, key)
    .filter(({ relation, constraint }) => !goes.has(relation) && !constraint.isInherited)
    .map(({ relation, constraint }) => ({
      shown: `constraint ${constraint.name} of ${relation.key}`,
      does: `references ${constraint.references === key ? 'it' : constraint.references}`,
    }));
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
