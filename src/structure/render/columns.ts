import { objectKeyOf, type StructureObject } from '../structure.ts';
import {
  type Contents,
  indexOfConstraint,
  renderAttachments,
  takenNotNullName,
} from './addresses.ts';
import { ancestorNames } from './inheritance.ts';
import { SECTION_FOREIGN_KEYS, SECTION_PARTITION_INDEXES, SECTIONS, type Unit } from './unit.ts';

/** A column as `create table` says it. */
export function renderColumn(
  column: StructureObject,
  contents: Contents,
  { isTyped = false, leaveDefault = false } = {},
): string {
  const { parts, own } = column;
  const notNullName = parts['not null'] && nameOfNotNull(column, contents);
  const words = isTyped
    ? [own, 'with options']
    : [
        own,
        parts.type,
        parts['foreign options'] && `options (${parts['foreign options']})`,
        parts.compression && `compression ${parts.compression}`,
        parts.collation && `collate ${parts.collation}`,
      ];
  return [
    ...words,
    parts.default !== undefined && !leaveDefault && `default ${parts.default}`,
    parts.generated && `generated ${parts.generated}`,
    parts.identity && renderIdentity(column, contents),
    notNullName && `constraint ${notNullName}`,
    parts['not null'] && 'not null',
  ]
    .filter(Boolean)
    .join(' ');
}

function nameOfNotNull({ parts, own, of = '' }: StructureObject, contents: Contents) {
  const table = contents.byKey.get(of);
  return parts['not null name'] ?? (table && takenNotNullName(table, own, contents));
}

function renderIdentity(column: StructureObject, { partsOf }: Contents): string {
  const [sequence] = partsOf.get(objectKeyOf(column)) ?? [];
  const name = sequence?.parts['sequence name'];
  const options = [
    name && `sequence name ${name}`,
    ...(sequence && !sequence.parts.type ? sequenceOptions(sequence.parts) : []),
    sequence?.parts.unlogged && (sequence.parts.unlogged === 'yes' ? 'unlogged' : 'logged'),
  ].filter(Boolean);
  const said = options.length > 0 ? ` (${options.join(' ')})` : '';
  return `generated ${column.parts.identity} as identity${said}`;
}

/** What an identity cannot say of its sequence: that it is of another type than its column. */
export function renderIdentityType({ name, parts }: StructureObject): string[] {
  if (!parts.type) return [];
  return [`alter sequence ${name} ${sequenceOptions(parts).join(' ')} restart;`];
}

/** What differs from the default, as `create sequence` says it. */
export function sequenceOptions(parts: StructureObject['parts']): string[] {
  return [
    parts.type && `as ${parts.type}`,
    parts.increment && `increment by ${parts.increment}`,
    parts.minimum && `minvalue ${parts.minimum}`,
    parts.maximum && `maxvalue ${parts.maximum}`,
    parts.start && `start with ${parts.start}`,
    parts.cache && `cache ${parts.cache}`,
    parts.cycle && 'cycle',
  ].filter(isSaid);
}

/** What `create table` cannot say of a column, on every server. */
export function renderColumnSettings(column: StructureObject, relation: StructureObject): string[] {
  const { parts } = column;
  const alter = `alter ${relation.kind === 'table' ? 'table only' : relation.kind} ${relation.name} alter column ${column.own}`;
  return [
    // it cannot be attached without
    parts['not null'] === 'none' && `${alter} drop not null;`,
    parts.storage && `${alter} set storage ${parts.storage};`,
    parts.statistics && `${alter} set statistics ${parts.statistics};`,
    parts.options && `${alter} set (${parts.options});`,
  ].filter(isSaid);
}

/** A column that a child has from its parents, and has of its own as well. */
export function renderLocalColumn({ own, parts }: StructureObject): string {
  return [own, parts.type, parts.collation && `collate ${parts.collation}`]
    .filter(isSaid)
    .join(' ');
}

/** Where a child differs from what its parents gave it. */
export function renderOverrides(column: StructureObject, relation: StructureObject): string[] {
  const { parts } = column;
  const alter = `alter table only ${relation.name} alter column ${column.own}`;
  return [
    parts.default === undefined
      ? undefined
      : parts.default === 'none'
        ? `${alter} drop default;`
        : `${alter} set default ${parts.default};`,
    parts['not null'] === 'yes' && `${alter} set not null;`,
    parts.compression && `${alter} set compression ${parts.compression};`,
    ...renderColumnSettings(column, relation),
  ].filter(isSaid);
}

function isSaid(text: string | false | undefined): text is string {
  return text !== undefined && text !== false && text !== '';
}

const isPartitioned = ({ parts }: StructureObject) =>
  parts['partition by'] !== undefined || parts['partition of'] !== undefined;

const hasIndex = ({ parts }: StructureObject) =>
  /^(PRIMARY KEY|UNIQUE|EXCLUDE)/.test(parts.definition ?? '');

const isForeignKey = ({ parts }: StructureObject) => /^FOREIGN KEY/.test(parts.definition ?? '');

/** Whether a constraint may stand in the parentheses of its table. */
export function canBeInline(constraint: StructureObject, table: StructureObject): boolean {
  const { definition } = constraint.parts;
  if (definition === undefined || isForeignKey(constraint) || / NOT VALID$/.test(definition))
    return false;
  return !(isPartitioned(table) && hasIndex(constraint));
}

/** `create table` makes one constraint of two that have the same index. */
export function withoutTwins(constraints: readonly StructureObject[]): StructureObject[] {
  const seen = new Set<string>();
  const isKey = ({ parts }: StructureObject) => /^PRIMARY/.test(parts.definition ?? '');
  const sorted = [...constraints.filter(isKey), ...constraints.filter((one) => !isKey(one))];
  const first = new Set(
    sorted.filter((constraint) => {
      const index = (constraint.parts.definition ?? '').replace(/^(PRIMARY KEY|UNIQUE) /, '');
      if (hasIndex(constraint) && seen.has(index)) return false;
      seen.add(index);
      return true;
    }),
  );
  return constraints.filter((one) => first.has(one));
}

export function constraintClause({ own, parts }: StructureObject): string {
  const { definition, 'index options': options } = parts;
  if (options === undefined) return `constraint ${own} ${definition}`;
  // they stand before what can be deferred
  const [, index, rest] = BEFORE_DEFERRABLE.exec(definition ?? '') ?? [];
  return `constraint ${own} ${index} with (${options})${rest}`;
}

const BEFORE_DEFERRABLE = /^(.*?)((?: DEFERRABLE)?(?: INITIALLY DEFERRED)?)$/s;

/** A constraint that is added to its table: a foreign key when all tables are there. */
export function constraintUnit(
  constraint: StructureObject,
  table: StructureObject,
  contents: Contents,
): Unit {
  const { parts } = constraint;
  if (parts.validated !== undefined) return validation(constraint, table, contents);
  // others are those of the children too
  const only = hasIndex(constraint) ? ' only' : '';
  const alter = table.kind === 'foreign table' ? 'alter foreign table' : `alter table${only}`;
  const parentIndex = parts['attached to'];
  return {
    keys: [objectKeyOf(constraint)],
    section: sectionOf(constraint, table),
    name: `${table.name} ${constraint.own}`,
    needs: [
      objectKeyOf(table),
      ...constraint.dependsOn,
      // a foreign key of a partition goes with that of its table, which would make another one
      ...(contents.belongingTo.get(constraint.name) ?? []),
      ...(parentIndex ? [parentConstraint(constraint, table, contents)] : []),
    ],
    statements: [
      `${alter} ${table.name}\n    add ${constraintClause(constraint)};`,
      ...(parentIndex
        ? [
            `alter index ${parentIndex} attach partition ${indexOfConstraint(constraint, contents)};`,
          ]
        : []),
      ...renderAttachments(constraint, contents),
    ],
  };
}

/** A child may have validated what its parent did not. */
function validation(constraint: StructureObject, table: StructureObject, contents: Contents): Unit {
  return {
    keys: [objectKeyOf(constraint)],
    section: constraint.parts['part of'] ? SECTION_FOREIGN_KEYS : SECTIONS.constraint,
    name: `${table.name} ${constraint.own}`,
    needs: [
      objectKeyOf(table),
      ...ancestorNames(table, contents).map((name) => `constraint ${constraint.own} on ${name}`),
    ],
    statements: [
      `alter ${table.kind} ${table.name} validate constraint ${constraint.own};`,
      ...renderAttachments(constraint, contents),
    ],
  };
}

function sectionOf(constraint: StructureObject, table: StructureObject): number {
  if (isForeignKey(constraint)) return SECTION_FOREIGN_KEYS;
  return isPartitioned(table) && hasIndex(constraint)
    ? SECTION_PARTITION_INDEXES
    : SECTIONS.constraint;
}

/** The constraint of the parent whose index this one's belongs to. */
function parentConstraint(
  { parts }: StructureObject,
  table: StructureObject,
  contents: Contents,
): string {
  const parent = `table ${table.parts['partition of']}`;
  const found = (contents.partsOf.get(parent) ?? []).find(
    (other) =>
      other.kind === 'constraint' && indexOfConstraint(other, contents) === parts['attached to'],
  );
  return found ? objectKeyOf(found) : parent;
}
