import { objectKeyOf, type StructureObject } from '../structure.ts';
import { type Contents, renderAttachments } from './addresses.ts';
import { renderColumn } from './columns.ts';
import { constraintClause } from './constraints.ts';
import { SECTIONS } from './sections.ts';
import type { Reaches } from './tables.ts';
import type { Unit } from './unit.ts';

/** Enums, composite types, ranges and base types. */
export function typeUnits(type: StructureObject, contents: Contents): Unit[] {
  const attributes = contents.partsOf.get(objectKeyOf(type)) ?? [];
  const whole = [
    renderType(type, attributes, contents),
    ...[type, ...attributes].flatMap((object) => renderAttachments(object, contents)),
  ];
  const hasShell = type.kind === 'range' || type.kind === 'base type';
  return [
    {
      keys: [type, ...attributes].map(objectKeyOf),
      section: SECTIONS[type.kind],
      name: type.name,
      needs: [type, ...attributes].flatMap(({ dependsOn }) => dependsOn),
      statements: whole,
      // its own functions take it as an argument
      ...(hasShell && { early: { statements: [`create type ${type.name};`], rest: whole } }),
    },
  ];
}

function renderType(
  { kind, name, parts }: StructureObject,
  attributes: readonly StructureObject[],
  contents: Contents,
): string {
  switch (kind) {
    case 'enum':
      return `create type ${name} as enum (${renderLabels(parts.labels ?? '')});`;
    case 'composite type':
      return `create type ${name} as (${lines(attributes.map((one) => renderColumn(one, contents)))});`;
    case 'range':
      return `create type ${name} as range (${parts.definition});`;
    default:
      return `create type ${name}${parts.definition ? ` (${parts.definition})` : ''};`;
  }
}

/** One a line, so that a new label is a new line. */
function renderLabels(labels: string): string {
  return lines(labels.match(/E?'(?:[^']|'')*'/g) ?? []);
}

function lines(items: readonly string[]): string {
  return items.length === 0 ? '' : `\n    ${items.join(',\n    ')}\n`;
}

/** A domain with the checks that do not need the domain themselves. */
export function domainUnits(domain: StructureObject, contents: Contents, reaches: Reaches): Unit[] {
  const { name, parts } = domain;
  const constraints = contents.partsOf.get(objectKeyOf(domain)) ?? [];
  const inline = constraints.filter(
    (one) => !reaches(one, domain) && !/ NOT VALID$/.test(one.parts.definition ?? ''),
  );
  const clauses = [
    parts.collation && `collate ${parts.collation}`,
    parts.default !== undefined && `default ${parts.default}`,
    // from PostgreSQL 17 on it is a constraint with a name
    parts['not null'] && !constraints.some(isNotNull) && 'not null',
    ...inline.map(constraintClause),
  ].filter(Boolean);
  const late = constraints.filter((one) => !inline.includes(one));
  return [
    {
      keys: [domain, ...inline].map(objectKeyOf),
      section: SECTIONS.domain,
      name,
      needs: [domain, ...inline].flatMap(({ dependsOn }) => dependsOn),
      statements: [
        `create domain ${name} as ${parts.type}${clauses.map((clause) => `\n    ${clause}`).join('')};`,
        ...[domain, ...inline].flatMap((object) => renderAttachments(object, contents)),
      ],
    },
    ...late.map((constraint) => lateCheck(constraint, domain, contents)),
  ];
}

const isNotNull = ({ parts }: StructureObject) => parts.definition?.startsWith('NOT NULL') === true;

function lateCheck(constraint: StructureObject, domain: StructureObject, contents: Contents): Unit {
  return {
    keys: [objectKeyOf(constraint)],
    section: SECTIONS.domain,
    name: `${domain.name} ${constraint.own}`,
    needs: [objectKeyOf(domain), ...constraint.dependsOn],
    statements: [
      `alter domain ${domain.name} add ${constraintClause(constraint)};`,
      ...renderAttachments(constraint, contents),
    ],
  };
}
