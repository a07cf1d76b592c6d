import type { AlterTableCmd, DropStmt, Node } from '@pgsql/types';
import { type Catalog, type Relation, resolveKey } from '../../catalog/catalog.ts';
import {
  hasIdentity,
  needsIdentity,
  objectsIn,
  primaryKeyColumns,
  publicationsOf,
} from '../../catalog/replay/relation.ts';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind, writtenNameOf } from '../../sql/tree.ts';
import {
  evidenceOf,
  isFresh,
  keyOfRange,
  type LintRule,
  type RuleFinding,
  relationOf,
  type StatementInContext,
} from '../rule.ts';
import { listed } from '../wording.ts';

/** A published table whose rows the subscribers cannot tell apart. */
export const replicaIdentity: LintRule = {
  name: 'replica-identity',
  kinds: ['AlterTableStmt', 'DropStmt', 'CreatePublicationStmt', 'AlterPublicationStmt'],
  group: 'compat',
  severity: 'error',
  summary: 'leaves a published table without a replica identity, so that updates and deletes fail',
  check(at) {
    const drop = asKind(at.tree, 'DropStmt');
    if (drop) return judgeDrop(at, drop);
    return 'AlterTableStmt' in at.tree ? judgeTable(at) : judgePublication(at);
  },
};

function judgeTable(at: StatementInContext): RuleFinding[] {
  const alter = asKind(at.tree, 'AlterTableStmt');
  const table = keyOfRange(at, alter?.relation);
  const relation = relationOf(at, table);
  if (alter === undefined || isFresh(at, table)) return [];
  const published = relation === undefined ? [] : publishers(at.catalog, relation);
  return commandsOf(alter, at.text).flatMap(({ command, offset }) => {
    const isNothing = asKind(command.def, 'ReplicaIdentityStmt')?.identity_type === 'n';
    if (isNothing && published.length === 0) {
      return [
        {
          ...UNPUBLISHED,
          message: `gives ${table} no replica identity${LATER}`,
          offset,
          tables: [table],
        },
      ];
    }
    if (published.length === 0 || relation === undefined) return [];
    const how = lossIn(at.catalog, relation, command);
    return how === undefined ? [] : [{ ...loss(at, table, { how, published }), offset }];
  });
}

const LATER = ': once a publication holds the table, its updates and deletes fail';

const UNPUBLISHED = {
  hint: 'Leave it at the primary key, or name a unique index.',
  severity: 'warning',
} as const;

/** How a subcommand takes the identity away; undefined where it does not. */
function lossIn(
  catalog: Catalog,
  relation: Relation,
  { subtype, name = '', def }: AlterTableCmd,
): string | undefined {
  const identity = identityOf(catalog, relation);
  switch (subtype) {
    case 'AT_ReplicaIdentity': {
      const type = asKind(def, 'ReplicaIdentityStmt')?.identity_type;
      if (type === 'n') return 'gives it none';
      const isLost = type === 'd' && primaryKeyColumns(relation).length === 0;
      return isLost ? 'makes its primary key the identity, and it has none' : undefined;
    }
    case 'AT_DropConstraint': {
      const constraint = relation.constraints.get(name);
      const isIt = constraint?.index !== undefined && constraint.index === identity?.index;
      return isIt ? `drops constraint ${name}, which is its identity` : undefined;
    }
    case 'AT_DropColumn':
      return identity?.columns.includes(name) ? `drops column ${name} of its identity` : undefined;
    default:
      return undefined;
  }
}

/** The index by which the subscribers find a row; undefined where it is the whole row, or none. */
function identityOf(
  catalog: Catalog,
  relation: Relation,
): { index: string; columns: readonly string[] } | undefined {
  if (relation.replicaIdentity === 'full' || relation.replicaIdentity === 'nothing')
    return undefined;
  const primary = [...relation.constraints.values()].find(({ kind }) => kind === 'primary key');
  const key =
    relation.replicaIdentity === 'index'
      ? [...relation.indexes].find((one) => catalog.indexes.get(one)?.isIdentity)
      : primary?.index;
  const index = catalog.indexes.get(key ?? '');
  return index && { index: index.key, columns: index.mentions };
}

function judgeDrop(at: StatementInContext, drop: DropStmt): RuleFinding[] {
  if (drop.removeType !== 'OBJECT_INDEX') return [];
  return (drop.objects ?? []).flatMap((node) => {
    const written = writtenNameOf(asKind(node, 'List')?.items);
    const index = at.catalog.indexes.get(resolveKey(at.catalog, written, at.catalog.indexes));
    const relation = index && relationOf(at, index.table);
    if (!index?.isIdentity || relation === undefined || isFresh(at, index.table)) return [];
    const published = publishers(at.catalog, relation);
    const how = `drops index ${index.key}, which is its identity`;
    return published.length === 0 ? [] : [loss(at, index.table, { how, published })];
  });
}

function publishers(catalog: Catalog, relation: Relation): string[] {
  return publicationsOf(catalog, relation).map(({ name }) => name);
}

function loss(
  at: StatementInContext,
  table: string,
  { how, published }: { how: string; published: readonly string[] },
): RuleFinding {
  return {
    message: `leaves ${table} without a replica identity while ${listed(published)} publishes it: it ${how}, and updates and deletes fail from then on`,
    hint: 'Give the table another identity before: a primary key, or "replica identity using index" over a unique index whose columns are not null.',
    tables: [table],
    evidence: evidenceOf(at, table),
    stillHolds: (after) => isWithout(after, table),
  };
}

function isWithout(catalog: Catalog, table: string): boolean {
  const relation = catalog.relations.get(table);
  return relation !== undefined && !hasIdentity(catalog, relation);
}

/** A publication of tables that have no identity. */
function judgePublication(at: StatementInContext): RuleFinding[] {
  const create = asKind(at.tree, 'CreatePublicationStmt');
  const alter = asKind(at.tree, 'AlterPublicationStmt');
  const { pubobjects, options, pubname = '' } = create ?? alter ?? {};
  const known = at.catalog.publications.get(pubname);
  const publishes = needsIdentity(options) ?? known?.needsIdentity ?? true;
  if (!publishes || alter?.action === 'AP_DropObjects') return [];
  return publishedTables(at, pubobjects, create?.for_all_tables === true)
    .filter((relation) => relation.kind === 'table' && !hasIdentity(at.catalog, relation))
    .map(({ key }) => ({
      message: `publishes ${key}, which has no replica identity: its updates and deletes fail from then on`,
      hint: "Give the table a primary key before, or publish inserts alone: with (publish = 'insert').",
      tables: [key],
      evidence: evidenceOf(at, key),
      stillHolds: (after: Catalog) => isWithout(after, key),
    }));
}

function publishedTables(
  { catalog }: StatementInContext,
  objects: readonly Node[] | undefined,
  isForAll: boolean,
): Relation[] {
  if (isForAll) {
    return [...catalog.relations.values()].filter((one) => !one.isUnlogged && !one.isTemporary);
  }
  return objectsIn(catalog, objects).flatMap(({ table }) => table ?? []);
}
