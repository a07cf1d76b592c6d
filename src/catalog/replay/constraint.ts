import type { Constraint } from '@pgsql/types';
import { relationNameOf, stringsOf } from '../../sql/tree.ts';
import {
  type Catalog,
  type CatalogConstraint,
  objectKey,
  type ReferentialAction,
  type Relation,
  resolveKey,
  splitKey,
} from '../catalog.ts';
import { provenNotNull } from '../expression.ts';
import { chooseConstraintName, cutName, joinColumnNames } from '../object-names.ts';
import {
  type ConstraintPlace,
  checkedColumns,
  INDEXED,
  nameOfConstraint,
  shapeOfConstraint,
} from './constraint-name.ts';
import { addIndex, renameIndex } from './indexes.ts';
import { type MadeConstraint, primaryKeyColumns, putConstraint } from './relation.ts';

/** Adds a constraint to a table, and to the children that get it too. */
export function addConstraint(
  catalog: Catalog,
  relation: Relation,
  constraint: Constraint,
  place: ConstraintPlace = {},
): void {
  switch (constraint.contype) {
    case 'CONSTR_NOTNULL':
      addNotNull(catalog, relation, place.column ?? stringsOf(constraint.keys)[0] ?? '', {
        name: constraint.conname || undefined,
        isValidated: constraint.skip_validation !== true,
        isOnly: place.isOnly === true || constraint.is_no_inherit === true,
      });
      return;
    case 'CONSTR_CHECK':
      addCheck(catalog, relation, constraint, place);
      return;
    case 'CONSTR_FOREIGN':
      addForeignKey(catalog, relation, constraint, place);
      return;
    case 'CONSTR_PRIMARY':
    case 'CONSTR_UNIQUE':
    case 'CONSTR_EXCLUSION':
      addIndexConstraint(catalog, relation, constraint, place);
      return;
  }
}

function addCheck(
  catalog: Catalog,
  relation: Relation,
  constraint: Constraint,
  place: ConstraintPlace,
): void {
  const columns = checkedColumns(relation, constraint);
  const isEnforced = constraint.is_enforced === true && place.isUnenforced !== true;
  const name = nameOfConstraint(catalog, { key: relation.key, relation }, constraint);
  const check: MadeConstraint = {
    name,
    kind: 'check',
    isValidated: isEnforced && constraint.skip_validation !== true,
    isEnforced,
    columns,
    provesNotNull: provenNotNull(constraint.raw_expr),
  };
  if (constraint.raw_expr !== undefined) check.expression = constraint.raw_expr;
  if (constraint.is_no_inherit) check.isOwnOnly = true;
  const isOnly = place.isOnly === true || constraint.is_no_inherit === true;
  inheritCheck(catalog, relation, check, { isOnly, isInherited: false });
}

function inheritCheck(
  catalog: Catalog,
  relation: Relation,
  check: MadeConstraint,
  { isOnly, isInherited }: { isOnly: boolean; isInherited: boolean },
): void {
  if (!relation.constraints.has(check.name)) putConstraint(relation, check, isInherited);
  if (isOnly) return;
  for (const child of relation.children) {
    const one = catalog.relations.get(child);
    if (one) inheritCheck(catalog, one, check, { isOnly: false, isInherited: true });
  }
}

const ACTIONS: Record<string, ReferentialAction> = {
  a: 'no action',
  r: 'restrict',
  c: 'cascade',
  n: 'set null',
  d: 'set default',
};

/** Adds a foreign key to a table and its partitions. */
function addForeignKey(
  catalog: Catalog,
  relation: Relation,
  constraint: Constraint,
  place: ConstraintPlace,
): void {
  const columns = place.column === undefined ? stringsOf(constraint.fk_attrs) : [place.column];
  const references = resolveKey(
    catalog,
    relationNameOf(constraint.pktable ?? {}),
    catalog.relations,
  );
  const target = catalog.relations.get(references);
  const named = stringsOf(constraint.pk_attrs);
  const isEnforced = constraint.is_enforced === true && place.isUnenforced !== true;
  copyForeignKey(catalog, relation, {
    name: cutName(constraint.conname ?? ''),
    kind: 'foreign key',
    isValidated: isEnforced && constraint.skip_validation !== true,
    isEnforced,
    columns,
    provesNotNull: [],
    references,
    referencedColumns: named.length > 0 || !target ? named : primaryKeyColumns(target),
    onDelete: ACTIONS[constraint.fk_del_action ?? 'a'] ?? 'no action',
    onUpdate: ACTIONS[constraint.fk_upd_action ?? 'a'] ?? 'no action',
  });
}

/** Adds a foreign key to a table and its partitions, which get names of their own where it is taken. */
export function copyForeignKey(
  catalog: Catalog,
  relation: Relation,
  foreignKey: MadeConstraint,
  isInherited = false,
): void {
  const { constraints } = relation;
  const name =
    foreignKey.name !== '' && !constraints.has(foreignKey.name)
      ? foreignKey.name
      : chooseConstraintName(constraints, {
          first: splitKey(relation.key).name,
          second: joinColumnNames(foreignKey.columns),
          label: 'fkey',
        });
  putConstraint(relation, { ...foreignKey, name }, isInherited);
  catalog.relations.get(foreignKey.references ?? '')?.everLinked?.add(relation);
  if (relation.kind !== 'partitioned table') return;
  for (const child of relation.children) {
    const partition = catalog.relations.get(child);
    if (partition) copyForeignKey(catalog, partition, { ...foreignKey, name }, true);
  }
}

/** Adds a constraint with an index, its own or one that is there. */
function addIndexConstraint(
  catalog: Catalog,
  relation: Relation,
  constraint: Constraint,
  place: ConstraintPlace,
): void {
  const { kind, label } = INDEXED[constraint.contype as keyof typeof INDEXED];
  const name = constraint.conname ? cutName(constraint.conname) : undefined;
  const taken = constraint.indexname && takeIndex(catalog, relation, constraint);
  const index =
    taken ||
    addIndex(catalog, relation, shapeOfConstraint(constraint, place), {
      name,
      label,
      isOnly: place.isOnly === true,
    });
  constrainIndex(catalog, relation, { kind, key: index.key });
}

/** The index behind `using index`, which takes the constraint's name. */
function takeIndex(catalog: Catalog, relation: Relation, { indexname = '', conname }: Constraint) {
  const key = objectKey(splitKey(relation.key).schema, indexname);
  return catalog.indexes.get(conname ? renameIndex(catalog, key, conname) : key);
}

/** Makes the constraint of an index, and those of the partitions' indexes. */
export function constrainIndex(
  catalog: Catalog,
  relation: Relation,
  {
    kind,
    key,
    isInherited = false,
  }: { kind: 'primary key' | 'unique' | 'exclusion'; key: string; isInherited?: boolean },
): void {
  const index = catalog.indexes.get(key);
  if (index === undefined) return;
  const columns = index.columns.filter((name) => name !== undefined);
  const { name } = splitKey(key);
  putConstraint(
    relation,
    { name, kind, isValidated: true, columns, provesNotNull: [], index: key },
    isInherited,
  );
  if (kind === 'primary key') {
    for (const column of columns) addNotNull(catalog, relation, column);
  }
  if (relation.kind !== 'partitioned table') return;
  for (const child of relation.children) {
    const partition = catalog.relations.get(child);
    for (const own of partition?.indexes ?? []) {
      if (partition && catalog.indexes.get(own)?.parent === key) {
        constrainIndex(catalog, partition, { kind, key: own, isInherited: true });
      }
    }
  }
}

interface NotNullOptions {
  name?: string | undefined;
  isValidated?: boolean;
  isOnly?: boolean;
  isInherited?: boolean;
}

/** Makes a column not null, by the constraint that PostgreSQL 18 keeps for it, in the children too. */
export function addNotNull(
  catalog: Catalog,
  relation: Relation,
  column: string,
  { name, isValidated = true, isOnly = false, isInherited = false }: NotNullOptions = {},
): void {
  const known = relation.columns.get(column);
  if (known !== undefined) known.isNotNull = true;
  const existing = notNullOf(relation, column);
  if (existing !== undefined) {
    existing.isValidated ||= isValidated;
    if (isInherited) existing.isInherited = true;
  }
  const own =
    existing?.name ??
    name ??
    chooseConstraintName(relation.constraints, {
      first: splitKey(relation.key).name,
      second: column,
      label: 'not_null',
    });
  if (existing === undefined) {
    const columns = [column];
    putConstraint(
      relation,
      { name: own, kind: 'not null', isValidated, columns, provesNotNull: columns },
      isInherited,
    );
  }
  if (isOnly) return;
  for (const child of relation.children) {
    const partition = catalog.relations.get(child);
    if (partition)
      addNotNull(catalog, partition, column, { name: own, isValidated, isInherited: true });
  }
}

/** The not-null constraint of a column, where the catalog has one. */
export function notNullOf(relation: Relation, column: string): CatalogConstraint | undefined {
  for (const one of relation.constraints.values()) {
    if (one.kind === 'not null' && one.columns[0] === column) return one;
  }
  return undefined;
}
