import { partsOf } from './column-parts.ts';
import type { Recipe } from './draft.ts';
import { columnNamed, type TableFacts } from './facts.ts';
import { plainWord } from './names.ts';
import { notesOf, requireFreeColumn, requireReplaceable } from './refusals.ts';
import { replaceColumn } from './replace-column.ts';
import type { ColumnName } from './replacement.ts';

/** What is renamed. */
export interface RenameColumn {
  column: string;
  to: ColumnName;
  /** Whether values can be compared: not those of `json`. */
  isComparable: boolean;
  gates: string[];
}

/** A column with another name takes the place of the old one. */
export function renameColumn(
  table: TableFacts,
  { column, to, isComparable, gates }: RenameColumn,
): Recipe {
  const old = columnNamed(table, column);
  requireReplaceable(table, old, partsOf(table, old));
  requireFreeColumn(table, to.name);
  const [from, word] = [plainWord(old.name), plainWord(to.name)];
  const of = plainWord(table.name);
  const names = {
    add: `add_${of}_${word}`,
    fill: `fill_${of}_${word}`,
    constrain: `constrain_${of}_${word}`,
    drop: `drop_${of}_${from}`,
  };
  const recipe = replaceColumn({
    ...{ table, old, young: to, final: to, type: old.type, collation: old.collation },
    ...{ forward: old.sql, compared: old.sql, back: to.sql, default: old.default },
    hasDefaultAtOnce: true,
    isExact: true,
    castToCompare: isComparable ? '' : '::text',
    ...{ gates, names },
    aboutDrop: `Drops ${old.sql}. No build may use it any more: all use ${to.sql}.`,
  });
  return { ...recipe, notes: notesOf(table, old, names.drop) };
}
