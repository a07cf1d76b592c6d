import { addIncomingSql, columnExtrasSql, commentSql, deferrability } from './column-parts.ts';
import { constraintSql, createIndexSql } from './definitions.ts';
import {
  AS_BEFORE,
  backfillLine,
  type DraftMigration,
  HELD_SHORTLY,
  nothingToUndo,
  type Recipe,
} from './draft.ts';
import { contractDraft } from './replace-contract.ts';
import { meanwhileChecks, type Plan, planReplacement, type Replacement } from './replacement.ts';
import { createSyncSql, dropRowTriggerSql } from './sync-trigger.ts';

/*
 * One column takes the place of another one: a rename, or a change of the type. Both exist for a while
 * and follow each other; then what hangs on the old one is made for the new one, and at last the old one
 * goes.
 */

/** The migrations by which one column takes the place of another. */
export function replaceColumn(replacement: Replacement): Recipe {
  const plan = planReplacement(replacement);
  const { old, young, table } = plan;
  return {
    drafts: [addDraft(plan), fillDraft(plan), ...constrainDrafts(plan), contractDraft(plan)],
    notes: [],
    sync: { function: plan.sync.name, table: table.sql, columns: [old.sql, young.sql] },
  };
}

function addDraft(plan: Plan): DraftMigration {
  const { table, old, young, type, collation, sync, names } = plan;
  const alter = `alter table ${table.sql}`;
  const standard = sync.young[0]?.standard;
  return {
    name: names.add,
    up: {
      about: `Adds ${young.sql} beside ${old.sql}, and a trigger by which each follows the other, whichever a build writes.`,
      statements: [
        `${alter} add column ${young.sql} ${type}${collation}`,
        ...(standard === undefined
          ? []
          : [`${alter} alter column ${young.sql} set default ${standard}`]),
        ...columnExtrasSql(table, old, young.sql),
        ...createSyncSql(sync),
      ],
      accepts: [HELD_SHORTLY],
    },
    down: {
      about: `The values stay in ${old.sql}.`,
      statements: [...dropRowTriggerSql(sync), `${alter} drop column ${young.sql}`],
      accepts: [HELD_SHORTLY],
    },
  };
}

function fillDraft(plan: Plan): DraftMigration {
  const { table, old, young, forward, compared, isExact, names, loss } = plan;
  const isFilled = isExact ? `${old.sql} is not null` : `${compared} is not null`;
  return {
    name: names.fill,
    up: {
      about: `Fills the rows that were there before the trigger.${loss ? ` ${loss.text}` : ''}`,
      look: loss?.query,
      directives: [backfillLine(table)],
      statements: [
        `update ${table.sql}\nset ${young.sql} = ${forward}\nwhere ${young.sql} is null and ${isFilled}`,
      ],
    },
    down: nothingToUndo(`Nothing has to be undone: ${young.sql} goes with the migration before.`),
  };
}

/** Everything that hangs on the old column, made for the new one without a long lock. */
function constrainDrafts(plan: Plan): DraftMigration[] {
  const { old, young, names } = plan;
  const parts = [...keyCopies(plan), ...constraintCopies(plan)];
  if (parts.length === 0) return [];
  return [
    {
      name: names.constrain,
      up: {
        about: `Makes for ${young.sql} what ${old.sql} has, and proves that the rows are filled. Each statement runs by itself: none holds a lock for long.`,
        afterBackfill: names.fill,
        directives: ['no-transaction'],
        statements: parts.flatMap(({ up }) => up),
        accepts: [HELD_SHORTLY, AS_BEFORE],
      },
      down: {
        about: `Leaves ${young.sql} without what ${old.sql} has.`,
        directives: ['no-transaction'],
        statements: parts.toReversed().map(({ down }) => down),
        accepts: [HELD_SHORTLY],
      },
    },
  ];
}

interface PartCopy {
  up: string[];
  down: string;
}

/** Indexes, and the unique constraints that they are for; a primary key only comes with the contract. */
function keyCopies({ table, parts, nameOf, change }: Plan): PartCopy[] {
  const alter = `alter table ${table.sql}`;
  const { primaryKey, unique, indexes } = parts;
  return [...(primaryKey ? [primaryKey] : []), ...unique, ...indexes].map((index) => {
    const { temporary: name } = nameOf(index.name);
    const { constraint } = index;
    const create = createIndexSql(index, table, { name, change, concurrently: true });
    if (constraint?.kind !== 'unique') {
      const up = [create, ...commentSql(`index ${table.qualifier}${name}`, index.comment)];
      return { up, down: `drop index concurrently ${table.qualifier}${name}` };
    }
    return {
      up: [
        create,
        `${alter} add constraint ${name} unique using index ${name}${deferrability(constraint)}`,
        ...commentSql(`constraint ${name} on ${table.sql}`, constraint.comment),
      ],
      down: `${alter} drop constraint ${name}`,
    };
  });
}

/** Checks and foreign keys, and what only has to be proved until the old column goes. */
function constraintCopies(plan: Plan): PartCopy[] {
  const { table, parts, nameOf, change } = plan;
  const alter = `alter table ${table.sql}`;
  const checked = (name: string, said: string, isValidated = true): PartCopy => ({
    up: [
      `${alter} add constraint ${name} ${said} not valid`,
      ...(isValidated ? [`${alter} validate constraint ${name}`] : []),
    ],
    down: `${alter} drop constraint ${name}`,
  });
  const own = [...parts.checks, ...parts.foreignKeys].map((constraint) => {
    const { temporary: name } = nameOf(constraint.name);
    const copy = checked(name, constraintSql(constraint, change), constraint.isValidated);
    copy.up.push(...commentSql(`constraint ${name} on ${table.sql}`, constraint.comment));
    return copy;
  });
  const incoming = parts.incoming.map((key) => {
    const { temporary: name } = nameOf(key.name);
    const of = `alter table ${key.table}`;
    const validate = key.isValidated ? [`${of} validate constraint ${name}`] : [];
    return {
      up: [...addIncomingSql(key, name, { change, notValid: true }), ...validate],
      down: `${of} drop constraint ${name}`,
    };
  });
  const meanwhile = meanwhileChecks(plan).map(([name, said]) => checked(name, `check (${said})`));
  return [...own, ...incoming, ...meanwhile];
}
