import type { Constraint, Node } from '@pgsql/types';
import {
  type CatalogConstraint,
  type ObjectKey,
  quoteWhereNeeded,
  type Relation,
} from '../../catalog/catalog.ts';
import { type CitusCall, readCitusCalls } from '../../citus/calls.ts';
import { isVolatileBuiltin } from '../../impact/volatility.ts';
import { asKind, stringsOf, walkTree } from '../../sql/tree.ts';
import {
  keyOf,
  keyOfRange,
  type LintRule,
  offsetOf,
  type RuleFinding,
  relationOf,
  type StatementInContext,
} from '../rule.ts';

/** What Citus refuses of tables that migrations distribute; says nothing where none does. */
export const citusRefused: LintRule = {
  name: 'citus-refused',
  kinds: [
    ...['SelectStmt', 'AlterTableStmt', 'IndexStmt', 'CreateTrigStmt', 'UpdateStmt'],
    'CreateTableAsStmt',
  ],
  group: 'compat',
  severity: 'error',
  summary: 'does what a Citus cluster refuses of a distributed table',
  inDown: 'same',
  check: (at) => {
    const [kind = ''] = Object.keys(at.tree);
    return JUDGES[kind]?.(at) ?? [];
  },
};

const JUDGES: Record<string, (at: StatementInContext) => RuleFinding[]> = {
  SelectStmt: (at) => readCitusCalls(at.tree).flatMap((call) => judgeCall(at, call)),
  AlterTableStmt: judgeAlterTable,
  IndexStmt: judgeIndex,
  CreateTrigStmt: judgeTrigger,
  UpdateStmt: judgeUpdate,
  CreateTableAsStmt: judgeTableAs,
};

function judgeCall(at: StatementInContext, { kind, target, column }: CitusCall): RuleFinding[] {
  if (kind !== 'distributed' && kind !== 'reference') return [];
  const key = keyOf(at, target);
  const relation = relationOf(at, key);
  if (relation === undefined) return [];
  const found: RuleFinding[] = [];
  for (const [name, columns] of kind === 'distributed' && column ? uniquesOf(at, relation) : []) {
    if (!columns.includes(column)) found.push(lacksColumn(key, name, column as string));
  }
  const after = { ...relation, distribution: { kind, column } };
  for (const constraint of relation.constraints.values()) {
    if (constraint.kind === 'foreign key') found.push(...judgeReference(at, after, constraint));
  }
  if (hasIdentity(relation) && referencesReference(at, relation)) {
    found.push({
      message: `${key} has an identity column and a foreign key to a reference table: Citus refuses to distribute it`,
      hint: 'Distribute it before the foreign key is added, or make the column bigserial.',
      tables: [key],
    });
  }
  if ((relation.triggers?.size ?? 0) > 0) found.push(...refuseTrigger(at, key));
  return found.map((finding) => ({ ...finding, evidence: 'model' }));
}

/** Unique indexes by name, with their columns; an expression is none. */
function uniquesOf(
  at: StatementInContext,
  { indexes }: Relation,
): Map<string, readonly (string | undefined)[]> {
  const found = new Map<string, readonly (string | undefined)[]>();
  for (const key of indexes) {
    const index = at.catalog.indexes.get(key);
    if (index?.isUnique) found.set(key, index.columns);
  }
  return found;
}

function lacksColumn(table: ObjectKey, what: string, column: string): RuleFinding {
  return {
    message: `${what} is unique without ${quoteWhereNeeded(column)}, by which ${table} is distributed: Citus refuses it, because each shard could only check its own rows`,
    hint: `Add ${quoteWhereNeeded(column)} to its columns.`,
    tables: [table],
  };
}

function hasIdentity({ columns }: Relation): boolean {
  return [...columns.values()].some(({ generated }) => generated === 'identity');
}

function referencesReference(at: StatementInContext, { constraints }: Relation): boolean {
  return [...constraints.values()].some(
    ({ references }) =>
      references !== undefined && relationOf(at, references)?.distribution?.kind === 'reference',
  );
}

/** A foreign key of a table that is, or will be, distributed. */
function judgeReference(
  at: StatementInContext,
  { key, distribution }: Pick<Relation, 'key' | 'distribution'>,
  {
    name,
    columns,
    references,
    referencedColumns,
  }: Pick<CatalogConstraint, 'name' | 'columns' | 'references' | 'referencedColumns'>,
): RuleFinding[] {
  if (references === undefined) return [];
  const target = references === key ? distribution : relationOf(at, references)?.distribution;
  const refuse = (why: string, hint: string): RuleFinding[] => [
    { message: `foreign key ${name} of ${key}: ${why}`, hint, tables: [key, references] },
  ];
  if (target?.kind === 'reference') return [];
  if (distribution?.kind === 'reference') {
    if (target === undefined) return [];
    return refuse(
      `a reference table cannot reference ${references}, which is distributed`,
      'Remove the foreign key, or make the other a reference table too.',
    );
  }
  if (target === undefined) {
    if (!at.catalog.relations.has(references)) return [];
    return refuse(
      `${references} is not distributed, and a distributed table cannot reference it`,
      `Distribute ${references} first, or make it a reference table: select create_reference_table('${references}');`,
    );
  }
  const own = distribution?.column;
  const place = own === undefined ? -1 : columns.indexOf(own);
  const meant = referencedColumns?.[place];
  const isAligned = place >= 0 && (meant === undefined || meant === target.column);
  if (own === undefined || target.column === undefined || isAligned) return [];
  return refuse(
    `it does not lead from the distribution column ${quoteWhereNeeded(own)} to that of ${references}, ${quoteWhereNeeded(target.column)}, so the rows lie on different nodes`,
    'Put the distribution columns of both tables into the key, in the same place.',
  );
}

function judgeAlterTable(at: StatementInContext): RuleFinding[] {
  const { relation: range, cmds = [] } = asKind(at.tree, 'AlterTableStmt') ?? {};
  const key = keyOfRange(at, range);
  const relation = relationOf(at, key);
  if (relation?.distribution === undefined) return [];
  return cmds.flatMap((node) => {
    const { def } = asKind(node, 'AlterTableCmd') ?? {};
    const column = asKind(def, 'ColumnDef');
    const constraints = column ? (column.constraints ?? []) : def ? [def] : [];
    return constraints.flatMap((one) => {
      const constraint = asKind(one, 'Constraint');
      if (constraint === undefined) return [];
      const own = column?.colname === undefined ? undefined : [column.colname];
      const found = judgeConstraint(at, relation, constraint, own);
      return found.map((finding) => ({ ...finding, offset: offsetOf(at, constraint.location) }));
    });
  });
}

function judgeConstraint(
  at: StatementInContext,
  relation: Relation,
  constraint: Constraint,
  own: string[] | undefined,
): RuleFinding[] {
  const { contype, conname, keys, indexname, fk_attrs, pk_attrs, pktable } = constraint;
  const column = relation.distribution?.column;
  if (contype === 'CONSTR_PRIMARY' || contype === 'CONSTR_UNIQUE') {
    const columns = own ?? stringsOf(keys);
    if (column === undefined || indexname || columns.includes(column)) return [];
    return [lacksColumn(relation.key, conname ?? 'the constraint', column)];
  }
  if (contype !== 'CONSTR_FOREIGN') return [];
  return judgeReference(at, relation, {
    name: conname ?? '',
    columns: own ?? stringsOf(fk_attrs),
    references: keyOfRange(at, pktable),
    referencedColumns: stringsOf(pk_attrs),
  });
}

function judgeIndex(at: StatementInContext): RuleFinding[] {
  const { relation, unique, idxname, indexParams = [] } = asKind(at.tree, 'IndexStmt') ?? {};
  const key = keyOfRange(at, relation);
  const column = relationOf(at, key)?.distribution?.column;
  if (!unique || column === undefined) return [];
  const columns = indexParams.map((node) => asKind(node, 'IndexElem')?.name);
  return columns.includes(column) ? [] : [lacksColumn(key, idxname ?? 'the index', column)];
}

function judgeTrigger(at: StatementInContext): RuleFinding[] {
  const key = keyOfRange(at, asKind(at.tree, 'CreateTrigStmt')?.relation);
  return relationOf(at, key)?.distribution === undefined ? [] : refuseTrigger(at, key);
}

/** Unless the file allows them before. */
function refuseTrigger(at: StatementInContext, key: ObjectKey): RuleFinding[] {
  const { statements } = at.file;
  const isAllowed = statements.some(
    ({ index, text }) => index < at.statement.index && /citus\.enable_unsafe_triggers/i.test(text),
  );
  if (isAllowed) return [];
  return [
    {
      message: `a trigger on ${key}, which is distributed: Citus refuses it without citus.enable_unsafe_triggers`,
      hint: 'Put "set local citus.enable_unsafe_triggers = on;" before it. Row triggers then work; a statement trigger only where its query reads a transition table alone.',
      tables: [key],
    },
  ];
}

function judgeUpdate(at: StatementInContext): RuleFinding[] {
  const update = asKind(at.tree, 'UpdateStmt');
  const key = keyOfRange(at, update?.relation);
  if (relationOf(at, key)?.distribution === undefined) return [];
  const name = changingIn(update?.targetList);
  if (name === undefined) return [];
  return [
    {
      message: `${name} in a CASE or COALESCE of an update of ${key}: Citus refuses functions that are not immutable there`,
      hint: 'Take the value before, and write it in as a constant or a parameter; or split the update by its condition.',
      tables: [key],
    },
  ];
}

/** The first function within a CASE or COALESCE that is not immutable. */
function changingIn(nodes: readonly Node[] | undefined): string | undefined {
  let found: string | undefined;
  walkTree(nodes, (kind, fields) => {
    if (kind !== 'CaseExpr' && kind !== 'CoalesceExpr') return;
    walkTree(fields, (inner, call) => {
      if (inner === 'SQLValueFunction') found ??= 'current_timestamp';
      if (inner !== 'FuncCall') return;
      const name = stringsOf(call.funcname as Node[]).at(-1) ?? '';
      if (STABLE.has(name) || isVolatileBuiltin(name)) found ??= `${name}()`;
    });
  });
  return found;
}

const STABLE = new Set(['now', 'transaction_timestamp', 'statement_timestamp', 'current_setting']);

function judgeTableAs(at: StatementInContext): RuleFinding[] {
  const range = asKind(at.tree, 'CreateTableAsStmt')?.into?.rel;
  const schema = range?.schemaname || at.catalog.searchPath[0];
  if (range === undefined || schema === undefined || !at.catalog.tenantSchemas?.has(schema))
    return [];
  return [
    {
      message: `create table as in ${quoteWhereNeeded(schema)}, the schema of a tenant: Citus refuses it`,
      hint: 'Create the table with its columns, and fill it with insert … select.',
      tables: [`${quoteWhereNeeded(schema)}.${quoteWhereNeeded(range.relname ?? '')}`],
    },
  ];
}
