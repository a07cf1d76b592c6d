import { type DistributionRow, describeDistributions } from '../../citus/distribution.ts';
import type { Row } from '../../connection/session.ts';
import { splitNames } from '../render/addresses.ts';
import {
  objectKeyOf,
  STRUCTURE_KINDS,
  type Structure,
  type StructureKind,
  type StructureObject,
} from '../structure.ts';
import { CATALOG, type KindQuery } from './catalogs.ts';
import { inheritParts, settleExpression } from './settle.ts';

export interface QueryResult {
  query: KindQuery;
  rows: Row[];
}

/** What is read for all kinds at once. */
interface SharedRows {
  comments: Row[];
  privileges: Row[];
  foreignPrivileges: Row[];
  extensionTies: Row[];
  dependencies: Row[];
  standIns: Row[];
  unsaidNames: Row[];
  roles: Row[];
  /** Of a Citus cluster; else empty. */
  distributions: Row[];
}

/** An object with what is known of it only as long as it is put together. */
export interface DraftObject extends StructureObject {
  row: Row;
  /** It is an object only where something is said about it. */
  isDropped?: boolean;
  /** The column whose mark says all of it, unless something is said about it. */
  saidBy?: DraftObject;
}

/** Columns of the rows that are no parts. */
const BOOKKEEPING = new Set([
  ...['oid', 'sub', 'kind', 'name', 'own', 'ofOid', 'ofSub', 'ofCatalog', 'ownerOid', 'aliases'],
  ...['contype', 'column', 'schemaOid', 'isPlainNotNull', 'isLocal', 'isInherited', 'parentOid'],
  ...['usualStorage'],
]);

/** Parts that are or hold expressions. */
const WITH_EXPRESSIONS = new Set([
  ...['definition', 'default', 'generated', 'using', 'check', 'bound', 'partition by', 'tables'],
]);

/** Kinds whose names hold for the whole table only. */
const NAMED_ON: ReadonlySet<StructureKind> = new Set([
  ...(['constraint', 'rule', 'trigger', 'policy'] as const),
]);

/** More columns than a table can have. */
const SUBS = 4096;

/** Objects by what the system catalogs refer to them by: catalog, oid, and the number of a column. */
export class DraftIndex {
  readonly #catalogs = new Map<number, Map<number, DraftObject>>();

  add(object: DraftObject, catalog: number, oid: unknown, sub: unknown = 0): void {
    let objects = this.#catalogs.get(catalog);
    if (!objects) {
      objects = new Map();
      this.#catalogs.set(catalog, objects);
    }
    objects.set(Number(oid) * SUBS + Number(sub), object);
  }

  find(catalog: unknown, oid: unknown, sub: unknown = 0): DraftObject | undefined {
    return this.#catalogs.get(Number(catalog))?.get(Number(oid) * SUBS + Number(sub));
  }
}

/** Puts the rows of the catalogs together, and leaves their oids behind. */
export function makeObjects(
  results: QueryResult[],
  shared: SharedRows,
  withOwners: boolean,
): Pick<Structure, 'objects' | 'searchPath'> {
  const index = new DraftIndex();
  const drafts = results.flatMap(({ query, rows }) => {
    const made = rows.map((row) => makeDraft(query, row, index));
    return made.filter((draft) => draft !== undefined);
  });
  mendColumns(drafts, index);
  inheritParts(drafts, index);
  addComments(shared.comments, index);
  addDistributions(shared.distributions, index);
  addPrivileges(shared.privileges, drafts, index);
  drafts.push(...makeForeignPrivileges(shared.foreignPrivileges, index));
  addExtensionTies(shared.extensionTies, index);
  addDependencies(shared, index);
  if (withOwners) addOwners(drafts, shared.roles);
  const searchPath = findSearchPath(shared.unsaidNames, drafts, index);
  const objects = sortObjects(dropUnsaid(drafts)).map(
    ({ row: _, isDropped: __, saidBy: ___, ...object }) => ({
      ...object,
      dependsOn: [...new Set(object.dependsOn)].sort(),
    }),
  );
  return { objects, searchPath };
}

/** The schemas that a statement has to find things in, where its text does not name them. */
function findSearchPath(rows: Row[], drafts: DraftObject[], index: DraftIndex): string[] {
  const meant = rows.filter(
    ({ catalog, oid, sub }) => index.find(catalog, oid, sub) ?? index.find(catalog, oid),
  );
  const operators = meant.flatMap(({ schema }) => (schema === null ? [] : [String(schema)]));
  const isFunctionMeant = operators.length < meant.length;
  // a function may name whatever is there
  const all = drafts.flatMap(({ kind, own, parts }) =>
    kind === 'schema' ? [own] : kind === 'extension' ? [parts.schema ?? ''] : [],
  );
  return [...new Set([...operators, ...(isFunctionMeant ? all : [])])].filter(Boolean).sort();
}

function makeDraft(query: KindQuery, row: Row, index: DraftIndex): DraftObject | undefined {
  const { oid, sub = 0, ofOid } = row;
  const kind = (query.kind ?? row.kind) as StructureKind;
  const owner =
    ofOid === undefined || ofOid === null
      ? undefined
      : index.find(row.ofCatalog ?? query.ofCatalog ?? CATALOG.class, ofOid);
  // what it is a part of was left out: it belongs to an extension
  const isPart = ofOid !== undefined && ofOid !== null && kind !== 'identity';
  if (isPart && !owner) return undefined;
  const own = String(row.own);
  const draft: DraftObject = {
    kind,
    name: nameOf(kind, own, row, owner),
    own,
    ...(owner && { of: objectKeyOf(owner) }),
    parts: partsOf(row),
    dependsOn: [],
    row,
  };
  index.add(draft, query.catalog, oid, sub);
  for (const alias of String(row.aliases ?? '')
    .split(' ')
    .filter(Boolean)) {
    const [catalog, other] = alias.split(':');
    index.add(draft, Number(catalog), other);
  }
  return draft;
}

function nameOf(
  kind: StructureKind,
  own: string,
  row: Row,
  owner: DraftObject | undefined,
): string {
  if (kind === 'column') return `${owner?.name}.${own}`;
  if (NAMED_ON.has(kind)) return `${own} on ${owner?.name}`;
  return String(row.name ?? own);
}

function partsOf(row: Row): Record<string, string> {
  const parts: Record<string, string> = {};
  for (const [name, value] of Object.entries(row)) {
    if (value === null || value === '' || BOOKKEEPING.has(name)) continue;
    parts[name] = WITH_EXPRESSIONS.has(name) ? settleExpression(String(value)) : String(value);
  }
  return parts;
}

function addComments(rows: Row[], index: DraftIndex): void {
  for (const { catalog, oid, sub, comment } of rows) {
    const object = index.find(catalog, oid, sub);
    if (!object) continue;
    // an index behind a constraint has a comment of its own
    const isIndex = catalog === CATALOG.class && object.kind === 'constraint';
    const part = isIndex ? 'comment on index' : 'comment';
    object.parts[isMultirange(object, oid) ? 'comment on multirange' : part] = String(comment);
  }
}

function addDistributions(rows: Row[], index: DraftIndex): void {
  const words = describeDistributions(rows as unknown as DistributionRow[]);
  for (const { oid, isSchema } of rows) {
    const object = index.find(isSchema ? CATALOG.namespace : CATALOG.class, oid);
    const said = words.get(Number(oid));
    // A partition is distributed with its table.
    if (object && said !== undefined && object.parts['partition of'] === undefined)
      object.parts.distribution = said;
  }
}

function addPrivileges(rows: Row[], drafts: DraftObject[], index: DraftIndex): void {
  for (const { catalog, oid, sub, direction, grantee, privileges, isGrantable } of rows) {
    const object = index.find(catalog, oid, sub);
    if (!object) continue;
    const part = isMultirange(object, oid) ? GRANTS_ON_MULTIRANGE : 'grants';
    const said = sayGrant({ direction, privileges, grantee, isGrantable });
    object.parts[part] = [object.parts[part], said].filter(Boolean).join('\n');
  }
  for (const { parts } of drafts) {
    if (parts[GRANTS_ON_MULTIRANGE] === parts.grants) delete parts[GRANTS_ON_MULTIRANGE];
  }
}

/**
 * Before PostgreSQL 17 a multirange has privileges of its own, after that those of its range. They are
 * told where it has others: default privileges give both the same.
 */
const GRANTS_ON_MULTIRANGE = 'grants on multirange';

/** Whether what the catalogs mean is not the range itself. */
function isMultirange({ kind, row }: DraftObject, oid: unknown): boolean {
  return kind === 'range' && Number(row.oid) !== Number(oid);
}

function sayGrant({ direction, privileges, grantee, isGrantable }: Row): string {
  const way = direction === 'grant' ? 'to' : 'from';
  return `${direction} ${privileges} ${way} ${grantee}${isGrantable ? ' with grant option' : ''}`;
}

/** Privileges that the user changed on what PostgreSQL or an extension made. */
function makeForeignPrivileges(rows: Row[], index: DraftIndex): DraftObject[] {
  const objects = new Map<string, DraftObject>();
  for (const row of rows) {
    const extension = index.find(CATALOG.extension, row.extension ?? 0);
    // the extension was left out, and what it brought with it
    if (row.extension !== null && !extension && Number(row.extension) >= 16384) continue;
    const name = `on ${row.name}`;
    const draft: DraftObject = objects.get(name) ?? {
      ...{ kind: 'privileges', name, own: name, parts: {}, row },
      dependsOn: extension ? [objectKeyOf(extension)] : [],
    };
    draft.parts.grants = [draft.parts.grants, sayGrant(row)].filter(Boolean).join('\n');
    objects.set(name, draft);
  }
  return [...objects.values()];
}

function addExtensionTies(rows: Row[], index: DraftIndex): void {
  for (const { catalog, oid, extension } of rows) {
    const object = index.find(catalog, oid);
    const needed = index.find(CATALOG.extension, extension);
    if (!object || !needed) continue;
    const names = [...splitNames(object.parts['depends on extension'] ?? ''), needed.name].sort();
    object.parts['depends on extension'] = names.join(', ');
    object.dependsOn.push(objectKeyOf(needed));
  }
}

function addDependencies({ dependencies, standIns }: SharedRows, index: DraftIndex): void {
  for (const { catalog, oid, relation, sub } of standIns) {
    const meant = index.find(CATALOG.class, relation, sub) ?? index.find(CATALOG.class, relation);
    if (meant) index.add(meant, Number(catalog), oid);
  }
  for (const { catalog, oid, sub, refCatalog, refOid } of dependencies) {
    const object = index.find(catalog, oid, sub) ?? index.find(catalog, oid);
    const needed = index.find(refCatalog, refOid);
    if (!object || !needed || object === needed) continue;
    // that a check mentions columns of its own table goes without saying
    const key = objectKeyOf(needed);
    if (key !== object.of) object.dependsOn.push(key);
  }
}

function addOwners(drafts: DraftObject[], roles: Row[]): void {
  const names = new Map(roles.map(({ oid, name }) => [String(oid), String(name)]));
  for (const { row, parts } of drafts) {
    const owner = names.get(String(row.ownerOid));
    if (owner !== undefined) parts.owner = owner;
  }
}

/** Columns of views and plain not-null constraints are objects only where something is said about them. */
function dropUnsaid(drafts: DraftObject[]): DraftObject[] {
  return drafts.filter(({ saidBy, isDropped, parts }) => {
    if (!saidBy) return !isDropped || Object.keys(parts).length > 0;
    if (parts.comment === undefined) return false;
    delete saidBy.parts['not null'];
    return true;
  });
}

/** By kind and name; columns in the order of their table. */
function sortObjects(drafts: DraftObject[]): DraftObject[] {
  const ranks = new Map<string, number>(STRUCTURE_KINDS.map((kind, rank) => [kind, rank]));
  const sortKey = ({ kind, name, of }: DraftObject) => (kind === 'column' ? (of ?? '') : name);
  return drafts.sort(
    (a, b) =>
      (ranks.get(a.kind) ?? 0) - (ranks.get(b.kind) ?? 0) ||
      compareText(sortKey(a), sortKey(b)) ||
      (a.kind === 'column' && b.kind === 'column' ? Number(a.row.sub) - Number(b.row.sub) : 0),
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * A column of a view says nothing of itself. Tables get the order of their columns, identity columns
 * their sequence.
 */
function mendColumns(drafts: DraftObject[], index: DraftIndex): void {
  const byTable = new Map<string, DraftObject[]>();
  for (const draft of drafts) {
    if (draft.kind === 'column' && draft.of) getList(byTable, draft.of).push(draft);
    else if (draft.kind === 'identity') linkIdentity(draft, index);
  }
  const relations = drafts.filter((draft) => byTable.has(objectKeyOf(draft)));
  for (const relation of relations) {
    if (relation.kind === 'view' || relation.kind === 'materialized view') {
      const columns = byTable.get(objectKeyOf(relation)) ?? [];
      addViewColumns(relation, columns);
      for (const column of columns) quietViewColumn(column);
    } else {
      addColumnOrder(relation, byTable.get(objectKeyOf(relation)) ?? []);
    }
  }
}

function getList(lists: Map<string, DraftObject[]>, key: string): DraftObject[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

function linkIdentity(draft: DraftObject, index: DraftIndex): void {
  const column = index.find(CATALOG.class, draft.row.ofOid, draft.row.ofSub);
  if (column) draft.of = objectKeyOf(column);
}

/** Only a view that is needed by what it needs itself is made from this; see `renderStructure`. */
function addViewColumns(view: DraftObject, columns: DraftObject[]): void {
  const said = columns.map(({ own, parts }) => {
    const collation = parts.collation ? ` collate ${parts.collation}` : '';
    return `null::${parts.type}${collation} as ${own}`;
  });
  view.parts.columns = said.join(', ');
}

/** Its type is said by the view's definition. */
function quietViewColumn(column: DraftObject): void {
  const { type: _, collation: __, 'not null': ___, ...said } = column.parts;
  column.parts = said;
  column.isDropped = true;
}

function addColumnOrder(relation: DraftObject, columns: DraftObject[]): void {
  relation.parts.columns = columns.map(({ own }) => own).join(', ');
}
