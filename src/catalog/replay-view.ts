import type { CreateTableAsStmt, IntoClause, Node, ViewStmt } from '@pgsql/types';
import { stringsOf } from '../sql/tree.ts';
import type { Catalog, Relation, RelationKind } from './catalog.ts';
import { columnsOfQuery, linkDependents } from './query-relations.ts';
import { createRelation, newRelationName } from './replay-relation.ts';

/** `create view`; one that is replaced keeps what reads it. */
export function replayView(catalog: Catalog, { view, query, aliases, replace }: ViewStmt): void {
  if (view === undefined) return;
  const { key } = newRelationName(catalog, view);
  const existing = replace ? catalog.relations.get(key) : undefined;
  const relation = createRelation(key, 'view', view);
  relation.dependents = existing?.dependents ?? relation.dependents;
  for (const other of existing ? catalog.relations.values() : []) other.dependents.delete(key);
  catalog.relations.set(key, relation);
  fillColumns(catalog, relation, query, aliases);
  linkDependents(catalog, relation, query);
}

/** `create table … as`, `select … into` and `create materialized view`. */
export function replayTableAs(
  catalog: Catalog,
  { into, query, objtype, if_not_exists }: CreateTableAsStmt,
): void {
  const kind = objtype === 'OBJECT_MATVIEW' ? 'materialized view' : 'table';
  replayInto(catalog, into, query, { kind, isOnlyIfMissing: if_not_exists === true });
}

function replayInto(
  catalog: Catalog,
  into: IntoClause | undefined,
  query: Node | undefined,
  { kind, isOnlyIfMissing }: { kind: RelationKind; isOnlyIfMissing: boolean },
): void {
  if (into?.rel === undefined) return;
  const { key } = newRelationName(catalog, into.rel);
  if (isOnlyIfMissing && catalog.relations.has(key)) return;
  const relation = createRelation(key, kind, into.rel);
  catalog.relations.set(key, relation);
  fillColumns(catalog, relation, query, into.colNames);
  if (kind === 'materialized view') linkDependents(catalog, relation, query);
}

/** `select … into` makes a table. */
export function replaySelectInto(catalog: Catalog, into: IntoClause, query: Node): void {
  replayInto(catalog, into, query, { kind: 'table', isOnlyIfMissing: false });
}

function fillColumns(
  catalog: Catalog,
  relation: Relation,
  query: Node | undefined,
  aliases: readonly Node[] | undefined,
): void {
  const names = stringsOf(aliases);
  for (const [i, column] of columnsOfQuery(catalog, query).entries()) {
    const name = names[i] ?? column.name;
    relation.columns.set(name, { ...column, name });
  }
}
