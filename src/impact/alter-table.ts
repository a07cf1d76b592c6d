import type { AlterTableStmt } from '@pgsql/types';
import { resolveKey } from '../catalog/catalog.ts';
import { commandsOf } from '../sql/list-items.ts';
import { asKind, relationNameOf } from '../sql/tree.ts';
import { impactOfAddColumn } from './add-column.ts';
import { impactOfAddConstraint } from './add-constraint.ts';
import type { AlterCommand } from './alter-command.ts';
import { isForPartitions, isInherited, lockOfCommands } from './alter-lock.ts';
import { impactOfColumnChange } from './change-column.ts';
import { impactOfChangeConstraint } from './change-constraint.ts';
import { impactOfTableChange } from './change-table.ts';
import { type Draft, lock, lockTree, rewrite, type Target, targetOfRange } from './draft.ts';

/** `alter table`, and what PostgreSQL's tree calls so: `alter index`, `alter view`, `alter type`. */
export function impactOfAlterTable(draft: Draft, statement: AlterTableStmt): void {
  const commands = commandsOf(statement, draft.text);
  const all = commands.map(({ command }) => command);
  const mode = lockOfCommands(all);
  if (lockIndex(draft, statement, mode)) return;
  const target = targetOfRange(draft, statement.relation);
  if (target === undefined) return;
  // A type names no `only`: with cascade its tables follow, and without there must be none.
  const isOnly = statement.objtype !== 'OBJECT_TYPE' && statement.relation?.inh !== true;
  lock(draft, target.key, mode, 'target');
  lockChildren(draft, target, { all, mode, isOnly });
  const dropped = new Set(
    all.flatMap(({ subtype, name = '' }) => (subtype === 'AT_DropConstraint' ? [name] : [])),
  );
  for (const { command, index, offset } of commands) {
    impactOfCommand({ draft, target, command, index, offset, mode, isOnly, dropped });
  }
}

interface Commands {
  all: AlterCommand['command'][];
  mode: AlterCommand['mode'];
  isOnly: boolean;
}

function lockChildren(draft: Draft, target: Target, { all, mode, isOnly }: Commands): void {
  const isPartitioned = target.relation?.kind === 'partitioned table';
  const goesDown = all.some(
    (command) =>
      isInherited(command, draft.serverVersion) || (isPartitioned && isForPartitions(command)),
  );
  if (goesDown && !isOnly) lockTree(draft, target, mode, 'target');
  // What the children have of it is theirs alone from then on.
  const isLeft = all.some(({ subtype }) => subtype === 'AT_DropColumn');
  for (const key of isOnly && isLeft ? (target.relation?.children ?? []) : []) {
    lock(draft, key, mode, 'partition');
  }
}

/** Where the statement names an index, which `alter table` may do too. */
function lockIndex(
  draft: Draft,
  { relation, cmds, objtype }: AlterTableStmt,
  mode: AlterCommand['mode'],
): boolean {
  if (relation === undefined) return false;
  const { catalog } = draft;
  const key = resolveKey(catalog, relationNameOf(relation), catalog.indexes);
  if (objtype !== 'OBJECT_INDEX' && !catalog.indexes.has(key)) return false;
  lock(draft, key, mode, 'index');
  for (const node of cmds ?? []) {
    const command = asKind(node, 'AlterTableCmd');
    if (command?.subtype === 'AT_SetTableSpace' && command.name !== 'pg_default') {
      const detail = command.name ?? '';
      rewrite(draft, { relation: key, reason: 'set tablespace', detail, isCertain: true });
    }
    const { name } = asKind(command?.def, 'PartitionCmd') ?? {};
    if (!name) continue;
    lock(
      draft,
      resolveKey(catalog, relationNameOf(name), catalog.indexes),
      'AccessExclusive',
      'index',
    );
  }
  return true;
}

function impactOfCommand(at: AlterCommand): void {
  switch (at.command.subtype) {
    case 'AT_AddColumn':
      impactOfAddColumn(at);
      return;
    case 'AT_AddConstraint':
      impactOfAddConstraint(at);
      return;
    case 'AT_DropConstraint':
    case 'AT_ValidateConstraint':
    case 'AT_AlterConstraint':
      impactOfChangeConstraint(at);
      return;
    case 'AT_SetNotNull':
    case 'AT_AlterColumnType':
    case 'AT_DropColumn':
    case 'AT_SetExpression':
      impactOfColumnChange(at);
      return;
    default:
      impactOfTableChange(at);
  }
}
