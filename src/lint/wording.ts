import { blockedBy, LOCK_MODES, type LockMode } from '../impact/impact.ts';
import { renderNumber } from '../text/units.ts';
import { relationOf, type StatementInContext } from './rule.ts';

/** `ACCESS EXCLUSIVE` for `AccessExclusive`, as PostgreSQL's manual spells it. */
export function lockName(mode: LockMode): string {
  return LOCK_NAMES.get(mode) ?? mode;
}

const LOCK_NAMES = new Map(
  LOCK_MODES.map((mode) => [mode, mode.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toUpperCase()]),
);

/** `under ACCESS EXCLUSIVE: no one can read or write it meanwhile` */
export function underLock(mode: LockMode, pronoun = 'it'): string {
  return `under ${lockName(mode)}: ${blockedMeanwhile(mode, pronoun)}`;
}

/** `no one can write to it meanwhile` */
export function blockedMeanwhile(mode: LockMode, pronoun = 'it'): string {
  switch (blockedBy(mode)) {
    case 'reads and writes':
      return `no one can read or write ${pronoun} meanwhile`;
    case 'writes':
      return `no one can write to ${pronoun} meanwhile`;
    case 'schema changes':
      return `no other change of its structure can run meanwhile`;
    default:
      return 'other sessions are not affected';
  }
}

/** `rewrites public.t and its 3 indexes under ACCESS EXCLUSIVE: no one can read or write it meanwhile` */
export function rewritesTables(at: StatementInContext, tables: readonly string[]): string {
  const indexes = tables.reduce((sum, one) => sum + (relationOf(at, one)?.indexes.size ?? 0), 0);
  const their = tables.length > 1 ? 'their' : 'its';
  const andIndexes = indexes === 0 ? '' : ` and ${their} ${count(indexes, 'index', 'indexes')}`;
  return `rewrites ${tablesNamed(at, tables)}${andIndexes} ${underLock('AccessExclusive', pronounFor(tables))}`;
}

/** `reads every row of public.t under SHARE: no one can write to it meanwhile` */
export function readsTables(
  at: StatementInContext,
  tables: readonly string[],
  mode: LockMode,
): string {
  return `reads every row of ${tablesNamed(at, tables)} ${underLock(mode, pronounFor(tables))}`;
}

/** `it`, or `them` for several tables. */
export function pronounFor(tables: readonly string[]): string {
  return tables.length > 1 ? 'them' : 'it';
}

/** The tables with their sizes; of many partitions only the first ones. */
export function tablesNamed(at: StatementInContext, tables: readonly string[]): string {
  const shown = tables.slice(0, MAX_NAMED).map((table) => sized(at, table));
  const rest = tables.length - shown.length;
  return listed(rest === 0 ? shown : [...shown, `${rest} more`]);
}

const MAX_NAMED = 3;

/** The table, with its size where a database told it: `public.t (about 1,200,000 rows)`. */
export function sized(at: StatementInContext, table: string): string {
  const rows = relationOf(at, table)?.rows;
  return rows === undefined ? table : `${table} (about ${renderNumber(rows)} rows)`;
}

function count(n: number, one: string, several: string): string {
  return n === 1 ? one : `${n} ${several}`;
}

/** `a`, `a and b`, `a, b and c` */
export function listed(words: readonly string[]): string {
  if (words.length < 2) return words[0] ?? '';
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** What follows on a lock that lasts until the transaction ends. */
export const UNTIL_COMMIT = 'the lock stays until the transaction ends';

/** Where the second half of a two-step change has to go. */
export const IN_LATER_FILE = 'in a later migration';

/** How to keep a statement out of the migration's transaction. */
export const IN_NO_TRANSACTION_FILE =
  'in a migration of its own that starts with "-- evdb: no-transaction"';
