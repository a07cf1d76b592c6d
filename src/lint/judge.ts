import type { Catalog } from '../catalog/catalog.ts';
import type { Impact } from '../impact/impact.ts';
import type { Statement } from '../sql/statements.ts';
import { kindOf } from '../sql/tree.ts';
import { type ChosenRule, severityInDown } from './choice.ts';
import type { LintRun } from './engine.ts';
import type { ExpandedStatement } from './expand.ts';
import type { RawFinding } from './finding.ts';
import { fixOf } from './fixes.ts';
import type { FileState, Rule, RuleFinding, Severity, StatementInContext } from './rule.ts';

interface Around {
  file: FileState;
  catalog: Catalog;
  impact: Impact;
  run: LintRun;
}

/** What the rules that are on say of a statement. */
export function judge(
  statement: Statement,
  one: ExpandedStatement,
  { file, catalog, impact, run }: Around,
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
      const wanted = severity ?? finding.severity ?? rule.severity;
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
  rule: Rule,
  severity: Severity,
  finding: RuleFinding,
  at: StatementInContext,
): RawFinding {
  const { message, hint, tables, lock, evidence, fix, foldAs, stillHolds } = finding;
  const isSmall = rule.group === 'locks' && isOnSmallTables(tables, at);
  const offset = at.routine === undefined ? (finding.offset ?? 0) : 0;
  const length = at.routine === undefined ? at.text.length : at.statement.text.length;
  return {
    rule: rule.name,
    group: rule.group,
    severity: isSmall ? 'info' : severity,
    message: at.routine === undefined ? message : `in ${at.routine}(): ${message}`,
    hint,
    start: at.start + offset,
    end: at.start + length,
    at: at.start,
    statementText: at.text,
    tables,
    lock,
    evidence: isSmall ? 'live' : evidence,
    fix: fix ?? fixOf(rule.name, finding, at),
    foldAs,
    stillHolds,
  };
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
