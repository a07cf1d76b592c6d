import {
  type Comment,
  type DirectiveLine,
  listComments,
  listDirectiveLines,
  mayHoldDirectives,
  readDirectiveLines,
} from '../sql/comments.ts';
import { advance, openCursor } from '../sql/lexer.ts';
import type { Statement } from '../sql/statements.ts';
import { commandLine } from '../text/command-line.ts';
import { suggestName } from '../text/words.ts';

/** A place in a script, in UTF-16 units. */
export interface Range {
  start: number;
  end: number;
}

/** `-- evdb: ignore <rule>[, <rule>]: <reason>`, one for each rule. */
export interface Suppression extends Range {
  rule: string;
  reason: string;
  /** The statement that it is for; undefined for the whole file. */
  target: Range | undefined;
  isUsed: boolean;
}

/** A comment for evdb that cannot be what its author meant. */
export interface DirectiveProblem extends Range {
  message: string;
  hint: string;
}

export interface ReadSuppressions {
  suppressions: Suppression[];
  problems: DirectiveProblem[];
}

const IGNORE = /^([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)\s*:\s*(\S.*)$/i;

/**
 * Reads the suppressions of a script. One before the first statement counts for the file; one
 * inside a statement, or behind it on its line, for that statement; any other for the next.
 *
 * @param knownRules names that may be suppressed
 */
export function readSuppressions(
  text: string,
  statements: readonly Statement[],
  knownRules: readonly string[],
): ReadSuppressions {
  const result: ReadSuppressions = { suppressions: [], problems: [] };
  for (const found of listDirectiveLines(text, statements)) {
    const target = found.isHeader ? undefined : targetOf(text, statements, found);
    readDirective(found, { target, knownRules }, result);
  }
  return result;
}

/**
 * Reads the suppressions in the body of a `do` block, each for a statement of that body.
 *
 * @param holder the `do` statement
 * @param inner the statements of its body, in the order of the text
 */
export function readBodySuppressions(
  text: string,
  holder: Statement,
  { inner, knownRules }: { inner: readonly Range[]; knownRules: readonly string[] },
): ReadSuppressions {
  const result: ReadSuppressions = { suppressions: [], problems: [] };
  if (inner.length === 0 || !mayHoldDirectives(holder.text)) return result;
  for (const comment of listBodyComments(text, holder)) {
    for (const found of readDirectiveLines(text, comment, false)) {
      readDirective(found, { target: targetOf(text, inner, found), knownRules }, result);
    }
  }
  return result;
}

function listBodyComments(text: string, holder: Statement): Comment[] {
  const cursor = openCursor(holder.text);
  const comments: Comment[] = [];
  while (advance(cursor)) {
    if (cursor.kind !== 'dollar') continue;
    const width = holder.text.indexOf('$', cursor.start + 1) + 1 - cursor.start;
    const from = holder.start + cursor.start + width;
    const to = holder.start + cursor.end - width;
    for (const { start, end } of listComments(text.slice(from, to))) {
      comments.push({ start: start + from, end: end + from });
    }
  }
  return comments;
}

function readDirective(
  { start, end, name, value, isHeader, isWellFormed }: DirectiveLine,
  { target, knownRules }: { target: Range | undefined; knownRules: readonly string[] },
  into: ReadSuppressions,
): void {
  const report = (problem: { message: string; hint: string }) =>
    into.problems.push({ start, end, ...problem });
  if (!isWellFormed) {
    report(MALFORMED);
    return;
  }
  if (name !== 'ignore') {
    // Those of the header are read, and refused where they are wrong, before anything else.
    if (!isHeader) report(misplaced(name));
    return;
  }
  const [, rules, reason = ''] = IGNORE.exec(value) ?? [];
  if (rules === undefined) {
    report(INCOMPLETE);
    return;
  }
  for (const rule of rules
    .toLowerCase()
    .split(',')
    .map((one) => one.trim())) {
    if (!knownRules.includes(rule)) report(unknown(rule, knownRules));
    else into.suppressions.push({ start, end, rule, reason, target, isUsed: false });
  }
}

function targetOf(text: string, statements: readonly Range[], comment: Range): Range {
  const next = statements.find(({ start }) => start > comment.start);
  const before = statements.findLast(({ start }) => start < comment.start);
  if (before !== undefined) {
    const isInside = comment.start < before.end;
    if (isInside || !text.slice(before.end, comment.start).includes('\n')) return before;
  }
  // Behind the last statement there is nothing that it could be for.
  return next ?? { start: text.length, end: text.length };
}

function misplaced(name: string) {
  return {
    message: `"${name}" has no effect here: evdb reads it before the first statement`,
    hint: 'Move the line to the top of the file, or remove it.',
  };
}

const MALFORMED = {
  message: 'this looks like a directive, but is not written as one',
  hint: 'Write it as a line of its own, such as: -- evdb: ignore <rule>: <reason>. Remove the line if it is not meant.',
};

const INCOMPLETE = {
  message: '"ignore" needs a rule and a reason',
  hint: 'Write: -- evdb: ignore <rule>[, <rule>]: <reason>',
};

function unknown(rule: string, knownRules: readonly string[]) {
  const suggestion = suggestName(rule, knownRules);
  return {
    message: `there is no rule "${rule}"`,
    hint: suggestion
      ? `Did you mean "${suggestion}"?`
      : `To see the rules, run: ${commandLine('lint', { 'list-rules': true })}`,
  };
}

/** Of the suppressions for a rule at a place, the narrowest. */
export function findSuppression(
  suppressions: readonly Suppression[],
  { rule, at }: { rule: string; at: number },
): Suppression | undefined {
  const fitting = suppressions.filter(
    (one) =>
      one.rule === rule &&
      (one.target === undefined || (one.target.start <= at && at < one.target.end)),
  );
  return fitting.find(({ target }) => target !== undefined) ?? fitting[0];
}

/** What to say of a suppression that no finding needed. */
export function unusedProblem({ rule, start, end, target }: Suppression): DirectiveProblem {
  const where = target === undefined ? 'in this file' : 'in the statement that it is for';
  return {
    message: `"ignore ${rule}" is not needed: the rule finds nothing ${where}`,
    hint: 'Remove it: it would hide what nobody has reviewed.',
    start,
    end,
  };
}
