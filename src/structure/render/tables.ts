import { objectKeyOf, type StructureObject } from '../structure.ts';
import { type Contents, indexOfConstraint, renderAttachments } from './addresses.ts';
import {
  canBeInline,
  constraintClause,
  constraintUnit,
  renderColumn,
  renderColumnSettings,
  renderIdentityType,
  renderLocalColumn,
  renderOverrides,
  withoutTwins,
} from './columns.ts';
import {
  ancestorNames,
  attachStatements,
  conflictsOf,
  effectiveColumns,
  inheritedConstraints,
  isAttachedLater,
  parentNames,
} from './inheritance.ts';
import { SECTION_PARTITION_INDEXES, SECTION_VIEW_INDEXES, SECTIONS, type Unit } from './unit.ts';

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
      ...sequences.flatMap(renderIdentityType),
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

type MakeUnit = (object: StructureObject, owner: StructureObject, contents: Contents) => Unit;

const unitOf = (
  object: StructureObject,
  owner: StructureObject,
  contents: Contents,
  statements: string[],
): Unit => ({
  keys: [objectKeyOf(object)],
  section: SECTIONS[object.kind],
  name: `${owner.name} ${object.own}`,
  needs: [objectKeyOf(owner), ...object.dependsOn],
  statements: [...statements, ...renderAttachments(object, contents)],
});

export const indexUnit: MakeUnit = (index, owner, contents) => {
  const { parts, name } = index;
  const unit = unitOf(index, owner, contents, []);
  if (parts.invalid) return { ...unit, statements: [invalidIndex(parts.definition ?? '')] };
  const parent = parts['attached to'];
  const statistics = parts.statistics?.split(', ').map((said) => said.split(' ')) ?? [];
  return {
    ...unit,
    section: indexSection(owner),
    needs: [
      ...unit.needs,
      ...(parent ? [`index ${parent}`, ...constraintKeys(parent, owner, contents)] : []),
    ],
    statements: [
      `${parts.definition};`,
      ...(parent ? [`alter index ${parent} attach partition ${name};`] : []),
      ...statistics.map(
        ([column, target]) =>
          `alter index ${name} alter column ${column} set statistics ${target};`,
      ),
      ...unit.statements,
      ...indexMarks(index, index.own, owner),
    ],
  };
};

/** What the table says of one of its indexes. */
export function indexMarks(
  { parts }: StructureObject,
  index: string,
  owner: StructureObject,
): string[] {
  const alter = `alter ${owner.kind} ${owner.name}`;
  return [
    ...(parts.clustered ? [`${alter} cluster on ${index};`] : []),
    ...(parts['replica identity'] ? [`${alter} replica identity using index ${index};`] : []),
  ];
}

/** No statement makes an index that is invalid. */
function invalidIndex(definition: string): string {
  return `-- invalid, left by an interrupted build: ${definition.replaceAll('\n', ' ')}`;
}

function indexSection(owner: StructureObject): number {
  if (owner.kind === 'materialized view') return SECTION_VIEW_INDEXES;
  const isPartitioned = owner.parts['partition by'] ?? owner.parts['partition of'];
  return isPartitioned === undefined ? SECTIONS.index : SECTION_PARTITION_INDEXES;
}

/** The parent's index may stand behind a constraint. */
function constraintKeys(index: string, owner: StructureObject, contents: Contents): string[] {
  const parts = contents.partsOf.get(`table ${owner.parts['partition of']}`) ?? [];
  return parts
    .filter((part) => part.kind === 'constraint' && indexOfConstraint(part, contents) === index)
    .map(objectKeyOf);
}

const SWITCHES: Record<string, string> = {
  disabled: 'disable',
  replica: 'enable replica',
  always: 'enable always',
  origin: 'enable',
};

export const triggerUnit: MakeUnit = (trigger, owner, contents) => {
  const { definition, enabled } = trigger.parts;
  const unit = unitOf(trigger, owner, contents, [
    ...(definition === undefined ? [] : [`${definition};`]),
    // with those of its partitions, as far as they are not switched by themselves
    ...(enabled === undefined
      ? []
      : [`alter ${owner.kind} ${owner.name} ${SWITCHES[enabled]} trigger ${trigger.own};`]),
  ]);
  const from = ancestorNames(owner, contents).map((name) => `trigger ${trigger.own} on ${name}`);
  return { ...unit, needs: [...unit.needs, ...from] };
};

export const ruleUnit: MakeUnit = (rule, owner, contents) => {
  const { definition, enabled } = rule.parts;
  return unitOf(rule, owner, contents, [
    `${definition};`,
    ...(enabled === undefined
      ? []
      : [`alter table ${owner.name} ${SWITCHES[enabled]} rule ${rule.own};`]),
  ]);
};

export const policyUnit: MakeUnit = (policy, owner, contents) => {
  const { parts } = policy;
  const clauses = [
    parts['kind of policy'] && `as ${parts['kind of policy']}`,
    parts.for && `for ${parts.for}`,
    parts.to && `to ${parts.to}`,
    parts.using && `using (${parts.using})`,
    parts.check && `with check (${parts.check})`,
  ].filter(Boolean);
  return unitOf(policy, owner, contents, [
    `create policy ${policy.own} on ${owner.name}${clauses.map((clause) => `\n    ${clause}`).join('')};`,
  ]);
};
