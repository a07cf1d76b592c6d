import type { Node } from '@pgsql/types';
import type { Statement } from '../sql/statements.ts';
import { applyEdits, rangeWithComments } from './edits.ts';
import type { RawFinding } from './finding.ts';
import { dropsIndex, inverseOf, isIndependent, NO_TRANSACTION } from './fix-moves.ts';
import type { Edit, Fix } from './rule.ts';

/** A script that is to be mended. */
export interface FixableScript {
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
    if (inverse === undefined) return 'nothing tells how its down script would take it back';
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
