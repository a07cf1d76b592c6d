import {
  type Catalog,
  type CatalogIndex,
  type ObjectKey,
  objectKey,
  splitKey,
} from '../../catalog/catalog.ts';
import { type IndexShape, shapeOfIndex } from '../../catalog/replay/indexes.ts';
import { asKind } from '../../sql/tree.ts';
import {
  evidenceOf,
  keyOfRange,
  type LintRule,
  relationOf,
  type StatementInContext,
} from '../rule.ts';

/** An index that another one makes superfluous. */
export const redundantIndex: LintRule = {
  name: 'redundant-index',
  kinds: ['IndexStmt'],
  group: 'style',
  severity: 'info',
  summary: 'makes an index over the first columns of another one, which serves the same queries',
  check(at) {
    const statement = asKind(at.tree, 'IndexStmt');
    const table = keyOfRange(at, statement?.relation);
    const relation = relationOf(at, table);
    if (statement === undefined || relation === undefined || isThere(at, table)) return [];
    if (relation.indexes.size === 0) return [];
    const own = shapeOfIndex(statement.indexParams, {
      including: statement.indexIncludingParams,
      where: statement.whereClause,
      isUnique: statement.unique === true,
      method: statement.accessMethod,
    });
    const others = [...relation.indexes].flatMap((key) => at.catalog.indexes.get(key) ?? []);
    const better = others.find((other) => replaces(other, own));
    const worse = others.find((other) => replaces(own, other) && !isOfConstraint(relation, other));
    const other = better ?? worse;
    if (other === undefined) return [];
    const name = statement.idxname ?? 'the index';
    const message =
      better === undefined
        ? `${other.key} is not needed beside ${name}, which begins with the same columns`
        : `${name} is not needed: ${other.key} begins with the same columns`;
    return [
      {
        message: `${message}; each index makes every write slower`,
        hint: 'Leave the shorter one out, or drop it concurrently.',
        tables: [table],
        evidence: evidenceOf(at, table),
        stillHolds: whileThere(other.key),
      },
    ];
  },
};

/** Made apart from the rule, so that it keeps no tree until the end. */
function whileThere(key: ObjectKey): (after: Catalog) => boolean {
  return (after) => after.indexes.has(key);
}

/** Whether `if not exists` finds an index of that name. */
function isThere(at: StatementInContext, table: string): boolean {
  const { idxname, if_not_exists } = asKind(at.tree, 'IndexStmt') ?? {};
  if (!if_not_exists || !idxname) return false;
  return at.catalog.indexes.has(objectKey(splitKey(table).schema, idxname));
}

/** Whether all that the second index does the first one does too. */
function replaces(first: IndexShape, second: IndexShape): boolean {
  if (second.columns[0] === undefined || second.columns[0] !== first.columns[0]) return false;
  if (!isPlain(first) || !isPlain(second)) return false;
  const isPrefix = second.columns.every(
    (column, place) => column !== undefined && first.columns[place] === column,
  );
  const hasMore = second.mentions.length > second.columns.length;
  if (!isPrefix || hasMore) return false;
  return !second.isUnique || (first.isUnique && first.columns.length === second.columns.length);
}

function isPlain({ isPartial, method, orders, collations }: IndexShape): boolean {
  return !isPartial && method === undefined && orders === undefined && collations === undefined;
}

function isOfConstraint(
  { constraints }: { constraints: ReadonlyMap<string, { index?: string }> },
  { key }: CatalogIndex,
): boolean {
  return [...constraints.values()].some(({ index }) => index === key);
}
