import type { TypeName } from '@pgsql/types';
import { quoteWhereNeeded, type Relation } from '../../catalog/catalog.ts';
import type { Build, Rewrite, Scan } from '../../impact/impact.ts';
import { type AlterTableCommand, commandsOf } from '../../sql/list-items.ts';
import { asKind, isArrayType, stringsOf } from '../../sql/tree.ts';
import { type TouchedGroup, touchedFor } from '../created.ts';
import {
  evidenceOf,
  isFresh,
  keyOfRange,
  type LintRule,
  type RuleFinding,
  relationOf,
  type Severity,
  type StatementInContext,
} from '../rule.ts';
import {
  IN_NO_TRANSACTION_FILE,
  listed,
  pronounFor,
  readsTables,
  rewritesTables,
  tablesNamed,
  underLock,
} from '../wording.ts';

/** A column whose values get another type, which may mean to write every row. */
export const alterColumnType: LintRule = {
  name: 'alter-column-type',
  kinds: ['AlterTableStmt'],
  group: 'locks',
  severity: 'error',
  summary:
    'changes the type of a column, which rewrites the table unless the values stay as they are',
  check(at) {
    const alter = asKind(at.tree, 'AlterTableStmt');
    const table = keyOfRange(at, alter?.relation);
    if (alter === undefined || isFresh(at, table)) return [];
    const rewrites = touchedFor(at, at.impact.rewrites, ['type change']);
    const scans = touchedFor(at, at.impact.scans, ['check of a column whose type changes']);
    const builds = touchedFor(at, at.impact.builds, ['type change']);
    return (
      commandsOf(alter, at.text)
        .filter(({ command }) => command.subtype === 'AT_AlterColumnType')
        // What surely fails, will-fail tells.
        .filter(({ offset }) => !at.impact.refusals.some((one) => one.offset === offset))
        .map((change) => ({
          change,
          rewrite: rewrites.find(({ command }) => command === change.index),
          scan: scans.find(({ command }) => command === change.index),
          builds: builds.filter(({ command }) => command === change.index),
        }))
        .filter((found) => alter.objtype !== 'OBJECT_TYPE' || touchesTables(found))
        .map((found) => judge(at, table, found))
    );
  },
};

interface Change {
  change: AlterTableCommand;
  rewrite: TouchedGroup<Rewrite> | undefined;
  scan: TouchedGroup<Scan> | undefined;
  /** Indexes that are built again though the values stay as they are. */
  builds: TouchedGroup<Build>[];
}

/** Whether the attribute of a type is that of tables with rows. */
function touchesTables({ rewrite, scan, builds }: Change): boolean {
  return rewrite !== undefined || scan !== undefined || builds.length > 0;
}

function judge(at: StatementInContext, table: string, found: Change): RuleFinding {
  const relation = relationOf(at, table);
  const refusal = refusalOf(at, table, found.change.command.name ?? '');
  const { effect, severity, hint } = effectOf(at, found);
  const isRefused = refusal.message !== '';
  return {
    message: `changing ${describe(relation, found)} ${effect}${refusal.message}`,
    hint: [refusal.hint, ...(severity === 'info' && isRefused ? [] : [hint])].join(''),
    severity: severity === 'info' && isRefused ? 'warning' : severity,
    offset: found.change.offset,
    tables: tablesOf(found, table),
    lock: 'AccessExclusive',
    evidence: evidenceOf(at, table),
  };
}

/** The tables with the rows; for an attribute of a type those of the type. */
function tablesOf({ rewrite, scan, builds }: Change, table: string): string[] {
  if (rewrite !== undefined) return rewrite.relations;
  const touched = [...builds, ...(scan ? [scan] : [])].flatMap(({ relations }) => relations);
  return touched.length === 0 ? [table] : [...new Set(touched)];
}

interface Effect {
  effect: string;
  severity: Severity;
  hint: string;
}

function effectOf(at: StatementInContext, { rewrite, scan, builds }: Change): Effect {
  if (rewrite !== undefined) {
    const may = rewrite.isCertain ? '' : 'may change how its values are stored and then ';
    return {
      effect: may + rewritesTables(at, rewrite.relations),
      severity: rewrite.isCertain ? 'error' : 'warning',
      hint: HINT,
    };
  }
  const tried = scan && `tries ${scan.detail ?? checkOf(scan)} again`;
  if (builds.length > 0) {
    const tables = [...new Set(builds.flatMap(({ relations }) => relations))];
    const several = builds.length > 1 ? 'indexes' : 'index';
    const indexes = `builds ${several} ${listed(builds.map(({ subject = '' }) => subject))} of ${tablesNamed(at, tables)} again`;
    return {
      effect: `rewrites nothing, but ${tried ? `${tried} and ` : ''}${indexes} ${underLock('AccessExclusive', pronounFor(tables))}`,
      severity: 'error',
      hint: isPartitioned(at, builds) ? PARTITIONED_HINT : BUILD_HINT,
    };
  }
  if (scan !== undefined) {
    return {
      effect: `rewrites nothing, but ${tried} and ${readsTables(at, scan.relations, 'AccessExclusive')}`,
      severity: 'warning',
      hint: HINT,
    };
  }
  return {
    effect:
      'leaves the values as they are: it rewrites nothing and holds ACCESS EXCLUSIVE for a moment only',
    severity: 'info',
    hint: NOTHING_HINT,
  };
}

/** Whether the indexes are those of a partitioned table, which cannot be dropped concurrently. */
function isPartitioned({ catalog }: StatementInContext, builds: readonly Build[]): boolean {
  return builds.some(({ relation, subject = '' }) => {
    const index = catalog.indexes.get(subject);
    return index?.parent !== undefined || index?.table !== relation;
  });
}

function checkOf({ subject }: Scan): string {
  return subject === undefined ? 'a check' : `check ${subject}`;
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

/** Why PostgreSQL does not change the type at all; '' where nothing is known to keep it from that. */
function refusalOf(
  at: StatementInContext,
  table: string,
  column: string,
): { message: string; hint: string } {
  const views = viewsOn(at, table, column);
  const users = [...views, ...usersOf(relationOf(at, table), column)];
  if (users.length === 0) return { message: '', hint: '' };
  const uses = users.length === 1 ? 'uses' : 'use';
  const isKnown =
    users.length > views.length ||
    views.some((view) => relationOf(at, view)?.reads?.get(table) !== undefined);
  const these = users.length === views.length ? 'the views' : listed(users);
  return {
    message: `; PostgreSQL refuses it${isKnown ? ', because' : ' if'} ${listed(users)} ${uses} the column`,
    hint: `Drop and create ${these} in the same migration. `,
  };
}

/** Views that read the column, or may. */
function viewsOn(at: StatementInContext, table: string, column: string): string[] {
  return [...(relationOf(at, table)?.dependents ?? [])].filter((view) => {
    const used = relationOf(at, view)?.reads?.get(table);
    return used === undefined || used.has(column);
  });
}

/** What else may use the column; what surely does, will-fail tells. */
function usersOf(relation: Relation | undefined, column: string): string[] {
  const used = [...(relation?.uses?.values() ?? [])].filter(({ columns }) => columns.has(column));
  return used.map(({ kind, name }) => `${kind} ${kind === 'function' ? `${name}()` : name}`);
}

const NOTHING_HINT =
  'Nothing has to be done; the lock is waited for as for any other change of the table.';
const BUILD_HINT = `Drop the indexes concurrently before and create them concurrently after it, each ${IN_NO_TRANSACTION_FILE}, where queries can be without them; else add a column of the new type and move over to it.`;
const PARTITIONED_HINT = `Drop the indexes of the partitioned table before it, and after it create them "on only" that table, concurrently on each partition ${IN_NO_TRANSACTION_FILE}, and attach them, where queries can be without them; else add a column of the new type and move over to it.`;
const HINT =
  'Add a column of the new type, keep it in step by a trigger, fill it in batches, let the application use it, and drop the old one in a later release.';

/** A type as a message shows it, such as `varchar(20)` or `app.mood[]`. */
function writtenType(type: TypeName | undefined): string {
  const names = stringsOf(type?.names).filter((name) => name !== 'pg_catalog');
  const modifiers = (type?.typmods ?? []).flatMap((node) => {
    const constant = asKind(node, 'A_Const');
    return constant?.ival === undefined ? [] : [constant.ival.ival ?? 0];
  });
  const inParentheses = modifiers.length === 0 ? '' : `(${modifiers.join(',')})`;
  const isArray = type !== undefined && isArrayType(type);
  return `${names.map(quoteWhereNeeded).join('.')}${inParentheses}${isArray ? '[]' : ''}`;
}
