import type { Constraint, Node } from '@pgsql/types';
import {
  type Catalog,
  type ObjectKey,
  quoteWhereNeeded,
  type Relation,
} from '../../catalog/catalog.ts';
import { asKind, relationNameOf, stringsOf } from '../../sql/tree.ts';
import {
  keyOf,
  keyOfRange,
  type LintRule,
  offsetOf,
  type RuleFinding,
  type StatementInContext,
} from '../rule.ts';
import { listed } from '../wording.ts';

/** A foreign key whose own columns no index leads with, in any of the migrations. */
export const fkWithoutIndex: LintRule = {
  name: 'fk-without-index',
  kinds: ['CreateStmt', 'AlterTableStmt'],
  group: 'locks',
  severity: 'warning',
  summary: 'adds a foreign key whose columns no index leads with',
  inDown: 'off',
  check(at) {
    const create = asKind(at.tree, 'CreateStmt');
    if (create) {
      const { relation, tableElts } = create;
      return judgeAll(at, keyOfNew(at, relation), tableElts ?? []);
    }
    const alter = asKind(at.tree, 'AlterTableStmt');
    if (alter === undefined) return [];
    const added = (alter.cmds ?? []).flatMap((node) => {
      const command = asKind(node, 'AlterTableCmd');
      const isAdding =
        command?.subtype === 'AT_AddConstraint' || command?.subtype === 'AT_AddColumn';
      return isAdding && command.def ? [command.def] : [];
    });
    return judgeAll(at, keyOfRange(at, alter.relation), added);
  },
};

function keyOfNew(at: StatementInContext, relation: object | undefined): ObjectKey {
  const { schema, name } = relationNameOf(relation ?? {});
  return keyOf(at, { schema: schema ?? at.catalog.searchPath[0], name });
}

function judgeAll(at: StatementInContext, table: ObjectKey, elements: Node[]): RuleFinding[] {
  const found: RuleFinding[] = [];
  for (const element of elements) {
    // Of a column that references another table, or of a table constraint.
    const column = asKind(element, 'ColumnDef');
    for (const node of column?.constraints ?? [element]) {
      const constraint = asKind(node, 'Constraint');
      if (constraint?.contype !== 'CONSTR_FOREIGN') continue;
      const columns = column ? [column.colname ?? ''] : stringsOf(constraint.fk_attrs);
      found.push(judge(at, table, columns, constraint));
    }
  }
  return found;
}

function judge(
  at: StatementInContext,
  table: ObjectKey,
  columns: string[],
  { pktable, location }: Constraint,
): RuleFinding {
  const parent = keyOfRange(at, pktable);
  const named = listed(columns.map(quoteWhereNeeded));
  return {
    message: `no index of ${table} leads with ${named}: every delete in ${parent}, and every update of its key, reads all of ${table}`,
    hint: `Create one, with "create index concurrently" where the table is in use: create index on ${table} (${columns.map(quoteWhereNeeded).join(', ')})`,
    offset: offsetOf(at, location),
    tables: [table],
    evidence: 'model',
    stillHolds: whileMissing(table, columns),
  };
}

/** Made apart from the rule, so that it keeps no tree until the end. */
function whileMissing(table: ObjectKey, columns: string[]): (after: Catalog) => boolean {
  return (after) => isMissing(after, table, columns);
}

/** False where the table or the key went away later. */
function isMissing(catalog: Catalog, table: ObjectKey, columns: string[]): boolean {
  const relation = catalog.relations.get(table);
  if (relation === undefined || !hasForeignKey(relation, columns)) return false;
  for (const key of relation.indexes) {
    const index = catalog.indexes.get(key);
    if (index !== undefined && !index.isPartial && leadsWith(index.columns, columns)) return false;
  }
  return true;
}

function hasForeignKey({ constraints }: Relation, columns: string[]): boolean {
  for (const { kind, columns: own } of constraints.values()) {
    if (kind === 'foreign key' && isSame(own, columns)) return true;
  }
  return false;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}

/** In any order: each is compared with a value. */
function leadsWith(index: readonly (string | undefined)[], columns: readonly string[]): boolean {
  const head = index.slice(0, columns.length);
  return columns.every((name) => head.includes(name));
}
