import { type Catalog, createCatalog, type ObjectKey } from '../catalog/catalog.ts';
import { dropRelation } from '../catalog/replay/drop.ts';
import type { SqlParser } from '../sql/parser.ts';
import type { Statement } from '../sql/statements.ts';
import { renderCount } from '../text/units.ts';
import {
  type ChosenRule,
  chooseRules,
  countSeverities,
  type LintRuleChoices,
  type LintSeverityCounts,
  NO_CHOICES,
} from './choice.ts';
import {
  type LintFinding,
  placeFindings,
  type RawFinding,
  type SuppressedLintFinding,
} from './finding.ts';
import { type JudgedFile, readFile } from './lint-file.ts';
import {
  DEFAULT_LINT_SETTINGS,
  type LintRule,
  type LintScript,
  type LintSettings,
} from './rule.ts';
import { LINT_RULES } from './rules.ts';
import { type DirectiveProblem, findSuppression, unusedProblem } from './suppressions.ts';

/** How scripts are judged, and what is known about the database. */
export interface LintOptions {
  /** From `loadSqlParser()`. */
  parser: SqlParser;
  /** Default `DEFAULT_LINT_SETTINGS`. */
  settings?: Partial<LintSettings> | undefined;
  /** Default: every rule as it is. */
  choices?: LintRuleChoices | undefined;
  /** Schemas in which unqualified names are looked up; default `public`. */
  searchPath?: readonly string[] | undefined;
  /**
   * Whether the scripts are the complete history of the database, so that what they do not create
   * does not exist; default false.
   */
  isHistoryWhole?: boolean | undefined;
  /** The rows of tables in a database, which refine the findings; default none. */
  rows?: ReadonlyMap<ObjectKey, number> | undefined;
  /** Default `LINT_RULES`; tests pass their own. */
  rules?: readonly LintRule[] | undefined;
}

/** What the linter found. Suppressed findings do not count. */
export interface LintReport {
  /** In the order of the scripts and of their text. */
  findings: LintFinding[];
  /** Findings that a comment in the script suppresses. */
  suppressed: SuppressedLintFinding[];
  counts: LintSeverityCounts;
  /** The paths of the scripts that were judged. */
  files: string[];
  statements: number;
}

/** What stays the same over all scripts. */
export interface LintRun extends Required<Pick<LintOptions, 'parser' | 'isHistoryWhole'>> {
  settings: LintSettings;
  rows: ReadonlyMap<ObjectKey, number> | undefined;
  chosen: ChosenRule[];
  /** Those that look at a kind of statement, filled as the kinds are met. */
  byKind: Map<string, ChosenRule[]>;
  ruleNames: string[];
}

/**
 * Judges scripts without running them. Pure.
 *
 * All scripts are replayed into a model of the database, in the given order. Scripts with
 * `isJudged` are judged by the state of the model before each of their statements. Down scripts
 * come after all the others, newest first, as `down` would run them.
 *
 * @example
 * const parser = await loadSqlParser();
 * const script = { path: '1.sql', text: 'drop table users', direction: 'up' as const };
 * lintScripts([{ ...script, isTransactional: true, isJudged: true }], { parser });
 */
export function lintScripts(scripts: readonly LintScript[], options: LintOptions): LintReport {
  return reportOf(scripts, judgeScripts(scripts, options));
}

/** The same by script, with what a fix needs to know. */
export function judgeScripts(
  scripts: readonly LintScript[],
  options: LintOptions,
): Map<LintScript, SettledFile> {
  const rules = options.rules ?? LINT_RULES;
  const run: LintRun = {
    parser: options.parser,
    isHistoryWhole: options.isHistoryWhole ?? false,
    settings: { ...DEFAULT_LINT_SETTINGS, ...options.settings },
    rows: options.rows,
    chosen: chooseRules(rules, options.choices ?? NO_CHOICES),
    byKind: new Map(),
    ruleNames: rules.map(({ name }) => name),
  };
  const catalog = createCatalog(options.searchPath);
  const settled = new Map<LintScript, SettledFile>();
  const judge = (some: readonly LintScript[]) =>
    some.flatMap((script) => readFile(script, catalog, run) ?? []);
  const settle = (judged: readonly JudgedFile[]) => {
    for (const file of judged) settled.set(file.script, settleFile(file, catalog, run.chosen));
  };
  const ups = inOrder(scripts, 'up');
  const migrations = judge(ups.filter(({ isRepeatable }) => !isRepeatable));
  const known = new Set(catalog.relations.keys());
  settle([...migrations, ...judge(ups.filter(({ isRepeatable }) => isRepeatable))]);
  // A down script may count on it that repeatables are rolled back first.
  for (const key of [...catalog.relations.keys()]) if (!known.has(key)) dropRelation(catalog, key);
  settle(judge(inOrder(scripts, 'down')));
  return settled;
}

/** Downs undo from the newest on, so each finds the database as its migration left it. */
function inOrder(scripts: readonly LintScript[], wanted: LintScript['direction']): LintScript[] {
  const fitting = scripts.filter(({ direction }) => direction === wanted);
  if (wanted === 'up') return fitting;
  const last = fitting.findIndex(({ isJudged }) => isJudged);
  return last < 0 ? [] : fitting.slice(last).reverse();
}

/** What the judged scripts say together, in the order of the scripts. */
export function reportOf(
  scripts: readonly LintScript[],
  settled: ReadonlyMap<LintScript, SettledFile>,
): LintReport {
  const files = scripts.flatMap((script) => settled.get(script) ?? []);
  const findings = files.flatMap((file) => file.findings);
  return {
    findings,
    suppressed: files.flatMap((file) => file.suppressed),
    counts: countSeverities(findings),
    // Both halves of a file of another tool have its name.
    files: [...new Set(files.map(({ path }) => path))],
    statements: files.reduce((sum, file) => sum + file.statements.length, 0),
  };
}

export interface SettledFile {
  findings: LintFinding[];
  /** Findings that a comment in the script suppresses. */
  suppressed: SuppressedLintFinding[];
  path: string;
  statements: readonly Statement[];
  /** What the rules found and nothing suppresses. */
  kept: RawFinding[];
}

/**
 * Leaves out what a later migration mended, parts what is found from what a comment says is meant,
 * and finds the comments that are wrong.
 *
 * @param after what the database holds when all migrations have run
 */
function settleFile(
  { script, statements, found, syntax, directives }: JudgedFile,
  after: Catalog,
  chosen: readonly ChosenRule[],
): SettledFile {
  const place = (raw: RawFinding[]) => placeFindings(script.path, script.text, raw);
  const kept: RawFinding[] = [];
  const suppressed: SettledFile['suppressed'] = [];
  for (const raw of found) {
    if (raw.stillHolds?.(after) === false) continue;
    // It may hold on to the model, which nobody needs any more.
    raw.stillHolds = undefined;
    const suppression = findSuppression(directives.suppressions, raw);
    if (suppression === undefined) kept.push(raw);
    else {
      suppression.isUsed = true;
      const { reason } = suppression;
      suppressed.push(...place([raw]).map((finding) => ({ ...finding, reason })));
    }
  }
  const folded = foldFindings(kept);
  const isOn = new Set(chosen.map(({ rule }) => rule.name));
  // A rule that is off, or a statement that cannot be read, proves nothing.
  const unused = directives.suppressions.filter(
    ({ isUsed, rule }) => !isUsed && syntax.length === 0 && isOn.has(rule),
  );
  const problems = [...directives.problems, ...unused.map(unusedProblem)].map(toRaw);
  return {
    findings: place([...syntax, ...folded, ...problems]),
    suppressed,
    path: script.path,
    statements,
    kept: folded,
  };
}

/** One finding for all that say the same of a transaction, at the first of its statements. */
function foldFindings(kept: readonly RawFinding[]): RawFinding[] {
  const counts = new Map<string, number>();
  const keyOf = ({ rule, foldAs }: RawFinding) => `${rule} ${foldAs}`;
  const firsts = kept.filter((raw) => {
    if (raw.foldAs === undefined) return true;
    const before = counts.get(keyOf(raw)) ?? 0;
    counts.set(keyOf(raw), before + 1);
    return before === 0;
  });
  return firsts.map((raw) => {
    const more = raw.foldAs === undefined ? 0 : (counts.get(keyOf(raw)) ?? 1) - 1;
    if (more === 0) return raw;
    const others = renderCount(more, 'more statement');
    return { ...raw, message: `${raw.message} (and ${others} of this transaction)` };
  });
}

function toRaw({ message, hint, start, end }: DirectiveProblem): RawFinding {
  return {
    rule: 'directive',
    group: 'directive',
    severity: 'error',
    message,
    hint,
    start,
    end,
    at: start,
    statementText: message,
    tables: [],
  };
}
