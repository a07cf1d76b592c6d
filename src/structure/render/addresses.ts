import { quoteIdent } from '../../sql/quote.ts';
import { objectKeyOf, type StructureKind, type StructureObject } from '../structure.ts';

/** Objects with those that they are a part of. */
export interface Contents {
  objects: readonly StructureObject[];
  /** Without columns, which are found as parts. */
  byKey: ReadonlyMap<string, StructureObject>;
  /** Parts such as columns and constraints, in order, by the key of what they belong to. */
  partsOf: ReadonlyMap<string, readonly StructureObject[]>;
  /** Keys of what a partition has as a part of what its table has, by the name of that. */
  belongingTo: ReadonlyMap<string, readonly string[]>;
  /** Names of the tables and domains that have a constraint of a name, by its name with its schema. */
  constrained: ReadonlyMap<string, readonly string[]>;
}

export function indexContents(objects: readonly StructureObject[]): Contents {
  const byKey = new Map<string, StructureObject>();
  const partsOf = new Map<string, StructureObject[]>();
  const belongingTo = new Map<string, string[]>();
  const constrained = new Map<string, string[]>();
  for (const object of objects) {
    if (object.kind !== 'column') byKey.set(objectKeyOf(object), object);
    const whole = object.parts['part of'];
    if (whole !== undefined && object.parts.definition !== undefined) {
      belongingTo.set(whole, [...(belongingTo.get(whole) ?? []), objectKeyOf(object)]);
    }
    if (object.of === undefined) continue;
    if (object.kind === 'constraint') {
      const owner = byKey.get(object.of);
      const name = besideOwner(object.own, owner);
      constrained.set(name, [...(constrained.get(name) ?? []), owner?.name ?? '']);
    }
    const parts = partsOf.get(object.of);
    if (parts) parts.push(object);
    else partsOf.set(object.of, [object]);
  }
  return { objects, byKey, partsOf, belongingTo, constrained };
}

/** How statements name the kind; the others are named as they are. */
const WORDS: Partial<Record<StructureKind, string>> = {
  enum: 'type',
  'composite type': 'type',
  range: 'type',
  'base type': 'type',
  identity: 'sequence',
};

function wordOf({ kind, name }: StructureObject): string {
  return `${WORDS[kind] ?? kind} ${name}`;
}

/** What `comment on` wants to hear. */
function commentTarget(object: StructureObject, { byKey }: Contents): string {
  const owner = object.of === undefined ? undefined : byKey.get(object.of);
  if (object.kind === 'constraint' && owner?.kind === 'domain') {
    return `constraint ${object.own} on domain ${owner.name}`;
  }
  return wordOf(object);
}

const GRANT_WORDS: Partial<Record<StructureKind, string>> = {
  view: 'table',
  'materialized view': 'table',
  'foreign table': 'table',
  server: 'foreign server',
  aggregate: 'function',
  domain: 'type',
};

/** What goes with an object: its owner, its comment, its privileges. */
export function renderAttachments(object: StructureObject, contents: Contents): string[] {
  const { owner, comment, grants } = object.parts;
  const onIndex = object.parts['comment on index'];
  return [
    ...(owner === undefined || object.kind === 'identity'
      ? []
      : [`alter ${wordOf(object)} owner to ${owner};`]),
    ...(comment === undefined
      ? []
      : [`comment on ${commentTarget(object, contents)} is ${literal(comment)};`]),
    ...(onIndex === undefined
      ? []
      : [`comment on index ${indexOfConstraint(object, contents)} is ${literal(onIndex)};`]),
    ...(grants === undefined
      ? []
      : grants.split('\n').map((grant) => renderGrant(grant, object, contents))),
    ...renderMultirange(object),
    ...splitNames(object.parts['depends on extension'] ?? '').map(
      (extension) => `alter ${tiedName(object, contents)} depends on extension ${extension};`,
    ),
  ];
}

/** What is said of the type that comes with a range. */
function renderMultirange({ parts }: StructureObject): string[] {
  const { 'comment on multirange': comment, 'grants on multirange': grants = '' } = parts;
  const name = /multirange_type_name = (.*)$/s.exec(parts.definition ?? '')?.[1];
  return [
    ...(comment === undefined ? [] : [`comment on type ${name} is ${literal(comment)};`]),
    ...grants
      .split('\n')
      .filter(Boolean)
      .map((grant) => `${grant.replace(/ (?=(?:to|from) )/, ` on type ${name} `)};`),
  ];
}

/**
 * An aggregate as a statement on functions names it, with all arguments in one list. One that is
 * variadic before `order by` is the same again behind it, and is one to the server.
 */
function aggregateAsFunction(name: string): string {
  const start = beforeParenthesis(name);
  const list = name.slice(start.length + 1, -1);
  const [, direct, ordered] = /^((?:"(?:[^"]|"")*"|[^"])*?)(?:^| )ORDER BY (.*)$/s.exec(list) ?? [];
  if (direct === undefined) return `${start}(${list === '*' ? '' : list})`;
  const isVariadic = splitNames(direct).at(-1)?.startsWith('VARIADIC ');
  return `${start}(${[direct, isVariadic ? '' : ordered].filter(Boolean).join(', ')})`;
}

/** Of a constraint it is the index that can depend on an extension. */
function tiedName(object: StructureObject, contents: Contents): string {
  if (object.kind === 'constraint') return `index ${indexOfConstraint(object, contents)}`;
  if (object.kind === 'aggregate') return `function ${aggregateAsFunction(object.name)}`;
  return wordOf(object);
}

/** The index behind a constraint has its name, in the schema of the table. */
export function indexOfConstraint(object: StructureObject, { byKey }: Contents): string {
  return besideOwner(object.own, byKey.get(object.of ?? ''));
}

function besideOwner(own: string, owner: StructureObject | undefined): string {
  const table = owner?.name ?? '';
  return `${table.slice(0, table.length - (owner?.own ?? '').length)}${own}`;
}

/**
 * The name that PostgreSQL 18 gives to a not-null constraint, where it would not give it because
 * something else of the schema has it: the name is to be written then. Versions before take it and
 * forget it.
 */
export function takenNotNullName(
  owner: StructureObject,
  column: string | undefined,
  { constrained }: Contents,
): string | undefined {
  const words = [unquoteIdent(owner.own), ...(column === undefined ? [] : [unquoteIdent(column)])];
  const name = quoteWhereNeeded([...words, 'not_null'].join('_'));
  const holders = constrained.get(besideOwner(name, owner)) ?? [];
  // a constraint of its own that has the name is another one, of a version before 18
  return holders.length > 0 && !holders.includes(owner.name) ? name : undefined;
}

/** Between the privileges, which may be of columns, and the role. */
const BEFORE_GRANTEE =
  /(?<=^(?:grant|revoke) [a-z]+(?: \((?:"(?:[^"]|"")*"|[^")])*\))?(?:, [a-z]+(?: \((?:"(?:[^"]|"")*"|[^")])*\))?)*) (?=(?:to|from) )/;

function renderGrant(grant: string, object: StructureObject, { byKey }: Contents): string {
  const [, direction, privileges = '', rest] =
    /^(grant|revoke) ([a-z, ]+?) ((?:to|from) .*)$/s.exec(grant) ?? [];
  if (object.kind === 'privileges') return `${grant.replace(BEFORE_GRANTEE, ` ${object.name} `)};`;
  if (object.kind === 'default privileges') {
    const type = object.name.slice(object.own.length);
    return `alter default privileges ${object.own} ${direction} ${privileges}${type} ${rest};`;
  }
  if (object.kind === 'column') {
    const columns = privileges.split(', ').map((privilege) => `${privilege} (${object.own})`);
    const table = byKey.get(object.of ?? '')?.name;
    return `${direction} ${columns.join(', ')} on table ${table} ${rest};`;
  }
  const word = GRANT_WORDS[object.kind] ?? WORDS[object.kind] ?? object.kind;
  const name = object.kind === 'aggregate' ? aggregateAsFunction(object.name) : object.name;
  return `${direction} ${privileges} on ${word} ${name} ${rest};`;
}

/** Text as a literal for people: only where it has a backslash it needs the long form. */
function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? `E${quoted}` : quoted;
}

/** The name of a routine without its arguments: `public."f("` of `public."f("(integer)`. */
export function beforeParenthesis(name: string): string {
  return /^(?:"(?:[^"]|"")*"|[^"(])*/.exec(name)?.[0] ?? name;
}

/** The table of a column: `public."a.b"` of `public."a.b".id`. */
export function beforeLastDot(name: string): string {
  return name.replace(/\.(?:"(?:[^"]|"")*"|[^".]+)$/, '');
}

/** Splits `public.a, public."b, c"`. */
export function splitNames(names: string): string[] {
  return names.match(/(?:"(?:[^"]|"")*"|[^,"])+/g)?.map((name) => name.trim()) ?? [];
}

/** A name as it stands in the catalogs. */
export function unquoteIdent(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

/** For names that are no key words. */
export function quoteWhereNeeded(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoteIdent(name);
}
