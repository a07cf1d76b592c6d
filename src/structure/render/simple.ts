import { objectKeyOf, type StructureKind, type StructureObject } from '../structure.ts';
import {
  beforeParenthesis,
  type Contents,
  renderAttachments,
  splitNames,
  takenNotNullName,
} from './addresses.ts';
import {
  constraintClause,
  renderColumn,
  renderColumnSettings,
  sequenceOptions,
} from './columns.ts';
import { type Reaches, unknownOptions } from './tables.ts';
import { SECTION_REFRESHES, SECTIONS, type Unit } from './unit.ts';

type Render = (object: StructureObject, contents: Contents) => string[];

const optionsOf = ({ parts }: StructureObject) =>
  parts['foreign options'] ? ` options (${parts['foreign options']})` : '';

const SWITCHES: Record<string, string> = {
  disabled: 'disable',
  replica: 'enable replica',
  always: 'enable always',
};

/** Statements of the kinds that have no parts which could stand elsewhere. */
export const SIMPLE: Partial<Record<StructureKind, Render>> = {
  // public is there in every database
  schema: ({ name }) => (name === 'public' ? [] : [`create schema ${name};`]),
  extension: ({ name, parts }) => [
    `create extension if not exists ${name} with schema ${parts.schema};`,
  ],
  language: ({ name, parts }) => {
    const [, trusted = '', rest] = /^(trusted )?(.*)$/s.exec(parts.definition ?? '') ?? [];
    return [`create ${trusted}language ${name} ${rest};`];
  },
  'access method': ({ name, parts }) => [`create access method ${name} ${parts.definition};`],
  'foreign data wrapper': (object) => {
    const { definition } = object.parts;
    const said = definition ? ` ${definition}` : '';
    return [`create foreign data wrapper ${object.name}${said}${optionsOf(object)};`];
  },
  server: (object) => {
    const { type, version } = object.parts;
    const said = `${type ? ` type ${type}` : ''}${version ? ` version ${version}` : ''}`;
    const wrapper = object.parts['foreign data wrapper'];
    return [
      `create server ${object.name}${said} foreign data wrapper ${wrapper}${optionsOf(object)};`,
    ];
  },
  'user mapping': (object) => [`create user mapping ${object.name}${optionsOf(object)};`],
  collation: ({ name, parts }) => [`create collation ${name} (${parts.definition});`],
  conversion: ({ name, parts }) => [
    `create ${parts.default ? 'default ' : ''}conversion ${name} ${parts.definition};`,
  ],
  'text search parser': (object) => [createWith(object)],
  'text search template': (object) => [createWith(object)],
  'text search dictionary': (object) => [createWith(object)],
  'text search configuration': ({ name, parts }) => [
    `create text search configuration ${name} (parser = ${parts.parser});`,
    ...(parts.mappings?.split('\n') ?? []).map(
      (mapping) => `alter text search configuration ${name} add mapping for ${mapping};`,
    ),
  ],
  function: ({ parts }) => [`${parts.definition};`],
  procedure: ({ parts }) => [`${parts.definition};`],
  aggregate: ({ name, parts }) => [
    `create aggregate ${beforeParenthesis(name)}(${parts.arguments}) (\n    ${parts.definition}\n);`,
  ],
  operator: ({ own, parts }) => [`create operator ${own} (${parts.definition});`],
  'operator family': ({ name, parts }) => [
    `create operator family ${name};`,
    ...(parts.members ? [`alter operator family ${name} add\n    ${parts.members};`] : []),
  ],
  'operator class': ({ name, parts }) => [
    `create operator class ${name.slice(0, -` using ${parts.using}`.length)}${parts.default ? '\n    default' : ''} for type ${parts.type} using ${parts.using} family ${parts.family} as\n    ${parts.members};`,
  ],
  cast: ({ name, parts }) => [`create cast ${name} ${parts.definition};`],
  transform: ({ name, parts }) => [`create transform ${name} (${parts.definition});`],
  sequence: ({ name, parts }) => {
    const options = sequenceOptions(parts).map((option) => ` ${option}`);
    return [`create ${parts.unlogged ? 'unlogged ' : ''}sequence ${name}${options.join('')};`];
  },
  statistics: ({ name, parts }) => [
    `${parts.definition};`,
    ...(parts.statistics ? [`alter statistics ${name} set statistics ${parts.statistics};`] : []),
  ],
  'event trigger': ({ name, parts }) => [
    `create event trigger ${name} on ${parts.on}${parts.tags ? `\n    when tag in (${parts.tags})` : ''}\n    execute function ${parts.function}();`,
    ...(parts.enabled ? [`alter event trigger ${name} ${SWITCHES[parts.enabled]};`] : []),
  ],
  publication: (object, contents) => [renderPublication(object, contents)],
  // what they say is in the grants
  'default privileges': () => [],
  privileges: () => [],
};

function createWith({ kind, name, parts }: StructureObject): string {
  return `create ${kind} ${name} (${parts.definition});`;
}

function renderPublication({ name, parts }: StructureObject, contents: Contents): string {
  const members = [
    parts.tables && `table ${publishedTables(parts.tables, contents)}`,
    parts.schemas && `tables in schema ${parts.schemas}`,
  ].filter(Boolean);
  const options = [
    parts.publish !== undefined && `publish = '${parts.publish}'`,
    parts['via partition root'] && 'publish_via_partition_root = true',
    parts['generated columns'] && `publish_generated_columns = ${parts['generated columns']}`,
  ].filter(Boolean);
  return [
    `create publication ${name}`,
    parts['all tables'] && ' for all tables',
    members.length > 0 && ` for ${members.join(', ')}`,
    options.length > 0 && `\n    with (${options.join(', ')})`,
    ';',
  ]
    .filter(Boolean)
    .join('');
}

/** Without `only` a table brings its children; which of them are published is listed. */
function publishedTables(tables: string, { objects }: Contents): string {
  const parents = new Set(objects.flatMap(({ parts }) => splitNames(parts.inherits ?? '')));
  return splitMembers(tables)
    .map((member) => {
      const name = QUALIFIED.exec(member)?.[0] ?? '';
      return parents.has(name) ? `only ${member}` : member;
    })
    .join(', ');
}

const QUALIFIED = /^(?:"(?:[^"]|"")*"|[^" ])+/;

/** Splits `public.a (id, name) where (f(id, 1)), public.b` between its tables. */
function splitMembers(text: string): string[] {
  const members = [''];
  let depth = 0;
  for (const [sign] of text.matchAll(MEMBER_SIGN)) {
    if (sign === '(') depth += 1;
    else if (sign === ')') depth -= 1;
    if (sign === ',' && depth === 0) members.push('');
    else members.push(`${members.pop()}${sign}`);
  }
  return members.map((member) => member.trim());
}

const MEMBER_SIGN = /"(?:[^"]|"")*"|E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|[^"'(),]+|[\s\S]/g;

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
    parts['not null'] && !constraints.some(isNotNull) && plainNotNull(domain, contents),
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

function plainNotNull(domain: StructureObject, contents: Contents): string {
  const name = takenNotNullName(domain, undefined, contents);
  return name === undefined ? 'not null' : `constraint ${name} not null`;
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

/** Views of both kinds; rows of a materialized one are made last, when all is there. */
export function viewUnits(view: StructureObject, contents: Contents): Unit[] {
  const { kind, name, parts } = view;
  const columns = (contents.partsOf.get(objectKeyOf(view)) ?? []).filter(
    (part) => part.kind === 'column',
  );
  const attached = [
    ...columns.flatMap((column) => columnStatements(column, view)),
    ...[view, ...columns].flatMap((object) => renderAttachments(object, contents)),
    ...unknownOptions(view),
  ];
  const unit: Unit = {
    keys: [view, ...columns].map(objectKeyOf),
    section: SECTIONS[kind],
    name,
    needs: [view, ...columns].flatMap(({ dependsOn }) => dependsOn),
    statements: [renderView(view, 'create'), ...attached],
    ...(kind === 'view' && {
      early: {
        statements: [renderStandIn(view)],
        rest: [renderView(view, 'create or replace'), ...attached],
      },
    }),
  };
  if (kind === 'view' || parts['not populated']) return [unit];
  return [unit, refreshUnit(view, contents)];
}

function renderView({ kind, name, parts }: StructureObject, create: string): string {
  const using = parts['access method'] ? `\nusing ${parts['access method']}` : '';
  const options = parts.options ? `\nwith (${parts.options})` : '';
  const rows = kind === 'materialized view' ? '\nwith no data' : '';
  return `${create} ${kind} ${name}${using}${options} as\n${parts.definition}${rows};`;
}

/** The columns without the query, for what the query itself needs. */
function renderStandIn({ name, parts }: StructureObject): string {
  return `create view ${name} as\n    select ${parts.columns};`;
}

function columnStatements(column: StructureObject, view: StructureObject): string[] {
  const value = column.parts.default;
  return [
    ...(value === undefined
      ? []
      : [`alter view ${view.name} alter column ${column.own} set default ${value};`]),
    ...renderColumnSettings(column, view),
  ];
}

function refreshUnit(view: StructureObject, contents: Contents): Unit {
  return {
    keys: [`refresh ${objectKeyOf(view)}`],
    section: SECTION_REFRESHES,
    name: view.name,
    needs: readBy(view, contents).map((key) => `refresh ${key}`),
    statements: [`refresh materialized view ${view.name};`],
  };
}

/** All that a view needs, also by way of other views. */
function readBy(view: StructureObject, { byKey }: Contents): string[] {
  const seen = new Set<string>();
  const waiting = [...view.dependsOn];
  for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
    if (seen.has(key)) continue;
    seen.add(key);
    waiting.push(...(byKey.get(key)?.dependsOn ?? []));
  }
  return [...seen].sort();
}
