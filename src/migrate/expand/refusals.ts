import { EvdbError } from '../../errors.ts';
import type { ColumnParts } from './column-parts.ts';
import type { ColumnFacts, TableFacts } from './facts.ts';

/** @throws {EvdbError} EXPAND_REFUSED where the table cannot be changed step by step */
export function requirePlainTable({ sql, obstacle }: TableFacts): void {
  if (obstacle === undefined) return;
  throw refused(
    `table ${sql} cannot be expanded: ${obstacle}`,
    'Write the migrations by hand: docs/rollout.md shows what belongs in which.',
  );
}

/** @throws {EvdbError} EXPAND_REFUSED where the rows cannot be filled in batches */
export function requireWalk({ sql, walk }: TableFacts): void {
  if (walk !== undefined) return;
  throw refused(
    `table ${sql} has no primary key, and no unique key whose columns are not null`,
    'A backfill walks such a key. Add one first.',
  );
}

/** @throws {EvdbError} EXPAND_REFUSED where there is a column of that name */
export function requireFreeColumn({ sql, columns }: TableFacts, name: string): void {
  if (!columns.some((column) => column.name === name)) return;
  throw refused(`table ${sql} already has a column ${name}`, 'Choose another name.');
}

/**
 * @throws {EvdbError} EXPAND_REFUSED where something uses the column that would not survive it, with all
 *   that does
 */
export function requireReplaceable(
  table: TableFacts,
  column: ColumnFacts,
  parts: ColumnParts,
): void {
  requirePlainTable(table);
  requireWalk(table);
  if (column.generated) {
    throw refused(
      `column ${column.sql} of ${table.sql} is generated from others`,
      'Add a generated column of the new name or type, and drop this one in a contract.',
    );
  }
  const users = [
    ...table.users.filter((one) => one.column === column.name).map(({ what }) => what),
    ...parts.exclusions.map(({ sql }) => `exclusion constraint ${sql}`),
    ...[...parts.indexes, ...parts.unique]
      .filter(({ isReplicaIdentity }) => isReplicaIdentity)
      .map(({ sql }) => `replica identity ${sql}`),
  ];
  if (users.length === 0) return;
  throw new EvdbError(
    'EXPAND_REFUSED',
    `${users.length === 1 ? 'this uses' : 'these use'} column ${column.sql} of ${table.sql}, and would be lost with it: ${users.join(', ')}`,
    {
      hint: 'Drop them first, or change them so that they do without the column, and create them again for the new one after the contract.',
      details: { users },
    },
  );
}

/** What a recipe refuses. */
export function refused(message: string, hint: string): EvdbError {
  return new EvdbError('EXPAND_REFUSED', message, { hint });
}

/** What nobody but the user can know of a column that goes away. */
export function notesOf(
  table: TableFacts,
  column: ColumnFacts,
  drop: string | undefined,
): string[] {
  const mentions = table.mentions.filter((one) => one.column === column.name);
  const triggers = table.triggers.map(({ name }) => name);
  return [
    ...(mentions.length > 0 && drop !== undefined
      ? [
          `these seem to use ${column.sql}; change them before ${drop}: ${mentions.map(({ what }) => what).join(', ')}`,
        ]
      : []),
    ...(triggers.length > 0
      ? [`the backfill updates rows, so these triggers fire: ${triggers.join(', ')}`]
      : []),
  ];
}
