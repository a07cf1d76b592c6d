import type { DropStmt, Node } from '@pgsql/types';
import { quoteWhereNeeded } from '../catalog/catalog.ts';
import { advance, openCursor } from '../sql/lexer.ts';
import type { Statement } from '../sql/statements.ts';
import { asKind, stringsOf, visitObjects } from '../sql/tree.ts';
import type { RawFinding } from './finding.ts';
import type { Edit, Fix } from './rule.ts';

/** The statement of the down script that undoes one that was moved. */
interface Inverse {
  /** The whole down script. */
  text: string;
  /** The index that it drops, which another down script may drop as well. */
  drops?: string;
}

const NO_TRANSACTION = '-- evdb: no-transaction\n';

const NOTHING = '-- There is nothing to roll back.\nselect 1;\n';

/** Undefined where nothing tells: an index without a name, a command that cannot be undone. */
function inverseOf(tree: Node): Inverse | undefined {
  const index = asKind(tree, 'IndexStmt');
  if (index?.idxname) {
    const schema = index.relation?.schemaname;
    const parts = [...(schema ? [schema] : []), index.idxname].map(quoteWhereNeeded);
    return {
      text: `${NO_TRANSACTION}drop index concurrently ${parts.join('.')};\n`,
      drops: index.idxname,
    };
  }
  return UNDONE_BY_NOTHING.some((kind) => kind in tree) ? { text: NOTHING } : undefined;
}

/** What these drop or detach, the down script of their own migration brings back. */
const UNDONE_BY_NOTHING = [
  'VacuumStmt',
  'ReindexStmt',
  'ClusterStmt',
  'DropStmt',
  'AlterTableStmt',
];

/** Whether a statement drops this index and nothing else. */
function dropsIndex(tree: Node | null | undefined, name: string): boolean {
  const drop: DropStmt | undefined = asKind(tree ?? undefined, 'DropStmt');
  if (drop?.removeType !== 'OBJECT_INDEX' || drop.objects?.length !== 1) return false;
  return stringsOf(asKind(drop.objects[0], 'List')?.items).at(-1) === name;
}

/**
 * Whether a statement can run behind those that follow it and the result stays the same: none of
 * them names what it is about, or runs what cannot be seen.
 */
function isIndependent(tree: Node, later: readonly Statement[]): boolean {
  if (later.length === 0) return true;
  const names = namesIn(tree);
  return (
    names.length > 0 &&
    later.every(
      ({ command, text }) => !OPAQUE.has(command) && !names.some((name) => mentions(text, name)),
    )
  );
}

/** Also inside strings and function bodies. */
function mentions(text: string, name: string): boolean {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<![\\w$])${escaped}(?![\\w$])`, 'i').test(text);
}

const OPAQUE = new Set(['do', 'call', 'select', 'with', 'execute', 'set', 'reset']);

/** Tables and indexes that a statement names, in lower case. */
function namesIn(tree: Node): string[] {
  const names: string[] = [];
  visitObjects(tree, (fields) => {
    for (const name of [fields.relname, fields.idxname]) {
      if (typeof name === 'string') names.push(name.toLowerCase());
    }
  });
  const dropped = asKind(tree, 'DropStmt')?.objects ?? [];
  for (const node of dropped) {
    const name = stringsOf(asKind(node, 'List')?.items).at(-1);
    if (name !== undefined) names.push(name.toLowerCase());
  }
  return names;
}

/** A script that is to be mended. */
interface FixableScript {
  text: string;
  isTransactional: boolean;
  statements: readonly Statement[];
  trees: readonly (Node | null)[];
  /** What is found in it. */
  found: readonly RawFinding[];
}

/** A migration to write behind the one that is mended. */
export interface AddedMigration {
  /** What its name ends in. */
  suffix: 'no_transaction' | 'validate';
  up: string;
  /** Undefined where the mended one has no down script either. */
  down: string | undefined;
}

export interface FilePlan {
  up: string;
  down: string | undefined;
  added: AddedMigration[];
  fixed: FixedFinding[];
  /** What has a fix and stays, with the reason. */
  left: (FixedFinding & { reason: string })[];
}

/** A finding and the script that it is in. */
export interface FixedFinding {
  raw: RawFinding;
  direction: 'up' | 'down';
}

/**
 * Plans what mends a migration. What stays keeps its comments and its order; what moves takes the
 * comments above it along, and what undid it in the down script.
 *
 * @param down undefined where there is no down script
 */
export function planFixes(up: FixableScript, down: FixableScript | undefined): FilePlan {
  const plan: FilePlan = { up: up.text, down: down?.text, added: [], fixed: [], left: [] };
  const accepted: Fix[] = [];
  for (const raw of up.found) {
    if (raw.fix === undefined) continue;
    const reason = refusalOf(raw.fix, up, down);
    if (reason !== undefined) plan.left.push({ raw, direction: 'up', reason });
    else {
      plan.fixed.push({ raw, direction: 'up' });
      accepted.push(raw.fix);
    }
  }
  const edits = distinct(accepted.flatMap((fix) => fix.edits));
  const moves = new Set(accepted.flatMap((fix) => fix.moves ?? []));
  const downText = down && leaveTransaction(down);
  if (down && downText !== undefined) {
    plan.down = downText;
    plan.fixed.push(...fixable(down).map((raw) => ({ raw, direction: 'down' as const })));
  }
  if (moves.size === up.statements.length && moves.size > 0) {
    return { ...plan, up: applyEdits(up.text, [HEADER, ...edits]) };
  }
  if (accepted.length === 0) return plan;
  const moved = up.statements.filter(({ index }) => moves.has(index));
  return {
    ...plan,
    ...splitScript(up, edits, moved, down),
    added: [
      ...moved.map((statement) => moveStatement(up, statement, edits, down)),
      ...followUp(accepted, down),
    ],
  };
}

/** A script all of whose statements may run outside of one: it only needs the header. */
function leaveTransaction(script: FixableScript): string | undefined {
  const fixes = fixable(script).flatMap(({ fix }) => fix ?? []);
  const moves = new Set(fixes.flatMap((fix) => fix.moves ?? []));
  if (moves.size === 0 || moves.size < script.statements.length) return undefined;
  return applyEdits(script.text, [HEADER, ...distinct(fixes.flatMap((fix) => fix.edits))]);
}

function fixable({ found }: FixableScript): RawFinding[] {
  return found.filter(({ fix }) => fix?.moves !== undefined);
}

const HEADER: Edit = { start: 0, end: 0, text: NO_TRANSACTION };

/** Two rules may want the same of one statement. */
function distinct(edits: readonly Edit[]): Edit[] {
  const seen = new Set<string>();
  return edits.filter((edit) => {
    const key = JSON.stringify(edit);
    return !seen.has(key) && seen.add(key);
  });
}

function refusalOf(
  { moves = [], follows = [] }: Fix,
  up: FixableScript,
  down: FixableScript | undefined,
): string | undefined {
  if (follows.length > 0 && !up.isTransactional) return 'the file runs in no transaction';
  const movable = new Set(up.found.flatMap(({ fix }) => fix?.moves ?? []));
  if (movable.size === up.statements.length) return undefined;
  for (const index of moves) {
    const tree = up.trees[index] as Node;
    const later = up.statements.filter((one) => one.index > index && !movable.has(one.index));
    if (!isIndependent(tree, later)) return 'later statements of the file may rest on it';
    const inverse = inverseOf(tree);
    if (down === undefined) continue;
    if (inverse === undefined) return 'nothing tells how its down script would roll it back';
    const undoing = statementsDropping(down, inverse.drops);
    if (undoing.length > 1 || (undoing.length === 1 && down.statements.length === 1)) {
      return 'its down script has to be split by hand';
    }
  }
  return undefined;
}

function statementsDropping(down: FixableScript, index: string | undefined): Statement[] {
  if (index === undefined) return [];
  return down.statements.filter((one) => dropsIndex(down.trees[one.index], index));
}

function splitScript(
  up: FixableScript,
  edits: readonly Edit[],
  moved: readonly Statement[],
  down: FixableScript | undefined,
): Pick<FilePlan, 'up' | 'down'> {
  const ranges = moved.map((statement) => rangeWithComments(up.text, statement));
  const kept = edits.filter(({ start }) => !ranges.some((range) => contains(range, start)));
  const undone = moved.flatMap(({ index }) => {
    const drops = inverseOf(up.trees[index] as Node)?.drops;
    return down ? statementsDropping(down, drops) : [];
  });
  return {
    up: applyEdits(up.text, [...kept, ...ranges.map(cut)]),
    down:
      down &&
      applyEdits(
        down.text,
        undone.map((one) => cut(rangeWithComments(down.text, one))),
      ),
  };
}

function contains(range: { start: number; end: number }, at: number): boolean {
  return range.start <= at && at < range.end;
}

function cut({ start, end }: { start: number; end: number }): Edit {
  return { start, end, text: '' };
}

function moveStatement(
  up: FixableScript,
  statement: Statement,
  edits: readonly Edit[],
  down: FixableScript | undefined,
): AddedMigration {
  const range = rangeWithComments(up.text, statement);
  const end: Edit = { start: statement.end, end: statement.end, text: ';' };
  const own = [...edits, ...(statement.isTerminated ? [] : [end])]
    .filter(({ start }) => contains(range, start) || start === statement.end)
    .map(({ start, end, text }) => ({ start: start - range.start, end: end - range.start, text }));
  const text = applyEdits(up.text.slice(range.start, range.end), own).trim();
  return {
    suffix: 'no_transaction',
    up: `${NO_TRANSACTION}${text}\n`,
    down: down && inverseOf(up.trees[statement.index] as Node)?.text,
  };
}

function followUp(fixes: readonly Fix[], down: FixableScript | undefined): AddedMigration[] {
  const follows = fixes.flatMap((fix) => fix.follows ?? []);
  if (follows.length === 0) return [];
  const undo = follows.toReversed().map((one) => `${one.down};\n`);
  return [
    {
      suffix: 'validate',
      up: follows.map((one) => `${one.up};\n`).join(''),
      down: down && undo.join(''),
    },
  ];
}

/** The text with edits that do not overlap. */
function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = '';
  let from = 0;
  // Of several insertions at one place the first stays first.
  for (const { start, end, text: inserted } of edits.toSorted((a, b) => a.start - b.start)) {
    result += text.slice(from, start) + inserted;
    from = end;
  }
  return result + text.slice(from);
}

/**
 * A statement with its semicolon, the comments right above it and the one behind it on its line.
 * What the header tells evdb stays behind.
 */
function rangeWithComments(text: string, statement: Statement): { start: number; end: number } {
  return {
    start: startWithComments(text, statement.start),
    end: endOfStatementLine(text, statement),
  };
}

const COMMENT_LINE = /^[ \t]*--(?!\s*evdb\s*:)/i;
const SUPPRESSION_LINE = /^[ \t]*--\s*evdb\s*:\s*ignore\b/i;

function startWithComments(text: string, at: number): number {
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  if (text.slice(lineStart, at).trim() !== '') return at;
  let start = lineStart;
  const isFirst = text
    .slice(0, at)
    .split('\n')
    .every((line) => /^\s*(--.*)?$/.test(line));
  while (start > 0) {
    const before = text.lastIndexOf('\n', start - 2) + 1;
    const line = text.slice(before, start - 1);
    // One in the header is for the whole file.
    const isOwn = COMMENT_LINE.test(line) || (!isFirst && SUPPRESSION_LINE.test(line));
    if (!isOwn) break;
    start = before;
  }
  return start;
}

function endOfStatementLine(text: string, { end, isTerminated }: Statement): number {
  const cursor = openCursor(text);
  cursor.end = end;
  if (isTerminated) advance(cursor);
  const [rest = ''] = /^[ \t]*(?:--[^\n]*)?\n?/.exec(text.slice(cursor.end)) ?? [];
  const isWhole = rest.endsWith('\n') || cursor.end + rest.length === text.length;
  return isWhole ? cursor.end + rest.length : cursor.end;
}
