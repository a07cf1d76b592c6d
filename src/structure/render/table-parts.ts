import { objectKeyOf, type StructureObject } from '../structure.ts';
import { type Contents, indexOfConstraint, renderAttachments } from './addresses.ts';
import { ancestorNames } from './inheritance.ts';
import { SECTION_PARTITION_INDEXES, SECTION_VIEW_INDEXES, SECTIONS } from './sections.ts';
import type { Unit } from './unit.ts';

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
