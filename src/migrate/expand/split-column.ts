import {
  columnExtrasSql,
  partsOf,
  restoreNotNullSql,
  restorePartsSql,
  smallTableGate,
} from './column-parts.ts';
import {
  AS_BEFORE,
  backfillLine,
  type DraftMigration,
  HELD_SHORTLY,
  nothingToUndo,
  type Recipe,
  SMALL_TABLE,
} from './draft.ts';
import { type ColumnFacts, columnNamed, type TableFacts } from './facts.ts';
import { mentionsColumn, plainWord, substituteColumn } from './names.ts';
import { notesOf, refused, requireFreeColumn, requireReplaceable } from './refusals.ts';
import type { ColumnName } from './replacement.ts';
import {
  createSyncSql,
  dropRowTriggerSql,
  type SyncedColumns,
  triggerName,
} from './sync-trigger.ts';

/** One of the columns that take the place of another. */
export interface SplitPart extends ColumnName {
  type: string;
  /** Over the old column. */
  from: string;
  castToCompare: '' | '::text';
}

/** What is split. */
export interface SplitColumn {
  column: string;
  into: SplitPart[];
  /** What the old column is, over the new ones. */
  join: string;
  castToCompare: '' | '::text';
  gates: string[];
}

/** Several columns take the place of one. */
export function splitColumn(table: TableFacts, request: SplitColumn): Recipe {
  const { into, join, gates } = request;
  const old = columnNamed(table, request.column);
  requireSplittable(table, old, request);
  const [of, word] = [plainWord(table.name), plainWord(old.name)];
  const names = {
    add: `split_${of}_${word}`,
    fill: `fill_${of}_${plainWord(into[0]?.name ?? '')}`,
    drop: `drop_${of}_${word}`,
  };
  const sync: SyncedColumns = {
    table: table.sql,
    name: triggerName(table, `${of}_split_${word}`),
    old: {
      ...{ sql: old.sql, from: '', standard: undefined },
      castToCompare: request.castToCompare,
    },
    young: into.map(({ sql, from, castToCompare }) => ({
      ...{ sql, standard: undefined, castToCompare },
      from: substituteColumn(from, old.name, `new.${old.sql}`),
    })),
    back: into.reduce((text, { name, sql }) => substituteColumn(text, name, `new.${sql}`), join),
    about: `Where both were written, ${listed(into)} win.`,
  };
  const splitting = { table, old, into, join, gates, names, sync };
  return {
    drafts: [addDraft(splitting), fillDraft(splitting), contractDraft(splitting)],
    notes: [...notesOf(table, old, names.drop), ...lostNotes(table, old)],
    sync: {
      function: sync.name,
      table: table.sql,
      columns: [old.sql, ...into.map(({ sql }) => sql)],
    },
  };
}

interface Splitting extends Pick<SplitColumn, 'into' | 'join' | 'gates'> {
  table: TableFacts;
  old: ColumnFacts;
  names: { add: string; fill: string; drop: string };
  sync: SyncedColumns;
}

const listed = (into: readonly ColumnName[]) => into.map(({ sql }) => sql).join(' and ');

function requireSplittable(table: TableFacts, old: ColumnFacts, { into, join }: SplitColumn): void {
  const parts = partsOf(table, old);
  requireReplaceable(table, old, parts);
  const keys = [
    ...(parts.primaryKey ? [`primary key ${parts.primaryKey.sql}`] : []),
    ...[...parts.unique, ...parts.indexes.filter(({ isUnique }) => isUnique)].map(
      ({ sql }) => `unique index ${sql}`,
    ),
    ...parts.foreignKeys.map(({ sql }) => `foreign key ${sql}`),
    ...parts.incoming.map((key) => `foreign key ${key.sql} of ${key.table}`),
  ];
  if (keys.length > 0 || old.identity || old.sequence) {
    throw refused(
      `column ${old.sql} of ${table.sql} is a key: ${keys.join(', ') || 'it has a sequence'}`,
      'What a key becomes in several columns is for you to decide: drop it first, or write the migrations by hand.',
    );
  }
  if (into.length < 2) {
    throw refused('a column is split into at least two', 'Give --into for each of them.');
  }
  for (const { name, from } of into) {
    requireFreeColumn(table, name);
    if (!mentionsColumn(from, old.name))
      throw refused(`"${from}" does not use ${old.sql}`, 'Write what becomes of the old column.');
    if (!mentionsColumn(join, name)) {
      throw refused(
        `"${join}" does not use ${name}`,
        'Write what the old column is, over all of the new ones: an old build reads it.',
      );
    }
  }
}

/** What the new columns do not get, as nobody knows to which of them it belongs. */
function lostNotes(table: TableFacts, old: ColumnFacts): string[] {
  const { indexes, checks } = partsOf(table, old);
  const lost = [
    ...indexes.map(({ sql }) => `index ${sql}`),
    ...checks.map(({ sql }) => `check ${sql}`),
    ...(old.isNotNull ? ['not null'] : []),
    ...(old.default === undefined ? [] : ['the default']),
  ];
  return lost.length === 0
    ? []
    : [`the new columns do not get what ${old.sql} has: ${lost.join(', ')}`];
}

function addDraft({ table, old, into, names, sync }: Splitting): DraftMigration {
  const alter = `alter table ${table.sql}`;
  const grants = { ...old, comment: undefined, settings: [] };
  return {
    name: names.add,
    up: {
      about: `Adds ${listed(into)} beside ${old.sql}, and a trigger by which each side follows the other, whichever a build writes.`,
      statements: [
        ...into.map(({ sql, type }) => `${alter} add column ${sql} ${type}`),
        ...into.flatMap(({ sql }) => columnExtrasSql(table, grants, sql)),
        ...createSyncSql(sync),
      ],
      accepts: [HELD_SHORTLY],
    },
    down: {
      about: `The values stay in ${old.sql}, as far as it can hold them.`,
      statements: [
        ...dropRowTriggerSql(sync),
        ...into.map(({ sql }) => `${alter} drop column ${sql}`),
      ],
      accepts: [HELD_SHORTLY],
    },
  };
}

function fillDraft({ table, old, into, names }: Splitting): DraftMigration {
  const set = into.map(({ sql, from }) => `    ${sql} = ${from}`).join(',\n');
  const isEmpty = into.map(({ sql }) => `${sql} is null`).join(' and ');
  const isSaid = into.map(({ from }) => `${from} is not null`).join(' or ');
  return {
    name: names.fill,
    up: {
      about: 'Fills the rows that were there before the trigger.',
      directives: [backfillLine(table)],
      statements: [
        `update ${table.sql}\nset\n${set}\nwhere ${isEmpty}\n    and ${old.sql} is not null\n    and (${isSaid})`,
      ],
    },
    down: nothingToUndo('Nothing has to be undone: the columns go with the migration before.'),
  };
}

function contractDraft({ table, old, into, join, gates, names, sync }: Splitting): DraftMigration {
  const alter = `alter table ${table.sql}`;
  const allNull = into.map(({ sql }) => `${sql} is null`).join(' and ');
  return {
    name: names.drop,
    up: {
      about: `Drops ${old.sql}. No build may use it any more: all use ${listed(into)}.`,
      isContract: true,
      afterBackfill: names.fill,
      directives: gates,
      statements: [...dropRowTriggerSql(sync), `${alter} drop column ${old.sql}`],
      accepts: [HELD_SHORTLY],
    },
    down: {
      about: `Makes ${old.sql} again while it locks the table, so only where that is short.`,
      directives: [smallTableGate(table)],
      statements: [
        `${alter} add column ${old.sql} ${old.type}${old.collation}`,
        `update ${table.sql} set ${old.sql} = ${join} where not (${allNull})`,
        ...restoreNotNullSql(table, old),
        ...(old.default === undefined
          ? []
          : [`${alter} alter column ${old.sql} set default ${old.default}`]),
        ...columnExtrasSql(table, old),
        ...restorePartsSql(table, partsOf(table, old)),
        ...createSyncSql(sync),
      ],
      accepts: [SMALL_TABLE, AS_BEFORE],
    },
  };
}
