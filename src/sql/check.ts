import type { Node } from '@pgsql/types';
import { type CopyData, isBinaryCopy } from './copy.ts';
import type { SqlParseFailure, SqlParser } from './parser.ts';
import { createLocator, locate } from './position.ts';
import { checkRoutineBody, ROUTINES } from './routine.ts';
import { type Statement, splitStatements } from './statements.ts';
import { listVariableUses, writtenOffset } from './variables.ts';

/** A reason why a script cannot run, found without a database. */
export interface ScriptProblem {
  code:
    | 'NUL_BYTE'
    | 'PSQL_COMMAND'
    | 'COPY_UNSUPPORTED'
    | 'COPY_UNTERMINATED'
    | 'SYNTAX_ERROR'
    | 'VARIABLE_UNDECLARED';
  message: string;
  /** From 1. */
  line: number;
  /** From 1, in code points. */
  column: number;
  hint?: string;
  /** From 0, in the order of `splitStatements`; -1 where the script cannot be split. */
  statementIndex: number;
}

/**
 * Lists what is wrong with a script, in the order of the text and at most once a statement.
 *
 * Only `SYNTAX_ERROR` depends on the version of the grammar: PostgreSQL 18 refuses a few names
 * that older servers accept. Statements too long for the parser count as good (`MAX_CHECKED_LENGTH`).
 *
 * @param parser from `loadSqlParser()`
 * @param statements what `splitStatements(text)` gave, where the caller has it already
 * @param trees what the parser made of each of them, where the caller has that too: what has one is good
 */
export function checkScript(
  text: string,
  parser: SqlParser,
  statements?: Statement[],
  trees: readonly (Node | null)[] = [],
): ScriptProblem[] {
  const nul = text.indexOf('\0');
  if (nul >= 0) {
    return [
      {
        code: 'NUL_BYTE',
        message: 'The script holds a NUL byte, where PostgreSQL would stop reading.',
        ...locate(text, nul),
        hint: 'Remove the NUL byte; a file in UTF-16 has to be saved as UTF-8.',
        statementIndex: -1,
      },
    ];
  }
  const locator = createLocator(text);
  const problems: ScriptProblem[] = [];
  const all = statements ?? splitStatements(text);
  const isUnchecked = createBodySwitch(all);
  for (const [index, statement] of all.entries()) {
    const finding = findProblem(statement, { all, parser, tree: trees[index], isUnchecked });
    if (finding === null) continue;
    const { offset, ...rest } = finding;
    problems.push({
      ...rest,
      ...locator.locate(statement.start + writtenOffset(statement, offset)),
      statementIndex: statement.index,
    });
  }
  return problems;
}

interface Finding {
  code: ScriptProblem['code'];
  message: string;
  hint?: string;
  /** In the statement, in UTF-16 units. */
  offset: number;
}

interface Around {
  all: Statement[];
  parser: SqlParser;
  tree: Node | null | undefined;
  isUnchecked: (statement: Statement) => boolean;
}

function findProblem(statement: Statement, around: Around): Finding | null {
  const { all, parser, tree } = around;
  if (statement.psqlCommand !== null) {
    return {
      code: 'PSQL_COMMAND',
      message: `\\${statement.psqlCommand} is a command of psql, not SQL.`,
      hint: PSQL_HINTS.get(statement.psqlCommand) ?? 'Remove it: only psql knows this command.',
      offset: 0,
    };
  }
  if (isPieceAroundPsqlCommand(statement, all)) return null;
  const failure = (tree ? null : failureOf(statement, parser)) ?? failureInBody(statement, around);
  if (failure !== null) {
    const undeclared = findUndeclared(statement.text, failure.offsetUtf16);
    if (undeclared) return undeclared;
    const hint = setsBackslashes(statement, all) ? BACKSLASH_HINT : undefined;
    return {
      ...{ code: 'SYNTAX_ERROR', message: failure.message, offset: failure.offsetUtf16 },
      ...(hint !== undefined && { hint }),
    };
  }
  return statement.copyData === null ? null : findCopyProblem(statement, statement.copyData);
}

/** The grammar knows no variable, so it stumbles over one that was left as it is. */
function findUndeclared(text: string, offset: number): Finding | undefined {
  const use = listVariableUses(text).find(({ start }) => start === offset);
  if (use === undefined) return undefined;
  return {
    code: 'VARIABLE_UNDECLARED',
    message: `${text.slice(use.start, use.end)} is a variable that this file does not declare`,
    hint: `Declare it at the top of the file: -- evdb: variables ${use.name}`,
    offset,
  };
}

const BACKSLASH_HINT =
  "The script sets standard_conforming_strings to off, and evdb reads strings as with on. Remove that line, and write strings in which a backslash escapes as E'…'.";

/** Whether a script has strings read in another way from a statement before this one on. */
function setsBackslashes({ index }: Statement, all: Statement[]): boolean {
  return all.some(
    (one) =>
      one.index < index &&
      /\bstandard_conforming_strings\b["'\s]*(?:=|,|\bto\b)["'\s]*(?:off|false|no|0|f|n)\b/i.test(
        one.text.slice(0, 200),
      ),
  );
}

/** What is wrong inside of a routine, unless the script asks the server not to look. */
function failureInBody(statement: Statement, around: Around): SqlParseFailure | null {
  if (!ROUTINES.has(statement.command)) return null;
  if (statement.command !== 'do' && around.isUnchecked(statement)) return null;
  return checkRoutineBody(statement, around.parser, around.tree);
}

/** Tells whether a statement before this one speaks of the setting that has bodies taken unseen. */
function createBodySwitch(all: Statement[]): (statement: Statement) => boolean {
  let first: number | undefined;
  return ({ index }) => {
    first ??=
      all.find(({ text }) => /\bcheck_function_bodies\b/i.test(text.slice(0, 200)))?.index ??
      Infinity;
    return first < index;
  };
}

function findCopyProblem({ text, end }: Statement, rows: CopyData): Finding | null {
  if (isBinaryCopy(text)) {
    return {
      code: 'COPY_UNSUPPORTED',
      message: 'copy … from stdin with binary rows cannot be in a text file.',
      hint: 'Write the rows as text or csv; pg_dump writes text.',
      offset: 0,
    };
  }
  // A file that was cut short must not look like one that is whole.
  if (rows.terminated) return null;
  return {
    code: 'COPY_UNTERMINATED',
    message:
      rows.start > end
        ? 'The rows of this copy … from stdin have no end.'
        : 'No rows follow this copy … from stdin.',
    hint: 'End the statement with a semicolon, begin the rows on the next line, and put a line with \\. alone behind the last one. Where it is missing the file may have been cut short.',
    offset: 0,
  };
}

// One that psql's command cuts in two is no statement, and its pieces tell nothing.
function isPieceAroundPsqlCommand(statement: Statement, all: Statement[]): boolean {
  const next = all[statement.index + 1];
  if (next !== undefined && next.psqlCommand !== null && !statement.isTerminated) return true;
  let before = statement.index - 1;
  while (before >= 0 && all[before]?.psqlCommand !== null) before--;
  return before < statement.index - 1 && all[before]?.isTerminated === false;
}

function failureOf(statement: Statement, parser: SqlParser): SqlParseFailure | null {
  const { unterminated } = statement;
  const failure = parser.check(statement.text);
  if (unterminated === null) return failure;
  const offset = statement.text.length - (statement.end - unterminated.at);
  // An error before the open quote is the one the server would report.
  if (failure !== null && failure.offsetUtf16 < offset) return failure;
  return { message: UNTERMINATED[unterminated.what], offsetUtf16: offset };
}

const UNTERMINATED = {
  string: 'unterminated quoted string',
  dollar: 'unterminated dollar-quoted string',
  comment: 'unterminated /* comment',
  identifier: 'unterminated quoted identifier',
};

const INCLUDE_HINT = 'Copy the statements of that file into this one: a migration is one file.';

const PSQL_HINTS = new Map([
  ['i', INCLUDE_HINT],
  ['ir', INCLUDE_HINT],
  ['include', INCLUDE_HINT],
  ['include_relative', INCLUDE_HINT],
  ['copy', 'Write copy without the backslash, and the rows after it up to a line \\.'],
  ['c', 'Remove it: a migration runs in the database that evdb is connected to.'],
  ['connect', 'Remove it: a migration runs in the database that evdb is connected to.'],
  ['gexec', 'Use a do block with execute, and end the statement with a semicolon.'],
  ['g', 'End the statement with a semicolon instead.'],
  ['.', 'It ends the rows of a copy … from stdin, and there is none here.'],
]);
