import type { Node } from '@pgsql/types';
import type { Catalog } from '../catalog/catalog.ts';
import { replayStatement } from '../catalog/replay/replay.ts';
import { emptyImpact, type Impact } from '../impact/impact.ts';
import { impactOf } from '../impact/impact-of.ts';
import { checkScript } from '../sql/check.ts';
import { isTransactionControl } from '../sql/kind.ts';
import { GRAMMAR_MAJOR, type SqlParser, UNKNOWN_TO_GRAMMAR } from '../sql/parser.ts';
import { offsetOfPosition } from '../sql/position.ts';
import { ROUTINES } from '../sql/routine.ts';
import { type Statement, splitStatements } from '../sql/statements.ts';
import { kindOf } from '../sql/tree.ts';
import { withValues, writtenOffset, writtenText } from '../sql/variables.ts';
import { type ChosenRule, severityInDown } from './choice.ts';
import type { LintRun } from './engine.ts';
import { type ExpandedStatement, expandStatement } from './expand.ts';
import { advanceFileState, holdLocks, openFileState } from './file-state.ts';
import type { RawFinding } from './finding.ts';
import type {
  FileState,
  LintRule,
  LintScript,
  RuleFinding,
  Severity,
  StatementInContext,
} from './rule.ts';
import { type ReadSuppressions, readBodySuppressions, readSuppressions } from './suppressions.ts';

/** A script whose statements were judged one after the other. */
export interface JudgedFile {
  script: LintScript;
  statements: Statement[];
  found: RawFinding[];
  syntax: RawFinding[];
  directives: ReadSuppressions;
}

/** Brings the catalog to what it is after a script, and judges the script where that is wanted. */
export function readFile(
  script: LintScript,
  catalog: Catalog,
  run: LintRun,
): JudgedFile | undefined {
  const statements = withValues(splitStatements(script.text), script.values);
  const { searchPath } = catalog;
  catalog.searchPath = [...searchPath];
  const judged = script.isJudged
    ? judgeFile(script, statements, { catalog, run })
    : replayFile(statements, { catalog, run });
  // The runner cleans its session after each migration.
  if (/\btemp/i.test(script.text)) replayStatement(catalog, DISCARD_TEMPORARY, '');
  catalog.searchPath = searchPath;
  catalog.unfilled.clear();
  return judged;
}

const DISCARD_TEMPORARY: Node = { DiscardStmt: { target: 'DISCARD_TEMP' } };

interface Around {
  catalog: Catalog;
  run: LintRun;
}

function replayFile(statements: Statement[], { catalog, run }: Around): undefined {
  for (const statement of statements) {
    const tree = changesCatalog(statement) ? parse(statement, run.parser) : null;
    if (tree === null) continue;
    for (const one of expandStatement(statement, tree, { catalog, parser: run.parser })) {
      if (!one.isDynamic) replayStatement(catalog, one.tree, one.text);
    }
  }
}

function judgeFile(script: LintScript, statements: Statement[], around: Around): JudgedFile {
  const { run, catalog } = around;
  const read = { catalog, parser: run.parser };
  const trees = statements.map((statement) => parse(statement, run.parser));
  const file = openFileState(script, statements, trees);
  const directives = readSuppressions(script.text, statements, run.ruleNames);
  const found: RawFinding[] = [];
  for (const [index, statement] of statements.entries()) {
    const tree = trees[index];
    if (!tree) continue;
    const expanded = expandStatement(statement, tree, read);
    for (const one of expanded) {
      for (const finding of judgeOne(statement, one, file, around)) found.push(finding);
    }
    if (!file.isTransactional) file.held.clear();
    const inBody = bodySuppressions(script.text, statement, expanded, run);
    directives.suppressions.push(...inBody.suppressions);
    directives.problems.push(...inBody.problems);
  }
  // A routine that parses may still hold a body that does not.
  const mayFail = trees.includes(null) || statements.some(({ command }) => ROUTINES.has(command));
  const syntax = mayFail ? findSyntaxErrors(script, { statements, trees }, run) : [];
  if (!script.isForeign) {
    if (statements.length === 0) syntax.push(EMPTY_FILE);
    syntax.push(...statements.filter(isTransactionControl).map(refuseControl));
  }
  return { script, statements, found, syntax, directives };
}

function judgeOne(
  statement: Statement,
  one: ExpandedStatement,
  file: FileState,
  { catalog, run }: Around,
): RawFinding[] {
  const { tree, isDynamic, isConditional } = one;
  const impact = isDynamic ? emptyImpact() : readImpact(one, file, { catalog, run });
  const found = judge(statement, one, { file, catalog, run, impact });
  if (isDynamic) catalog.unfilled.clear();
  if (isDynamic) return found;
  holdLocks(file, impact.locks, statement.line);
  const isHistoryWhole = run.isHistoryWhole || catalog.isComplete;
  const { serverVersion } = run.settings;
  advanceFileState(file, tree, { catalog, isHistoryWhole, isConditional, serverVersion });
  replayStatement(catalog, tree, one.text);
  return found;
}

function readImpact(
  { tree, text }: ExpandedStatement,
  file: FileState,
  { catalog, run }: Around,
): Impact {
  const { serverVersion } = run.settings;
  return impactOf({ tree, text, catalog, serverVersion, timeZoneIsUtc: file.timeZoneIsUtc });
}

function bodySuppressions(
  text: string,
  statement: Statement,
  expanded: readonly ExpandedStatement[],
  { ruleNames }: LintRun,
) {
  const inner = expanded
    .filter(({ isEmbedded, routine }) => isEmbedded && routine === undefined)
    .map((one) => ({
      start: placeInFile(statement, one.start),
      end: placeInFile(statement, one.start + one.text.length),
    }));
  return readBodySuppressions(text, statement, { inner, knownRules: ruleNames });
}

function parse({ text, psqlCommand, unterminated }: Statement, parser: SqlParser): Node | null {
  return psqlCommand === null && unterminated === null ? parser.parse(text) : null;
}

/** Rows change nothing that the catalog holds; a `select` may call a function that does. */
function changesCatalog({ command }: Statement): boolean {
  return !UNCHANGING.has(command);
}

const UNCHANGING = new Set([
  'insert',
  'update',
  'delete',
  'merge',
  'copy',
  'grant',
  'revoke',
  'comment',
]);

/** What evdb takes for a file that somebody forgot to write. */
const EMPTY_FILE: RawFinding = {
  rule: 'empty-file',
  group: 'directive',
  severity: 'error',
  message: 'the file holds no statement',
  hint: 'Write the SQL, or remove the file.',
  start: 0,
  end: 0,
  at: 0,
  statementText: '',
  tables: [],
};

/** What evdb refuses to run in a script of its own. */
function refuseControl({ command, text, start, end }: Statement): RawFinding {
  return {
    rule: 'transaction-control',
    // It is good SQL, and says to evdb what evdb does not take.
    group: 'directive',
    severity: 'error',
    message: `"${command}" in a migration: evdb begins and commits itself`,
    hint: 'Remove it: a migration is applied whole or not at all. What has to commit in between belongs in a file of its own.',
    start,
    end,
    at: start,
    statementText: text,
    tables: [],
  };
}

function findSyntaxErrors(
  { text }: LintScript,
  { statements, trees }: Pick<FileState, 'statements' | 'trees'>,
  { parser, settings }: LintRun,
): RawFinding[] {
  // A version newer than the grammar is one that somebody asked for.
  const isNewer = settings.serverVersion >= (GRAMMAR_MAJOR + 1) * 10_000;
  return checkScript(text, parser, statements, trees)
    .filter(({ code }) => code !== 'COPY_UNSUPPORTED')
    .map(({ code, message, hint, statementIndex, ...position }) => {
      const statement = statements[statementIndex];
      const offset = offsetOfPosition(text, position);
      const isOfGrammar = code === 'SYNTAX_ERROR' && statement?.unterminated === null;
      return {
        rule: 'syntax-error',
        group: 'syntax',
        severity: isOfGrammar && isNewer ? 'warning' : 'error',
        message,
        hint: hint ?? (isOfGrammar ? UNKNOWN_TO_GRAMMAR : ''),
        start: offset,
        end: statement?.end ?? offset,
        at: offset,
        statementText: statement?.text ?? '',
        tables: [],
      };
    });
}

interface JudgeContext {
  file: FileState;
  catalog: Catalog;
  impact: Impact;
  run: LintRun;
}

/** What the rules that are on say of a statement. */
function judge(
  statement: Statement,
  one: ExpandedStatement,
  { file, catalog, impact, run }: JudgeContext,
): RawFinding[] {
  if (run.rows !== undefined) noteRows(catalog, impact, run.rows);
  // Field by field: a spread takes ten times as long.
  const at: StatementInContext = {
    text: one.text,
    tree: one.tree,
    start: one.start,
    isEmbedded: one.isEmbedded,
    isDynamic: one.isDynamic,
    routine: one.routine,
    statement,
    impact,
    catalog,
    parse: (text) => run.parser.parse(text),
    file,
    settings: run.settings,
  };
  const found: RawFinding[] = [];
  const isRefused = impact.refusals.some(
    ({ sqlstate, isOnlyInTransaction }) => sqlstate !== null && !isOnlyInTransaction,
  );
  for (const { rule, severity } of rulesFor(run, one)) {
    // What never runs holds nobody up, and needs no advice on how to.
    if (isRefused && rule.group === 'locks') continue;
    for (const finding of rule.check(at)) {
      const own = finding.severity ?? rule.severity;
      const wanted = severity ?? ((file.isGatedContract && rule.inGatedContract) || own);
      const settled = file.direction === 'down' ? severityInDown(rule, wanted) : wanted;
      if (settled !== undefined) found.push(toRaw(rule, settled, finding, at));
    }
  }
  return found;
}

/** Most rules look at one kind of statement, and asking each of them takes longer than parsing. */
function rulesFor({ chosen, byKind }: LintRun, { tree }: ExpandedStatement): ChosenRule[] {
  const kind = kindOf(tree);
  let rules = byKind.get(kind);
  if (rules === undefined) {
    rules = chosen.filter(({ rule }) => rule.kinds?.includes(kind) ?? true);
    byKind.set(kind, rules);
  }
  return rules;
}

/** Rules tell sizes by the catalog, which the files alone do not know. */
function noteRows(
  { relations }: Catalog,
  { locks }: Impact,
  rows: ReadonlyMap<string, number>,
): void {
  for (const { relation } of locks) {
    const known = relations.get(relation);
    const count = rows.get(relation);
    if (known !== undefined && count !== undefined) known.rows = count;
  }
}

function toRaw(
  rule: LintRule,
  severity: Severity,
  finding: RuleFinding,
  at: StatementInContext,
): RawFinding {
  const { message, hint, tables, lock, evidence, fix, foldAs, stillHolds } = finding;
  const isSmall = rule.group === 'locks' && isOnSmallTables(tables, at);
  const within = finding.offset ?? 0;
  // A routine's text is not in the script: its findings are about the statement that calls it.
  const [offset, length] =
    at.routine === undefined ? [within, at.text.length] : [0, at.statement.text.length];
  // Field by field, as above.
  return {
    rule: rule.name,
    group: rule.group,
    severity: isSmall ? 'info' : severity,
    message: at.routine === undefined ? message : `in ${at.routine}(): ${message}`,
    hint,
    tables,
    lock,
    evidence: isSmall ? 'live' : evidence,
    fix,
    foldAs,
    stillHolds,
    start: placeInFile(at.statement, at.start + offset),
    end: placeInFile(at.statement, at.start + length),
    at: placeInFile(at.statement, at.start),
    statementText: at.isEmbedded ? at.text : writtenText(at.statement),
  };
}

/** Rules tell places by the text that is sent, where values may be longer than their variables. */
function placeInFile(statement: Statement, place: number): number {
  return statement.start + writtenOffset(statement, place - statement.start);
}

/** Never where the size of one of them is not known. */
function isOnSmallTables(
  tables: readonly string[],
  { catalog, settings }: StatementInContext,
): boolean {
  const limit = settings.smallTableRows;
  if (limit === undefined || tables.length === 0) return false;
  return tables.every(
    (key) => (catalog.relations.get(key)?.rows ?? Number.POSITIVE_INFINITY) < limit,
  );
}
