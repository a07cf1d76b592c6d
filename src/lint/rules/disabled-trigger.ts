import type { AlterTableCmd, Node, RangeVar, VariableSetStmt } from '@pgsql/types';
import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { referencesToRows } from '../../catalog/replay/relation.ts';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind, stringsOf, walkTree } from '../../sql/tree.ts';
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
import { UNTIL_COMMIT, underLock } from '../wording.ts';

/** Guards that are switched off: what goes in meanwhile is never looked at again. */
export const disabledTrigger: LintRule = {
  name: 'disabled-trigger',
  kinds: [
    'AlterTableStmt',
    'AlterEventTrigStmt',
    'VariableSetStmt',
    'AlterRoleSetStmt',
    'AlterDatabaseSetStmt',
    'CreateFunctionStmt',
    'AlterFunctionStmt',
    'SelectStmt',
  ],
  group: 'data',
  severity: 'error',
  summary:
    'disables triggers, rules or foreign keys, so that rows written meanwhile are not checked',
  check(at) {
    const alter = asKind(at.tree, 'AlterTableStmt');
    if (alter) return judgeTable(at, alter.relation);
    const event = asKind(at.tree, 'AlterEventTrigStmt');
    if (event) return /^[DR]$/.test(event.tgenabled ?? '') ? [eventTrigger(event.trigname)] : [];
    // The setting of a role or database is not a node of its own.
    const { setstmt } =
      asKind(at.tree, 'AlterRoleSetStmt') ?? asKind(at.tree, 'AlterDatabaseSetStmt') ?? {};
    return setsReplica(at.tree) || (setstmt && isReplica(setstmt)) ? [REPLICA] : [];
  },
};

function judgeTable(at: StatementInContext, range: RangeVar | undefined): RuleFinding[] {
  const alter = asKind(at.tree, 'AlterTableStmt');
  const table = keyOfRange(at, range);
  if (alter === undefined || isFresh(at, table)) return [];
  return commandsOf(alter, at.text).flatMap(({ command, offset }) => {
    const off = switchedOff(command);
    if (off === undefined) return [];
    const { effect, severity } = effectOf(at, table, command);
    // A rule takes the strongest lock, which nobody forgets; a trigger only looks harmless.
    const lock = off.isRule ? ('AccessExclusive' as const) : ('ShareRowExclusive' as const);
    return [
      {
        message: `switches ${off.what} of ${table} off ${underLock(lock)}, and ${UNTIL_COMMIT}; ${effect}`,
        hint: HINT,
        severity,
        offset,
        tables: [table],
        lock,
        evidence: evidenceOf(at, table),
      },
    ];
  });
}

/** What a subcommand switches off for ordinary sessions. */
function switchedOff({ subtype, name = '' }: AlterTableCmd) {
  const shown = quoteWhereNeeded(name || '?');
  switch (subtype) {
    case 'AT_DisableTrigAll':
      return { what: 'all triggers, those of the foreign keys among them,', isRule: false };
    case 'AT_DisableTrigUser':
      return { what: 'all triggers of users', isRule: false };
    case 'AT_DisableTrig':
    case 'AT_EnableReplicaTrig':
      return { what: `trigger ${shown}`, isRule: false };
    case 'AT_DisableRule':
    case 'AT_EnableReplicaRule':
      return { what: `rule ${shown}`, isRule: true };
    default:
      return undefined;
  }
}

function effectOf(
  at: StatementInContext,
  table: string,
  command: AlterTableCmd,
): { effect: string; severity: Severity } {
  if (command.subtype === 'AT_DisableTrigAll' && mayHaveKeys(at, table)) {
    return {
      effect: 'rows without the row that they reference go in, and the foreign key counts as valid',
      severity: 'error',
    };
  }
  const isOnAgain = at.file.trees
    .slice(at.statement.index)
    .some((tree) => switchesOn(at, { tree, table, name: command.name }));
  return isOnAgain && at.file.isTransactional
    ? {
        effect: 'what the migration changes until they are on again they do not see',
        severity: 'info',
      }
    : { effect: 'what they check or write is no longer checked or written', severity: 'warning' };
}

/** Whether foreign keys lead from or to the table, as far as anybody knows. */
function mayHaveKeys(at: StatementInContext, table: string): boolean {
  const relation = relationOf(at, table);
  if (relation === undefined) return true;
  const own = [...relation.constraints.values()].some(({ kind }) => kind === 'foreign key');
  return own || referencesToRows(at.catalog, table).length > 0;
}

function switchesOn(
  at: StatementInContext,
  { tree, table, name }: { tree: Node | null; table: string; name: string | undefined },
): boolean {
  const alter = asKind(tree ?? undefined, 'AlterTableStmt');
  if (alter === undefined || keyOfRange(at, alter.relation) !== table) return false;
  return (alter.cmds ?? []).some((node) => {
    const command = asKind(node, 'AlterTableCmd');
    switch (command?.subtype) {
      case 'AT_EnableTrigAll':
      case 'AT_EnableTrigUser':
        return true;
      case 'AT_EnableTrig':
      case 'AT_EnableAlwaysTrig':
      case 'AT_EnableRule':
      case 'AT_EnableAlwaysRule':
        return command.name === name;
      default:
        return false;
    }
  });
}

/** `session_replication_role = replica`, for the session, a role, a database or a function. */
function setsReplica(tree: Node): boolean {
  let found = false;
  walkTree(tree, (kind, fields) => {
    if (kind === 'VariableSetStmt') found ||= isReplica(fields as VariableSetStmt);
    if (kind !== 'FuncCall') return;
    const [name, value] = (fields.args as Node[] | undefined) ?? [];
    found ||=
      stringsOf(fields.funcname as Node[]).at(-1) === 'set_config' &&
      wordOf(name) === SETTING &&
      wordOf(value) === 'replica';
  });
  return found;
}

const SETTING = 'session_replication_role';

function isReplica({ name, args }: VariableSetStmt): boolean {
  return name?.toLowerCase() === SETTING && wordOf(args?.[0]) === 'replica';
}

function wordOf(node: Node | undefined): string | undefined {
  return asKind(node, 'A_Const')?.sval?.sval?.toLowerCase();
}

function eventTrigger(name: string | undefined): RuleFinding {
  return {
    message: `switches event trigger ${quoteWhereNeeded(name ?? '?')} off: what it forbids or records is no longer forbidden or recorded`,
    hint: HINT,
    severity: 'warning',
    tables: [],
  };
}

const HINT =
  'Change the rows in batches with the triggers on; where a trigger has to know of the migration, let it ask a setting of its own, which only the migration makes.';

const REPLICA: RuleFinding = {
  message:
    'with session_replication_role = replica no foreign key is checked and no ordinary trigger fires: rows without the row that they reference go in, and the foreign keys count as valid',
  hint: HINT,
  tables: [],
};
