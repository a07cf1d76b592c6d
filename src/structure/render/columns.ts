import type { StructureObject } from '../structure.ts';
import { objectKeyOf } from '../structure.ts';
import type { Contents } from './addresses.ts';

/** A column as `create table` says it. */
export function renderColumn(
  column: StructureObject,
  contents: Contents,
  { isTyped = false, leaveDefault = false } = {},
): string {
  const { parts, own } = column;
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
    parts['not null'] && parts['not null name'] && `constraint ${parts['not null name']}`,
    parts['not null'] && 'not null',
  ]
    .filter(Boolean)
    .join(' ');
}

function renderIdentity(column: StructureObject, { partsOf }: Contents): string {
  const [sequence] = partsOf.get(objectKeyOf(column)) ?? [];
  const name = sequence?.parts['sequence name'];
  const options = [
    name && `sequence name ${name}`,
    ...(sequence ? sequenceOptions(sequence.parts) : []),
  ].filter(Boolean);
  const said = options.length > 0 ? ` (${options.join(' ')})` : '';
  return `generated ${column.parts.identity} as identity${said}`;
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
