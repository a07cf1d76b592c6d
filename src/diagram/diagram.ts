import {
  type Catalog,
  type CatalogConstraint,
  type ObjectKey,
  type Relation,
  splitKey,
} from '../catalog/catalog.ts';
import { showType } from '../catalog/column-type.ts';

/** What a column is a part of. */
export type DiagramKey = 'primary key' | 'foreign key' | 'unique';

/** A column of a table in a diagram. */
export interface DiagramColumn {
  name: string;
  /** As in `varchar(255)`; a type of the table's own schema without that. */
  type: string;
  isNotNull: boolean;
  keys: DiagramKey[];
}

/** A table in a diagram; its partitions are counted. */
export interface DiagramTable {
  /** Qualified, and quoted if SQL needs it. */
  key: string;
  schema: string;
  name: string;
  /** The columns to show. */
  columns: DiagramColumn[];
  /** How many columns are not shown. */
  hiddenColumns: number;
  /** How many partitions it has, at any level. */
  partitions: number;
}

/** A foreign key. */
export interface DiagramReference {
  name: string;
  /** The key of the table that has it. */
  from: string;
  columns: string[];
  to: string;
  referencedColumns: string[];
  /** Whether a row may reference none: one of the columns may be null. */
  isOptional: boolean;
  /** Whether at most one row references another: a unique key is among the columns. */
  isUnique: boolean;
}

/** Tables and how they reference each other. */
export interface Diagram {
  tables: DiagramTable[];
  references: DiagramReference[];
}

/** `keys`: those of primary, unique and foreign keys. */
export type DiagramColumns = 'all' | 'keys' | 'none';

/** What a diagram shows. */
export interface DiagramSelection {
  /** Default: all. */
  schemas?: readonly string[] | undefined;
  /** Such as the ledger's. */
  exceptSchemas?: readonly string[] | undefined;
  /** Names of tables, also qualified; `*` matches any text. Default: all. */
  tables?: readonly string[] | undefined;
  /** Default: `all`, from 26 tables on `keys`. */
  columns?: DiagramColumns | undefined;
}

/** With more, columns that connect nothing hide how the tables do. */
const MANY_TABLES = 25;

/** Chooses the tables of a catalog and how they reference each other; partitions count for their table. */
export function diagramOf(catalog: Catalog, selection: DiagramSelection = {}): Diagram {
  const relations = [...catalog.relations.values()].filter((relation) =>
    isShown(relation, catalog, selection),
  );
  const keys = new Set(relations.map(({ key }) => key));
  const columns = selection.columns ?? (relations.length > MANY_TABLES ? 'keys' : 'all');
  const byKey = (a: { key: string }, b: { key: string }) => (a.key < b.key ? -1 : 1);
  return {
    tables: relations.map((relation) => tableOf(relation, catalog, columns)).sort(byKey),
    references: relations
      .toSorted(byKey)
      .flatMap((relation) => referencesOf(relation, catalog))
      .filter(({ to }) => keys.has(to)),
  };
}

function isShown(relation: Relation, catalog: Catalog, selection: DiagramSelection): boolean {
  const { kind, key, isTemporary } = relation;
  const isTable = kind === 'table' || kind === 'partitioned table' || kind === 'foreign table';
  if (!isTable || isTemporary || isPartition(relation, catalog)) return false;
  const { schema, name } = splitKey(key);
  if (selection.exceptSchemas?.includes(schema)) return false;
  if (selection.schemas !== undefined && !selection.schemas.includes(schema)) return false;
  const { tables } = selection;
  return (
    tables === undefined ||
    tables.some((pattern) => matches(pattern, pattern.includes('.') ? `${schema}.${name}` : name))
  );
}

function isPartition({ parent }: Relation, catalog: Catalog): boolean {
  return parent !== undefined && catalog.relations.get(parent)?.kind === 'partitioned table';
}

function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(name);
}

function tableOf(relation: Relation, catalog: Catalog, shown: DiagramColumns): DiagramTable {
  const { schema, name } = splitKey(relation.key);
  const inKeys = keysByColumn(relation, catalog);
  const all = [...relation.columns.values()].map(
    (column): DiagramColumn => ({
      name: column.name,
      type: showType(column.type).replace(`${schema}.`, ''),
      isNotNull: column.isNotNull || inKeys.get(column.name)?.has('primary key') === true,
      keys: [...(inKeys.get(column.name) ?? [])],
    }),
  );
  const columns = all.filter(
    ({ keys }) => shown === 'all' || (shown === 'keys' && keys.length > 0),
  );
  return {
    ...{ key: relation.key, schema, name, columns },
    hiddenColumns: all.length - columns.length,
    partitions: countPartitions(relation, catalog),
  };
}

function countPartitions(relation: Relation, catalog: Catalog): number {
  if (relation.kind !== 'partitioned table') return 0;
  return [...relation.children].reduce((sum, key) => {
    const child = catalog.relations.get(key);
    return sum + 1 + (child === undefined ? 0 : countPartitions(child, catalog));
  }, 0);
}

function keysByColumn(relation: Relation, catalog: Catalog): Map<string, Set<DiagramKey>> {
  const found = new Map<string, Set<DiagramKey>>();
  const note = (columns: readonly string[], key: DiagramKey) => {
    for (const column of columns) {
      found.set(column, (found.get(column) ?? new Set<DiagramKey>()).add(key));
    }
  };
  const constraints = [...relation.constraints.values()];
  for (const kind of ['primary key', 'foreign key'] as const) {
    for (const constraint of constraints) {
      if (constraint.kind === kind) note(constraint.columns, kind);
    }
  }
  for (const columns of uniqueKeysOf(relation, catalog)) {
    if (columns.some((column) => !found.get(column)?.has('primary key'))) note(columns, 'unique');
  }
  return found;
}

/** The columns of each key that no two rows share. */
function uniqueKeysOf(relation: Relation, catalog: Catalog): string[][] {
  const constraints = [...relation.constraints.values()]
    .filter(({ kind }) => kind === 'primary key' || kind === 'unique')
    .map(({ columns }) => [...columns]);
  const indexes = [...relation.indexes].flatMap((key) => {
    const index = catalog.indexes.get(key);
    if (!index?.isUnique || index.isPartial || !index.isValid) return [];
    const columns = index.columns.filter((column) => column !== undefined);
    return columns.length === index.columns.length ? [columns] : [];
  });
  return [...constraints, ...indexes];
}

function referencesOf(relation: Relation, catalog: Catalog): DiagramReference[] {
  const unique = uniqueKeysOf(relation, catalog);
  const isNull = (name: string) => relation.columns.get(name)?.isNotNull === false;
  const primary = (key: ObjectKey) =>
    [...(catalog.relations.get(key)?.constraints.values() ?? [])].find(
      ({ kind }) => kind === 'primary key',
    )?.columns ?? [];
  const toReference = ({ name, columns, references, referencedColumns }: CatalogConstraint) => {
    if (references === undefined) return [];
    const named = referencedColumns ?? [];
    return [
      {
        name,
        from: relation.key,
        columns: [...columns],
        to: references,
        // A statement that names none means the primary key.
        referencedColumns: [...(named.length > 0 ? named : primary(references))],
        isOptional: columns.some(isNull),
        isUnique: unique.some((key) => key.every((column) => columns.includes(column))),
      },
    ];
  };
  return [...relation.constraints.values()]
    .filter(({ kind }) => kind === 'foreign key')
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(toReference);
}
