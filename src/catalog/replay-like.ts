import type { TableLikeClause } from '@pgsql/types';
import { relationNameOf } from '../sql/tree.ts';
import { type Catalog, findRelation, type Relation } from './catalog.ts';
import { addOwnedSequence } from './replay-column.ts';
import { addIndex, shapeOf } from './replay-index.ts';
import { constrainIndex } from './replay-index-constraint.ts';
import { addNotNull } from './replay-not-null.ts';
import { copyColumn } from './replay-relation.ts';

/** What `including` asks for, as PostgreSQL numbers it. */
const INCLUDING = { constraints: 4, defaults: 8, generated: 16, identity: 32, indexes: 64 };

function sourceOf(catalog: Catalog, { relation }: TableLikeClause): Relation | undefined {
  return relation && findRelation(catalog, relationNameOf(relation));
}

/** Gives a child the columns of its parent; one that it has already stays. */
export function copyColumns(parent: Relation, child: Relation): void {
  for (const column of parent.columns.values()) {
    const existing = child.columns.get(column.name);
    if (existing) existing.hasDefault ||= column.hasDefault;
    else child.columns.set(column.name, { ...copyColumn(column), isNotNull: false });
  }
}

/** The columns of `like`, each with what it includes. */
export function likeColumns(catalog: Catalog, relation: Relation, like: TableLikeClause): void {
  const source = sourceOf(catalog, like);
  const includes = (what: keyof typeof INCLUDING) => ((like.options ?? 0) & INCLUDING[what]) !== 0;
  for (const column of source?.columns.values() ?? []) {
    const { generated } = column;
    const isKept =
      generated === undefined ||
      (generated === 'identity' ? includes('identity') : includes('generated'));
    const hasPlainDefault = generated === undefined && column.hasDefault && includes('defaults');
    relation.columns.set(column.name, {
      ...copyColumn(column),
      isNotNull: false,
      generated: isKept ? generated : undefined,
      hasDefault: hasPlainDefault || (generated !== undefined && isKept),
    });
    if (generated === 'identity' && isKept) addOwnedSequence(catalog, relation, column.name);
  }
}

/** The constraints and indexes of `like`; what is not null stays so whatever is included. */
export function copyLike(catalog: Catalog, relation: Relation, like: TableLikeClause): void {
  const source = sourceOf(catalog, like);
  const options = like.options ?? 0;
  for (const one of source?.constraints.values() ?? []) {
    const [column = ''] = one.columns;
    if (one.kind === 'not null') addNotNull(catalog, relation, column, { name: one.name });
    if (one.kind === 'check' && (options & INCLUDING.constraints) !== 0) {
      const { isInherited: _, ...copied } = one;
      relation.constraints.set(one.name, { ...copied, isValidated: one.isEnforced });
    }
  }
  if ((options & INCLUDING.indexes) !== 0 && source) copyIndexes(catalog, source, relation);
}

const LABELS = { 'primary key': 'pkey', unique: 'key', exclusion: 'excl' } as const;

function copyIndexes(catalog: Catalog, source: Relation, relation: Relation): void {
  for (const key of [...source.indexes]) {
    const index = catalog.indexes.get(key);
    if (index === undefined) continue;
    const constraint = [...source.constraints.values()].find((one) => one.index === key);
    const kind = constraint?.kind as keyof typeof LABELS | undefined;
    const label = kind === undefined ? 'idx' : LABELS[kind];
    const shape = shapeOf(index);
    const copy = addIndex(catalog, relation, shape, { label });
    if (kind !== undefined) constrainIndex(catalog, relation, { kind, key: copy.key });
  }
}
