import { quoteWhereNeeded, type Relation } from '../../catalog/catalog.ts';
import type { Rewrite, Scan } from '../../impact/impact.ts';
import { type AlterTableCommand, commandsOf } from '../../sql/list-items.ts';
import { asKind } from '../../sql/tree.ts';
import type { Rule, RuleFinding, Severity, StatementInContext } from '../rule.ts';
import { evidenceOf, isFresh, keyOfRange, relationOf } from '../subject.ts';
import { type TouchedGroup, touchedFor } from '../touched.ts';
import { writtenType } from '../type-name.ts';
import { listed, readsTables, rewritesTables } from '../wording.ts';

/** A column whose values get another type, which may mean to write every row. */
export const alterColumnType: Rule = {
  name: 'alter-column-type',
  kinds: ['AlterTableStmt'],
  group: 'locks',
  severity: 'error',
  summary:
    'changes the type of a column, which rewrites the table unless the values stay as they are',
  check(at) {
    const alter = asKind(at.tree, 'AlterTableStmt');
    const table = keyOfRange(at, alter?.relation);
    if (alter === undefined || alter.objtype === 'OBJECT_TYPE' || isFresh(at, table)) return [];
    const rewrites = touchedFor(at, at.impact.rewrites, ['type change']);
    const scans = touchedFor(at, at.impact.scans, ['check of a column whose type changes']);
    return commandsOf(alter, at.text)
      .filter(({ command }) => command.subtype === 'AT_AlterColumnType')
      .map((change) =>
        judge(at, table, {
          change,
          rewrite: rewrites.find(({ command }) => command === change.index),
          scan: scans.find(({ command }) => command === change.index),
        }),
      );
  },
};

interface Change {
  change: AlterTableCommand;
  rewrite: TouchedGroup<Rewrite> | undefined;
  scan: TouchedGroup<Scan> | undefined;
}

function judge(at: StatementInContext, table: string, found: Change): RuleFinding {
  const relation = relationOf(at, table);
  const views = viewsOn(at, table, found.change.command.name ?? '');
  const { effect, severity } = effectOf(at, found);
  return {
    message: `changing ${describe(relation, found)} ${effect}${refusal(at, table, views)}`,
    hint: hintFor(severity, views),
    severity: severity === 'info' && views.length > 0 ? 'warning' : severity,
    offset: found.change.offset,
    tables: found.rewrite?.relations ?? [table],
    lock: 'AccessExclusive',
    evidence: evidenceOf(at, table),
  };
}

function effectOf(
  at: StatementInContext,
  { rewrite, scan }: Change,
): { effect: string; severity: Severity } {
  if (rewrite !== undefined) {
    const may = rewrite.isCertain ? '' : 'may change how its values are stored and then ';
    return {
      effect: may + rewritesTables(at, rewrite.relations),
      severity: rewrite.isCertain ? 'error' : 'warning',
    };
  }
  if (scan !== undefined) {
    const check = scan.detail ?? (scan.subject === undefined ? 'a check' : `check ${scan.subject}`);
    return {
      effect: `rewrites nothing, but tries ${check} again and ${readsTables(at, scan.relations, 'AccessExclusive')}`,
      severity: 'warning',
    };
  }
  return {
    effect:
      'leaves the values as they are: it rewrites nothing and holds ACCESS EXCLUSIVE for a moment only',
    severity: 'info',
  };
}

function describe(relation: Relation | undefined, { change, rewrite }: Change): string {
  const name = change.command.name ?? '?';
  const column = quoteWhereNeeded(name);
  if (rewrite?.detail !== undefined) {
    const { detail } = rewrite;
    return `the type of ${column} ${detail.startsWith('to ') ? detail : `from ${detail}`}`;
  }
  const before = relation?.columns.get(name)?.type;
  const from = before === undefined ? '' : ` from ${shownType(before)}`;
  return `the type of ${column}${from} to ${writtenType(asKind(change.command.def, 'ColumnDef')?.typeName)}`;
}

function shownType({
  name,
  modifiers,
  isArray,
}: {
  name: string;
  modifiers: readonly number[];
  isArray: boolean;
}): string {
  return `${name}${modifiers.length === 0 ? '' : `(${modifiers.join(',')})`}${isArray ? '[]' : ''}`;
}

function refusal(at: StatementInContext, table: string, views: readonly string[]): string {
  if (views.length === 0) return '';
  const uses = views.length === 1 ? 'uses' : 'use';
  const isKnown = views.some((view) => relationOf(at, view)?.reads?.get(table) !== undefined);
  return `; PostgreSQL refuses it${isKnown ? ', because' : ' if'} ${listed(views)} ${uses} the column`;
}

/** Views that read the column, or may. */
function viewsOn(at: StatementInContext, table: string, column: string): string[] {
  return [...(relationOf(at, table)?.dependents ?? [])].filter((view) => {
    const used = relationOf(at, view)?.reads?.get(table);
    return used === undefined || used.has(column);
  });
}

function hintFor(severity: Severity, views: readonly string[]): string {
  const first = views.length === 0 ? '' : 'Drop and create the views in the same migration. ';
  return severity === 'info' ? first || NOTHING_HINT : first + HINT;
}

const NOTHING_HINT =
  'Nothing has to be done; the lock is waited for as for any other change of the table.';
const HINT =
  'Add a column of the new type, keep it in step by a trigger, fill it in batches, let the application use it, and drop the old one in a later release.';
