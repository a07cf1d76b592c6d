import { objectKeyOf, type StructureObject } from '../structure.ts';
import { type Contents, indexOfConstraint, renderAttachments } from './addresses.ts';
import { ancestorNames } from './inheritance.ts';
import { SECTION_FOREIGN_KEYS, SECTION_PARTITION_INDEXES, SECTIONS } from './sections.ts';
import type { Unit } from './unit.ts';

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
  return `constraint ${own} ${parts.definition}`;
}

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
