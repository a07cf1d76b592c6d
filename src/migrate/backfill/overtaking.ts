import type { AlterTableCmd, Node } from '@pgsql/types';
import type { SqlParser } from '../../sql/parser.ts';
import type { Statement } from '../../sql/statements.ts';
import { asKind, openNode, stringsOf, visitObjects, walkTree } from '../../sql/tree.ts';
import type { Script } from '../files/source.ts';
import type { Version } from '../files/version.ts';
import type { Backfill } from './statement.ts';

/*
 * Which migrations may be applied before a backfill that comes before them. Only those that are sure not to
 * need it: they add things, and name none of its tables. What writes or reads rows, takes something away,
 * or calls code may need it in ways that its text does not show.
 */

/** A migration as far as its text says what it needs. */
interface Read {
  version: Version;
  script: Script;
  statements: Statement[];
}

/** A backfill that is left for later. */
export interface Postponed {
  version: Version;
  backfill: Backfill;
}

/** Those of the postponed backfills that a later migration has to wait for. */
export function listNeeded<P extends Postponed>(
  step: Read & { backfill?: Backfill },
  postponed: readonly P[],
  parser: SqlParser,
): P[] {
  const { isContract, gates = [], ensures = [] } = step.script.directives;
  const asks = ensures.length > 0 || gates.some(({ kind }) => kind === 'require');
  const named = gates.flatMap((gate) => (gate.kind === 'after-backfill' ? [gate.version] : []));
  const trees = step.statements.map(({ text }) => parser.parse(text));
  // It is postponed too, and runs after the others.
  const adds = step.backfill !== undefined || trees.every((tree) => tree && isAddition(tree));
  if (isContract || asks || !adds || step.script.large) return [...postponed];
  return postponed.filter(
    ({ version, backfill }) => named.includes(version) || touches(trees, backfill, parser),
  );
}

function touches(trees: (Node | null)[], { statement }: Backfill, parser: SqlParser): boolean {
  const tables = relationsIn(parser.parse(statement.text));
  const calls = callsIn(parser.parse(statement.text));
  const isCalled = (tree: Node | null) => {
    const made = stringsOf(asKind(tree ?? undefined, 'CreateFunctionStmt')?.funcname).at(-1);
    return made !== undefined && calls.has(made);
  };
  return trees.some(
    (tree) => isCalled(tree) || [...relationsIn(tree)].some((name) => tables.has(name)),
  );
}

/** Without their schemas: better to wait for a namesake. */
function relationsIn(tree: Node | null): Set<string> {
  const names = new Set<string>();
  visitObjects(tree, ({ relname }) => {
    if (typeof relname === 'string') names.add(relname);
  });
  return names;
}

function callsIn(tree: Node | null): Set<string> {
  const names = new Set<string>();
  walkTree(tree, (kind, { funcname }) => {
    if (kind === 'FuncCall') names.add(stringsOf(funcname as Node[]).at(-1) ?? '');
  });
  return names;
}

function isAddition(tree: Node): boolean {
  const { kind, fields } = openNode(tree);
  if (kind === 'AlterTableStmt') {
    return ((fields.cmds ?? []) as Node[]).every((cmd) =>
      ADDING_COMMANDS.has(asKind(cmd, 'AlterTableCmd')?.subtype as string),
    );
  }
  if (kind === 'GrantStmt') return fields.is_grant === true;
  return ADDING.has(kind) && fields.replace !== true;
}

const ADDING = new Set([
  ...['CreateStmt', 'IndexStmt', 'CreateSeqStmt', 'CreateStatsStmt', 'CreateSchemaStmt'],
  ...['CreateEnumStmt', 'CompositeTypeStmt', 'CreateRangeStmt', 'CreateDomainStmt'],
  ...['ViewStmt', 'CreateFunctionStmt', 'CreateTrigStmt', 'CommentStmt', 'VariableSetStmt'],
]);

const ADDING_COMMANDS: ReadonlySet<string> = new Set<NonNullable<AlterTableCmd['subtype']>>([
  ...(['AT_AddColumn', 'AT_AddConstraint', 'AT_ValidateConstraint'] as const),
  ...(['AT_ColumnDefault', 'AT_SetNotNull', 'AT_SetStatistics', 'AT_SetRelOptions'] as const),
]);
