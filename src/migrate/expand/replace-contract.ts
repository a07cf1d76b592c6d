import {
  addIncomingSql,
  columnExtrasSql,
  commentSql,
  deferrability,
  keepSequenceSql,
  restoreNotNullSql,
  restorePartsSql,
  smallTableGate,
  takeOverDefaultSql,
} from './column-parts.ts';
import { createIndexSql } from './definitions.ts';
import { AS_BEFORE, type DraftMigration, HELD_SHORTLY, SMALL_TABLE } from './draft.ts';
import { meanwhileChecks, type Plan } from './replacement.ts';
import { createSyncSql, dropRowTriggerSql } from './sync-trigger.ts';

/** The old column goes, and the new one gets what is left of it. */
export function contractDraft(plan: Plan): DraftMigration {
  const { table, old, names, gates, aboutDrop } = plan;
  return {
    name: names.drop,
    up: {
      about: aboutDrop,
      isContract: true,
      afterBackfill: names.fill,
      directives: gates,
      statements: contractSql(plan),
      accepts: [HELD_SHORTLY],
    },
    down: {
      about: `Makes ${old.sql} again while it locks the table, so only where that is short. On a larger table expand in the other direction.`,
      directives: [smallTableGate(table)],
      statements: restoreSql(plan),
      accepts: [SMALL_TABLE, AS_BEFORE],
    },
  };
}

function contractSql(plan: Plan): string[] {
  const { table, old, young, final, parts, sync, nameOf, filledCheck } = plan;
  const alter = `alter table ${table.sql}`;
  const { primaryKey } = parts;
  return [
    // first, as who inserts there locks the two tables in this order
    ...parts.incoming.map((key) => `alter table ${key.table} drop constraint ${key.sql}`),
    ...dropRowTriggerSql(sync),
    ...keepSequenceSql(table, old, young.sql),
    `${alter} drop column ${old.sql}`,
    ...(young.sql === final.sql ? [] : [`${alter} rename column ${young.sql} to ${final.sql}`]),
    ...(old.isNotNull
      ? [
          `${alter} alter column ${final.sql} set not null`,
          `${alter} drop constraint ${filledCheck}`,
        ]
      : []),
    ...defaultSql(plan),
    ...(primaryKey?.constraint
      ? [
          `${alter} add constraint ${nameOf(primaryKey.name).final} primary key using index ${nameOf(primaryKey.name).temporary}${deferrability(primaryKey.constraint)}`,
          ...commentSql(
            `constraint ${nameOf(primaryKey.name).final} on ${table.sql}`,
            primaryKey.constraint.comment,
          ),
        ]
      : []),
    ...renamesSql(plan, 'final'),
  ];
}

function defaultSql(plan: Plan): string[] {
  const { table, old, final, sync } = plan;
  if (sync.young[0]?.standard !== undefined) return [];
  const { sequence } = old;
  const type = plan.type === sequence?.type || !sequence || old.identity ? [] : plan.type;
  const widened = /^(smallint|integer|bigint)$/.test(String(type))
    ? [`alter sequence ${sequence?.sql} as ${type}`]
    : [];
  return [...widened, ...takeOverDefaultSql(table, old, final.sql, plan.default)];
}

/** Copies get the names of what they stand for, or theirs back. */
function renamesSql(plan: Plan, to: 'final' | 'temporary'): string[] {
  const { table, parts, nameOf } = plan;
  const from = to === 'final' ? 'temporary' : 'final';
  const renamed = (
    original: string,
    how: (names: Record<typeof to | typeof from, string>) => string,
  ) => {
    const names = nameOf(original);
    return names.final === names.temporary ? [] : [how(names)];
  };
  const alter = `alter table ${table.sql}`;
  const constraints = [...parts.checks, ...parts.foreignKeys].map(({ name }) => name);
  return [
    ...parts.indexes.flatMap(({ name }) =>
      renamed(
        name,
        (names) => `alter index ${table.qualifier}${names[from]} rename to ${names[to]}`,
      ),
    ),
    ...[...parts.unique.map(({ name }) => name), ...constraints].flatMap((name) =>
      renamed(name, (names) => `${alter} rename constraint ${names[from]} to ${names[to]}`),
    ),
    ...parts.incoming.flatMap(({ name, table: other }) =>
      renamed(
        name,
        (names) => `alter table ${other} rename constraint ${names[from]} to ${names[to]}`,
      ),
    ),
  ];
}

/** The way back: both columns as they were before the old one was dropped. */
function restoreSql(plan: Plan): string[] {
  const { table, old, young, final, parts, sync, nameOf, back, change, primaryKeyCopy } = {
    ...plan,
    primaryKeyCopy: plan.parts.primaryKey,
  };
  const alter = `alter table ${table.sql}`;
  return [
    ...parts.incoming.map(
      (key) => `alter table ${key.table} drop constraint ${nameOf(key.name).final}`,
    ),
    ...(primaryKeyCopy ? [`${alter} drop constraint ${nameOf(primaryKeyCopy.name).final}`] : []),
    ...withdrawDefaultSql(plan),
    ...(old.isNotNull ? [`${alter} alter column ${final.sql} drop not null`] : []),
    ...(young.sql === final.sql ? [] : [`${alter} rename column ${final.sql} to ${young.sql}`]),
    ...renamesSql({ ...plan, parts: { ...parts, incoming: [] } }, 'temporary'),
    `${alter} add column ${old.sql} ${old.type}${old.collation}`,
    `update ${table.sql} set ${old.sql} = ${back}`,
    ...(old.sequence && !old.identity
      ? [`alter sequence ${old.sequence.sql} owned by ${table.sql}.${old.sql}`]
      : []),
    ...restoreNotNullSql(table, old),
    ...takeOverDefaultSql(table, old, old.sql),
    ...columnExtrasSql(table, old),
    ...(primaryKeyCopy
      ? [
          createIndexSql(primaryKeyCopy, table, {
            ...{ name: nameOf(primaryKeyCopy.name).temporary, change, concurrently: false },
          }),
        ]
      : []),
    ...parts.incoming.flatMap((key) => addIncomingSql(key, nameOf(key.name).temporary, { change })),
    ...restorePartsSql(table, parts),
    ...meanwhileChecks(plan).map(
      ([name, said]) => `${alter} add constraint ${name} check (${said})`,
    ),
    ...createSyncSql(sync),
  ];
}

function withdrawDefaultSql(plan: Plan): string[] {
  const { table, old, final, sync } = plan;
  const alter = `alter table ${table.sql} alter column ${final.sql}`;
  if (old.identity) {
    return [...keepSequenceSql(table, old, ''), `${alter} drop identity`];
  }
  if (plan.default === undefined || sync.young[0]?.standard !== undefined) return [];
  const { sequence } = old;
  const narrowed =
    sequence && sequence.type !== plan.type && /^(smallint|integer|bigint)$/.test(plan.type)
      ? [`alter sequence ${sequence.sql} as ${sequence.type}`]
      : [];
  return [`${alter} drop default`, ...narrowed];
}
