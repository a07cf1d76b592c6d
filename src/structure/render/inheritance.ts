import { splitNames } from '../columns.ts';
import { objectKeyOf, type StructureObject } from '../structure.ts';
import type { Contents } from './addresses.ts';

function parentsOf(
  { parts }: StructureObject,
  { byKey }: Contents,
): (StructureObject | undefined)[] {
  const names = splitNames(parts['partition of'] ?? parts.inherits ?? '');
  return names.map((name) => byKey.get(`table ${name}`) ?? byKey.get(`foreign table ${name}`));
}

/**
 * Whether a child got its parents after it was made: its columns stand in another order than
 * `inherits` or `partition of` would give them.
 */
export function isAttachedLater(table: StructureObject, contents: Contents): boolean {
  const parents = parentsOf(table, contents);
  const names = splitNames(table.parts.columns ?? '');
  // what is not read here cannot be compared
  if (parents.length === 0 || parents.includes(undefined)) return false;
  const inherited = new Set(parents.flatMap((parent) => splitNames(parent?.parts.columns ?? '')));
  const expected = [...inherited, ...names.filter((name) => !inherited.has(name))];
  return expected.join() !== names.join();
}

/** All columns of a child in its own order, with what they have from its parents. */
export function effectiveColumns(table: StructureObject, contents: Contents): StructureObject[] {
  const own = (contents.partsOf.get(objectKeyOf(table)) ?? []).filter(
    ({ kind }) => kind === 'column',
  );
  const parents = parentsOf(table, contents).filter((parent) => parent !== undefined);
  if (parents.length === 0) return own;
  const inherited = parents.flatMap((parent) => effectiveColumns(parent, contents));
  return splitNames(table.parts.columns ?? '').flatMap((name) => {
    const from = inherited.find((column) => column.own === name);
    const mine = own.find((column) => column.own === name);
    if (!from) return mine ? [mine] : [];
    // an identity, a comment and privileges belong to the parent's column alone
    const { identity: _, comment: __, grants: ___, ...parts } = from.parts;
    const merged = { ...parts, ...mine?.parts };
    if (merged.default === 'none') delete merged.default;
    const column: StructureObject = {
      kind: 'column',
      name: `${table.name}.${name}`,
      own: name,
      of: objectKeyOf(table),
      parts: merged,
      dependsOn: [...from.dependsOn, ...(mine?.dependsOn ?? [])],
    };
    return [column];
  });
}

/** Checks that a table must have before it can become a child. */
export function inheritedChecks(table: StructureObject, contents: Contents): StructureObject[] {
  return parentsOf(table, contents).flatMap((parent) => {
    if (!parent) return [];
    const own = (contents.partsOf.get(objectKeyOf(parent)) ?? []).filter(
      ({ kind, parts }) =>
        kind === 'constraint' &&
        /^CHECK/.test(parts.definition ?? '') &&
        !/ NO INHERIT/.test(parts.definition ?? ''),
    );
    return [...inheritedChecks(parent, contents), ...own];
  });
}

export function attachStatements({ name, parts }: StructureObject): string[] {
  const parent = parts['partition of'];
  if (parent !== undefined) {
    return [`alter table only ${parent} attach partition ${name} ${parts.bound};`];
  }
  return splitNames(parts.inherits ?? '').map((one) => `alter table ${name} inherit ${one};`);
}
