import type {
  AlterTableCmd,
  AlterTableStmt,
  AlterTableType,
  ATAlterConstraint,
  Node,
} from '@pgsql/types';
import { asKind, relationNameOf, writtenNameOf } from '../../sql/tree.ts';
import { type Catalog, findRelation, type Relation, resolveKey } from '../catalog.ts';
import { columnTypeOf } from '../column-type.ts';
import { columnsIn } from '../expression.ts';
import { addColumn, addColumnConstraints, addOwnedSequence, collationOf } from './column.ts';
import { addConstraint, addNotNull, notNullOf } from './constraint.ts';
import { dropColumn, dropConstraint, dropOwnedSequences } from './drop.ts';
import { addChild, replayIdentity, withDescendants } from './relation.ts';
import { attachPartition, detachChild, inheritFrom } from './table.ts';

/** `alter table`, and `alter type` and `alter index` where PostgreSQL's tree says the same of them. */
export function replayAlterTable(catalog: Catalog, statement: AlterTableStmt): void {
  const written = statement.relation && relationNameOf(statement.relation);
  if (written === undefined) return;
  const commands = (statement.cmds ?? []).flatMap((node) => asKind(node, 'AlterTableCmd') ?? []);
  if (statement.objtype === 'OBJECT_INDEX') {
    const index = catalog.indexes.get(resolveKey(catalog, written, catalog.indexes));
    for (const { subtype, def } of commands) {
      const { name } = asKind(def, 'PartitionCmd') ?? {};
      if (!index || subtype !== 'AT_AttachPartition' || !name) continue;
      const child = resolveKey(catalog, relationNameOf(name), catalog.indexes);
      const attached = catalog.indexes.get(child);
      if (attached) attached.parent = index.key;
    }
    return;
  }
  const relation = findRelation(catalog, written);
  if (relation === undefined) return;
  const isOnly = statement.objtype !== 'OBJECT_TYPE' && statement.relation?.inh !== true;
  for (const command of inPasses(commands)) replayCommand(catalog, relation, command, isOnly);
}

/** PostgreSQL runs the subcommands in this order, whatever the order in which they are written. */
function inPasses(commands: readonly AlterTableCmd[]): AlterTableCmd[] {
  if (commands.length < 2) return [...commands];
  return [...commands].sort((a, b) => passOf(a.subtype) - passOf(b.subtype));
}

function passOf(subtype: AlterTableType | undefined): number {
  switch (subtype) {
    case 'AT_DropColumn':
    case 'AT_DropConstraint':
    case 'AT_DropNotNull':
      return 0;
    case 'AT_AlterColumnType':
      return 1;
    case 'AT_AddColumn':
      return 2;
    default:
      return 3;
  }
}

function replayCommand(
  catalog: Catalog,
  relation: Relation,
  command: AlterTableCmd,
  isOnly: boolean,
): void {
  const { name = '', def } = command;
  const constraint = asKind(def, 'Constraint');
  switch (command.subtype) {
    case 'AT_AddColumn':
      addColumnTo(catalog, relation, command, isOnly);
      return;
    case 'AT_DropColumn':
      for (const one of isOnly ? [relation] : withDescendants(catalog, relation)) {
        dropColumn(catalog, one, name);
      }
      return;
    case 'AT_AlterColumnType':
      changeType(catalog, relation, command);
      return;
    case 'AT_AddConstraint':
      if (constraint) addConstraint(catalog, relation, constraint, { isOnly });
      return;
    case 'AT_DropConstraint':
      dropConstraint(catalog, relation, name);
      return;
    case 'AT_ValidateConstraint':
      validate(catalog, relation, name);
      return;
    case 'AT_AlterConstraint':
      changeConstraint(catalog, relation, def as { ATAlterConstraint?: ATAlterConstraint });
      return;
    default:
      replayColumnCommand(catalog, relation, command, isOnly);
      return;
  }
}

function replayColumnCommand(
  catalog: Catalog,
  relation: Relation,
  command: AlterTableCmd,
  isOnly: boolean,
): void {
  const { subtype, name = '', def } = command;
  const column = relation.columns.get(name);
  switch (subtype) {
    case 'AT_SetNotNull':
      addNotNull(catalog, relation, name, { isOnly });
      return;
    case 'AT_DropNotNull': {
      const constraint = notNullOf(relation, name);
      if (constraint) dropConstraint(catalog, relation, constraint.name);
      for (const one of withDescendants(catalog, relation)) setNullable(one, name);
      return;
    }
    case 'AT_ColumnDefault':
      for (const one of isOnly ? [relation] : withDescendants(catalog, relation)) {
        const changed = one.columns.get(name);
        if (changed) changed.hasDefault = def !== undefined;
      }
      return;
    case 'AT_AddIdentity':
      if (column) column.generated = 'identity';
      if (column) column.hasDefault = true;
      addOwnedSequence(catalog, relation, name);
      return;
    case 'AT_DropIdentity':
      dropIdentity(catalog, relation, name);
      return;
    case 'AT_DropExpression':
      for (const one of withDescendants(catalog, relation)) {
        const plain = one.columns.get(name);
        if (plain) Object.assign(plain, { generated: undefined, hasDefault: false });
        delete plain?.reads;
      }
      return;
    case 'AT_SetExpression':
      for (const one of withDescendants(catalog, relation)) {
        const generated = one.columns.get(name);
        if (generated) generated.reads = columnsIn(def);
      }
      return;
    default:
      replayTableCommand(catalog, relation, command);
      return;
  }
}

function replayTableCommand(
  catalog: Catalog,
  relation: Relation,
  { subtype, def }: AlterTableCmd,
): void {
  const partition = asKind(def, 'PartitionCmd');
  const range = partition?.name ?? asKind(def, 'RangeVar');
  const other = range && findRelation(catalog, relationNameOf(range));
  switch (subtype) {
    case 'AT_SetLogged':
    case 'AT_SetUnLogged':
      relation.isUnlogged = subtype === 'AT_SetUnLogged';
      return;
    case 'AT_AttachPartition':
      if (other) attachPartition(catalog, relation, other, partition?.bound);
      return;
    case 'AT_DetachPartition':
      if (other) detachChild(catalog, relation, other);
      return;
    case 'AT_AddInherit':
      if (other) inheritFrom(catalog, other, relation);
      return;
    case 'AT_DropInherit':
      if (other) detachChild(catalog, other, relation);
      return;
    case 'AT_AddOf':
    case 'AT_DropOf':
      retype(catalog, relation, asKind(def, 'TypeName')?.names);
      return;
    case 'AT_EnableRowSecurity':
    case 'AT_DisableRowSecurity':
      relation.hasRowSecurity = subtype === 'AT_EnableRowSecurity';
      return;
    case 'AT_ReplicaIdentity':
      replayIdentity(catalog, relation, asKind(def, 'ReplicaIdentityStmt'));
      return;
  }
}

/** `of` and `not of` */
function retype(catalog: Catalog, table: Relation, type: readonly Node[] | undefined): void {
  for (const one of catalog.relations.values()) {
    if (one.kind === 'composite type') one.children.delete(table.key);
  }
  const row = type && findRelation(catalog, writtenNameOf(type));
  if (row) addChild(row, table);
}

function addColumnTo(
  catalog: Catalog,
  relation: Relation,
  { def, missing_ok }: AlterTableCmd,
  isOnly: boolean,
): void {
  const definition = asKind(def, 'ColumnDef');
  if (definition === undefined) return;
  const name = definition.colname ?? '';
  if (missing_ok && relation.columns.has(name)) return;
  for (const one of isOnly ? [relation] : withDescendants(catalog, relation)) {
    if (one === relation) addColumn(catalog, one, definition);
    else if (!one.columns.has(name)) {
      const column = relation.columns.get(name);
      if (column) one.columns.set(name, { ...column });
    }
  }
  addColumnConstraints(catalog, relation, definition);
}

function changeType(catalog: Catalog, relation: Relation, { name = '', def }: AlterTableCmd): void {
  const definition = asKind(def, 'ColumnDef');
  const type = columnTypeOf(catalog, definition?.typeName);
  const collation = definition && collationOf(catalog, definition, type);
  for (const one of withDescendants(catalog, relation)) {
    const column = one.columns.get(name);
    if (column === undefined) continue;
    column.type = type;
    delete column.collation;
    if (collation !== undefined) column.collation = collation;
  }
}

function setNullable(relation: Relation, name: string): void {
  const column = relation.columns.get(name);
  if (column) column.isNotNull = false;
}

function dropIdentity(catalog: Catalog, relation: Relation, name: string): void {
  const column = relation.columns.get(name);
  if (column?.generated !== 'identity') return;
  Object.assign(column, { generated: undefined, hasDefault: false });
  dropOwnedSequences(catalog, relation, name);
}

function validate(catalog: Catalog, relation: Relation, name: string): void {
  const kind = relation.constraints.get(name)?.kind;
  for (const one of withDescendants(catalog, relation)) {
    const constraint = one.constraints.get(name);
    if (constraint?.kind === kind && constraint !== undefined) constraint.isValidated = true;
  }
}

function changeConstraint(
  catalog: Catalog,
  relation: Relation,
  { ATAlterConstraint: change }: { ATAlterConstraint?: ATAlterConstraint },
): void {
  if (!change?.alterEnforceability) return;
  for (const one of withDescendants(catalog, relation)) {
    const constraint = one.constraints.get(change.conname ?? '');
    if (constraint === undefined) continue;
    constraint.isEnforced = change.is_enforced === true;
    constraint.isValidated = constraint.isEnforced;
  }
}
