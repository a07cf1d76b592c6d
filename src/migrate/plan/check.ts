import type { EvdbErrorCode } from '../../errors.ts';
import { checkScript, type ScriptProblem as SyntaxProblem } from '../../sql/check.ts';
import { adviseNoTransaction, classifyStatement } from '../../sql/kind.ts';
import { advance, isPunctuation, isWord, openCursor } from '../../sql/lexer.ts';
import { hasGrammarOf, type SqlParser, UNKNOWN_TO_GRAMMAR } from '../../sql/parser.ts';
import type { Statement } from '../../sql/statements.ts';
import type { VariableDeclaration } from '../files/directives.ts';
import type { Script } from '../files/source.ts';
import { unusedVariables } from '../files/variables.ts';

/** Something wrong with a script, at a place. */
export interface ScriptProblem {
  code: EvdbErrorCode;
  /** A warning where a server of another version may accept what the parser's grammar does not. */
  severity: 'error' | 'warning';
  message: string;
  line: number;
  column: number;
  hint?: string;
  /** From 0; where the problem is one of a statement. */
  statementIndex?: number;
}

/**
 * All that can be known to be wrong with a script without running it. Pure.
 *
 * @param serverVersion of the server that it is for, as in server_version_num; undefined where none is
 *   known: then what the grammar refuses is an error
 */
export function checkStatements(
  script: Script,
  statements: Statement[],
  parser: SqlParser,
  serverVersion?: number,
): ScriptProblem[] {
  if (statements.length === 0 && !script.large?.statementsTotal) return [emptyFile(script)];
  const syntax = checkScript(script.text, parser, statements).map((problem) =>
    problem.code === 'SYNTAX_ERROR'
      ? judgeSyntax(problem, statements[problem.statementIndex], serverVersion)
      : { ...problem, severity: 'error' as const },
  );
  return [
    ...syntax,
    ...(script.directives.isOnce ? [onlyForSeeds()] : []),
    ...unusedVariables(script, statements).map(neverUsed),
    ...checkControl(statements),
    ...checkCopies(statements),
    ...(script.directives.noTransaction ? [] : checkTransactional(script.path, statements)),
  ].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** A server of another version may understand what this grammar does not, but no open quote. */
function judgeSyntax(
  problem: SyntaxProblem,
  statement: Statement | undefined,
  serverVersion: number | undefined,
): ScriptProblem {
  const isSure = statement === undefined || statement.unterminated !== null;
  if (isSure) return { ...problem, severity: 'error' };
  if (serverVersion === undefined) {
    return { ...problem, severity: 'error', hint: problem.hint ?? UNKNOWN_TO_GRAMMAR };
  }
  return { ...problem, severity: hasGrammarOf(serverVersion) ? 'error' : 'warning' };
}

function onlyForSeeds(): ScriptProblem {
  return {
    code: 'DIRECTIVE_INVALID',
    severity: 'error',
    message: '"once" is for seeds: a migration is applied one time in any case',
    line: 1,
    column: 1,
    hint: 'Remove the line.',
  };
}

function neverUsed({ name, line }: VariableDeclaration): ScriptProblem {
  return {
    code: 'DIRECTIVE_INVALID',
    severity: 'error',
    message: `the variable "${name}" is declared and never used`,
    line,
    column: 1,
    hint: `Use it as :"${name}" for a name or as :'${name}' for a text, or remove it.`,
  };
}

function emptyFile(script: Script): ScriptProblem {
  return {
    code: 'EMPTY_FILE',
    severity: 'error',
    message: `${script.path} holds no statement`,
    line: 1,
    column: 1,
    hint: 'Write the SQL, or remove the file.',
  };
}

const OF_LARGE_OBJECTS = /^select\s+(?:pg_catalog\s*\.\s*)?lo_(?:open|create)\s*\(/i;

function checkControl(statements: Statement[]): ScriptProblem[] {
  const isDump = statements.some(({ text }) => OF_LARGE_OBJECTS.test(text));
  return statements
    .filter((statement) => classifyStatement(statement).isTransactionControl)
    .map(({ line, column, command }) => ({
      code: 'TRANSACTION_CONTROL',
      severity: 'error',
      message: `"${command}" in a migration: evdb begins and commits itself`,
      line,
      column,
      hint: isDump
        ? 'pg_dump puts begin and commit around large objects: remove these lines, as the whole migration is one transaction, or dump without them (pg_dump --no-large-objects).'
        : 'Remove it: a migration is applied whole or not at all. What has to commit in between belongs in a file of its own.',
    }));
}

/** Nobody reads what the server would send, and the connection would wait for that. */
function checkCopies(statements: Statement[]): ScriptProblem[] {
  return statements
    .filter(({ command, text }) => command === 'copy' && isCopyToStdout(text))
    .map(({ line, column }) => ({
      code: 'COPY_UNSUPPORTED',
      severity: 'error',
      message: 'copy … to stdout has no client to send its rows to',
      line,
      column,
      hint: 'Remove it: a migration changes the database, and prints nothing.',
    }));
}

function isCopyToStdout(statementText: string): boolean {
  const cursor = openCursor(statementText);
  let depth = 0;
  let isAfterTo = false;
  while (advance(cursor)) {
    if (isPunctuation(cursor, '(')) depth++;
    else if (isPunctuation(cursor, ')')) depth--;
    if (depth > 0) continue;
    if (isAfterTo) return isWord(cursor, 'stdout');
    isAfterTo = isWord(cursor, 'to');
  }
  return false;
}

function checkTransactional(path: string, statements: Statement[]): ScriptProblem[] {
  return statements
    .map((statement) => ({ statement, kind: classifyStatement(statement) }))
    .filter(({ kind }) => kind.needsNoTransaction)
    .map(({ statement: { line, column }, kind }) => ({
      code: 'NEEDS_NO_TRANSACTION',
      severity: 'error',
      message: `"${kind.label}" cannot run inside a transaction`,
      line,
      column,
      hint: adviseNoTransaction(path.endsWith('.down.sql') ? 'down' : 'up'),
    }));
}
