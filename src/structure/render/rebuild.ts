import {
  objectKeyOf,
  type Structure,
  type StructureKind,
  type StructureObject,
} from '../structure.ts';
import { indexContents } from './addresses.ts';
import { unitsOf } from './structure.ts';
import { orderUnits, type Unit } from './unit.ts';

/** Something that is taken down and made again as it was. */
export interface RebuiltPart {
  /** Such as `view public.a`; that of a refresh begins with `refresh`. */
  key: string;
  /** Keys of what has to be there first. */
  needs: readonly string[];
  /** Makes it, with all that was said of it. */
  make: string[];
  /**
   * The same for what others make in another form: its owner, comments and privileges alone.
   *
   * @param columns those that it has now; what was said of others is left out
   */
  attach(columns: ReadonlySet<string>): string[];
}

/** What replacing an object takes, where that cannot be done in place. */
export interface Rebuild {
  /** In the order in which they are made: the object itself, and all that depends on it. */
  parts: RebuiltPart[];
  /** Removes them, the last one first. */
  drops: string[];
  /** Keys of what depends on it and cannot be taken down, because rows or other objects would go with it. */
  refused: string[];
}

/** Whole objects that are nothing but a definition. */
const WHOLE: ReadonlySet<StructureKind> = new Set([
  ...(['view', 'materialized view', 'function', 'procedure'] as const),
]);

/** What hangs on another object: the first three also on tables, which stay. */
const ON_TABLES: ReadonlySet<StructureKind> = new Set(['trigger', 'rule', 'policy'] as const);
const ON_VIEWS: ReadonlySet<StructureKind> = new Set(['column', 'index', 'statistics'] as const);

/**
 * Plans how an object and what depends on it is taken down and made again. Pure.
 *
 * @param structure with owners, of all schemas that have a part in it
 * @param root the key of the object
 * @param keepsRoot whether what hangs on the object itself, such as its triggers, is a part too
 * @example
 * const { drops, parts, refused } = planRebuild(structure, 'view public.active_users');
 */
export function planRebuild(structure: Structure, root: string, keepsRoot = true): Rebuild {
  const closure = closureOf(structure.objects, root);
  const keys = new Set(closure.map(objectKeyOf));
  const refused = closure.filter((object) => !isRebuilt(object, keys)).map(objectKeyOf);
  const contents = indexContents(structure.objects);
  const units = closure
    .filter(({ kind }) => kind !== 'column')
    // Nothing is there to need it meanwhile, so no stand-in is.
    .flatMap((object) => unitsOf(object, contents, () => false))
    .map(({ early: _, ...unit }): Unit => unit);
  const unitOf = new Map(units.map((unit) => [unit.statements, unit]));
  const ordered = orderUnits(units).flatMap((statements) => unitOf.get(statements) ?? []);
  const byKey = new Map(closure.map((object) => [objectKeyOf(object), object]));
  const attach = (key: string) => (columns: ReadonlySet<string>) => {
    const object = byKey.get(key);
    if (!object || !WHOLE.has(object.kind)) return [];
    const left = structure.objects.filter(
      ({ kind, of, own }) => kind !== 'column' || of !== key || columns.has(own),
    );
    const [unit] = unitsOf(object, indexContents(left), () => false);
    // The first statement makes it.
    return unit?.statements.slice(1) ?? [];
  };
  const isOfRoot = ({ keys: [key = ''] }: Unit) =>
    byKey.get(key)?.of === root || key === `refresh ${root}`;
  return {
    refused,
    parts: ordered
      .filter((unit) => keepsRoot || !isOfRoot(unit))
      .map(({ keys: [key = ''], needs, statements }) => ({
        ...{ key, needs: needs.filter((one) => keys.has(one)), make: statements },
        attach: attach(key),
      })),
    drops: ordered
      .flatMap(({ keys: [key = ''] }) => byKey.get(key) ?? [])
      .flatMap((object) => dropSql(object, keys, byKey, structure.objects))
      .reverse(),
  };
}

/** The object and all that depends on it, over however many steps. */
function closureOf(objects: readonly StructureObject[], root: string): StructureObject[] {
  const users = new Map<string, StructureObject[]>();
  for (const object of objects) {
    for (const key of [...object.dependsOn, ...(object.of === undefined ? [] : [object.of])]) {
      const list = users.get(key);
      if (list) list.push(object);
      else users.set(key, [object]);
    }
  }
  const first = objects.filter((object) => objectKeyOf(object) === root);
  const found = new Set(first);
  for (const object of found) {
    for (const user of users.get(objectKeyOf(object)) ?? []) found.add(user);
  }
  return [...found];
}

function isRebuilt({ kind, of }: StructureObject, keys: ReadonlySet<string>): boolean {
  if (WHOLE.has(kind) || ON_TABLES.has(kind)) return true;
  return ON_VIEWS.has(kind) && of !== undefined && keys.has(of);
}

/** What goes with its view needs no statement. */
function dropSql(
  { kind, name, own, of }: StructureObject,
  keys: ReadonlySet<string>,
  byKey: ReadonlyMap<string, StructureObject>,
  objects: readonly StructureObject[],
): string[] {
  if (WHOLE.has(kind)) return [`drop ${kind} ${name};`];
  if (of === undefined || keys.has(of) || !ON_TABLES.has(kind)) return [];
  const owner = byKey.get(of) ?? objects.find((object) => objectKeyOf(object) === of);
  return owner ? [`drop ${kind} ${own} on ${owner.name};`] : [];
}
