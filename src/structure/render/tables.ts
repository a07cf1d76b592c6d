import { objectKeyOf, type StructureObject } from '../structure.ts';
import { type Contents, renderAttachments } from './addresses.ts';
import {
  renderColumn,
  renderColumnSettings,
  renderLocalColumn,
  renderOverrides,
} from './columns.ts';
import { canBeInline, constraintClause, constraintUnit, withoutTwins } from './constraints.ts';
import {
  attachStatements,
  conflictsOf,
  effectiveColumns,
  inheritedConstraints,
  isAttachedLater,
  parentNames,
} from './inheritance.ts';
import { SECTIONS } from './sections.ts';
import type { Unit } from './unit.ts';

/** Whether an object needs, over however many others, the one that it is a part of. */
export type Reaches = (from: StructureObject, to: StructureObject) => boolean;

/** A table with its columns, the constraints that stand in its parentheses, and what is said of them. */
export function tableUnits(table: StructureObject, contents: Contents, reaches: Reaches): Unit[] {
  const parts = contents.partsOf.get(objectKeyOf(table)) ?? [];
  const own = parts.filter(({ kind }) => kind === 'column');
  const isAttached = isAttachedLater(table, contents);
  const columns = isAttached ? effectiveColumns(table, contents) : own;
  const constraints = parts.filter(({ kind }) => kind === 'constraint');
  const isFree = (part: StructureObject) => !reaches(part, table);
  const inline = withoutTwins(
    constraints.filter((constraint) => canBeInline(constraint, table) && isFree(constraint)),
  );
  const late = columns
    .filter(({ parts: said }) => said.default !== undefined)
    .filter((c) => !isFree(c));
  const inside = [table, ...columns.filter((c) => !late.includes(c)), ...inline];
  const sequences = columns.flatMap((column) =>
    column.parts.identity ? (contents.partsOf.get(objectKeyOf(column)) ?? []) : [],
  );
  const unit: Unit = {
    // nothing needs a column without its table
    keys: [table, ...inline, ...sequences].map(objectKeyOf),
    section: SECTIONS.table,
    name: table.name,
    needs: [...inside.flatMap(({ dependsOn }) => dependsOn), ...parentKeys(table)],
    statements: [
      ...withoutConflicts(
        `${renderTable(table, { columns, inline, late, contents, isAttached })};`,
        isAttached ? [] : conflictsOf('default', table, contents),
      ),
      ...renderTableSettings(table, columns, isAttached),
      ...renderAttachments(table, contents),
      ...[...own, ...inline, ...sequences].flatMap((part) => renderAttachments(part, contents)),
    ],
  };
  const others = constraints.filter((constraint) => !inline.includes(constraint));
  return [
    unit,
    ...late.map((column) => lateDefault(column, table)),
    ...others.map((constraint) => constraintUnit(constraint, table, contents)),
  ];
}

/** No table can be made of parents whose defaults differ, but they may come to differ later. */
function withoutConflicts(create: string, conflicts: ReturnType<typeof conflictsOf>): string[] {
  const alter = (parent: string, column: string) =>
    `alter table only ${parent} alter column ${column}`;
  return [
    ...conflicts.map(({ parent, column }) => `${alter(parent, column)} drop default;`),
    create,
    ...conflicts.map(({ parent, column, said }) => `${alter(parent, column)} set default ${said};`),
  ];
}

function parentKeys(table: StructureObject): string[] {
  return parentNames(table).flatMap((name) => [`table ${name}`, `foreign table ${name}`]);
}

/** A default that needs the table itself. */
function lateDefault(column: StructureObject, table: StructureObject): Unit {
  return {
    keys: [objectKeyOf(column)],
    section: SECTIONS.table,
    name: `${table.name} default ${column.own}`,
    needs: [objectKeyOf(table), ...column.dependsOn],
    statements: [
      `alter table only ${table.name} alter column ${column.own} set default ${column.parts.default};`,
    ],
  };
}

interface Inside {
  columns: StructureObject[];
  inline: StructureObject[];
  late: StructureObject[];
  contents: Contents;
  isAttached: boolean;
}

function renderTable(table: StructureObject, inside: Inside): string {
  const { kind, name, parts } = table;
  const { isAttached } = inside;
  const ofParent = parts['partition of'] !== undefined && !isAttached;
  const lines = insideLines(table, inside);
  const between = lines.length > 0 ? ` (\n    ${lines.join(',\n    ')}\n)` : ' ()';
  return [
    `create ${parts.unlogged ? 'unlogged ' : ''}${kind} ${name}`,
    parts['of type'] && ` of ${parts['of type']}`,
    ofParent && ` partition of ${parts['partition of']}`,
    (ofParent || parts['of type']) && lines.length === 0 ? undefined : between,
    ofParent && `\n    ${parts.bound}`,
    parts.inherits && !isAttached && `\ninherits (${parts.inherits})`,
    parts['partition by'] && `\npartition by ${parts['partition by']}`,
    parts['access method'] && `\nusing ${parts['access method']}`,
    parts.server && `\nserver ${parts.server}`,
    parts['foreign options'] && `\noptions (${parts['foreign options']})`,
    tableOptions(parts),
  ]
    .filter(Boolean)
    .join('');
}

function tableOptions(parts: StructureObject['parts']): string | undefined {
  const options = [parts.options, parts['toast options']].filter(Boolean);
  return options.length > 0 ? `\nwith (${options.join(', ')})` : undefined;
}

function insideLines(table: StructureObject, inside: Inside): string[] {
  const { columns, inline, late, contents, isAttached } = inside;
  const isTyped = table.parts['of type'] !== undefined;
  const lines = columns
    .filter((column) => column.parts.type !== undefined)
    .map((column) =>
      renderColumn(column, contents, { isTyped, leaveDefault: late.includes(column) }),
    )
    .filter((line) => !isTyped || !line.endsWith(' with options'));
  const local = columns.filter(({ parts }) => parts.type === undefined && parts.local);
  const whole = local.length > 0 ? effectiveColumns(table, contents) : [];
  const merged = local.flatMap(({ own }) =>
    whole.filter((column) => column.own === own).map(renderLocalColumn),
  );
  const inherited = isAttached ? inheritedConstraints(table, contents) : [];
  return [...lines, ...merged, ...[...inherited, ...inline].map(constraintClause)];
}

function renderTableSettings(
  table: StructureObject,
  columns: StructureObject[],
  isAttached: boolean,
): string[] {
  const { name, kind, parts } = table;
  const alter = `alter ${kind} only ${name}`.replace('foreign table only', 'foreign table');
  return [
    ...(isAttached ? attachStatements(table) : []),
    ...columns.flatMap((column) =>
      column.parts.type === undefined
        ? renderOverrides(column, table)
        : renderColumnSettings(column, table),
    ),
    ...(parts['replica identity']
      ? [`${alter} replica identity ${parts['replica identity']};`]
      : []),
    ...rowSecurity(parts['row security'], `alter table ${name}`),
    ...unknownOptions(table),
  ];
}

/** No statement is known to take them: the server itself may have put them there. */
export function unknownOptions({ kind, name, parts }: StructureObject): string[] {
  const unknown = parts['unknown options'];
  return unknown === undefined
    ? []
    : [`-- options of ${kind} ${name} that evdb does not know, left out: ${unknown}`];
}

function rowSecurity(said: string | undefined, alter: string): string[] {
  if (said === undefined) return [];
  return [
    ...(said === 'forced, but disabled' ? [] : [`${alter} enable row level security;`]),
    ...(said === 'enabled' ? [] : [`${alter} force row level security;`]),
  ];
}
