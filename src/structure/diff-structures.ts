import {
  objectKeyOf,
  STRUCTURE_KINDS,
  type Structure,
  type StructureKind,
  type StructureObject,
} from './structure.ts';

/** One part of an object that is not the same; undefined where a side does not have it. */
export interface PartDifference {
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
  /** What it is a part of, such as `table public.users`. */
  of?: string;
  parts: PartDifference[];
}

/**
 * Compares two structures. What is added or removed as a whole is one difference, without one for
 * each of its parts; of a changed object only the parts that differ are told. Pure.
 *
 * @returns in the order of a structure; empty where nothing differs
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

function differingParts(before: StructureObject, after: StructureObject): PartDifference[] {
  const names = new Set([...Object.keys(before.parts), ...Object.keys(after.parts)]);
  return [...names].sort().flatMap((part): PartDifference[] => {
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
