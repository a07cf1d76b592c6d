import { structuredPatch } from 'diff/lib/patch/create.js';
import {
  objectKeyOf,
  STRUCTURE_KINDS,
  type Structure,
  type StructureKind,
  type StructureObject,
} from './structure.ts';

/** One part of an object that differs; undefined if a side does not have it. */
export interface StructurePartDifference {
  /** Such as `type`, `default`, `grants`, `definition`. */
  part: string;
  before?: string;
  after?: string;
}

/** One object that is not the same on both sides. */
export interface StructureDifference {
  kind: StructureKind;
  /** Its name, as in `StructureObject`. */
  object: string;
  change: 'added' | 'removed' | 'changed';
  /** The object it is a part of, such as `table public.users`. */
  of?: string;
  parts: StructurePartDifference[];
}

/**
 * Compares two structures. An object that was added or removed is one difference, without one for
 * each of its parts; for a changed object only the parts that differ are listed. Pure.
 *
 * @returns in the order of a structure; empty if nothing differs
 * @example
 * const drift = diffStructures(wanted, found);
 */
export function diffStructures(
  before: Pick<Structure, 'objects'>,
  after: Pick<Structure, 'objects'>,
): StructureDifference[] {
  const from = new Map(before.objects.map((object) => [objectKeyOf(object), object]));
  const to = new Map(after.objects.map((object) => [objectKeyOf(object), object]));
  const differences: StructureDifference[] = [];
  for (const [key, object] of from) {
    const other = to.get(key);
    if (!other) {
      if (!isGone(object, from, to)) differences.push(whole(object, 'removed'));
    } else {
      const parts = differingParts(object, other);
      if (parts.length > 0) differences.push({ ...headOf(object), change: 'changed', parts });
    }
  }
  for (const [key, object] of to) {
    if (!from.has(key) && !isGone(object, to, from)) differences.push(whole(object, 'added'));
  }
  return sortDifferences(differences);
}

/** Whether what it is a part of is not on the other side either. */
function isGone(
  object: StructureObject,
  own: Map<string, StructureObject>,
  others: Map<string, StructureObject>,
): boolean {
  return object.of !== undefined && own.has(object.of) && !others.has(object.of);
}

function headOf({ kind, name, of }: StructureObject) {
  return { kind, object: name, ...(of !== undefined && { of }) };
}

function whole(object: StructureObject, change: 'added' | 'removed'): StructureDifference {
  const side = change === 'added' ? 'after' : 'before';
  const isView = object.kind === 'view' || object.kind === 'materialized view';
  const parts = Object.entries(object.parts)
    // the columns of a view are told by its definition
    .filter(([part]) => part !== 'columns' || !isView)
    .map(([part, value]) => ({ part, [side]: value }));
  return { ...headOf(object), change, parts };
}

function differingParts(
  before: StructureObject,
  after: StructureObject,
): StructurePartDifference[] {
  const names = new Set([...Object.keys(before.parts), ...Object.keys(after.parts)]);
  return [...names].sort().flatMap((part): StructurePartDifference[] => {
    const was = before.parts[part];
    const is = after.parts[part];
    if (was === is || (part === 'columns' && !isReordered(before, after))) return [];
    return [
      {
        part: part === 'columns' ? 'order of columns' : part,
        ...(was !== undefined && { before: was }),
        ...(is !== undefined && { after: is }),
      },
    ];
  });
}

/** Whether the columns that both have stand in another order; which there are is told of themselves. */
function isReordered(before: StructureObject, after: StructureObject): boolean {
  // the columns of a view are told by its definition
  if (before.kind === 'view' || before.kind === 'materialized view') return false;
  const was = before.parts.columns?.split(', ') ?? [];
  const is = after.parts.columns?.split(', ') ?? [];
  return (
    was.filter((name) => is.includes(name)).join() !==
    is.filter((name) => was.includes(name)).join()
  );
}

function sortDifferences(differences: StructureDifference[]): StructureDifference[] {
  const rank = new Map<string, number>(STRUCTURE_KINDS.map((kind, index) => [kind, index]));
  return differences.sort(
    (a, b) =>
      (rank.get(a.kind) ?? 0) - (rank.get(b.kind) ?? 0) ||
      (a.object < b.object ? -1 : a.object > b.object ? 1 : 0),
  );
}

/** Longer values of objects that are there or gone as a whole are cut. */
const SUMMARY_LENGTH = 120;

/**
 * Describes differences in lines that begin like those of a diff: `+` for additions, `-` for
 * removals, `~` for changes, with the parts below. Pure.
 *
 * @example
 * describeDifferences(diffStructures(wanted, found)) // ['+ column public.users.phone: text']
 */
export function describeDifferences(differences: readonly StructureDifference[]): string[] {
  return differences.flatMap((difference) => {
    const { kind, object, change, parts } = difference;
    if (change === 'changed') return [`~ ${kind} ${object}`, ...parts.flatMap(describePart)];
    const summary = summarise(difference);
    const said = summary === '' ? '' : `: ${summary}`;
    return [`${change === 'added' ? '+' : '-'} ${kind} ${object}${said}`];
  });
}

/** What one wants to know at once of an object that is new or gone. */
function summarise({ kind, parts, change }: StructureDifference): string {
  // The beginning of a body says less than the name.
  if (kind === 'function' || kind === 'procedure') return '';
  const said = new Map(
    parts.map(({ part, before, after }) => [part, (change === 'added' ? after : before) ?? '']),
  );
  const words =
    kind === 'column' || kind === 'domain'
      ? [
          said.get('type'),
          said.has('default') && `default ${said.get('default')}`,
          said.has('generated') && `generated ${said.get('generated')}`,
          said.has('identity') && `generated ${said.get('identity')} as identity`,
          said.has('not null') && 'not null',
        ]
      : [said.get('definition') ?? said.get('labels') ?? said.get('columns') ?? said.get('grants')];
  const text = words.filter(Boolean).join(' ').replaceAll(/\s+/g, ' ').trim();
  return text.length > SUMMARY_LENGTH ? `${text.slice(0, SUMMARY_LENGTH)} …` : text;
}

function describePart({ part, before, after }: StructurePartDifference): string[] {
  const isLong = `${before ?? ''}${after ?? ''}`.includes('\n');
  if (isLong && part === 'definition') return [`  ${part}:`, ...changedLines(before, after)];
  return [
    ...(before === undefined ? [] : linesOf(before).map((line) => `-   ${part}: ${line}`)),
    ...(after === undefined ? [] : linesOf(after).map((line) => `+   ${part}: ${line}`)),
  ].filter((line, index, lines) => !isOnBothSides(line, index, lines));
}

const linesOf = (value: string): string[] => value.split('\n');

/** Of a list of privileges only those that one side has. */
function isOnBothSides(line: string, _index: number, lines: string[]): boolean {
  return lines.includes((line.startsWith('-') ? '+' : '-') + line.slice(1));
}

function changedLines(before = '', after = ''): string[] {
  const { hunks } = structuredPatch('', '', before, after, '', '', { context: 2 });
  return hunks
    .flatMap(({ lines }) => lines)
    .filter((line) => !line.startsWith('\\'))
    .map((line) => `${line[0]}     ${line.slice(1)}`);
}
