import type {
  AlterTableStmt,
  ClusterStmt,
  CreateStmt,
  DropStmt,
  IndexStmt,
  Node,
  RangeVar,
  RefreshMatViewStmt,
  ReindexStmt,
  TruncateStmt,
} from '@pgsql/types';
import {
  type CatalogIndex,
  findRelation,
  type ObjectKey,
  type Relation,
  resolveKey,
} from '../catalog/catalog.ts';
import { referencesToRows, withDescendants } from '../catalog/replay/relation.ts';
import { commandsOf } from '../sql/list-items.ts';
import { asKind, relationNameOf, type WrittenName, writtenNameOf } from '../sql/tree.ts';
import type { Draft } from './draft.ts';
import { refuseNullable } from './dropped.ts';
import type { Refusal } from './impact.ts';
import {
  refuseColumnChange,
  refuseKeyDrop,
  refuseRelationDrop,
  refuseSecond,
} from './still-needed.ts';

type Question = Pick<Draft, 'catalog' | 'text' | 'serverVersion'>;

/**
 * Why PostgreSQL surely refuses a statement, whatever the rows are: what the catalog does not know
 * gives none. One that is refused locks, reads and builds nothing.
 */
export function refusalsOf(question: Question, kind: string, fields: unknown): Refusal[] {
  return FINDERS[kind]?.(question, fields) ?? [];
}

// biome-ignore lint/suspicious/noExplicitAny: each takes the fields of its own kind
type Finder = (question: Question, fields: any) => Refusal[];

const FINDERS: Record<string, Finder> = {
  AlterTableStmt: refuseAlter,
  ClusterStmt: refuseCluster,
  CreateStmt: refuseCreate,
  DropStmt: refuseDrop,
  IndexStmt: refuseIndex,
  RefreshMatViewStmt: refuseRefresh,
  ReindexStmt: refuseReindex,
  TruncateStmt: refuseTruncate,
};

function relationOf({ catalog }: Question, range: RangeVar | undefined): Relation | undefined {
  return range && findRelation(catalog, relationNameOf(range));
}

function indexOf({ catalog }: Question, written: WrittenName): CatalogIndex | undefined {
  return catalog.indexes.get(resolveKey(catalog, written, catalog.indexes));
}

function isPartitioned(relation: Relation | undefined): relation is Relation {
  return relation?.kind === 'partitioned table';
}

const IN_NO_TRANSACTION_FILE = 'in a migration with -- evdb: no-transaction';

function refuseIndex(question: Question, statement: IndexStmt): Refusal[] {
  const table = relationOf(question, statement.relation);
  if (!isPartitioned(table)) return [];
  if (statement.concurrent) {
    return [
      {
        sqlstate: '0A000',
        message: `${table.key} is partitioned, and no index can be built on a partitioned table concurrently`,
        hint: `Write "create index … on only ${table.key}", build the index of each partition concurrently ${IN_NO_TRANSACTION_FILE}, and attach those with "alter index … attach partition".`,
        relation: table.key,
      },
    ];
  }
  if (!statement.unique) return [];
  const columns = (statement.indexParams ?? []).map((node) => asKind(node, 'IndexElem')?.name);
  return missingKeys(question, table, { columns, isOnly: statement.relation?.inh !== true });
}

/** A column of the partition key that a unique index would have to have. */
function missingKeyColumn(
  { partitionKey }: Relation,
  columns: readonly (string | undefined)[],
): string | undefined {
  return partitionKey?.columns.find((name) => name !== undefined && !columns.includes(name));
}

/** A unique index goes to the partitions too, which may be partitioned by other columns. */
function missingKeys(
  { catalog }: Question,
  table: Relation,
  {
    columns,
    isOnly,
    offset,
  }: { columns: readonly (string | undefined)[]; isOnly: boolean; offset?: number },
): Refusal[] {
  for (const one of isOnly ? [table] : withDescendants(catalog, table)) {
    const missing = missingKeyColumn(one, columns);
    if (missing !== undefined) return [mustHaveKey(one, missing, offset)];
  }
  return [];
}

function mustHaveKey({ key }: Relation, column: string, offset?: number): Refusal {
  return {
    sqlstate: '0A000',
    message: `a unique index of the partitioned table ${key} must have all columns of its partition key, and ${column} is not among them`,
    hint: `Add ${column} to its columns.`,
    relation: key,
    ...(offset !== undefined && { offset }),
  };
}

const DROPS_RELATIONS = new Set(['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW']);

function refuseDrop(question: Question, statement: DropStmt): Refusal[] {
  const { removeType, concurrent, objects = [], behavior } = statement;
  if (DROPS_RELATIONS.has(removeType ?? '') && behavior !== 'DROP_CASCADE') {
    const dropped = objects.flatMap(
      (node) => findRelation(question.catalog, writtenNameOf(asKind(node, 'List')?.items)) ?? [],
    );
    return refuseRelationDrop(question.catalog, dropped);
  }
  if (removeType !== 'OBJECT_INDEX') return [];
  const found: Refusal[] = [];
  if (concurrent && objects.length > 1) {
    found.push({
      sqlstate: '0A000',
      message: '"drop index concurrently" takes one index only',
      hint: 'Write a statement for each index.',
    });
  }
  if (concurrent && behavior === 'DROP_CASCADE') {
    found.push({
      sqlstate: '0A000',
      message: '"drop index concurrently" does not allow cascade',
      hint: 'Leave cascade out; drop what needs the index first.',
    });
  }
  for (const node of objects) {
    const index = indexOf(question, writtenNameOf(asKind(node, 'List')?.items));
    if (index) found.push(...refuseDropOf(question, index, concurrent === true));
  }
  return found;
}

function refuseDropOf(
  { catalog }: Question,
  index: CatalogIndex,
  isConcurrent: boolean,
): Refusal[] {
  const { key, table, parent } = index;
  const relation = catalog.relations.get(table);
  if (isConcurrent && isPartitioned(relation)) {
    return [
      {
        sqlstate: '0A000',
        message: `index ${key} is partitioned, and cannot be dropped concurrently`,
        hint: `Write "drop index ${key}", which takes a moment and locks all partitions; the lock timeout bounds the wait.`,
        relation: table,
      },
    ];
  }
  const owner = [...(relation?.constraints.values() ?? [])].find((one) => one.index === key);
  if (owner) {
    return [
      {
        sqlstate: '2BP01',
        message: `index ${key} belongs to constraint ${owner.name} of ${table} and cannot be dropped without it`,
        hint: `Write "alter table ${table} drop constraint ${owner.name}".`,
        relation: table,
      },
    ];
  }
  if (parent === undefined) return [];
  return [
    {
      sqlstate: '2BP01',
      message: `index ${key} is part of index ${parent} and cannot be dropped without it`,
      hint: `Drop ${parent}, and with it the indexes of all partitions.`,
      relation: table,
    },
  ];
}

function refuseReindex(question: Question, statement: ReindexStmt): Refusal[] {
  const { kind, relation, params } = statement;
  const isConcurrent = (params ?? []).some(
    (node) => asKind(node, 'DefElem')?.defname === 'concurrently',
  );
  if (kind === 'REINDEX_OBJECT_SYSTEM' && isConcurrent) {
    return [
      {
        sqlstate: '0A000',
        message: 'the indexes of the system catalogs cannot be rebuilt concurrently',
        hint: 'Leave concurrently out.',
      },
    ];
  }
  const index =
    kind === 'REINDEX_OBJECT_INDEX' && relation
      ? indexOf(question, relationNameOf(relation))
      : undefined;
  const table = index
    ? question.catalog.relations.get(index.table)
    : relationOf(question, relation);
  return isPartitioned(table) ? [needsNoTransaction('reindex', table.key)] : [];
}

function refuseCluster(question: Question, { relation }: ClusterStmt): Refusal[] {
  const table = relationOf(question, relation);
  return isPartitioned(table) ? [needsNoTransaction('cluster', table.key)] : [];
}

function needsNoTransaction(command: string, relation: ObjectKey): Refusal {
  return {
    sqlstate: '25001',
    message: `"${command}" of the partitioned table ${relation} cannot run inside a transaction, as it commits after each partition`,
    hint: 'Run it in a file without other work that starts with the line: -- evdb: no-transaction',
    relation,
    isOnlyInTransaction: true,
  };
}

function refuseRefresh(
  question: Question,
  { relation, concurrent }: RefreshMatViewStmt,
): Refusal[] {
  const view = concurrent ? relationOf(question, relation) : undefined;
  if (view?.kind !== 'materialized view') return [];
  const canTell = [...view.indexes].some((key) => {
    const index = question.catalog.indexes.get(key);
    return index?.isUnique && !index.isPartial && index.columns.every((one) => one !== undefined);
  });
  if (canTell) return [];
  return [
    {
      sqlstate: '55000',
      message: `${view.key} has no unique index over plain columns, which "refresh materialized view concurrently" needs`,
      hint: 'Create one in an earlier migration.',
      relation: view.key,
    },
  ];
}

function refuseTruncate(question: Question, { relations, behavior }: TruncateStmt): Refusal[] {
  if (behavior === 'DROP_CASCADE') return [];
  const { catalog } = question;
  const emptied = new Set(
    (relations ?? []).flatMap((node) => {
      const range = asKind(node, 'RangeVar');
      const relation = relationOf(question, range);
      if (relation === undefined) return [];
      return range?.inh ? withDescendants(catalog, relation) : [relation];
    }),
  );
  for (const { key } of emptied) {
    const other = referencesToRows(catalog, key).find(({ relation }) => !emptied.has(relation));
    if (other === undefined) continue;
    return [
      {
        sqlstate: '0A000',
        message: `${key} cannot be truncated alone: constraint ${other.constraint.name} of ${other.relation.key} references it`,
        hint: `Name ${other.relation.key} in the same statement, or use "delete from".`,
        relation: key,
      },
    ];
  }
  return [];
}

/** No error, but what it asks for is not there afterwards. */
function refuseCreate(question: Question, statement: CreateStmt): Refusal[] {
  const table = statement.if_not_exists ? relationOf(question, statement.relation) : undefined;
  if (table === undefined || table.columns.size === 0) return [];
  const missing = (statement.tableElts ?? []).flatMap((node) => {
    const name = asKind(node, 'ColumnDef')?.colname;
    return name === undefined || table.columns.has(name) ? [] : [name];
  });
  if (missing.length === 0) return [];
  const [first] = missing;
  const more = missing.length > 1 ? ` and ${missing.length - 1} more` : '';
  return [
    {
      sqlstate: null,
      message: `${table.key} already exists, so "if not exists" leaves it as it is, without column ${first}${more}`,
      hint: 'Add the columns with "alter table … add column".',
      relation: table.key,
    },
  ];
}

function refuseAlter(question: Question, statement: AlterTableStmt): Refusal[] {
  const table = relationOf(question, statement.relation);
  if (table === undefined) return [];
  const all = commandsOf(statement, question.text);
  const isOnly = statement.relation?.inh !== true;
  return all.flatMap((change): Refusal[] => {
    const { command, index, offset } = change;
    switch (command.subtype) {
      case 'AT_DetachPartition':
        return refuseDetach(table, command.def, offset);
      case 'AT_AddConstraint':
        return [
          ...(isPrimary(command.def) ? refuseSecond(question, table, change, all) : []),
          ...refuseConstraint(question, table, { definition: command.def, isOnly, offset }),
        ].slice(0, 1);
      case 'AT_AddColumn':
        return refuseSecond(question, table, change, all);
      case 'AT_DropConstraint':
        return refuseKeyDrop(question.catalog, table, change);
      case 'AT_DropNotNull':
        return refuseNullable(question, table, {
          ...{ column: command.name ?? '', before: all.slice(0, index), offset },
        });
      case 'AT_AlterColumnType':
      case 'AT_DropColumn':
        return refuseColumnChange(question, table, change, all);
      default:
        return [];
    }
  });
}

function isPrimary(definition: Node | undefined): boolean {
  return asKind(definition, 'Constraint')?.contype === 'CONSTR_PRIMARY';
}

function refuseDetach(table: Relation, definition: Node | undefined, offset: number): Refusal[] {
  const isConcurrent = asKind(definition, 'PartitionCmd')?.concurrent === true;
  if (!isConcurrent || table.defaultPartition === undefined) return [];
  return [
    {
      sqlstate: '55000',
      message: `${table.key} has a default partition (${table.defaultPartition}), so no partition can be detached concurrently`,
      hint: 'Leave concurrently out: it takes a moment, and the lock timeout bounds the wait.',
      relation: table.key,
      offset,
    },
  ];
}

function refuseConstraint(
  question: Question,
  table: Relation,
  { definition, isOnly, offset }: { definition: Node | undefined; isOnly: boolean; offset: number },
): Refusal[] {
  const constraint = asKind(definition, 'Constraint');
  const isKey = constraint?.contype === 'CONSTR_PRIMARY' || constraint?.contype === 'CONSTR_UNIQUE';
  if (constraint === undefined || !isKey) return [];
  const { indexname } = constraint;
  if (indexname === undefined) {
    const columns = (constraint.keys ?? []).map((node) => asKind(node, 'String')?.sval);
    return isPartitioned(table) ? missingKeys(question, table, { columns, isOnly, offset }) : [];
  }
  const refused = (sqlstate: string, message: string, hint: string): Refusal[] => [
    { sqlstate, message, hint, relation: table.key, offset },
  ];
  if (table.kind === 'partitioned table') {
    return refused(
      '0A000',
      `${table.key} is partitioned, and takes no constraint that uses an index`,
      'Add the constraint with its columns.',
    );
  }
  const index = indexOf(question, { schema: undefined, name: indexname });
  if (index?.table !== table.key) return [];
  const why = !index.isUnique
    ? 'is not unique'
    : index.isPartial
      ? 'has a predicate'
      : index.columns.includes(undefined)
        ? 'holds an expression'
        : undefined;
  if (why === undefined) return [];
  return refused(
    '42809',
    `index ${index.key} ${why}, so no constraint can use it`,
    'Build a unique index over plain columns for it.',
  );
}
