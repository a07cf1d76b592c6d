import type { CatalogConstraint, ObjectKey, Relation } from '../catalog/catalog.ts';
import { withDescendants } from '../catalog/replay/relation.ts';
import type { AlterTableCommand } from '../sql/list-items.ts';
import type { Draft, Target } from './draft.ts';
import type { Refusal } from './impact.ts';

/** What an `alter table` drops, which it does before all else: it proves nothing and is not tried again. */
export interface Dropped {
  constraints: ReadonlySet<CatalogConstraint>;
  indexes: ReadonlySet<ObjectKey>;
}

/**
 * What the subcommands drop of a table and all that hangs below it: constraints, columns, and what
 * goes away with either.
 */
export function droppedBy(
  { catalog }: Pick<Draft, 'catalog'>,
  { relation }: Target,
  commands: readonly AlterTableCommand[],
): Dropped {
  const constraints = new Set<CatalogConstraint>();
  const indexes = new Set<ObjectKey>();
  const named = namedBy(commands, 'AT_DropConstraint');
  const columns = namedBy(commands, 'AT_DropColumn');
  if (relation === undefined || named.size + columns.size === 0) return { constraints, indexes };
  for (const one of withDescendants(catalog, relation)) {
    const own = [...one.constraints.values()];
    for (const constraint of own) {
      const isNamed = one === relation && named.has(constraint.name);
      const isWithParent = constraint.isInherited && isLikeOneOf(constraint, constraints);
      const isWithColumn = constraint.columns.some((name) => columns.has(name));
      if (isNamed || isWithParent || isWithColumn) constraints.add(constraint);
    }
    for (const key of one.indexes) {
      const { mentions = [], parent = '' } = catalog.indexes.get(key) ?? {};
      const owner = own.find(({ index }) => index === key);
      const isWithOwner = owner !== undefined && constraints.has(owner);
      const isWithColumn = mentions.some((name) => columns.has(name));
      if (isWithOwner || isWithColumn || indexes.has(parent)) indexes.add(key);
    }
  }
  return { constraints, indexes };
}

function namedBy(
  commands: readonly AlterTableCommand[],
  subtype: AlterTableCommand['command']['subtype'],
): Set<string> {
  return new Set(
    commands.flatMap(({ command }) => (command.subtype === subtype ? [command.name ?? ''] : [])),
  );
}

/** The foreign key of a partition may have another name than that of its table; a check has not. */
function isLikeOneOf(
  { kind, name, references, columns }: CatalogConstraint,
  others: ReadonlySet<CatalogConstraint>,
): boolean {
  for (const one of others) {
    if (one.kind !== kind) continue;
    if (kind !== 'foreign key' && one.name === name) return true;
    const isSameKey = one.references === references && one.columns.join() === columns.join();
    if (kind === 'foreign key' && isSameKey) return true;
  }
  return false;
}

/** The primary key that a table still has behind subcommands that drop some of it. */
export function primaryKeyBehind(
  draft: Pick<Draft, 'catalog'>,
  table: Relation,
  commands: readonly AlterTableCommand[],
): CatalogConstraint | undefined {
  const { constraints } = droppedBy(draft, { key: table.key, relation: table }, commands);
  return [...table.constraints.values()].find(
    (one) => one.kind === 'primary key' && !constraints.has(one),
  );
}

/** A column of the primary key cannot be null; what is written before it is dropped by then, in one pass. */
export function refuseNullable(
  draft: Pick<Draft, 'catalog'>,
  table: Relation,
  at: { column: string; before: readonly AlterTableCommand[]; offset: number },
): Refusal[] {
  const { column, before, offset } = at;
  const key = primaryKeyBehind(draft, table, before);
  if (!key?.columns.includes(column)) return [];
  return [
    {
      sqlstate: '42P16',
      message: `column ${column} is in the primary key ${key.name} of ${table.key}, so it cannot be null`,
      hint: `Drop constraint ${key.name} first; in the same statement it stands before.`,
      relation: table.key,
      offset,
    },
  ];
}
