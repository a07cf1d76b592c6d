import { objectKeyOf, type StructureObject } from '../structure.ts';
import { type Contents, indexOfConstraint, renderAttachments } from './addresses.ts';
import { SECTION_FOREIGN_KEYS, SECTION_PARTITION_INDEXES, SECTIONS } from './sections.ts';
import type { Unit } from './unit.ts';

const isPartitioned = ({ parts }: StructureObject) =>
  parts['partition by'] !== undefined || parts['partition of'] !== undefined;

const hasIndex = ({ parts }: StructureObject) =>
  /^(PRIMARY KEY|UNIQUE|EXCLUDE)/.test(parts.definition ?? '');

const isForeignKey = ({ parts }: StructureObject) => /^FOREIGN KEY/.test(parts.definition ?? '');

/** Whether a constraint may stand in the parentheses of its table. */
export function canBeInline(constraint: StructureObject, table: StructureObject): boolean {
  if (isForeignKey(constraint) || / NOT VALID$/.test(constraint.parts.definition ?? ''))
    return false;
  if (table.parts['partition of'] !== undefined) return false;
  return !(isPartitioned(table) && hasIndex(constraint));
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
