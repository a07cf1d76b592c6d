import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { type ColumnParts, partsOf } from './column-parts.ts';
import type { ColumnChange } from './definitions.ts';
import type { ColumnFacts, TableFacts } from './facts.ts';
import type { LossWarning } from './kept-values.ts';
import { fitName, plainWord, substituteColumn } from './names.ts';
import { type SyncedColumns, triggerName } from './sync-trigger.ts';

/** A column that takes the place of another one. Expressions are over the bare names of the columns. */
export interface Replacement {
  table: TableFacts;
  old: ColumnFacts;
  /** What the new one is called as long as both exist, and at last. */
  young: ColumnName;
  final: ColumnName;
  type: string;
  collation: string;
  /** What the new one is assigned, and what it is compared with. */
  forward: string;
  compared: string;
  /** What the old one is assigned. */
  back: string;
  /** Its default at the end; undefined for none. */
  default: string | undefined;
  /** Whether it has it from the start, so that a null can be told from nothing. */
  hasDefaultAtOnce: boolean;
  /** Whether the old value always gives the new one, which a check can then prove. */
  isExact: boolean;
  /** Where its values, or those of the old one, can only be compared as text. */
  castToCompare: '' | '::text';
  /** Lines for the migration that contracts, such as `require-build api >= 2.0`. */
  gates: string[];
  /** What the migrations are called, and what the last one is about. */
  names: { add: string; fill: string; constrain: string; drop: string };
  aboutDrop: string;
  /** What the backfill says of values that may not survive. */
  loss?: LossWarning | undefined;
}

/** A name as the catalogs have it, and as SQL writes it. */
export interface ColumnName {
  name: string;
  sql: string;
}

/** What is decided once and used by all files. */
export interface Plan extends Replacement {
  parts: ColumnParts;
  change: ColumnChange;
  sync: SyncedColumns;
  /** Checks that exist only meanwhile. */
  filledCheck: string;
  inStepCheck: string | undefined;
  /** What a copy is called while both exist, and at last: by what the original is called. */
  nameOf: (original: string) => { temporary: string; final: string };
}

/** Decides what all files of a replacement use. */
export function planReplacement(replacement: Replacement): Plan {
  const { table, old, young, final, forward, compared, back, castToCompare } = replacement;
  const parts = partsOf(table, old);
  const base = `${plainWord(table.name)}_${plainWord(young.name)}`;
  const standard = replacement.hasDefaultAtOnce && old.isDefaultConstant ? old.default : undefined;
  const inTrigger = (text: string, column: ColumnName) =>
    substituteColumn(text, column.name, `new.${column.sql}`);
  const follower = {
    from: inTrigger(forward, old),
    compared: inTrigger(compared, old),
    castToCompare,
  };
  return {
    ...replacement,
    parts,
    change: { column: old.name, to: young.sql },
    nameOf: namerOf(replacement),
    sync: {
      table: table.sql,
      name: triggerName(table, `${plainWord(table.name)}_keep_${plainWord(young.name)}`),
      old: { sql: old.sql, from: '', standard, castToCompare },
      young: [{ sql: young.sql, standard, ...follower }],
      back: inTrigger(back, young),
      about: `Where both were written, ${young.sql} wins.`,
    },
    filledCheck: fitName(base, 'filled'),
    inStepCheck: replacement.isExact && castToCompare === '' ? fitName(base, 'in_step') : undefined,
    final,
  };
}

/** `events_location_idx` of `location` becomes `events_venue_idx`, if nothing is called so. */
function namerOf({ table, old, final }: Replacement): Plan['nameOf'] {
  const known = new Map<string, { temporary: string; final: string }>();
  const isFree = (name: string) =>
    !table.taken.has(name) && !table.constraints.some((one) => one.name === name);
  return (original) => {
    const earlier = known.get(original);
    if (earlier) return earlier;
    const renamed = original
      .split('_')
      .join('\u0000')
      .replace(old.name.split('_').join('\u0000'), final.name)
      .replaceAll('\u0000', '_');
    const isRenamed = renamed !== original && isFree(renamed) && Buffer.byteLength(renamed) < 64;
    const wanted = isRenamed ? renamed : original;
    const names = {
      temporary: quoteWhereNeeded(isRenamed ? renamed : fitName(original, 'new')),
      final: quoteWhereNeeded(wanted),
    };
    known.set(original, names);
    return names;
  };
}

/** Checks that prove something to PostgreSQL until the old column goes. */
export function meanwhileChecks(plan: Plan): [name: string, expression: string][] {
  const { old, young, compared, filledCheck, inStepCheck } = plan;
  const checks: [string, string][] = [];
  if (old.isNotNull) checks.push([filledCheck, `${young.sql} is not null`]);
  if (inStepCheck) checks.push([inStepCheck, `${young.sql} is not distinct from ${compared}`]);
  return checks;
}
