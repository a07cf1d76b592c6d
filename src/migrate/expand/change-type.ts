import { partsOf } from './column-parts.ts';
import type { Recipe } from './draft.ts';
import { type ColumnFacts, columnNamed, type TableFacts } from './facts.ts';
import { lossWarning } from './kept-values.ts';
import { mentionsColumn, plainWord } from './names.ts';
import { notesOf, refused, requireFreeColumn, requireReplaceable } from './refusals.ts';
import { replaceColumn } from './replace-column.ts';
import type { ColumnName } from './replacement.ts';

/** A type as the server knows it. */
export interface WantedType {
  /** As PostgreSQL writes it. */
  sql: string;
  /** How a value of the old type becomes one: not at all without `--using`, or by settings of the session. */
  cast: 'plain' | 'none' | 'by settings';
  /** Whether it holds all values of the old type: where it has no length, or where that is no shorter. */
  keeps: 'whole' | 'by length' | 'unknown';
  /** Whether its values and those of the old type can be compared: not those of `json`. */
  isComparable: boolean;
  isCollatable: boolean;
}

/** What gets another type. */
export interface ChangeType {
  column: string;
  type: WantedType;
  /** What the column is called as long as the old one exists. */
  young: ColumnName;
  /** Over the old column; default: its value. */
  using: string | undefined;
  /** Over the new column; default: its value. */
  back: string | undefined;
  gates: string[];
}

/** A column of another type takes the place of the old one, under the same name. */
export function changeType(table: TableFacts, request: ChangeType): Recipe {
  const { column, type, young, using, gates } = request;
  const old = columnNamed(table, column);
  requireReplaceable(table, old, partsOf(table, old));
  requireFreeColumn(table, young.name);
  requireCast(old, request);
  const [word, of] = [plainWord(old.name), plainWord(table.name)];
  const names = {
    add: `add_${of}_${plainWord(young.name)}`,
    fill: `fill_${of}_${plainWord(young.name)}`,
    constrain: `constrain_${of}_${plainWord(young.name)}`,
    drop: `change_type_of_${of}_${word}`,
  };
  const forward = using ?? old.sql;
  const castToCompare = type.isComparable ? '' : '::text';
  const loss = lossWarning({ table, old, young, type, using, back: request.back, castToCompare });
  const recipe = replaceColumn({
    ...{ table, old, young, final: { name: old.name, sql: old.sql }, type: type.sql },
    collation: type.isCollatable ? old.collation : '',
    forward,
    compared: using ?? `${old.sql}::${withoutLength(type.sql)}`,
    // A column of the new type may be filled by the trigger only, so the way back is rarely asked.
    back: request.back ?? young.sql,
    default: old.default,
    hasDefaultAtOnce: false,
    isExact: using === undefined,
    ...{ castToCompare, gates, names, loss },
    aboutDrop: `Puts the column of type ${type.sql} in the place of ${old.sql}. Statements that name ${old.sql} go on; no build may rely on its type ${old.type} any more.`,
  });
  return {
    ...recipe,
    notes: [
      ...(loss ? [`${loss.text} ${loss.query}`] : []),
      ...notesOf(table, old, names.drop),
      ...keyNotes(table, old, type),
    ],
  };
}

function requireCast(old: ColumnFacts, { type, using, back, young }: ChangeType): void {
  if (old.type === type.sql) throw refused(`${old.sql} is of type ${type.sql} already`, '');
  if (using !== undefined && !mentionsColumn(using, old.name)) {
    throw refused(`"${using}" does not use ${old.sql}`, 'Write what the old column becomes.');
  }
  if (back !== undefined && !mentionsColumn(back, young.name)) {
    throw refused(
      `"${back}" does not use ${young.sql}`,
      `Write what ${young.sql} becomes: that is the name of the new column as long as both exist.`,
    );
  }
  if (using !== undefined || type.cast === 'plain') return;
  const example = `--using '${old.sql}::${type.sql}'`;
  if (type.cast === 'none') {
    throw refused(
      `${old.type} does not become ${type.sql} by itself`,
      `Say how, over the old column: ${example}, and the way back, over ${young.sql}: --back '${young.sql}::${old.type}'.`,
    );
  }
  throw refused(
    `what ${old.type} becomes as ${type.sql} depends on settings of the session, such as its time zone`,
    `Say how, so that it is the same for all: --using '${old.sql} at time zone ''UTC''' --back '${young.sql} at time zone ''UTC'''.`,
  );
}

/** `varchar(5)` cuts what an assignment refuses. */
function withoutLength(type: string): string {
  return /^(character|bit)/.test(type) ? type.replace(/\(\d+\)/, '') : type;
}

/** Foreign keys go on between columns of two types. */
function keyNotes(table: TableFacts, old: ColumnFacts, type: WantedType): string[] {
  const keys = table.incoming.filter(({ referencedColumns }) =>
    referencedColumns.includes(old.name),
  );
  if (keys.length === 0) return [];
  const tables = [...new Set(keys.map((key) => key.table))];
  return [
    `columns of ${tables.join(', ')} refer to ${old.sql} and keep their type; change each to ${type.sql} as well`,
  ];
}
