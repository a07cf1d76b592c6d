import type { TableFacts } from './facts.ts';
import { fitName } from './names.ts';
import { refused } from './refusals.ts';

/** Columns that mean the same, and how each side follows from the other. */
export interface SyncedColumns {
  /** As SQL writes it. */
  table: string;
  /** Of the function and of the trigger, as SQL writes it. */
  name: string;
  old: SyncedColumn;
  /** At least one. */
  young: SyncedColumn[];
  /** What the old column follows from, with `new.` before the columns. */
  back: string;
  /** For whom reads the function. */
  about: string;
}

interface SyncedColumn {
  /** As SQL writes it. */
  sql: string;
  /** What it follows from the other side, with `new.` before the columns; not asked of the old one. */
  from: string;
  /** The same to compare with, where a cast that rounds or cuts says more than the assignment. */
  compared?: string;
  /** The value that a row has where nobody gave one; undefined for null. */
  standard: string | undefined;
  /** Where its values can only be compared as text. */
  castToCompare: '' | '::text';
}

/**
 * The statements that make a trigger which keeps old and new columns in step, whichever a build writes.
 *
 * Both sides are compared with what the row had before, because a build that saves whole rows names
 * columns that it did not change: the side that changed wins, and the new one where both did. On insert,
 * the side that is not what it would be by itself was written. What is in step already is left alone, so
 * that a backfill does not write the old column, even where the way back does not give the same value.
 */
export function createSyncSql(synced: SyncedColumns): string[] {
  const { table, name, old, young, back, about } = synced;
  const follows = young.map(({ sql, from }) => `        new.${sql} := ${from};`).join('\n');
  const allNull = young.map(({ sql }) => `new.${sql} is null`).join(' and ');
  const follow = young.length === 1 ? back : `case when not (${allNull}) then ${back} end`;
  const body = `    -- ${about}
    if ${row(young, 'new.')} is distinct from ${row(young, 'was')}
        and ${row(young, 'new.')} is distinct from ${row(young, 'from')} then
        new.${old.sql} := ${follow};
    elsif ${row([old], 'new.')} is distinct from ${row([old], 'was')} then
${follows}
    end if;`;
  return createRowTriggerSql({ table, name, body });
}

/**
 * The statements that make a trigger and its function, under one name, for each row before it is written.
 *
 * @param trigger `body` is what the function does before it returns the row; `condition` says for which rows
 */
export function createRowTriggerSql({
  table,
  name,
  body,
  condition,
}: {
  table: string;
  name: string;
  body: string;
  condition?: string;
}): string[] {
  const when = condition === undefined ? ' ' : `\nwhen (${condition})\n`;
  return [
    `create function ${name}() returns trigger
language plpgsql
set search_path from current
as $$
begin
${body}
    return new;
end
$$`,
    `create trigger ${name}
before insert or update on ${table}
for each row${when}execute function ${name}()`,
  ];
}

/** What takes the trigger away again. */
export function dropRowTriggerSql({
  table,
  name,
}: Pick<SyncedColumns, 'table' | 'name'>): string[] {
  return [`drop trigger ${name} on ${table}`, `drop function ${name}()`];
}

/** The values of one side: as they are, as they were, or as they follow from the other side. */
function row(columns: readonly SyncedColumn[], side: 'new.' | 'was' | 'from'): string {
  const values = columns.map((column) => {
    const { sql, from, compared = from, standard, castToCompare: cast } = column;
    if (side === 'new.') return `new.${sql}${cast}`;
    if (side === 'from') return cast ? `(${compared})${cast}` : compared;
    // OLD is null on insert.
    if (standard === undefined) return `old.${sql}${cast}`;
    return `(case tg_op when 'INSERT' then ${standard} else old.${sql} end)${cast}`;
  });
  return values.length === 1 ? String(values[0]) : `(${values.join(', ')})`;
}

/** Behind it there are names with other letters or signs, or only of the letter z. */
const LAST_NAME = 'z'.repeat(20);

/**
 * A name for the trigger and its function. PostgreSQL fires triggers in the order of their names, and this one
 * has to see what the others have made of the row.
 *
 * @throws {EvdbError} EXPAND_REFUSED where another one is always the last
 */
export function triggerName({ triggers, taken, sql }: TableFacts, base: string): string {
  const others = triggers.filter(({ isBefore }) => isBefore).map(({ name }) => name);
  const last = others.find((other) => other > LAST_NAME);
  if (last !== undefined) {
    throw refused(
      `trigger ${last} of ${sql} fires after every trigger that evdb could name`,
      'Triggers fire in the order of their names: give it a name that begins with a letter from a to y.',
    );
  }
  let name = base;
  while (others.some((other) => other >= name))
    name = name.startsWith('z') ? `z${name}` : `zz_${name}`;
  let free = fitName(name, '').replace(/_$/, '');
  for (let count = 2; taken.has(free); count++) free = fitName(name, String(count));
  return free;
}
