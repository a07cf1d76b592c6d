import { indexContents } from '../render/addresses.ts';
import { combined, isAttachedLater, NEVER_INHERITED, parentNames } from '../render/inheritance.ts';
import { objectKeyOf } from '../structure.ts';
import { CATALOG } from './catalogs.ts';
import type { DraftIndex, DraftObject } from './objects.ts';

/*
 * A structure is worded the same before and after it was loaded: what a table has from its parents is
 * told with them, and expressions as PostgreSQL words them once it has read its own words.
 */

type Parts = Record<string, string>;

/** A table with its parents and what it consists of, as the catalogs have it. */
interface Family {
  table: DraftObject;
  parents: DraftObject[];
  isPartition: boolean;
}

/**
 * What a table has from its parents is theirs, and is left out; what it has as well, or has
 * differently, is its own. Not-null constraints are constraints from PostgreSQL 18 on: a column says
 * `not null` for those that have the name PostgreSQL gives them, as it does before 18.
 */
export function inheritParts(drafts: DraftObject[], index: DraftIndex): void {
  const byTable = groupBy(
    drafts.filter(
      ({ kind, of }) => of !== undefined && (kind === 'column' || kind === 'constraint'),
    ),
    ({ of }) => of ?? '',
  );
  const partsOf = (table: DraftObject) => byTable.get(objectKeyOf(table)) ?? [];
  const families = familiesOf(drafts);
  markNotNulls(drafts, index, new Set(families.map(({ table }) => objectKeyOf(table))));
  const columns = families.flatMap((family) => inheritColumns(family, partsOf));
  // not before all were compared: parents may be children too
  for (const { column, parts } of columns) {
    column.parts = parts;
    column.isDropped = true;
  }
  const constraints = families.flatMap((family) => inheritConstraints(family, partsOf, index));
  for (const { constraint, parts } of constraints) {
    constraint.parts = parts;
    constraint.isDropped = true;
  }
  const contents = indexContents(drafts.filter(isSaid));
  const same = new Set(constraints.flatMap((one) => (one.isSame ? [one.constraint] : [])));
  for (const { table } of families) {
    if (isAttachedLater(table, contents)) forgetLocal(partsOf(table), same);
  }
}

const isSaid = ({ isDropped, parts }: DraftObject) => !isDropped || Object.keys(parts).length > 0;

/** In a table that is made before it is attached all is local; that it was not cannot be made again. */
function forgetLocal(parts: DraftObject[], same: Set<DraftObject>): void {
  for (const part of parts) {
    const { kind, row, parts: said } = part;
    delete said.local;
    if (same.has(part)) part.parts = {};
    else if (kind !== 'constraint' || row.isInherited !== true || row.contype === 'f') continue;
    else if (said.definition !== undefined && !said['attached to']) said.inherited = 'yes';
  }
}

/** Tables whose parents are read; of the others all is told. */
function familiesOf(drafts: DraftObject[]): Family[] {
  const tables = drafts.filter(({ kind }) => kind === 'table' || kind === 'foreign table');
  const byName = new Map(tables.map((table) => [table.name, table]));
  return tables.flatMap((table) => {
    const parents = parentNames(table).flatMap((name) => byName.get(name) ?? []);
    const isPartition = table.parts['partition of'] !== undefined;
    return parents.length > 0 ? [{ table, parents, isPartition }] : [];
  });
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

type PartsOf = (table: DraftObject) => DraftObject[];

/** The constraint takes the place of the column's mark, or the mark the place of the constraint. */
function markNotNulls(drafts: DraftObject[], index: DraftIndex, children: Set<string>): void {
  const names = groupBy(
    drafts.filter(({ kind, row }) => kind === 'constraint' && row.isInherited !== true),
    ({ row }) => `${row.schemaOid} ${row.own}`,
  );
  for (const draft of drafts) {
    const { kind, row, of = '' } = draft;
    if (kind !== 'constraint' || row.contype !== 'n') continue;
    const column = index.find(CATALOG.class, row.ofOid, row.column);
    // no column of a child can say a name that is taken
    const isTaken = names.get(`${row.schemaOid} ${row.own}`)?.some((other) => other !== draft);
    const isTheirs = (isTaken || row.isInherited === true) && children.has(of);
    if (column && row.isPlainNotNull === true && !isTheirs) draft.saidBy = column;
    else if (column) delete column.parts['not null'];
    else if (row.isPlainNotNull === true) draft.isDropped = true;
  }
}

function inheritColumns({ table, parents, isPartition }: Family, partsOf: PartsOf) {
  const theirs = groupBy(
    parents.flatMap((parent) => partsOf(parent).filter(({ kind }) => kind === 'column')),
    ({ own }) => own,
  );
  return partsOf(table).flatMap((column) => {
    const inherited = column.kind === 'column' ? theirs.get(column.own) : undefined;
    if (!inherited) return [];
    const parts = differing(column, combined(inherited.map((one) => one.parts)));
    if (column.row.isLocal === true && !isPartition) parts.local = 'yes';
    return [{ table, column, parts }];
  });
}

/** What a child differs in from what it gets; where it goes without, that is said. */
function differing({ parts, row }: DraftObject, inherited: Parts): Parts {
  const isOwn = ([name, value]: [string, string]) =>
    NEVER_INHERITED.includes(name) || inherited[name] !== value;
  const result = Object.fromEntries(Object.entries(parts).filter(isOwn));
  const lacks = (part: string) => inherited[part] !== undefined && parts[part] === undefined;
  if (lacks('default')) result.default = 'none';
  if (lacks('storage')) result.storage = String(row.usualStorage);
  if (lacks('compression')) result.compression = 'default';
  // from PostgreSQL 18 on it may have a constraint instead of the mark
  if (lacks('not null') && row['not null'] === null) result['not null'] = 'none';
  return result;
}

/**
 * Of what a parent has too: nothing where it only is the parent's; that it is valid where the
 * parent's is not; else all.
 */
function inheritConstraints({ table, parents }: Family, partsOf: PartsOf, index: DraftIndex) {
  return partsOf(table).flatMap((constraint) => {
    const { kind, row, own, parts } = constraint;
    if (kind !== 'constraint' || row.isInherited !== true || parts['attached to'] !== undefined)
      return [];
    const theirs =
      row.contype === 'f'
        ? [index.find(CATALOG.constraint, row.parentOid)].filter((one) => one !== undefined)
        : parents.flatMap((parent) => partsOf(parent).filter((one) => areAlike(constraint, one)));
    const same = theirs.filter((other) => other.own === own);
    const isSame = same.some((other) => other.parts.definition === parts.definition);
    const said = ownWords(constraint, same, isSame);
    const isForeignKey = row.contype === 'f' && theirs[0] !== undefined;
    if (isForeignKey && Object.keys(said).length > 0) said['part of'] = theirs[0]?.name ?? '';
    return [{ constraint, parts: said, isSame }];
  });
}

function ownWords({ row, parts }: DraftObject, same: DraftObject[], isSame: boolean): Parts {
  const { definition } = parts;
  if (row.contype !== 'f' && row.isLocal === true) return { ...parts };
  if (isSame) return {};
  if (same.some((other) => other.parts.definition === `${definition} NOT VALID`)) {
    return { validated: 'yes' };
  }
  return row.contype === 'f' ? { ...parts } : { ...parts, inherited: 'yes' };
}

function areAlike(one: DraftObject, other: DraftObject): boolean {
  return other.kind === 'constraint' && other.row.contype === one.row.contype;
}

/** A quoted name, a literal, or a text between dollars: what is in it is no expression. */
const QUOTED =
  /"(?:[^"]|"")*"|E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|(\$(?:[A-Za-z_]\w*)?\$)[\s\S]*?\1/y;

const CLOSING: Record<string, string> = { '(': ')', '[': ']' };

/** An element type as `format_type` words it, in the cast of an array. */
const ARRAY_CAST = /^::((?:"(?:[^"]|"")*"|[^"'()[\],])+(?:\(\d+(?:, ?\d+)?\)[a-z ]*)?)\[\]/;

/**
 * Words an expression as PostgreSQL words it once it has read its own words: some trees come out as a
 * text that makes another tree. It moves the cast of an array into its elements
 * (`(ARRAY['a'::character varying])::text[]`, as `in (…)` on a varchar makes it), and reads
 * `((a OR b) OR c)` as one list. A list of values in `from` is a query of its own to it then, which it
 * words with a blank before `VALUES`. So a structure is worded the same before and after it was loaded.
 */
export function settleExpression(text: string): string {
  if (!/\(ARRAY\[|\(VALUES |\) (?:OR|AND) /.test(text)) return text;
  const pairs = findPairs(text);
  return pairs ? settleBetween(text, 0, text.length, pairs) : text;
}

/** The place of each closing bracket by that of the opening one; undefined where they do not match. */
function findPairs(text: string): Map<number, number> | undefined {
  const pairs = new Map<number, number>();
  const open: number[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const end = endOfQuoted(text, at);
    if (end > at) {
      at = end - 1;
      continue;
    }
    const sign = text[at] ?? '';
    if (CLOSING[sign]) open.push(at);
    else if (sign === ')' || sign === ']') {
      const begun = open.pop();
      if (begun === undefined || CLOSING[text[begun] ?? ''] !== sign) return undefined;
      pairs.set(begun, at);
    }
  }
  return open.length === 0 ? pairs : undefined;
}

function endOfQuoted(text: string, at: number): number {
  const sign = text[at];
  if (sign !== '"' && sign !== "'" && sign !== '$' && sign !== 'E') return at;
  QUOTED.lastIndex = at;
  return QUOTED.test(text) ? QUOTED.lastIndex : at;
}

type Pairs = ReadonlyMap<number, number>;

function settleBetween(text: string, from: number, to: number, pairs: Pairs): string {
  const written: string[] = [];
  for (let at = from; at < to; ) {
    const end = pairs.get(at);
    const cast = end === undefined ? undefined : castOfArray(text, at, pairs);
    if (end === undefined) {
      const next = Math.max(endOfQuoted(text, at), at + 1);
      written.push(text.slice(at, next));
      at = next;
    } else if (cast) {
      written.push(castElements(text, at + 1, cast.type, pairs));
      at = cast.end;
    } else {
      const inside = settleBetween(text, at + 1, end, pairs);
      const isPartOfList = isListInList(text, at, { from, to }, pairs);
      const blank = text.startsWith('(VALUES ', at) ? ' ' : '';
      written.push(isPartOfList ? inside : `${text[at]}${blank}${inside}${text[end]}`);
      at = end + 1;
    }
  }
  return written.join('');
}

/** For `(ARRAY[…])::type[]` the type and where it ends. */
function castOfArray(text: string, at: number, pairs: Pairs) {
  const end = pairs.get(at) ?? 0;
  if (!text.startsWith('(ARRAY[', at) || pairs.get(at + 6) !== end - 1) return undefined;
  const [all, type] = ARRAY_CAST.exec(text.slice(end + 1)) ?? [];
  return all === undefined || type === undefined ? undefined : { type, end: end + 1 + all.length };
}

/** `ARRAY[a, b]` with the cast at each element; arrays in it are gone through. */
function castElements(text: string, at: number, type: string, pairs: Pairs): string {
  const open = at + 5;
  const close = pairs.get(open) ?? text.length;
  const elements = splitAtCommas(text, open + 1, close, pairs).map(([from, to]) =>
    text.startsWith('ARRAY[', from) && pairs.get(from + 5) === to - 1
      ? castElements(text, from, type, pairs)
      : `(${settleBetween(text, from, to, pairs)})::${type}`,
  );
  return `ARRAY[${elements.join(', ')}]`;
}

function splitAtCommas(text: string, from: number, to: number, pairs: Pairs): [number, number][] {
  const items: [number, number][] = [];
  let begin = from;
  for (let at = from; at < to; ) {
    if (text[at] === ',') {
      items.push([begin, at]);
      begin = at + 2;
    }
    at = Math.max(endOfQuoted(text, at), (pairs.get(at) ?? at) + 1);
  }
  return begin < to ? [...items, [begin, to]] : items;
}

/** Whether a pair of brackets is the first of a list of `or` or `and`, and a list of the same itself. */
function isListInList(
  text: string,
  at: number,
  outer: { from: number; to: number },
  pairs: Pairs,
): boolean {
  const end = pairs.get(at) ?? 0;
  const [, word] = /^ (OR|AND) /.exec(text.slice(end + 1, end + 6)) ?? [];
  // in brackets as well, so that nothing before it binds stronger
  if (word === undefined || at !== outer.from || pairs.get(at - 1) !== outer.to) return false;
  return wordsBetween(text, at + 1, end, pairs).has(word);
}

/** Which of `or` and `and` stand between the brackets of a list; of `between … and` none is alone. */
function wordsBetween(text: string, from: number, to: number, pairs: Pairs): Set<string> {
  const words = new Set<string>();
  for (let at = from; at < to; ) {
    const end = pairs.get(at);
    const [, word] =
      end === undefined ? [] : (/^\) (OR|AND) /.exec(text.slice(end, end + 6)) ?? []);
    if (word) words.add(word);
    at = Math.max(endOfQuoted(text, at), (end ?? at) + 1);
  }
  return words;
}
