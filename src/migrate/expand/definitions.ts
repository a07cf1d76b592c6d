import { advance, openCursor } from '../../sql/lexer.ts';
import type { ConstraintFacts, IndexFacts, TableFacts } from './facts.ts';
import { substituteColumn } from './names.ts';

/*
 * Definitions as PostgreSQL writes them, made to fit another column. They are over one table, so a column is
 * a name alone there.
 */

/** Keywords in lower case. PostgreSQL quotes every name with upper case, so a bare word with it is a keyword. */
function inLowerCase(definition: string): string {
  const cursor = openCursor(definition);
  let text = '';
  let from = 0;
  while (advance(cursor)) {
    if (cursor.kind !== 'word') continue;
    text +=
      definition.slice(from, cursor.start) +
      definition.slice(cursor.start, cursor.end).toLowerCase();
    from = cursor.end;
  }
  return text + definition.slice(from);
}

/** How a column is called elsewhere; the same for one that stays. */
export interface ColumnChange {
  column: string;
  /** As SQL writes it. */
  to: string;
}

/**
 * `create index` for another column.
 *
 * @param name of the index, as SQL writes it
 */
export function createIndexSql(
  { definition, sql }: IndexFacts,
  table: TableFacts,
  { name, change, concurrently }: { name: string; change?: ColumnChange; concurrently: boolean },
): string {
  const unique = definition.startsWith('CREATE UNIQUE') ? 'unique ' : '';
  const behindName = definition.slice(definition.indexOf(` ON `, definition.indexOf(sql)) + 4);
  const behindTable = behindName.slice(table.sql.length).replace(/^ USING btree/, '');
  const keys = change ? substituteColumn(behindTable, change.column, change.to) : behindTable;
  const how = concurrently ? 'concurrently ' : '';
  return `create ${unique}index ${how}${name} on ${table.sql}${inLowerCase(keys)}`;
}

/** What a check, a foreign key or a unique constraint says, for another column. */
export function constraintSql(
  { definition, kind }: ConstraintFacts,
  change?: ColumnChange,
): string {
  const valid = definition.replace(/ NOT VALID$/, '');
  if (!change) return inLowerCase(valid);
  if (kind !== 'foreign key') return inLowerCase(substituteColumn(valid, change.column, change.to));
  const { own, references, rest } = partForeignKey(valid);
  // `on delete set null (column)` names columns of the table too.
  return inLowerCase(
    `${substituteColumn(own, change.column, change.to)}${references}${substituteColumn(rest, change.column, change.to)}`,
  );
}

/** A foreign key that refers to the table, for another referenced column. */
export function incomingSql(definition: string, change?: ColumnChange): string {
  const valid = definition.replace(/ NOT VALID$/, '');
  if (!change) return inLowerCase(valid);
  const { own, references, rest } = partForeignKey(valid);
  const open = references.lastIndexOf('(');
  const columns = substituteColumn(references.slice(open), change.column, change.to);
  return inLowerCase(`${own}${references.slice(0, open)}${columns}${rest}`);
}

/** `FOREIGN KEY (a)`, ` REFERENCES t(b)`, and what follows. */
function partForeignKey(definition: string): { own: string; references: string; rest: string } {
  const at = definition.indexOf(' REFERENCES ');
  const end = definition.indexOf(')', at) + 1;
  return {
    own: definition.slice(0, at),
    references: definition.slice(at, end),
    rest: definition.slice(end),
  };
}
