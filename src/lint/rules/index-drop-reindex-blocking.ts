import type { DropStmt, RefreshMatViewStmt, ReindexStmt } from '@pgsql/types';
import { type CatalogIndex, quoteWhereNeeded, resolveKey } from '../../catalog/catalog.ts';
import { advance, isWord, openCursor } from '../../sql/lexer.ts';
import { itemOffsets } from '../../sql/list-items.ts';
import { asKind, relationNameOf, type WrittenName, writtenNameOf } from '../../sql/tree.ts';
import {
  evidenceOf,
  type Fix,
  isFresh,
  isSurelyMissing,
  keyOfRange,
  type LintRule,
  type RuleFinding,
  relationOf,
  type StatementInContext,
} from '../rule.ts';
import {
  blockedMeanwhile,
  IN_NO_TRANSACTION_FILE,
  sized,
  UNTIL_COMMIT,
  underLock,
} from '../wording.ts';

/** Indexes and materialized views that could be dropped or built again without blocking anybody. */
export const indexDropReindexBlocking: LintRule = {
  name: 'index-drop-reindex-blocking',
  kinds: ['DropStmt', 'ReindexStmt', 'RefreshMatViewStmt'],
  group: 'locks',
  severity: 'warning',
  summary: 'drops or rebuilds an index, or refreshes a materialized view, without concurrently',
  check(at) {
    const drop = asKind(at.tree, 'DropStmt');
    if (drop)
      return drop.removeType === 'OBJECT_INDEX' && !drop.concurrent ? judgeDrop(at, drop) : [];
    const reindex = asKind(at.tree, 'ReindexStmt');
    if (reindex) return isConcurrent(reindex) ? [] : judgeReindex(at, reindex);
    const refresh = asKind(at.tree, 'RefreshMatViewStmt');
    return refresh && !refresh.concurrent ? judgeRefresh(at, refresh) : [];
  },
};

function judgeDrop(at: StatementInContext, drop: DropStmt): RuleFinding[] {
  const offsets = itemOffsets(at.text, 0);
  return (drop.objects ?? []).flatMap((node, position) => {
    const { key, index, table } = indexOf(at, writtenNameOf(asKind(node, 'List')?.items));
    const isMissing = drop.missing_ok === true && isSurelyMissing(at, key);
    if (isMissing || isExempt(at, { index, table })) return [];
    const shownTable = table === undefined ? 'its table' : sized(at, table);
    return [
      {
        message: `dropping index ${key} locks ${shownTable} ${underLock('AccessExclusive')}, and ${UNTIL_COMMIT}`,
        hint: `Write "drop index concurrently ${key}" ${IN_NO_TRANSACTION_FILE}.`,
        offset: position === 0 ? 0 : (offsets[position] ?? 0),
        tables: table === undefined ? [] : [table],
        lock: 'AccessExclusive' as const,
        evidence: evidenceOf(at, table ?? key),
        fix: dropConcurrently(at, drop, index),
      },
    ];
  });
}

/** Only an index of a plain table, on its own, and without all that depends on it. */
function dropConcurrently(
  at: StatementInContext,
  { objects, behavior }: DropStmt,
  index: CatalogIndex | undefined,
): Fix | undefined {
  if (at.isEmbedded || objects?.length !== 1 || behavior === 'DROP_CASCADE') return undefined;
  if (index === undefined || relationOf(at, index.table)?.kind !== 'table') return undefined;
  const cursor = openCursor(at.text);
  while (advance(cursor) && !isWord(cursor, 'index'));
  const place = at.start + cursor.end;
  return {
    description: 'drop it concurrently, in a no-transaction migration',
    edits: [{ start: place, end: place, text: ' concurrently' }],
    ...(at.file.isTransactional && { moves: [at.statement.index] }),
  };
}

function judgeReindex(at: StatementInContext, reindex: ReindexStmt): RuleFinding[] {
  const hint = `Use "reindex … concurrently" ${IN_NO_TRANSACTION_FILE}.`;
  switch (reindex.kind) {
    case 'REINDEX_OBJECT_INDEX': {
      if (reindex.relation?.schemaname === 'pg_catalog') return [];
      const { key, index, table } = indexOf(at, relationNameOf(reindex.relation ?? {}));
      if (isExempt(at, { index, table })) return [];
      const shown = table === undefined ? 'its table' : sized(at, table);
      return [
        {
          message: `rebuilding index ${key} locks ${shown} ${underLock('Share')}; queries that would use the index, or only plan to, wait as well`,
          hint,
          tables: table === undefined ? [] : [table],
          lock: 'Share',
          evidence: evidenceOf(at, table ?? key),
        },
      ];
    }
    case 'REINDEX_OBJECT_TABLE': {
      const table = keyOfRange(at, reindex.relation);
      if (isFresh(at, table)) return [];
      return [
        {
          message: `rebuilding the indexes of ${sized(at, table)} locks it ${underLock('Share')}; queries that would use one of them, or only plan to, wait as well`,
          hint,
          tables: [table],
          lock: 'Share',
          evidence: evidenceOf(at, table),
        },
      ];
    }
    // The indexes of the catalogs cannot be rebuilt concurrently.
    case 'REINDEX_OBJECT_SYSTEM':
      return [];
    default: {
      const what = reindex.kind === 'REINDEX_OBJECT_SCHEMA' ? 'schema' : 'database';
      const name = reindex.name === undefined ? '' : ` ${quoteWhereNeeded(reindex.name)}`;
      return [
        {
          message: `rebuilding all indexes of ${what}${name} locks one table after the other ${underLock('Share')}`,
          hint,
          tables: [],
          lock: 'Share',
        },
      ];
    }
  }
}

function judgeRefresh(at: StatementInContext, refresh: RefreshMatViewStmt): RuleFinding[] {
  const view = keyOfRange(at, refresh.relation);
  if (isFresh(at, view)) return [];
  const indexes = [...(relationOf(at, view)?.indexes ?? [])].flatMap((key) => {
    const index = at.catalog.indexes.get(key);
    return index === undefined ? [] : [index];
  });
  const needsIndex = relationOf(at, view) !== undefined && !indexes.some(identifiesRows);
  const first = needsIndex
    ? 'Create a unique index over plain columns of it first, then use'
    : 'Use';
  return [
    {
      message: `refreshing ${sized(at, view)} holds ACCESS EXCLUSIVE on it until the transaction ends: ${blockedMeanwhile('AccessExclusive')}`,
      hint: `${first} "refresh materialized view concurrently", which lets others read.`,
      tables: [view],
      lock: 'AccessExclusive',
      evidence: evidenceOf(at, view),
    },
  ];
}

/** What `refresh … concurrently` needs to tell the rows apart. */
function identifiesRows({ isUnique, isPartial, columns }: CatalogIndex): boolean {
  return isUnique && !isPartial && columns.every((column) => column !== undefined);
}

interface FoundIndex {
  key: string;
  index: CatalogIndex | undefined;
  table: string | undefined;
}

function indexOf(at: StatementInContext, written: WrittenName): FoundIndex {
  const key = resolveKey(at.catalog, written, at.catalog.indexes);
  const index = at.catalog.indexes.get(key);
  return { key, index, table: index?.table };
}

function isExempt(
  at: StatementInContext,
  { table }: { index: CatalogIndex | undefined; table: string | undefined },
): boolean {
  if (table === undefined) return false;
  // An index of a partitioned table can only be dropped and rebuilt as a whole.
  return isFresh(at, table) || relationOf(at, table)?.kind === 'partitioned table';
}

function isConcurrent({ params }: ReindexStmt): boolean {
  return (params ?? []).some((node) => {
    const option = asKind(node, 'DefElem');
    return option?.defname === 'concurrently' && !isOff(option.arg);
  });
}

function isOff(value: Parameters<typeof asKind>[0]): boolean {
  const word = asKind(value, 'String')?.sval?.toLowerCase();
  return word === 'false' || word === 'off' || isZero(value);
}

/** The tree leaves out a zero. */
function isZero(value: Parameters<typeof asKind>[0]): boolean {
  const integer = asKind(value, 'Integer');
  return integer !== undefined && (integer.ival ?? 0) === 0;
}
