import type { InsertStmt, Node, RangeVar, WithClause } from '@pgsql/types';
import type { ObjectKey } from '../../catalog/catalog.ts';
import { conjunctsOf, withoutCasts } from '../../catalog/expression.ts';
import { blockedBy } from '../../impact/impact.ts';
import { asKind, openNode, stringsOf, walkTree } from '../../sql/tree.ts';
import {
  evidenceOf,
  type Fix,
  isFresh,
  keyOfRange,
  type LintRule,
  type RuleFinding,
  relationOf,
  type StatementInContext,
} from '../rule.ts';
import { lockName, sized } from '../wording.ts';

/** A change of rows that may be any number of them, in one statement. */
export const unbatchedDml: LintRule = {
  name: 'unbatched-dml',
  kinds: ['UpdateStmt', 'DeleteStmt', 'InsertStmt', 'MergeStmt', 'SelectStmt'],
  group: 'locks',
  severity: 'warning',
  summary: 'changes any number of rows in one statement',
  check(at) {
    if (at.file.isBackfill && !at.isEmbedded) return [];
    return [...commonTables(at.tree), at.tree].flatMap((tree) => {
      const change = readChange(tree);
      if (change === undefined) return [];
      const table = keyOfRange(at, change.relation);
      if (isFresh(at, table) || isSmall(at, table) || isBounded(at, change, table)) return [];
      return [judge(at, change, table)];
    });
  },
};

/** What stands before a statement in `with`. */
function commonTables(tree: Node): Node[] {
  const { withClause } = openNode(tree).fields as { withClause?: WithClause };
  return (withClause?.ctes ?? []).flatMap(
    (node) => asKind(node, 'CommonTableExpr')?.ctequery ?? [],
  );
}

interface Change {
  verb: 'update' | 'delete' | 'insert … select' | 'merge';
  relation: RangeVar | undefined;
  where?: Node | undefined;
  /** Where the rows come from: a limit in there bounds the change. */
  sources: unknown;
}

function readChange(tree: Node): Change | undefined {
  const update = asKind(tree, 'UpdateStmt');
  if (update) {
    const { relation, whereClause: where, fromClause, withClause } = update;
    return { verb: 'update', relation, where, sources: [where, fromClause, withClause] };
  }
  const remove = asKind(tree, 'DeleteStmt');
  if (remove) {
    const { relation, whereClause: where, usingClause, withClause } = remove;
    return { verb: 'delete', relation, where, sources: [where, usingClause, withClause] };
  }
  const { relation, sourceRelation, withClause } = asKind(tree, 'MergeStmt') ?? {};
  if (readsTables(sourceRelation)) {
    return { verb: 'merge', relation, sources: [sourceRelation, withClause] };
  }
  return readInsert(asKind(tree, 'InsertStmt'));
}

function readInsert(insert: InsertStmt | undefined): Change | undefined {
  const select = asKind(insert?.selectStmt, 'SelectStmt');
  if (insert === undefined || select === undefined || !readsTables(insert.selectStmt))
    return undefined;
  // A limit on the outside bounds it as a where does not.
  if (select.limitCount !== undefined) return undefined;
  const sources = [insert.withClause, select.withClause];
  return { verb: 'insert … select', relation: insert.relation, sources };
}

/** `values …` and `select 1, 2` give few rows. */
function readsTables(select: Node | undefined): boolean {
  let found = false;
  walkTree(select, (kind) => {
    if (kind === 'RangeVar' || kind === 'RangeFunction') found = true;
  });
  return found;
}

/** Whether it stops at a `limit`, or names rows by a unique key. */
function isBounded(at: StatementInContext, { where, sources }: Change, table: ObjectKey): boolean {
  let hasLimit = false;
  walkTree(sources, (kind, fields) => {
    if (kind === 'SelectStmt' && fields.limitCount !== undefined) hasLimit = true;
  });
  return hasLimit || (where !== undefined && isByKey(at, where, table));
}

function isByKey(at: StatementInContext, where: Node, table: ObjectKey): boolean {
  const compared = new Set(columnsComparedWithValues(where));
  const { constraints, indexes } = at.catalog.relations.get(table) ?? {};
  const keys = [...(constraints?.values() ?? [])]
    .filter(({ kind }) => kind === 'primary key' || kind === 'unique')
    .map(({ columns }) => columns);
  for (const key of indexes ?? []) {
    const index = at.catalog.indexes.get(key);
    if (index?.isUnique && !index.isPartial) keys.push(index.columns.map((name) => name ?? ''));
  }
  return keys.some((columns) => columns.length > 0 && columns.every((name) => compared.has(name)));
}

/** The columns in `a = 1 and b in (2, 3)`. */
function columnsComparedWithValues(where: Node): string[] {
  return conjunctsOf(where).flatMap(columnComparedWithValue);
}

function columnComparedWithValue(part: Node): string[] {
  const compared = asKind(part, 'A_Expr');
  const isEqual = stringsOf(compared?.name)[0] === '=';
  const isListed = LISTED.has(compared?.kind ?? '');
  if (compared === undefined || !isEqual || !isListed || !isConstant(compared.rexpr)) return [];
  const column = stringsOf(asKind(compared.lexpr, 'ColumnRef')?.fields).at(-1);
  return column === undefined ? [] : [column];
}

const LISTED = new Set(['AEXPR_IN', 'AEXPR_OP', 'AEXPR_OP_ANY']);

function isConstant(node: Node | undefined): boolean {
  const elements = asKind(node, 'A_ArrayExpr')?.elements;
  if (elements) return elements.every(isConstant);
  const items = asKind(node, 'List')?.items ?? [node];
  return items.every((item) => asKind(withoutCasts(item), 'A_Const') !== undefined);
}

function isSmall({ catalog, settings }: StatementInContext, table: ObjectKey): boolean {
  const rows = catalog.relations.get(table)?.rows;
  return (
    rows !== undefined && settings.smallTableRows !== undefined && rows < settings.smallTableRows
  );
}

function judge(at: StatementInContext, { verb, where }: Change, table: ObjectKey): RuleFinding {
  const locked = strongLock(at);
  const touchesAll = (verb === 'update' || verb === 'delete') && where === undefined;
  const what = touchesAll
    ? `${verb} changes every row of ${sized(at, table)} in one statement`
    : verb === 'insert … select'
      ? `inserts into ${sized(at, table)} as many rows as its query returns, in one statement`
      : `${verb} may change any number of rows of ${sized(at, table)} in one statement`;
  const meanwhile = locked
    ? `: ${locked} all that time`
    : ': each row stays locked until the transaction ends';
  return {
    message: `${what}${meanwhile}`,
    hint: `Turn it into a backfill: a separate migration with the header line -- evdb: backfill ${backfillName(table)}. evdb then runs it in batches.`,
    severity: touchesAll || locked !== undefined ? 'error' : 'warning',
    tables: [table],
    lock: 'RowExclusive',
    evidence: evidenceOf(at, table),
    fix: makeBackfill(at, table),
  };
}

/** As the directive names it: the schema only where it is not the usual one. */
function backfillName(table: ObjectKey): string {
  return table.replace(/^public\./, '');
}

/** Where it is all of its file, walks its table by a primary key, and is surely taken in batches. */
function makeBackfill(at: StatementInContext, table: ObjectKey): Fix | undefined {
  const { tree, file, isEmbedded, routine } = at;
  const statement = asKind(tree, 'UpdateStmt') ?? asKind(tree, 'DeleteStmt');
  const { constraints } = relationOf(at, table) ?? {};
  const key = [...(constraints?.values() ?? [])].find(({ kind }) => kind === 'primary key');
  const isAlone = file.statements.length === 1 && !isEmbedded && routine === undefined;
  if (!statement || !key || !isAlone || !file.isTransactional) return undefined;
  if (statement.returningClause || commonTables(tree).some((one) => readChange(one)))
    return undefined;
  const targets = asKind(tree, 'UpdateStmt')?.targetList ?? [];
  const set = targets.map((node) => asKind(node, 'ResTarget')?.name ?? '');
  if (key.columns.some((column) => set.includes(column))) return undefined;
  return {
    description: 'run it in batches',
    edits: [{ start: 0, end: 0, text: `-- evdb: backfill ${backfillName(table)}\n` }],
  };
}

/** What the transaction keeps others from, such as `public.t stays locked under ACCESS EXCLUSIVE`. */
function strongLock({ file }: StatementInContext): string | undefined {
  for (const [table, { mode, line }] of file.held) {
    if (blockedBy(mode).includes('writes')) {
      return `${table} stays locked under ${lockName(mode)} (line ${line})`;
    }
  }
  return undefined;
}
