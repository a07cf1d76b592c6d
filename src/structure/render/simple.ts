import type { StructureKind, StructureObject } from '../structure.ts';
import { sequenceOptions } from './columns.ts';
import { beforeParenthesis } from './names.ts';

type Render = (object: StructureObject) => string[];

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
  publication: (object) => [renderPublication(object)],
  // what they say is in the grants
  'default privileges': () => [],
  privileges: () => [],
};

function createWith({ kind, name, parts }: StructureObject): string {
  return `create ${kind} ${name} (${parts.definition});`;
}

function renderPublication({ name, parts }: StructureObject): string {
  const members = [
    parts.tables && `table ${parts.tables}`,
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
