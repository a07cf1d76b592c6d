import { type DraftMigration, HELD_SHORTLY, type Recipe } from './draft.ts';
import { columnNamed, type TableFacts } from './facts.ts';
import { fitName, plainWord } from './names.ts';
import { refused, requirePlainTable } from './refusals.ts';

/*
 * Constraints that are added without a long lock: an index is built concurrently, and rows that are there
 * already are checked while others write. One migration each, whose statements run by themselves.
 */

/** A foreign key of one column. */
export interface AddForeignKey {
  column: string;
  references: { table: TableFacts; column: string };
  /** As SQL writes it, such as `cascade`; default: no action. */
  onDelete: string | undefined;
  onUpdate: string | undefined;
}

/** A foreign key, and the index that finds the referencing rows unless there is one. */
export function addForeignKey(table: TableFacts, request: AddForeignKey): Recipe {
  const { references, onDelete, onUpdate } = request;
  requirePlainTable(table);
  const column = columnNamed(table, request.column);
  const target = columnNamed(references.table, references.column);
  requireKey(references.table, references.column);
  requireNoForeignKey(table, column.name);
  const base = `${plainWord(table.name)}_${plainWord(column.name)}`;
  const index = isFound(table, column.sql) ? undefined : freeName(table, base, 'idx');
  const name = freeName(table, base, 'fkey');
  const actions = [
    onUpdate === undefined ? '' : ` on update ${onUpdate}`,
    onDelete === undefined ? '' : ` on delete ${onDelete}`,
  ].join('');
  const [child, parent] = [table.sql, references.table.sql];
  const orphans = `select * from ${child} as c where c.${column.sql} is not null and not exists (select from ${parent} as p where p.${target.sql} = c.${column.sql})`;
  return {
    drafts: [
      alone({
        name: `add_${base}_fkey`,
        about: `Checks new rows at once, and those that are there while others write.`,
        up: [
          ...(index ? [`create index concurrently ${index} on ${child} (${column.sql})`] : []),
          `alter table ${child} add constraint ${name} foreign key (${column.sql}) references ${parent} (${target.sql})${actions} not valid`,
          `alter table ${child} validate constraint ${name}`,
        ],
        down: [
          `alter table ${child} drop constraint ${name}`,
          ...(index ? [`drop index concurrently ${table.qualifier}${index}`] : []),
        ],
      }),
    ],
    notes: [`rows that refer to nothing make it fail; this lists them: ${orphans}`],
  };
}

/** Columns that have each combination of values once. */
export function addUnique(table: TableFacts, names: readonly string[]): Recipe {
  requirePlainTable(table);
  const keys = names.map((name) => columnNamed(table, name).sql).join(', ');
  const base = [table.name, ...names].map(plainWord).join('_');
  const name = freeName(table, base, 'key');
  const alter = `alter table ${table.sql}`;
  return {
    drafts: [
      alone({
        name: `add_${base}_key`,
        about: 'Builds the index while others write, and makes a constraint of it.',
        up: [
          `create unique index concurrently ${name} on ${table.sql} (${keys})`,
          `${alter} add constraint ${name} unique using index ${name}`,
        ],
        down: [`${alter} drop constraint ${name}`],
      }),
    ],
    notes: [
      `rows that are there twice make it fail; this lists them: select ${keys}, count(*) from ${table.sql} group by ${keys} having count(*) > 1`,
    ],
  };
}

/** What every row of a table has to fulfil. */
export interface AddCheck {
  condition: string;
  /** As SQL writes it; default: `<table>_check`. */
  name: string | undefined;
}

/** A check of new and of old rows. */
export function addCheck(table: TableFacts, { condition, name: given }: AddCheck): Recipe {
  requirePlainTable(table);
  const name = given ?? freeName(table, plainWord(table.name), 'check');
  if (table.constraints.some(({ sql }) => sql === name)) {
    throw refused(`table ${table.sql} has a constraint ${name} already`, 'Give another --name.');
  }
  const alter = `alter table ${table.sql}`;
  return {
    drafts: [
      alone({
        name: `add_${plainWord(name)}`,
        about: 'Checks new rows at once, and those that are there while others write.',
        up: [
          `${alter} add constraint ${name} check (${condition}) not valid`,
          `${alter} validate constraint ${name}`,
        ],
        down: [`${alter} drop constraint ${name}`],
      }),
    ],
    notes: [
      `rows that break it make it fail; this lists them: select * from ${table.sql} where not (${condition})`,
    ],
  };
}

/** A migration whose statements run by themselves, so that none holds a lock for long. */
function alone({
  name,
  about,
  up,
  down,
}: {
  name: string;
  about: string;
  up: string[];
  down: string[];
}): DraftMigration {
  const directives = ['no-transaction'];
  return {
    name,
    up: { about, directives, statements: up, accepts: [HELD_SHORTLY] },
    down: {
      about: 'Rows are no longer checked.',
      directives,
      statements: down,
      accepts: [HELD_SHORTLY],
    },
  };
}

/** @throws {EvdbError} EXPAND_REFUSED unless the column is a key by itself */
function requireKey({ indexes, sql }: TableFacts, name: string): void {
  const isKey = indexes.some(
    ({ isUnique, columns, definition }) =>
      isUnique && columns.join() === name && !/ WHERE /.test(definition),
  );
  if (isKey) return;
  throw refused(
    `${name} of ${sql} is not unique, so nothing can refer to it`,
    'Refer to a primary key or a unique column, or add a unique constraint first.',
  );
}

function requireNoForeignKey({ constraints, sql }: TableFacts, name: string): void {
  const existing = constraints.find(
    ({ kind, columns }) => kind === 'foreign key' && columns.join() === name,
  );
  if (!existing) return;
  throw refused(
    `${name} of ${sql} already has the foreign key ${existing.sql}`,
    'Drop it first, or leave it.',
  );
}

/** Whether an index begins with the column. */
function isFound({ indexes }: TableFacts, sql: string): boolean {
  return indexes.some(({ definition }) => {
    const keys = definition.slice(definition.indexOf(' USING '));
    const first = keys.slice(keys.indexOf('(') + 1);
    return (
      !/ WHERE /.test(definition) &&
      first.startsWith(sql) &&
      /^[,)\s]/.test(first.slice(sql.length))
    );
  });
}

function freeName({ taken, constraints }: TableFacts, base: string, suffix: string): string {
  let name = fitName(base, suffix);
  for (let count = 2; taken.has(name) || constraints.some((one) => one.name === name); count++) {
    name = fitName(base, `${suffix}${count}`);
  }
  return name;
}
