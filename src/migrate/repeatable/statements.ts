import type { DropStmt, Node } from '@pgsql/types';
import type { SqlParser } from '../../sql/parser.ts';
import type { Statement } from '../../sql/statements.ts';
import { asKind, kindOf, relationNameOf, writtenNameOf } from '../../sql/tree.ts';
import { readNeeds } from './needs.ts';
import {
  argumentsOf,
  describeMade,
  droppedObjects,
  type MadeObject,
  madeKey,
  madePart,
  type NeededObject,
} from './objects.ts';

/** Why a statement does not belong in a repeatable. */
export interface Refusal {
  statement: Statement;
  message: string;
  hint: string;
}

/** What a repeatable makes, in the order of its statements, and what it needs of others. */
export interface RepeatableContents {
  makes: MadeObject[];
  /** What it drops before it makes it. */
  drops: MadeObject[];
  needs: NeededObject[];
  refusals: Refusal[];
}

const KINDS_HINT =
  'A repeatable holds functions, views, triggers, rules, policies, comments and privileges. Everything else belongs in a migration with a version.';

/**
 * Reads what the statements of a repeatable make and need. Pure.
 *
 * @param targetSchema where what is written without a schema is made
 */
export function readRepeatableContents(
  statements: readonly Statement[],
  parser: SqlParser,
  targetSchema: string,
): RepeatableContents {
  const contents: RepeatableContents = { makes: [], drops: [], needs: [], refusals: [] };
  const dropped: Dropped = { keys: new Set(), routines: new Set() };
  for (const statement of statements) {
    const tree = parser.parse(statement.text);
    const refused = tree
      ? readStatement(tree, statement, { contents, dropped, targetSchema })
      : unknownStatement(statement);
    if (refused) contents.refusals.push({ statement, ...refused });
    if (tree) contents.needs.push(...readNeeds(tree, statement, parser));
  }
  return contents;
}

/** What earlier statements of the file have dropped. */
interface Dropped {
  keys: Set<string>;
  /** Names of routines that were dropped without their arguments. */
  routines: Set<string>;
}

interface Reading {
  contents: RepeatableContents;
  dropped: Dropped;
  targetSchema: string;
}

type Reason = Omit<Refusal, 'statement'>;

function unknownStatement({ command }: Statement): Reason {
  return {
    message: `"${command || 'this'}" cannot be analyzed, so nobody knows what it makes`,
    hint: 'Write it in a way that the grammar of PostgreSQL 18 knows, or in a migration with a version.',
  };
}

function readStatement(tree: Node, statement: Statement, reading: Reading): Reason | undefined {
  const drop = asKind(tree, 'DropStmt');
  if (drop) return readDrop(drop, statement, reading);
  const made = madeBy(tree, statement.index);
  if (made === 'temporary') {
    return { message: 'what is temporary is gone when the run ends', hint: KINDS_HINT };
  }
  if (made) return addMade(made, reading);
  return isRepeatable(tree, reading.contents) ? undefined : otherKind(statement);
}

function otherKind({ command }: Statement): Reason {
  return { message: `"${command}" does not belong in a repeatable`, hint: KINDS_HINT };
}

function readDrop(
  drop: DropStmt,
  statement: Statement,
  { contents, dropped, targetSchema }: Reading,
): Reason | undefined {
  const objects = droppedObjects(drop.objects, drop.removeType);
  if (objects === undefined) return otherKind(statement);
  if (!drop.missing_ok) {
    return {
      message: `"${statement.command}" fails where there is nothing to drop`,
      hint: `Write: ${statement.command} if exists`,
    };
  }
  if (drop.behavior === 'DROP_CASCADE') {
    return {
      message: '"cascade" would also drop what others made',
      hint: 'Leave it out, and drop by name what belongs to this file.',
    };
  }
  for (const one of objects) {
    contents.drops.push({ ...one, statementIndex: statement.index });
    dropped.keys.add(madeKey(one, targetSchema));
    if (one.args === undefined) dropped.routines.add(`${one.schema ?? targetSchema}.${one.name}`);
  }
  return undefined;
}

interface Made extends MadeObject {
  /** Whether the statement runs again where the object is there. */
  replaces: boolean;
}

function addMade({ replaces, ...made }: Made, { contents, dropped, targetSchema }: Reading) {
  contents.makes.push(made);
  const isDropped =
    dropped.keys.has(madeKey(made, targetSchema)) ||
    dropped.routines.has(`${made.schema ?? targetSchema}.${made.name}`);
  if (replaces || isDropped) return undefined;
  const kind = made.kind;
  const way = CAN_REPLACE.has(kind)
    ? `Write: create or replace ${kind}`
    : `Write before it: drop ${kind} if exists … — it is made again then.`;
  return { message: `${describeMade(made)} cannot be made again as it is written`, hint: way };
}

const CAN_REPLACE: ReadonlySet<string> = new Set([
  ...['view', 'function', 'procedure', 'aggregate', 'trigger', 'rule'],
]);

/** What a statement makes; undefined for those that make nothing of a repeatable's kinds. */
function madeBy(tree: Node, statementIndex: number): Made | 'temporary' | undefined {
  const view = asKind(tree, 'ViewStmt');
  if (view) {
    if (view.view?.relpersistence === 't') return 'temporary';
    const name = relationNameOf(view.view ?? {});
    return { kind: 'view', ...name, statementIndex, replaces: view.replace === true };
  }
  const routine = asKind(tree, 'CreateFunctionStmt');
  if (routine) {
    return {
      kind: routine.is_procedure ? 'procedure' : 'function',
      ...writtenNameOf(routine.funcname),
      ...argumentsOf(routine.parameters),
      ...{ statementIndex, replaces: routine.replace === true },
    };
  }
  const table = asKind(tree, 'CreateTableAsStmt');
  if (table?.objtype === 'OBJECT_MATVIEW') {
    const name = relationNameOf(table.into?.rel ?? {});
    return { kind: 'materialized view', ...name, statementIndex, replaces: false };
  }
  return madeAggregate(tree, statementIndex) ?? madePartBy(tree, statementIndex);
}

function madeAggregate(tree: Node, statementIndex: number): Made | undefined {
  const define = asKind(tree, 'DefineStmt');
  if (define?.kind !== 'OBJECT_AGGREGATE') return undefined;
  const [first] = define.args ?? [];
  return {
    kind: 'aggregate',
    ...writtenNameOf(define.defnames),
    ...argumentsOf(asKind(first, 'List')?.items),
    ...{ statementIndex, replaces: define.replace === true },
  };
}

function madePartBy(tree: Node, at: number): Made | undefined {
  const trigger = asKind(tree, 'CreateTrigStmt');
  if (trigger) {
    const made = madePart('trigger', trigger.trigname, trigger.relation, at);
    return { ...made, replaces: trigger.replace === true };
  }
  const rule = asKind(tree, 'RuleStmt');
  if (rule) {
    const made = madePart('rule', rule.rulename, rule.relation, at);
    return { ...made, replaces: rule.replace === true };
  }
  const policy = asKind(tree, 'CreatePolicyStmt');
  if (policy) {
    return { ...madePart('policy', policy.policy_name, policy.table, at), replaces: false };
  }
  const event = asKind(tree, 'CreateEventTrigStmt');
  if (!event) return undefined;
  const name = event.trigname ?? '';
  return { kind: 'event trigger', schema: undefined, name, statementIndex: at, replaces: false };
}

/** Statements that make nothing, and say the same however often they run. */
const SAY_THE_SAME: ReadonlySet<string> = new Set([
  ...['GrantStmt', 'GrantRoleStmt', 'AlterDefaultPrivilegesStmt', 'CommentStmt', 'SecLabelStmt'],
  ...['AlterOwnerStmt', 'AlterFunctionStmt', 'AlterPolicyStmt', 'AlterEventTrigStmt'],
]);

/** What `alter table` may say of a table that a migration made. */
const OF_TABLES =
  /^AT_(?:(?:Enable|Disable)\w*(?:Trig|Rule)\w*|(?:Enable|Disable)RowSecurity|(?:No)?ForceRowSecurity|ChangeOwner)$/;

function isRepeatable(tree: Node, { makes }: RepeatableContents): boolean {
  if (SAY_THE_SAME.has(kindOf(tree))) return true;
  const set = asKind(tree, 'VariableSetStmt');
  if (set) return set.kind !== 'VAR_SET_MULTI';
  const alter = asKind(tree, 'AlterTableStmt');
  if (alter) {
    if (alter.objtype === 'OBJECT_VIEW' || alter.objtype === 'OBJECT_MATVIEW') return true;
    const commands = (alter.cmds ?? []).map((node) => asKind(node, 'AlterTableCmd')?.subtype ?? '');
    return commands.every((subtype) => OF_TABLES.test(subtype));
  }
  const index = asKind(tree, 'IndexStmt');
  if (!index) return false;
  // It goes with the view, which is made anew each time.
  const { name } = relationNameOf(index.relation ?? {});
  return makes.some((made) => made.kind === 'materialized view' && made.name === name);
}
