import type { DeleteStmt, InsertStmt, Node, RangeVar, SelectStmt, UpdateStmt } from '@pgsql/types';
import type { SqlParser } from '../../sql/parser.ts';
import { offsetOfByte } from '../../sql/position.ts';
import type { Statement } from '../../sql/statements.ts';
import {
  asKind,
  openNode,
  relationNameOf,
  stringsOf,
  type TreeObject,
  visitObjects,
  type WrittenName,
  walkTree,
} from '../../sql/tree.ts';
import type { BackfillDirective } from '../files/directives.ts';
import { type BatchTemplate, makeBatchTemplate, makeCountQuery } from './rewrite.ts';

/** A statement that can run in batches, as far as it can be told without a server. */
export interface Backfill {
  verb: 'update' | 'delete' | 'insert';
  directive: BackfillDirective;
  /** The table whose key is walked, as the statement writes it. */
  table: WrittenName;
  /** What its columns are qualified with. */
  alias: string;
  statement: Statement;
  /** The columns of that table that the statement writes. */
  setColumns: string[];
  /** Of an `insert … select`: the functions that it calls, none of which may aggregate. */
  calls: string[];
  /** Those that it orders by, none of which may be volatile. */
  orderCalls: string[];
  template: BatchTemplate;
  /** Counts the rows that the statement would still change; undefined where that says nothing. */
  countQuery: string | undefined;
  /** Whether a row that still matches may be changed once more without harm. */
  isRepeatable: boolean;
  /** The columns that are compared by `=`, each with the table or alias that it is written with. */
  compared: { qualifier: string | undefined; column: string }[];
}

/** Why a statement cannot run in batches. */
export interface BackfillProblem {
  message: string;
  hint?: string;
  /** Where in the statement, in UTF-16 units. */
  offset: number;
}

const UNPLACED = 'the place for the range of a batch cannot be found in this statement';

class Refusal extends Error {
  readonly hint: string | undefined;
  readonly node: unknown;

  constructor(message: string, { hint, node }: { hint?: string; node?: unknown } = {}) {
    super(message);
    this.hint = hint;
    this.node = node;
  }
}

/**
 * Reads the one statement of a backfill. Pure: what needs a server, such as the key, is looked at when
 * it runs.
 */
export function readBackfill(
  directive: BackfillDirective,
  statement: Statement,
  parser: SqlParser,
): { backfill: Backfill } | { problem: BackfillProblem } {
  try {
    return { backfill: read(directive, statement, parser) };
  } catch (error) {
    // A statement that is nested too deep for a walk over its tree.
    const isTooDeep = error instanceof RangeError;
    if (!(error instanceof Refusal) && !isTooDeep) throw error;
    const { message, hint, node } = isTooDeep ? new Refusal(UNPLACED) : error;
    const offset = offsetOfByte(statement.text, locationOf(node));
    return { problem: { message, ...(hint !== undefined && { hint }), offset } };
  }
}

function read(directive: BackfillDirective, statement: Statement, parser: SqlParser): Backfill {
  const tree = parser.parse(statement.text);
  if (tree === null) throw new Refusal('a backfill has to be a statement that evdb can read');
  const parts = partsOf(tree, directive);
  refuseOthers(tree, parts);
  const { verb, walked } = parts;
  const alias = walked.alias?.aliasname ?? walked.relname ?? '';
  const setColumns = parts.targets.map((node) => asKind(node, 'ResTarget')?.name ?? '');
  const ends = endsItself(parts, setColumns, alias);
  const rewriting = { tree, text: statement.text, parser, verb };
  const template = makeBatchTemplate(rewriting);
  const countQuery = ends ? makeCountQuery(rewriting) : undefined;
  if (template === undefined || (ends && countQuery === undefined)) {
    throw new Refusal(UNPLACED, {
      hint: 'Write it in a simpler way, or run it in one transaction, without the directive.',
    });
  }
  return {
    ...{ verb, directive, alias, statement, setColumns, template, countQuery },
    table: relationNameOf(walked),
    calls: verb === 'insert' ? callsOf(parts.select?.targetList) : [],
    orderCalls: callsOf(parts.select?.sortClause),
    isRepeatable: verb !== 'update' || !parts.targets.some((node) => reads(node, setColumns)),
    compared: comparedIn(tree),
  };
}

/** A statement taken apart, whatever its verb. */
interface Parts {
  verb: Backfill['verb'];
  walked: RangeVar;
  where: Node | undefined;
  /** Of an update. */
  targets: Node[];
  /** Of an insert. */
  select?: SelectStmt;
  /** Where an insert writes. */
  into?: RangeVar;
}

function partsOf(tree: Node, directive: BackfillDirective): Parts {
  const update = asKind(tree, 'UpdateStmt');
  if (update) {
    const walked = targetOf(update, directive, 'updates');
    return { verb: 'update', walked, where: update.whereClause, targets: update.targetList ?? [] };
  }
  const remove = asKind(tree, 'DeleteStmt');
  if (remove) {
    const walked = targetOf(remove, directive, 'deletes from');
    return { verb: 'delete', walked, where: remove.whereClause, targets: [] };
  }
  const insert = asKind(tree, 'InsertStmt');
  if (insert) return insertParts(insert, directive);
  throw new Refusal('a backfill is one update, delete or insert … select', {
    hint: 'Remove the line `-- evdb: backfill …`, or write the change as one of these.',
  });
}

function targetOf(
  { relation, returningClause }: UpdateStmt | DeleteStmt,
  { table }: BackfillDirective,
  verb: string,
): RangeVar {
  refuseReturning(returningClause);
  const walked = relation ?? {};
  if (isNamed(walked, table)) return walked;
  throw new Refusal(
    `the statement ${verb} ${walked.relname}, and the directive names ${written(table)}`,
    { hint: `Write: -- evdb: backfill ${written(relationNameOf(walked))}`, node: walked },
  );
}

function refuseReturning(clause: unknown): void {
  if (clause === undefined) return;
  throw new Refusal('a backfill cannot return rows', { hint: 'Remove the `returning`.' });
}

function insertParts(insert: InsertStmt, { table }: BackfillDirective): Parts {
  refuseReturning(insert.returningClause);
  const into = insert.relation ?? {};
  const select = asKind(insert.selectStmt, 'SelectStmt');
  if (select) refuseShape(select);
  if (!select?.fromClause) {
    throw new Refusal(`this insert reads no rows of ${written(table)}`, {
      hint: 'A backfill inserts what a `select … from` that table gives.',
    });
  }
  if (isNamed(into, table)) {
    throw new Refusal(`the statement inserts into ${written(table)}, which it walks`, {
      hint: 'It would meet its own rows. Insert into another table, or update the rows that are there.',
      node: into,
    });
  }
  const walked = findWalked(select.fromClause, table);
  return { verb: 'insert', walked, where: select.whereClause, targets: [], select, into };
}

/** What means something else in parts than as a whole. */
function refuseShape(select: SelectStmt): void {
  const { groupClause, havingClause, distinctClause, windowClause } = select;
  const refused = [
    [select.op !== 'SETOP_NONE', 'union, intersect or except'],
    [groupClause !== undefined || havingClause !== undefined, 'group by'],
    [distinctClause !== undefined, 'distinct'],
    [windowClause !== undefined || hasWindow(select.targetList), 'a window function'],
    [select.limitCount !== undefined || select.limitOffset !== undefined, 'limit'],
  ] as const;
  const [, what] = refused.find(([isThere]) => isThere) ?? [];
  if (what === undefined) return;
  throw new Refusal(`a backfill cannot have ${what}: each batch would apply it on its own`, {
    hint: 'Move it into a sub-query that does not read the table, or run the statement in one transaction, without the directive.',
  });
}

function hasWindow(targets: Node[] | undefined): boolean {
  let found = false;
  walkTree(targets, (kind, fields) => {
    if (kind === 'FuncCall' && fields.over !== undefined) found = true;
    return kind !== 'SubLink';
  });
  return found;
}

/** The table among those that a select reads, where a range on it leaves no row out. */
function findWalked(from: Node[], table: BackfillDirective['table']): RangeVar {
  const found: { range: RangeVar; isOptional: boolean }[] = [];
  const look = (node: Node | undefined, isOptional: boolean): void => {
    const join = asKind(node, 'JoinExpr');
    const range = asKind(node, 'RangeVar');
    if (join) {
      const { jointype } = join;
      look(join.larg, isOptional || jointype === 'JOIN_RIGHT' || jointype === 'JOIN_FULL');
      look(join.rarg, isOptional || jointype === 'JOIN_LEFT' || jointype === 'JOIN_FULL');
      if (join.alias && found.length > 0) {
        throw new Refusal('the directive names a table inside of a join that has an alias');
      }
    } else if (range && isNamed(range, table)) found.push({ range, isOptional });
  };
  for (const node of from) look(node, false);
  const [only, other] = found;
  if (!only) throw new Refusal(`the select does not read from ${written(table)}`);
  if (other) {
    throw new Refusal(`the select reads ${written(table)} twice, so it cannot be walked`, {
      node: other.range,
    });
  }
  if (only.isOptional) {
    throw new Refusal(
      `an outer join makes ${written(table)} optional, so walking it leaves rows out`,
      {
        hint: 'Name the other table of the join in the directive.',
        node: only.range,
      },
    );
  }
  if (only.range.alias?.colnames) {
    throw new Refusal(`the columns of ${written(table)} have other names here`, {
      node: only.range,
    });
  }
  return only.range;
}

/** What no verb may have. */
function refuseOthers(tree: Node, { verb, walked, where, select }: Parts): void {
  const { kind: own } = openNode(tree);
  const top = select;
  walkTree(tree, (kind, fields) => {
    if (WRITING.has(kind) && !(kind === own && fields === openNode(tree).fields)) {
      throw new Refusal('the statement writes to several tables', {
        hint: 'Write a migration for each of them.',
      });
    }
    if (kind === 'CurrentOfExpr') throw new Refusal('a backfill has no cursor to be at');
    if (kind === 'ParamRef') {
      throw new Refusal('a migration has no parameters', { node: fields });
    }
    const isLimited = kind === 'SelectStmt' && fields.limitCount !== undefined;
    if (isLimited && fields !== (top as unknown) && readsTable(fields, walked)) {
      throw new Refusal(
        `a sub-query takes a limited number of rows of ${walked.relname}: each batch would apply the limit on its own`,
        { hint: 'Leave the limit out: evdb makes the batches.' },
      );
    }
  });
  if (verb !== 'insert' && where !== undefined && asKind(where, 'CurrentOfExpr')) {
    throw new Refusal('a backfill has no cursor to be at');
  }
}

const WRITING = new Set(['UpdateStmt', 'DeleteStmt', 'InsertStmt', 'MergeStmt']);

function readsTable(select: TreeObject, { relname, schemaname }: RangeVar): boolean {
  let found = false;
  walkTree(select.fromClause, (kind, fields) => {
    if (kind !== 'RangeVar' || fields.relname !== relname) return;
    found ||= !fields.schemaname || !schemaname || fields.schemaname === schemaname;
  });
  return found;
}

/**
 * Whether a row that was changed no longer matches, as far as the statement shows it: its condition asks
 * for what it sets. Else counting what still matches would count all of them.
 */
function endsItself({ verb, where, select, into }: Parts, set: string[], alias: string): boolean {
  if (verb === 'delete') return true;
  if (verb === 'insert')
    return into !== undefined && readsTable({ fromClause: [{ SelectStmt: select }] }, into);
  let found = false;
  walkTree(where, (kind, fields) => {
    if (kind === 'SubLink') {
      walkTree(fields, (inner, ref) => {
        if (inner === 'ColumnRef') found ||= isSet(ref, set, alias, false);
      });
      return false;
    }
    if (kind === 'ColumnRef') found ||= isSet(fields, set, alias, true);
    return true;
  });
  return found;
}

function isSet(ref: TreeObject, set: string[], alias: string, mayBePlain: boolean): boolean {
  const names = stringsOf(ref.fields as Node[]);
  const qualifier = names.at(-2);
  const isOwn = qualifier === undefined ? mayBePlain : qualifier === alias;
  return isOwn && set.includes(names.at(-1) ?? '');
}

/** Whether what is set is made of one of these columns, whatever table they are of. */
function reads(target: Node, columns: string[]): boolean {
  let found = false;
  walkTree(asKind(target, 'ResTarget')?.val, (kind, { fields }) => {
    if (kind !== 'ColumnRef') return;
    const last = (fields as Node[]).at(-1);
    const name = asKind(last, 'String')?.sval;
    found ||= name === undefined || columns.includes(name);
  });
  return found;
}

function callsOf(nodes: Node[] | undefined): string[] {
  const names = new Set<string>();
  walkTree(nodes, (kind, fields) => {
    if (kind === 'FuncCall') names.add(stringsOf(fields.funcname as Node[]).at(-1) ?? '');
    // A sub-query may aggregate.
    return kind !== 'SubLink';
  });
  return [...names];
}

function comparedIn(tree: Node): Backfill['compared'] {
  const compared: Backfill['compared'] = [];
  walkTree(tree, (kind, { kind: operation, name, lexpr, rexpr }) => {
    if (kind !== 'A_Expr' || !EQUAL.has(String(operation))) return;
    if (stringsOf(name as Node[]).at(-1) !== '=') return;
    for (const side of [lexpr, rexpr] as (Node | undefined)[]) {
      const names = stringsOf(asKind(side, 'ColumnRef')?.fields);
      const column = names.at(-1);
      if (column) compared.push({ qualifier: names.at(-2), column });
    }
  });
  return compared;
}

const EQUAL = new Set(['AEXPR_OP', 'AEXPR_OP_ANY', 'AEXPR_IN', 'AEXPR_NOT_DISTINCT']);

function isNamed({ relname, schemaname }: RangeVar, { schema, name }: WrittenName): boolean {
  return relname === name && (!schemaname || schema === undefined || schemaname === schema);
}

/** As the directive would write it. */
export function written({ schema, name }: WrittenName): string {
  return [schema, name]
    .flatMap((part) => (part === undefined ? [] : quoteIfNeeded(part)))
    .join('.');
}

function quoteIfNeeded(name: string): string {
  return /^[\p{Ll}_][\p{Ll}\p{N}_$]*$/u.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** In bytes; 0 where the node has no place. */
function locationOf(node: unknown): number {
  let found: number | undefined;
  visitObjects(node, ({ location }) => {
    if (typeof location === 'number') found ??= location;
  });
  return found ?? 0;
}
