import { objectKeyOf, type StructureObject } from '../structure.ts';
import { type Contents, quoteWhereNeeded, splitNames, unquoteIdent } from './addresses.ts';

type Parts = StructureObject['parts'];

/** The names of the tables that it has its columns from. */
export function parentNames({ parts }: Pick<StructureObject, 'parts'>): string[] {
  return splitNames(parts['partition of'] ?? parts.inherits ?? '');
}

function parentsOf(table: StructureObject, { byKey }: Contents): (StructureObject | undefined)[] {
  return parentNames(table).map(
    (name) => byKey.get(`table ${name}`) ?? byKey.get(`foreign table ${name}`),
  );
}

/** The names of all tables that a table descends from. */
export function ancestorNames(table: StructureObject, contents: Contents): string[] {
  return parentNames(table).concat(
    parentsOf(table, contents).flatMap((parent) => (parent ? ancestorNames(parent, contents) : [])),
  );
}

/**
 * Whether a child gets its parents after it is made: its columns are in another order than
 * `inherits` or `partition of` would give them, they compute other values than its parents', or a
 * constraint is its parents' under a name of its own.
 */
export function isAttachedLater(table: StructureObject, contents: Contents): boolean {
  const parents = parentsOf(table, contents);
  const names = splitNames(table.parts.columns ?? '');
  // what is not read here cannot be compared
  if (parents.length === 0 || parents.includes(undefined)) return false;
  const inherited = new Set(parents.flatMap((parent) => splitNames(parent?.parts.columns ?? '')));
  const expected = [...inherited, ...names.filter((name) => !inherited.has(name))];
  if (expected.join() !== names.join()) return true;
  const computes = ({ own, parts }: StructureObject) =>
    inherited.has(own) && parts.generated !== undefined;
  return (
    ownColumns(table, contents).some(computes) ||
    conflictsOf('generated', table, contents).length > 0 ||
    constraintsOf(table, contents).some(({ parts }) => parts.inherited !== undefined)
  );
}

function ownColumns(table: StructureObject, { partsOf }: Contents): StructureObject[] {
  return (partsOf.get(objectKeyOf(table)) ?? []).filter(({ kind }) => kind === 'column');
}

/** Settings of a column that its table's children are made without. */
export const NEVER_INHERITED = ['statistics', 'options', 'foreign options'];

/** What a child gets from its parents where it says nothing: of defaults the first that there is. */
export function combined(parents: readonly Parts[]): Parts {
  const given = { ...parents[0] };
  for (const part of ['default', 'not null']) {
    const value = parents.find((one) => one[part] !== undefined)?.[part];
    if (value !== undefined) given[part] = value;
  }
  return given;
}

/** All columns of a child in its own order, with what they have from its parents. */
export function effectiveColumns(table: StructureObject, contents: Contents): StructureObject[] {
  const own = ownColumns(table, contents);
  const parents = parentsOf(table, contents).filter((parent) => parent !== undefined);
  if (parents.length === 0) return own;
  const inherited = parents.flatMap((parent) =>
    effectiveColumns(parent, contents).map((column) => nameNotNull(column, parent)),
  );
  const named = notNullsOf(table, contents);
  return splitNames(table.parts.columns ?? '').flatMap((name) => {
    const from = inherited.filter((column) => column.own === name);
    const mine = own.find((column) => column.own === name);
    if (from.length === 0) return mine ? [mine] : [];
    // an identity, a comment and privileges belong to the parent's column alone
    const { identity: _, comment: __, grants: ___, ...parts } = combined(from.map((c) => c.parts));
    for (const part of NEVER_INHERITED) delete parts[part];
    const merged = { ...parts, ...mine?.parts };
    if (merged.default === 'none') delete merged.default;
    if (merged.compression === 'default') delete merged.compression;
    if (named.has(name)) delete merged['not null'];
    const column: StructureObject = {
      kind: 'column',
      name: `${table.name}.${name}`,
      own: name,
      of: objectKeyOf(table),
      parts: merged,
      dependsOn: [...from.flatMap((one) => one.dependsOn), ...(mine?.dependsOn ?? [])],
    };
    return [column];
  });
}

/** From PostgreSQL 18 on a child has the name of its parent's, also where its mark says it. */
function nameNotNull(column: StructureObject, { own }: StructureObject): StructureObject {
  const { 'not null': notNull, ...others } = column.parts;
  if (notNull === 'none') return { ...column, parts: others };
  if (notNull === undefined || column.parts['not null name']) return column;
  const name = `${unquoteIdent(own)}_${unquoteIdent(column.own)}_not_null`;
  return { ...column, parts: { ...column.parts, 'not null name': quoteWhereNeeded(name) } };
}

const NOT_NULL = /^NOT NULL ((?:"(?:[^"]|"")*"|[^" ])+)/;

function constraintsOf(table: StructureObject, { partsOf }: Contents): StructureObject[] {
  return (partsOf.get(objectKeyOf(table)) ?? []).filter(({ kind }) => kind === 'constraint');
}

/** The columns whose not null is a constraint of the table itself. */
function notNullsOf(table: StructureObject, contents: Contents): Set<string> {
  return new Set(
    constraintsOf(table, contents).flatMap(
      ({ parts }) => NOT_NULL.exec(parts.definition ?? '')?.[1] ?? [],
    ),
  );
}

/** Constraints that a table must have before it can become a child, but not those that it has itself. */
export function inheritedConstraints(
  table: StructureObject,
  contents: Contents,
): StructureObject[] {
  const mine = new Set(constraintsOf(table, contents).map(({ own }) => own));
  const named = notNullsOf(table, contents);
  return parentsOf(table, contents).flatMap((parent) => {
    if (!parent) return [];
    const theirs = constraintsOf(parent, contents).filter(({ parts }) =>
      // one that is not valid comes later, to its children too
      /^(CHECK|NOT NULL)(?!.* (NO INHERIT|NOT VALID)\b)/s.test(parts.definition ?? ''),
    );
    return [...inheritedConstraints(parent, contents), ...theirs].filter(
      ({ own, parts }) =>
        !mine.has(own) && !named.has(NOT_NULL.exec(parts.definition ?? '')?.[1] ?? ''),
    );
  });
}

/** A column that two parents say differently, which no table can inherit from both. */
interface Conflict {
  parent: string;
  column: string;
  said: string;
}

/** What parents say of a column differently than the first that says something. */
export function conflictsOf(
  part: 'default' | 'generated',
  table: StructureObject,
  contents: Contents,
): Conflict[] {
  const parents = parentsOf(table, contents).filter((parent) => parent !== undefined);
  if (parents.length < 2) return [];
  const first = new Map<string, string>();
  return parents.flatMap((parent) =>
    effectiveColumns(parent, contents).flatMap(({ own, parts }) => {
      const said = parts[part];
      if (said === undefined) return [];
      const before = first.get(own);
      if (before === undefined) first.set(own, said);
      const isOther = before !== undefined && before !== said;
      return isOther ? [{ parent: parent.name, column: own, said }] : [];
    }),
  );
}

export function attachStatements({ name, parts }: StructureObject): string[] {
  const parent = parts['partition of'];
  if (parent !== undefined) {
    return [`alter table only ${parent} attach partition ${name} ${parts.bound};`];
  }
  return splitNames(parts.inherits ?? '').map((one) => `alter table ${name} inherit ${one};`);
}
