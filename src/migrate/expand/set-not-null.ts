import {
  backfillLine,
  type DraftMigration,
  HELD_SHORTLY,
  nothingToUndo,
  type Recipe,
} from './draft.ts';
import { type ColumnFacts, columnNamed, type TableFacts } from './facts.ts';
import { fitName, plainWord } from './names.ts';
import { notesOf, refused, requirePlainTable, requireWalk } from './refusals.ts';
import { createRowTriggerSql, dropRowTriggerSql, triggerName } from './sync-trigger.ts';

/** What may no longer be null. */
export interface SetNotNull {
  column: string;
  /** In the place of null; default: rows with null make the migration fail. */
  default: string | undefined;
  gates: string[];
}

/** A column loses its nulls, and then may have none. */
export function setNotNull(table: TableFacts, request: SetNotNull): Recipe {
  requirePlainTable(table);
  const column = columnNamed(table, request.column);
  if (column.isNotNull || column.generated) {
    const why = column.isNotNull ? 'is not null already' : 'is generated from others';
    throw refused(`${column.sql} of ${table.sql} ${why}`, 'Choose another column.');
  }
  const base = `${plainWord(table.name)}_${plainWord(column.name)}`;
  const facts = { table, column, base, check: fitName(base, 'filled'), gates: request.gates };
  if (request.default === undefined) return { drafts: proofDrafts(facts, undefined), notes: [] };
  requireWalk(table);
  const name = triggerName(table, `${plainWord(table.name)}_fill_${plainWord(column.name)}`);
  const filling = { name, value: request.default };
  return {
    drafts: [...fillDrafts(facts, filling), ...proofDrafts(facts, filling)],
    notes: notesOf(table, column, undefined),
    sync: { function: name, table: table.sql, columns: [column.sql] },
  };
}

interface NotNullFacts {
  table: TableFacts;
  column: ColumnFacts;
  /** What names are made of, such as `users_email`. */
  base: string;
  /** The check that proves it. */
  check: string;
  gates: string[];
}

/** A trigger, and the value that it puts in the place of null. */
interface Filling {
  name: string;
  value: string;
}

/** The default, for rows to come and for those that are there. */
function fillDrafts({ table, column, base }: NotNullFacts, filling: Filling): DraftMigration[] {
  const { sql, default: before } = column;
  const alter = `alter table ${table.sql} alter column ${sql}`;
  return [
    {
      name: `default_${base}`,
      up: {
        about: `Gives ${sql} a default, and lets a trigger put it where a build writes null.`,
        statements: [
          `${alter} set default ${filling.value}`,
          ...createTriggerSql({ table, column }, filling),
        ],
        accepts: [HELD_SHORTLY],
      },
      down: {
        about: `${sql} has the default that it had before.`,
        statements: [
          ...dropRowTriggerSql({ table: table.sql, name: filling.name }),
          before === undefined ? `${alter} drop default` : `${alter} set default ${before}`,
        ],
        accepts: [HELD_SHORTLY],
      },
    },
    {
      name: `fill_${base}`,
      up: {
        about: 'Fills the rows that were there before the trigger.',
        directives: [backfillLine(table)],
        statements: [`update ${table.sql}\nset ${sql} = ${filling.value}\nwhere ${sql} is null`],
      },
      down: nothingToUndo('Nothing is undone: nobody knows any more which rows had no value.'),
    },
  ];
}

/** A check that proves it while others write, and then `not null`, which reads no row any more. */
function proofDrafts(facts: NotNullFacts, filling: Filling | undefined): DraftMigration[] {
  const { table, column, base, check, gates } = facts;
  const { sql } = column;
  const alter = `alter table ${table.sql}`;
  const prove = [
    `${alter} add constraint ${check} check (${sql} is not null) not valid`,
    `${alter} validate constraint ${check}`,
  ];
  const afterBackfill = filling && `fill_${base}`;
  return [
    {
      name: `check_${base}`,
      up: {
        about: `Proves that ${sql} has no null, without a long lock.${filling ? '' : ' Builds that write null fail from here on, and so does this migration while a row has null.'}`,
        ...(filling ? { afterBackfill } : { isContract: true }),
        directives: [...(filling ? [] : gates), 'no-transaction'],
        statements: prove,
        accepts: [HELD_SHORTLY],
      },
      down: {
        about: `Lets ${sql} be null again.`,
        statements: [`${alter} drop constraint ${check}`],
        accepts: [HELD_SHORTLY],
      },
    },
    {
      name: `set_${base}_not_null`,
      up: {
        about: `Reads no row: the check has proved it.${filling ? ' No build may write null any more.' : ''}`,
        ...{ isContract: true, afterBackfill, directives: gates },
        statements: [
          `${alter} alter column ${sql} set not null`,
          `${alter} drop constraint ${check}`,
          ...(filling ? dropRowTriggerSql({ table: table.sql, name: filling.name }) : []),
        ],
        accepts: [HELD_SHORTLY],
      },
      down: {
        about:
          'The check says the same meanwhile. To validate it reads the rows while others write.',
        directives: ['no-transaction'],
        statements: [
          ...(filling ? createTriggerSql(facts, filling) : []),
          ...prove,
          `${alter} alter column ${sql} drop not null`,
        ],
        accepts: [HELD_SHORTLY],
      },
    },
  ];
}

function createTriggerSql(
  { table, column: { sql } }: Pick<NotNullFacts, 'table' | 'column'>,
  { name, value }: Filling,
): string[] {
  return createRowTriggerSql({
    ...{ table: table.sql, name },
    body: `    new.${sql} := coalesce(new.${sql}, ${value});`,
    condition: `new.${sql} is null`,
  });
}
